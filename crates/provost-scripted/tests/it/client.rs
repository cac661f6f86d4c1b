//! A plain HTTP client: one connection, one request.

use std::{io::Read, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use provost_scripted::Scripted;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the reply ended as HTTP says it should.
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        let coding =
            self.headers.get("content-encoding").map(|coding| coding.to_str().unwrap());
        let mut text = String::new();
        match coding {
            None => text = String::from_utf8(self.body.clone()).unwrap(),
            Some("gzip") => {
                flate2::read::GzDecoder::new(&self.body[..]).read_to_string(&mut text).unwrap();
            }
            Some("deflate") => {
                flate2::read::ZlibDecoder::new(&self.body[..])
                    .read_to_string(&mut text)
                    .unwrap();
            }
            Some("br") => {
                brotli_decompressor::Decompressor::new(&self.body[..], 4096)
                    .read_to_string(&mut text)
                    .unwrap();
            }
            Some("zstd") => {
                zstd::stream::read::Decoder::new(&self.body[..])
                    .unwrap()
                    .read_to_string(&mut text)
                    .unwrap();
            }
            Some(other) => panic!("coding {other}"),
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The names of the events, in order; each must carry JSON whose `type` is that name.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text();
        let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
        let named = events.map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let name = name.strip_prefix("event: ").unwrap().to_owned();
            let data: Value =
                serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], Value::from(name.clone()));
            name
        });
        named.collect()
    }
}

pub(crate) fn question(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "max_tokens": 100,
        "stream": stream,
        "messages": [{ "role": "user", "content": "hello" }],
    })
}

#[expect(clippy::disallowed_methods, reason = "a test is the client")]
pub(crate) async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> hyper::Result<http::Response<Incoming>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    TaskTracker::new().spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "scripted");
    sender.send_request(request.body(Full::new(body.into())).unwrap()).await
}

pub(crate) async fn ask(scripted: &Scripted, question: Value) -> Reply {
    let path = "/v1/messages?beta=true";
    read(send(scripted.address(), Method::POST, path, question.to_string()).await.unwrap())
        .await
}

pub(crate) async fn read(response: http::Response<Incoming>) -> Reply {
    let (parts, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    let whole = loop {
        match incoming.frame().await {
            None => break true,
            Some(Ok(frame)) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(_)) => break false,
        }
    };
    Reply { status: parts.status, headers: parts.headers, body, whole }
}
