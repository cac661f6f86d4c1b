//! The load generator: connections that each ask, read the answer to its end, and ask again.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    process::Process,
    ticks::{self, Waits},
};

/// What is not measured at the beginning.
const WARM_UP: Duration = Duration::from_millis(300);

/// What is.
const MEASURED: Duration = Duration::from_millis(1500);

/// The same, where it is divided by. Unit: microseconds.
const MEASURED_MICROS: u64 = 1_500_000;

/// Whom to ask what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// A whole HTTP/1.1 request.
    pub(crate) request: Arc<[u8]>,
}

/// What one load showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Unit: requests a second.
    pub(crate) rate: f64,
    /// From the first byte of a request to the last of its answer.
    pub(crate) whole: Waits,
    /// From the first byte of a request to the first of the answer's body.
    pub(crate) first: Waits,
    /// CPU time of the process that was watched. Unit: microseconds a request.
    pub(crate) cpu: f64,
}

/// Loads `target` from that many connections; watches the CPU time of `process`.
pub(crate) async fn run(
    target: &Target,
    connections: usize,
    process: Option<&Process>,
) -> Result<Seen> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(connect(target.address).await?);
    }
    let begin = ticks::now().saturating_add(WARM_UP.as_micros().try_into()?);
    let end = begin.saturating_add(MEASURED_MICROS);
    let mut work = JoinSet::new();
    for stream in streams {
        work.spawn(ask(stream, Arc::clone(&target.request), begin, end));
    }
    tokio::time::sleep(WARM_UP).await;
    let before = process.map(Process::cpu).transpose()?.unwrap_or_default();
    tokio::time::sleep(MEASURED).await;
    let after = process.map(Process::cpu).transpose()?.unwrap_or_default();
    let (mut whole, mut first) = (Vec::new(), Vec::new());
    while let Some(asked) = work.join_next().await {
        for (answered, began) in asked?? {
            whole.push(answered);
            first.push(began);
        }
    }
    ensure!(!whole.is_empty(), "no answer in {MEASURED:?}");
    let cpu = after.saturating_sub(before) as f64 / whole.len() as f64;
    let rate = ticks::rate(whole.len(), MEASURED_MICROS);
    Ok(Seen { rate, whole: Waits::of(whole), first: Waits::of(first), cpu })
}

#[expect(clippy::disallowed_methods, reason = "a client, which asks for no permit")]
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks until `end`; for each answer that came since `begin`, the wait for all of it and for
/// its first byte.
async fn ask(
    mut stream: TcpStream,
    request: Arc<[u8]>,
    begin: u64,
    end: u64,
) -> io::Result<Vec<(u64, u64)>> {
    let (mut waits, mut buffer) = (Vec::new(), Vec::with_capacity(16 << 10));
    loop {
        let asked = ticks::now();
        if asked >= end {
            return Ok(waits);
        }
        stream.write_all(&request).await?;
        let first = answer(&mut stream, &mut buffer).await?;
        let answered = ticks::now();
        if (begin..=end).contains(&answered) {
            waits.push((answered.saturating_sub(asked), first.saturating_sub(asked)));
        }
    }
}

/// Reads one answer; when the first byte of its body came.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<u64> {
    buffer.clear();
    let (mut body, mut first) = (None, None);
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if body.is_none() {
            body = Body::behind(buffer)?;
        }
        let Some(body) = &body else { continue };
        if buffer.len() > body.start {
            first.get_or_insert_with(ticks::now);
        }
        if body.is_whole(buffer) {
            return Ok(first.unwrap_or_else(ticks::now));
        }
    }
}

/// Where an answer's body begins and how it ends.
pub(crate) struct Body {
    pub(crate) start: usize,
    length: Option<usize>,
}

impl Body {
    /// What the head in `bytes` says, once it is all there.
    pub(crate) fn behind(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        if !head.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(String::from_utf8_lossy(bytes).into_owned()));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok());
        Ok(Some(Self { start: end.saturating_add(4), length }))
    }

    /// Whether `bytes` are the whole answer, of which there is one at a time.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        match self.length {
            Some(length) => bytes.len() >= self.start.saturating_add(length),
            None => bytes.ends_with(b"0\r\n\r\n"),
        }
    }
}
