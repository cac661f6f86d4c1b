//! Streams that do not end: what they weigh, and how soon a kill ends them.

use std::{fmt::Write as _, io, time::Duration};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    cells::request,
    load::{Body, connect},
    stand::Stand,
    ticks::{self, Waits},
};

/// How many streams there are, and how often each gets an event. Unit: milliseconds.
const ROWS: [(usize, u64); 3] = [(1, 20), (100, 20), (1000, 1000)];

/// How long they stream before they are looked at.
const STREAMED: Duration = Duration::from_secs(5);

/// The table in Markdown. Each row is a server of its own, since a kill is for good.
pub(crate) async fn table() -> Result<String> {
    let mut text = String::from(
        "| open streams | an event every | RSS | most | CPU an event | \
         kill to its answer | kill to last byte: p50 | p99 |\n|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (count, every) in ROWS {
        let stand = Stand::install(&std::env::temp_dir()).await?;
        let row = Row::measure(&stand, count, every).await?;
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            text,
            "| {count} | {every} ms | {:.1} MiB | {:.1} MiB | {:.0} µs | {:.1} ms | {:.1} ms | \
             {:.1} ms |",
            row.memory.now,
            row.memory.most,
            row.cpu,
            row.answered as f64 / 1e3,
            row.ended.p50() as f64 / 1e3,
            row.ended.p99() as f64 / 1e3,
        );
    }
    Ok(text)
}

struct Row {
    memory: crate::process::Memory,
    /// Unit: microseconds an event.
    cpu: f64,
    /// From the kill to the control API's answer. Unit: microseconds.
    answered: u64,
    /// From the kill to each stream's last byte.
    ended: Waits,
}

impl Row {
    async fn measure(stand: &Stand, count: usize, every: u64) -> Result<Self> {
        let mut streams = JoinSet::new();
        for _ in 0..count {
            let stream = open(stand, every).await?;
            streams.spawn(follow(stream));
        }
        tokio::time::sleep(STREAMED).await;
        let before = stand.server.cpu()?;
        tokio::time::sleep(STREAMED).await;
        let used = stand.server.cpu()?.saturating_sub(before);
        let memory = stand.server.memory()?;
        ensure!(streams.try_join_next().is_none(), "a stream ended before the kill");

        let killed = ticks::now();
        stand.kill().await?;
        let answered = ticks::now().saturating_sub(killed);
        let mut ended = Vec::new();
        while let Some(last) = streams.join_next().await {
            ended.push(last??.saturating_sub(killed));
        }
        let events = count as f64 * STREAMED.as_secs_f64() * 1e3 / every as f64;
        Ok(Self { memory, cpu: used as f64 / events, answered, ended: Waits::of(ended) })
    }
}

/// Opens a stream and waits for its first byte.
async fn open(stand: &Stand, every: u64) -> Result<TcpStream> {
    let body = format!(
        r#"{{"model":"claude-sonnet-5+endless-{every}","max_tokens":1024,"stream":true,"messages":[{{"role":"user","content":"count the sheep, please"}}]}}"#
    );
    let mut stream = connect(stand.gateway).await?;
    stream
        .write_all(&request((stand.gateway, "/v1/messages"), &stand.credential, &body))
        .await?;
    let mut bytes = Vec::new();
    while Body::behind(&bytes)?.is_none_or(|body| bytes.len() <= body.start) {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the stream ended at once");
    }
    Ok(stream)
}

/// Reads a stream to its end; when its last byte came. Unit: microseconds.
async fn follow(mut stream: TcpStream) -> io::Result<u64> {
    let mut buffer = Vec::with_capacity(4096);
    let mut last = ticks::now();
    loop {
        buffer.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(last);
        }
        last = ticks::now();
        if buffer.ends_with(b"0\r\n\r\n") {
            return Ok(last);
        }
    }
}
