//! A plain web server for the files of a folder, which answers to ranges or does not.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, RANGE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::faults::{Body, Script, instead, spoil};

pub struct WebServer {
    pub url: String,
    pub script: Arc<Script>,
    /// Keeps the server alive.
    _runtime: tokio::runtime::Runtime,
}

impl WebServer {
    pub fn start(folder: &Path, ranges: bool) -> WebServer {
        WebServer::start_with(folder, ranges, None)
    }

    /// A server that gives files only to those who read with this query, as stores do whose
    /// addresses are signed.
    pub fn start_signed(folder: &Path, query: &'static str) -> WebServer {
        WebServer::start_with(folder, true, Some(query))
    }

    fn start_with(folder: &Path, ranges: bool, signature: Option<&'static str>) -> WebServer {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script::default());
        let (folder, seen) = (folder.to_owned(), Arc::clone(&script));
        runtime.spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    continue;
                };
                let (folder, script) = (folder.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let answer = service_fn(move |request| {
                        let may_read = signature.is_none_or(|signature| {
                            request.uri().query() == Some(signature)
                                && *request.method() == Method::GET
                        });
                        let folder = may_read.then(|| folder.clone());
                        answer(folder, Arc::clone(&script), ranges, request)
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), answer)
                        .await;
                });
            }
        });
        WebServer {
            url,
            script,
            _runtime: runtime,
        }
    }
}

/// The file; without a folder, a refusal.
async fn answer(
    folder: Option<PathBuf>,
    script: Arc<Script>,
    ranges: bool,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let fault = script.meet(&request);
    if let Some(fault) = fault
        && let Some(response) = instead(fault).await
    {
        return Ok(response);
    }
    let Some(folder) = folder else {
        let refused = Response::builder().status(StatusCode::FORBIDDEN);
        return Ok(refused.body(Body::empty()).unwrap());
    };
    let name = request
        .uri()
        .path()
        .trim_start_matches('/')
        .replace("%20", " ");
    let response = match std::fs::read(folder.join(name)) {
        Err(_) => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(Body::empty())
            .unwrap(),
        Ok(bytes) => file(&request, bytes, ranges),
    };
    Ok(match fault {
        Some(fault) => spoil(fault, response),
        None => response,
    })
}

fn file(request: &Request<Incoming>, bytes: Vec<u8>, ranges: bool) -> Response<Body> {
    let size = bytes.len();
    let range = request.headers().get(RANGE).and_then(|range| {
        let (start, end) = range
            .to_str()
            .ok()?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        Some(start.parse::<usize>().ok()?..end.parse::<usize>().ok()? + 1)
    });
    let mut response = Response::builder().header(ETAG, format!("\"{size}\""));
    let body = match range.filter(|_| ranges) {
        Some(range) => {
            let last = range.end - 1;
            response = response.status(StatusCode::PARTIAL_CONTENT).header(
                CONTENT_RANGE,
                format!("bytes {}-{last}/{size}", range.start),
            );
            bytes[range].to_vec()
        }
        None => bytes,
    };
    response = response
        .header(ACCEPT_RANGES, if ranges { "bytes" } else { "none" })
        .header(CONTENT_LENGTH, body.len());
    let body = match *request.method() == Method::HEAD {
        true => Body::empty(),
        false => body.into(),
    };
    response.body(body).unwrap()
}
