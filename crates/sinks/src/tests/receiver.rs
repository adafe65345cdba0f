//! A receiver over real HTTP that does what a test tells it: answers, hangs, breaks off, talks a lot.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What is done with it.
pub(super) enum Do {
    Answer(u16, String),
    Wait(u16, &'static str),
    Hang,
    BreakOff,
    TalkALot,
}

type Script = dyn Fn(usize, &Call) -> Do + Send + Sync;

pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) calls: Arc<Mutex<Vec<Call>>>,
}

impl Receiver {
    /// `script` is told how many requests came before.
    pub(super) async fn start(script: impl Fn(usize, &Call) -> Do + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (script, kept): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&calls));
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { return };
                let (script, kept) = (Arc::clone(&script), Arc::clone(&kept));
                let service =
                    service_fn(move |request| serve(Arc::clone(&script), Arc::clone(&kept), request));
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { url, calls }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }
}

async fn serve(
    script: Arc<Script>,
    kept: Arc<Mutex<Vec<Call>>>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.to_string();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
    let call = Call { path, headers: head.headers, body };
    let before = {
        let mut kept = kept.lock();
        kept.push(call.clone());
        kept.len() - 1
    };
    let answer = |status: u16, text: String| {
        Response::builder().status(status).body(Full::new(Bytes::from(text))).unwrap()
    };
    Ok(match script(before, &call) {
        Do::Answer(status, text) => answer(status, text),
        Do::Wait(status, seconds) => {
            let mut answer = answer(status, String::new());
            answer.headers_mut().insert("retry-after", seconds.parse().unwrap());
            answer
        }
        Do::Hang => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            answer(200, String::new())
        }
        Do::BreakOff => return Err(std::io::Error::other("broken off")),
        // Far more than anybody reads.
        Do::TalkALot => answer(200, "x".repeat(8 << 20)),
    })
}
