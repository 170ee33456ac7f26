//! What may go wrong between us and a server, on order.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, RANGE};
use hyper::{Method, Request, Response, StatusCode};

/// The body of an answer.
pub type Body = s3s::Body;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500 Internal Server Error.
    InternalError,
    /// 503 Slow Down, as S3 says it.
    SlowDown,
    /// Nothing for longer than anyone waits.
    Stall,
    /// Half of the body, and then nothing for longer than anyone waits.
    StallWithin,
    /// Half of the body, and then the connection breaks.
    Cut,
    /// Half of the body, as if it were the whole.
    Short,
}

impl Fault {
    pub const ALL: [Fault; 6] = [
        Fault::InternalError,
        Fault::SlowDown,
        Fault::Stall,
        Fault::StallWithin,
        Fault::Cut,
        Fault::Short,
    ];
}

/// A request that came, and how long a body was asked for where a range was.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub bytes: Option<u64>,
}

/// The faults to come, and the requests that came.
#[derive(Default)]
pub struct Script {
    /// What befalls the next so many requests for data whose path has the text.
    faults: Mutex<Vec<(String, Fault, usize)>>,
    seen: Mutex<Vec<Seen>>,
}

impl Script {
    /// Lets the next `times` requests for the bytes of an object fail.
    pub fn order(&self, path: &str, fault: Fault, times: usize) {
        self.faults
            .lock()
            .unwrap()
            .push((path.to_owned(), fault, times));
    }

    pub fn clear(&self, path: &str) {
        let mut faults = self.faults.lock().unwrap();
        faults.retain(|(text, _, _)| text != path);
    }

    /// The requests for paths with the text so far.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        let found = seen.iter().filter(|seen| seen.path.contains(path));
        found.cloned().collect()
    }

    /// Notes a request; the fault that befalls it.
    pub fn meet<B>(&self, request: &Request<B>) -> Option<Fault> {
        let path = request.uri().path().to_owned();
        let range = request
            .headers()
            .get(RANGE)
            .and_then(|range| range.to_str().ok());
        let bytes = range.and_then(|range| {
            let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some(end.parse::<u64>().ok()? + 1 - start.parse::<u64>().ok()?)
        });
        let method = request.method().clone();
        let is_data = method == Method::GET && bytes.is_some();
        self.seen.lock().unwrap().push(Seen {
            method,
            path: path.clone(),
            bytes,
        });
        let mut faults = self.faults.lock().unwrap();
        let (_, fault, times) = faults
            .iter_mut()
            .find(|(text, _, times)| is_data && *times > 0 && path.contains(&**text))?;
        *times -= 1;
        Some(*fault)
    }
}

/// The answer instead of the right one, where nothing of that is needed.
pub async fn instead(fault: Fault) -> Option<Response<Body>> {
    let refuse = |status: StatusCode, code: &str| {
        let text = format!("<Error><Code>{code}</Code><Message>on order</Message></Error>");
        let response = Response::builder().status(status).body(text.into());
        Some(response.unwrap())
    };
    match fault {
        Fault::InternalError => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Fault::SlowDown => refuse(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Fault::Stall => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            refuse(StatusCode::REQUEST_TIMEOUT, "RequestTimeout")
        }
        Fault::StallWithin | Fault::Cut | Fault::Short => None,
    }
}

/// The right answer with a body that does not come whole.
pub fn spoil(fault: Fault, mut response: Response<Body>) -> Response<Body> {
    let length = response.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if fault == Fault::Short {
        // Only the range that the answer claims to be tells that the body is not whole.
        let half = (length.unwrap_or(2) / 2).to_string();
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, half.parse().unwrap());
    }
    response.map(|body| {
        Body::http_body_unsync(Half {
            body: Box::pin(body),
            left: length.unwrap_or(2) / 2,
            fault,
            sleep: None,
        })
    })
}

struct Half {
    body: Pin<Box<Body>>,
    left: usize,
    fault: Fault,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl hyper::body::Body for Half {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            let broken = || Some(Err(std::io::Error::other("cut off on order")));
            return match self.fault {
                Fault::Short => Poll::Ready(None),
                Fault::StallWithin => {
                    let sleep = self.sleep.get_or_insert_with(|| {
                        Box::pin(tokio::time::sleep(Duration::from_mins(1)))
                    });
                    sleep.as_mut().poll(context).map(|()| broken())
                }
                _ => Poll::Ready(broken()),
            };
        }
        let frame = self.body.as_mut().poll_frame(context);
        frame.map(|frame| {
            let bytes = frame?.map(|frame| frame.into_data().unwrap_or_default());
            Some(match bytes {
                Err(error) => Err(std::io::Error::other(error)),
                Ok(bytes) => {
                    let bytes = bytes.slice(..bytes.len().min(self.left));
                    self.left -= bytes.len();
                    Ok(Frame::data(bytes))
                }
            })
        })
    }
}
