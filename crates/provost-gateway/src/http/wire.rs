//! A client's socket with deadlines: on what the client sends before it is known, and on what
//! it leaves lying.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{Limits, deadline::Deadline};

/// Longest time to read on after the last word to a client that is still sending.
const LINGER_MAX: Duration = Duration::from_secs(2);

/// Most that is read on, and thrown away. Unit: bytes.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the first byte of a connection.
    New,
    /// Between two requests.
    Idle,
    /// The same, for a while already.
    Resting,
    /// In the middle of a head, or of a handshake.
    Head,
    /// The head is read; whoever reads the body minds the time.
    Busy,
    /// The reply says that the rest of the request will not be read.
    Unread,
    /// The reply broke off: the client must not take it for whole.
    Broken,
}

/// The phase of one connection, shared by its socket and its requests.
#[derive(Clone, Debug)]
pub(crate) struct PhaseCell(Arc<Mutex<Phase>>);

impl PhaseCell {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Phase::New)))
    }

    pub(crate) fn set(&self, phase: Phase) {
        *self.lock() = phase;
    }

    pub(crate) fn get(&self) -> Phase {
        *self.lock()
    }

    /// No code runs under the lock, so it cannot be poisoned.
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket under HTTP, and under TLS.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    phase: PhaseCell,
    /// For a head. Set only where one does not come in one piece.
    head: Deadline,
    /// For a rest. Ticks all the time, so that requests need not set it.
    tick: Deadline,
    /// For a blocked write; once all is written, for lingering.
    write: Deadline,
    lingered: usize,
    limits: Limits,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, phase: PhaseCell, limits: &Limits) -> Self {
        Self {
            stream,
            phase,
            head: Deadline::default(),
            tick: Deadline::default(),
            write: Deadline::default(),
            lingered: 0,
            limits: *limits,
        }
    }

    /// The first byte after a rest begins a head, and its time.
    fn begin_head(&mut self) {
        if matches!(self.phase.get(), Phase::New | Phase::Idle | Phase::Resting) {
            self.phase.set(Phase::Head);
            self.head.disarm();
        }
    }

    /// Whether the time for what is waited for now is over.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.phase.get(), Phase::New | Phase::Head) {
            return self.head.poll(context, self.limits.header_read_timeout);
        }
        loop {
            ready!(self.tick.poll(context, self.limits.idle_timeout));
            self.tick.disarm();
            match self.phase.get() {
                Phase::Resting => return Poll::Ready(()),
                Phase::Idle => self.phase.set(Phase::Resting),
                Phase::New | Phase::Head | Phase::Busy | Phase::Unread | Phase::Broken => {}
            }
        }
    }

    /// Reads and drops what a client still sends, within bounds: closing on unread bytes would
    /// send RST, which can overtake the reply in which it learns why.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 8192];
        while self.lingered < LINGER_BYTES_MAX {
            if self.write.poll(context, LINGER_MAX).is_ready() {
                break;
            }
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.lingered = self.lingered.saturating_add(buffer.filled().len());
        }
        Poll::Ready(())
    }

    fn poll_written<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.disarm();
            return written;
        }
        ready!(self.write.poll(context, self.limits.write_idle_timeout));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.phase.get() == Phase::Broken {
            // Without it the client sees an end in mid-message, if it looks.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    this.begin_head();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(this.poll_late(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.poll_written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.phase.get() == Phase::Broken {
            return Poll::Ready(Ok(())); // dropping it says more
        }
        ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        if matches!(this.phase.get(), Phase::Head | Phase::Unread) {
            ready!(this.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}
