//! What a program is told: a bounded queue, and the task that writes it.

use std::{future::Future, io, sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use super::{ProgramLimits, gate};

/// Most lines that wait to be written. Ours: an agent has few calls in flight at once.
const QUEUE_LINES_MAX: usize = 64;

/// A program's standard input. Clones write to the same one; when the last is dropped, what
/// waits is written and the input is closed.
#[derive(Clone, Debug)]
pub struct ChildInput {
    queue: mpsc::Sender<Line>,
    /// Bytes that may still wait: as many as the longest line has.
    room: Arc<Semaphore>,
    line_bytes_max: usize,
    send_wait_max: Duration,
}

/// A line was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It would be two.
    #[error("a line for the program has a line break in it")]
    LineBreak,
    /// It is too long.
    #[error("a line for the program is longer than {line_bytes_max} bytes")]
    TooLong {
        /// What it may be. Unit: bytes.
        line_bytes_max: usize,
    },
    /// The program does not read those before it.
    #[error("the program read nothing for {after:?}")]
    NotReading {
        /// How long was waited.
        after: Duration,
    },
    /// It ended, is being ended, or closed its input.
    #[error("the program takes no more lines")]
    Gone,
}

#[derive(Debug)]
struct Line {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl ChildInput {
    /// Puts `line`, which has no line break, behind those that wait. That it was put there
    /// does not mean that the program will read it.
    ///
    /// Waits for room, but not for ever. Dropped while it waits, it has sent nothing.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was sent.
    pub async fn send(&self, line: Bytes) -> Result<(), SendError> {
        if memchr::memchr(b'\n', &line).is_some() {
            return Err(SendError::LineBreak);
        }
        let line_bytes_max = self.line_bytes_max;
        let bytes = u32::try_from(line.len()).unwrap_or(u32::MAX);
        if line.len() > line_bytes_max {
            return Err(SendError::TooLong { line_bytes_max });
        }
        let queued = async {
            let room = Arc::clone(&self.room).acquire_many_owned(bytes);
            let room = room.await.map_err(|_closed| SendError::Gone)?;
            let line = Line { bytes: line, _room: room };
            self.queue.send(line).await.map_err(|_closed| SendError::Gone)
        };
        let after = self.send_wait_max;
        tokio::time::timeout(after, queued)
            .await
            .unwrap_or(Err(SendError::NotReading { after }))
    }
}

/// The queue for `stdin`, and the work of writing it until `end`, when the input is closed.
pub(super) fn open(
    stdin: impl AsyncWrite + Send + Unpin + 'static,
    limits: &ProgramLimits,
    end: CancellationToken,
) -> (ChildInput, impl Future<Output = ()> + Send + 'static) {
    let (queue, lines) = mpsc::channel(QUEUE_LINES_MAX);
    let room = Arc::new(Semaphore::new(limits.line_bytes_max));
    let (line_bytes_max, send_wait_max) = (limits.line_bytes_max, limits.send_wait_max);
    let input = ChildInput { queue, room, line_bytes_max, send_wait_max };
    let writing = async move {
        tokio::select! {
            () = end.cancelled() => {}
            written = write(stdin, lines) => {
                // Who sends next is told, and what became of the program is logged elsewhere.
                drop(written);
            }
        }
    };
    (input, writing)
}

async fn write(
    mut stdin: impl AsyncWrite + Unpin,
    mut lines: mpsc::Receiver<Line>,
) -> io::Result<()> {
    stdin.write_all(gate::OPEN).await?;
    stdin.flush().await?;
    while let Some(Line { bytes, _room }) = lines.recv().await {
        stdin.write_all_buf(&mut bytes.chain(&b"\n"[..])).await?;
        stdin.flush().await?;
    }
    Ok(())
}
