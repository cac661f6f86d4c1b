//! A bare HTTP/1.1 client over a socket: says exactly the bytes it is told to.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer, read to the end of the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The error's type and message.
    pub(crate) fn error(&self) -> (String, String) {
        let error = self.json()["error"].clone();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("type"), text("message"))
    }
}

/// A Messages request for `model`.
pub(crate) fn message(model: &str) -> Value {
    json!({
        "model": model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
    })
}

/// The same, streamed.
pub(crate) fn streamed(model: &str) -> Value {
    let mut message = message(model);
    message["stream"] = true.into();
    message
}

/// Sends one Messages request with these headers; the whole answer.
pub(crate) async fn post(to: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = open(to, headers, body).await;
    read(&mut stream).await
}

/// Sends one Messages request with a session's credential.
pub(crate) async fn ask(to: SocketAddr, credential: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {credential}");
    post(to, &[("authorization", &bearer)], body.to_string().as_bytes()).await
}

/// Sends one Messages request and reads nothing yet.
pub(crate) async fn open(to: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let mut head = format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses early may close before it has read all of the body.
    let _refused_early = stream.write_all(body).await;
    stream
}

/// Reads an answer to the end of the connection; undoes chunking.
pub(crate) async fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _reset = stream.read_to_end(&mut bytes).await;
    parse(&bytes)
}

/// Reads until `needle` has been seen; everything so far.
pub(crate) async fn read_until(stream: &mut TcpStream, needle: &str) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if text.contains(needle) {
            return text.into_owned();
        }
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{needle:?} never came: {text}");
        bytes.extend_from_slice(&buffer[..read]);
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
    let mut answer = Answer { status, head, body: bytes[end + 4..].to_vec() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunked(&answer.body);
    }
    answer
}

/// The chunks' contents, up to where the connection broke.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..line]).into_owned();
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        rest = &rest[line + 2..];
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        rest = rest.get(size + 2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    body
}
