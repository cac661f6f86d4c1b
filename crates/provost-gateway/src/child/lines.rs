//! What a program says: its output, cut into lines.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncReadExt as _, process::ChildStdout, sync::watch, time::Duration};
use tokio_util::sync::CancellationToken;

use super::Ending;

/// Room made for each read. Unit: bytes. Ours: few calls to the system for a long line, and
/// little memory for a program that says little.
const READ_BYTES: usize = 16 * 1024;

/// How long to wait for what a program said before it ended. All of it is in the pipe
/// already: this is for a process outside its group that keeps the pipe open.
const LAST_WORDS_WAIT_MAX: Duration = Duration::from_secs(1);

/// Most that a program which ended can have left unread. Unit: bytes. Source: pipe(7), the
/// default of /proc/sys/fs/pipe-max-size. What comes after that is another's.
const LAST_WORDS_BYTES_MAX: usize = 1 << 20;

/// A program's standard output.
#[derive(Debug)]
pub struct ChildLines {
    stdout: ChildStdout,
    splitter: Splitter,
    end: CancellationToken,
    ended: watch::Receiver<Option<Ending>>,
    /// What may still be read of a program that ended. Unit: bytes.
    last_words_bytes: usize,
    over: bool,
}

/// There are no further lines, and it was not their proper end.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The program sent a line that is too long, and is being ended.
    #[error("the program sent a line longer than {line_bytes_max} bytes")]
    TooLong {
        /// What it may be. Unit: bytes.
        line_bytes_max: usize,
    },
    /// Its output ended in the middle of a line, which is given to nobody.
    #[error("the program's output ended in the middle of a line")]
    CutOff {
        /// How much of the line there was. Unit: bytes.
        bytes: usize,
    },
    /// Its output cannot be read.
    #[error("the program's output cannot be read")]
    Read(#[source] io::Error),
}

impl ChildLines {
    pub(super) fn new(
        stdout: ChildStdout,
        line_bytes_max: usize,
        end: CancellationToken,
        ended: watch::Receiver<Option<Ending>>,
    ) -> Self {
        let splitter = Splitter::new(line_bytes_max);
        let last_words_bytes = LAST_WORDS_BYTES_MAX;
        Self { stdout, splitter, end, ended, last_words_bytes, over: false }
    }

    /// The next line, without its line break; empty ones are passed over. `None` when there
    /// will be no other, as when the program ended.
    ///
    /// Dropped while it waits, it has lost nothing. Waits as long as the program is silent.
    ///
    /// # Errors
    ///
    /// [`LineError`], once; `None` from then on.
    pub async fn next_line(&mut self) -> Result<Option<Bytes>, LineError> {
        loop {
            match self.splitter.next() {
                Ok(Some(line)) => return Ok(Some(line)),
                Ok(None) => {}
                Err(error) => {
                    self.over = true;
                    self.end.cancel();
                    return Err(error);
                }
            }
            if self.over {
                let bytes = self.splitter.clear();
                return if bytes == 0 { Ok(None) } else { Err(LineError::CutOff { bytes }) };
            }
            match self.read().await {
                Ok(bytes) => self.over = bytes == 0,
                Err(error) => {
                    self.over = true;
                    self.splitter.clear();
                    return Err(LineError::Read(error));
                }
            }
        }
    }

    /// Reads what there is; zero at the end.
    async fn read(&mut self) -> io::Result<usize> {
        let has_ended = self.ended.borrow().is_some();
        if has_ended && self.last_words_bytes == 0 {
            return Ok(0);
        }
        let held_open = held_open(self.ended.clone());
        self.splitter.buffer.reserve(READ_BYTES);
        let bytes = tokio::select! {
            biased;
            read = self.stdout.read_buf(&mut self.splitter.buffer) => read?,
            () = held_open => 0,
        };
        if has_ended {
            self.last_words_bytes = self.last_words_bytes.saturating_sub(bytes);
        }
        Ok(bytes)
    }
}

/// Resolves when a program has ended, and what it said before must have been read.
pub(super) async fn held_open(mut ended: watch::Receiver<Option<Ending>>) {
    // Fails when nobody looks after the program any more: that is an end as well.
    let _ended = ended.wait_for(Option::is_some).await.is_ok();
    tokio::time::sleep(LAST_WORDS_WAIT_MAX).await;
}

/// Bytes cut into lines; same result however they come. No I/O.
#[derive(Debug)]
pub(super) struct Splitter {
    line_bytes_max: usize,
    pub(super) buffer: BytesMut,
    /// How much of the buffer is known to have no line break. Unit: bytes.
    seen: usize,
}

impl Splitter {
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, buffer: BytesMut::new(), seen: 0 }
    }

    /// The next whole line that is not empty; fails, and forgets everything, if it is too long.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        loop {
            let rest = self.buffer.get(self.seen..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map(|at| self.seen.saturating_add(at));
            let line_bytes_max = self.line_bytes_max;
            if end.unwrap_or(self.buffer.len()) > line_bytes_max {
                self.clear();
                return Err(LineError::TooLong { line_bytes_max });
            }
            let Some(end) = end else {
                self.seen = self.buffer.len();
                return Ok(None);
            };
            let mut line = self.buffer.split_to(end.saturating_add(1));
            self.seen = 0;
            line.truncate(end);
            if !line.is_empty() {
                return Ok(Some(line.freeze()));
            }
        }
    }

    /// Forgets what is left behind the last whole line; gives how much it was.
    pub(super) fn clear(&mut self) -> usize {
        let bytes = self.buffer.len();
        (self.buffer, self.seen) = (BytesMut::new(), 0);
        bytes
    }
}
