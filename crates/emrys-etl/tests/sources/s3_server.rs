//! A server that speaks the protocol of S3, with buckets in a temporary folder.

use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::faults::{Fault, Script, instead, is_write, spoil};

pub struct Server {
    root: tempfile::TempDir,
    pub script: Arc<Script>,
    /// Keeps the server alive.
    _runtime: tokio::runtime::Runtime,
}

/// The one server of all tests, to which the environment points.
pub static SERVER: LazyLock<Server> = LazyLock::new(start);

impl Server {
    /// A new bucket, and the folder where its objects are.
    pub fn bucket(&self, name: &str) -> PathBuf {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

fn start() -> Server {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = Arc::new(Script::default());
    let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
    builder.set_auth(SimpleAuth::from_single("the-key", "the-secret"));
    let service = builder.build();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(TcpListener::bind(("127.0.0.1", 0)))
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(serve(listener, service, Arc::clone(&script)));
    for (name, value) in [
        ("AWS_ENDPOINT", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_ACCESS_KEY_ID", "the-key".into()),
        ("AWS_SECRET_ACCESS_KEY", "the-secret".into()),
        ("AWS_REGION", "us-east-1".into()),
    ] {
        // SAFETY: it happens once, before any test asks for a store; nothing else in these tests
        // changes the environment.
        unsafe { std::env::set_var(name, value) };
    }
    Server {
        root,
        script,
        _runtime: runtime,
    }
}

async fn serve(listener: TcpListener, service: S3Service, script: Arc<Script>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let (service, script) = (service.clone(), Arc::clone(&script));
        tokio::spawn(async move {
            let answer =
                service_fn(move |request| answer(service.clone(), Arc::clone(&script), request));
            // A connection that breaks on order is no failure of the server.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), answer)
                .await;
        });
    }
}

async fn answer(
    service: S3Service,
    script: Arc<Script>,
    request: Request<Incoming>,
) -> io::Result<Response<s3s::Body>> {
    let fault = script.meet(&request);
    if let Some(fault) = fault
        && let Some(response) = instead(fault).await
    {
        return Ok(response);
    }
    let is_write = is_write(&request);
    if is_write && fault == Some(Fault::Cut) {
        let (mut body, mut read) = (request.into_body(), 0);
        let half = body.size_hint().lower() / 2;
        while read < half
            && let Some(Ok(frame)) =
                poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        return Err(io::Error::other("cut off on order"));
    }
    let response = Service::call(&service, request).await.unwrap();
    match fault {
        Some(Fault::StallWithin) if is_write => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            Ok(response)
        }
        Some(_) if is_write => Err(io::Error::other("the answer is lost on order")),
        Some(fault) => Ok(spoil(fault, response)),
        None => Ok(response),
    }
}
