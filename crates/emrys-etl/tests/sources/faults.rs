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

impl Seen {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        changes(&self.method)
    }
}

fn changes(method: &Method) -> bool {
    ![Method::GET, Method::HEAD].contains(method)
}

/// What befalls the next requests.
struct Order {
    /// What their paths have.
    path: String,
    /// Whether they are those that change something, or those for data.
    of_writes: bool,
    /// How many go well before.
    after: usize,
    fault: Fault,
    times: usize,
}

/// The faults to come, and the requests that came.
#[derive(Default)]
pub struct Script {
    faults: Mutex<Vec<Order>>,
    seen: Mutex<Vec<Seen>>,
}

impl Script {
    /// Lets the next `times` requests for the bytes of an object fail.
    pub fn order(&self, path: &str, fault: Fault, times: usize) {
        self.add(path, false, 0, fault, times);
    }

    /// Lets `times` requests fail that write or delete an object, after so many that go well.
    ///
    /// [`Fault::Cut`] breaks the connection in the middle of the request, which is not carried
    /// out; [`Fault::StallWithin`] and [`Fault::Short`] lose the answer to one that is.
    pub fn order_writes(&self, path: &str, after: usize, fault: Fault, times: usize) {
        self.add(path, true, after, fault, times);
    }

    fn add(&self, path: &str, of_writes: bool, after: usize, fault: Fault, times: usize) {
        self.faults.lock().unwrap().push(Order {
            path: path.to_owned(),
            of_writes,
            after,
            fault,
            times,
        });
    }

    pub fn clear(&self, path: &str) {
        let mut faults = self.faults.lock().unwrap();
        faults.retain(|order| order.path != path);
    }

    /// How many of the ordered faults have not come yet.
    pub fn left(&self, path: &str) -> usize {
        let faults = self.faults.lock().unwrap();
        let of_path = faults.iter().filter(|order| order.path == path);
        of_path.map(|order| order.times).sum()
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
        let is_write = is_write(request);
        let is_data = method == Method::GET && bytes.is_some();
        self.seen.lock().unwrap().push(Seen {
            method,
            path: path.clone(),
            bytes,
        });
        let mut faults = self.faults.lock().unwrap();
        let order = faults.iter_mut().find(|order| {
            let kind = if order.of_writes { is_write } else { is_data };
            kind && order.times > 0 && path.contains(&*order.path)
        })?;
        if order.after > 0 {
            order.after -= 1;
            return None;
        }
        order.times -= 1;
        Some(order.fault)
    }
}

/// Whether a request changes something.
pub fn is_write<B>(request: &Request<B>) -> bool {
    changes(request.method())
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
