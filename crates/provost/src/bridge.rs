//! `provost mcp SERVER`: how a client that speaks MCP over stdio gets to the gateway.
//!
//! A line in is a request to the gateway, a message back is a line out; bytes stay as they are.
//! It decides nothing, and so can be trusted with nothing: it holds no more than the session's
//! credential, which its client holds as well. It opens no data directory and reads no
//! configuration.

mod gateway;
mod lines;
mod message;
mod relay;
mod stream;

use std::{
    io::{self, BufReader, Write as _},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, printer::Printer};
use gateway::Gateway;
pub(crate) use gateway::{Asked, BridgeError};
use lines::Line;
use relay::Relay;

/// Longest message that is taken from the client. Unit: bytes. Source: the gateway's own limit.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Most lines that wait on each side. Unit: lines. Ours: each may be as long as a message.
const LINES_WAITING_MAX: usize = 4;
/// Longest wait for what the client has read no more, at the end. Unit: milliseconds. Source:
/// the SDKs of MCP give a server two seconds from the end of its input.
const LAST_LINES_WAIT_MS_MAX: u64 = 200;

/// Bridges standard input and output to the gateway until the client is gone.
///
/// # Errors
///
/// [`BridgeError`]; nothing was read then.
pub(crate) fn run(asked: &Asked, printer: Printer) -> anyhow::Result<Exit> {
    let gateway = Gateway::named(asked)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(bridge(gateway, printer));
    // A read that goes on must not hold the process.
    runtime.shutdown_background();
    exit
}

async fn bridge(gateway: Gateway, printer: Printer) -> anyhow::Result<Exit> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let (out, waiting) = mpsc::channel(LINES_WAITING_MAX);
    let reader_gone = CancellationToken::new();
    let gone = reader_gone.clone();
    let writing = tokio::task::spawn_blocking(move || {
        write(waiting);
        gone.cancel();
    });
    let (into, mut lines) = mpsc::channel(LINES_WAITING_MAX);
    drop(tokio::task::spawn_blocking(move || read(&into)));

    let relay = Arc::new(Relay::new(gateway, out, printer));
    let is_done = tokio::select! {
        () = relay.take_all(&mut lines) => true,
        _ = terminated.recv() => false,
        _ = interrupted.recv() => false,
        () = reader_gone.cancelled() => false,
    };
    if is_done {
        relay.finish().await;
    }
    relay.end().await;
    let exit = if relay.was_never_reached() { Exit::Unreachable } else { Exit::Done };
    drop(relay);
    let _unread = timeout(Duration::from_millis(LAST_LINES_WAIT_MS_MAX), writing).await;
    Ok(exit)
}

/// Hands on the lines of standard input, to its end.
fn read(into: &mpsc::Sender<Line>) {
    let mut input = BufReader::new(io::stdin());
    while let Ok(Some(line)) = lines::next(&mut input, MESSAGE_BYTES_MAX) {
        if into.blocking_send(line).is_err() {
            return;
        }
    }
}

/// Writes what is to go to standard output, until nobody reads or nothing can come.
fn write(mut waiting: mpsc::Receiver<Bytes>) {
    let mut output = io::stdout().lock();
    while let Some(line) = waiting.blocking_recv() {
        if output.write_all(&line).and_then(|()| output.flush()).is_err() {
            return;
        }
    }
}
