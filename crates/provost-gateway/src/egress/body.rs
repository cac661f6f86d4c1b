//! An upstream's answer as it arrives.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::EgressError;
use crate::deadline::Deadline;

/// Most chunks gathered into one piece: few enough that nobody sees the wait for them.
const GATHERED_MAX: usize = 16;

/// Enough gathered, however few chunks it was. Unit: bytes.
const GATHERED_BYTES: usize = 16 * 1024;

/// The body of an upstream's answer: fails if it breaks off or falls silent. Dropping it
/// before its end closes the connection.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    silence_max: Duration,
    silence: Deadline,
    /// Whether the first bytes were given.
    begun: bool,
    /// What came after the bytes gathered last, if it was no bytes.
    then: Option<Option<EgressError>>,
}

impl UpstreamBody {
    pub(super) fn new(incoming: Incoming, silence_max: Duration) -> Self {
        Self { incoming, silence_max, silence: Deadline::default(), begun: false, then: None }
    }

    /// The next bytes, and those behind them that are there already: an upstream may send a
    /// chunk for each event, and each piece costs the way to the client. `None` at the end.
    ///
    /// Trailers are passed over: they say nothing that clients read.
    ///
    /// # Errors
    ///
    /// [`EgressError`] if the answer breaks off or falls silent.
    pub async fn piece(&mut self) -> Option<Result<Bytes, EgressError>> {
        if let Some(then) = self.then.take() {
            return then.map(Err);
        }
        let first = match self.bytes().await {
            Some(Ok(bytes)) => bytes,
            ended => return ended,
        };
        // Nobody waits longer for the first bytes than they have to.
        let chunks_max =
            if std::mem::replace(&mut self.begun, true) { GATHERED_MAX } else { 1 };
        let mut gathered = BytesMut::new();
        for _ in 1..chunks_max {
            if first.len().max(gathered.len()) >= GATHERED_BYTES {
                break;
            }
            // The connection's own task hands over one chunk at a time.
            tokio::task::yield_now().await;
            match self.bytes().now_or_never() {
                None => break,
                Some(Some(Ok(bytes))) if gathered.is_empty() => {
                    gathered.extend_from_slice(&first);
                    gathered.extend_from_slice(&bytes);
                }
                Some(Some(Ok(bytes))) => gathered.extend_from_slice(&bytes),
                Some(ended) => {
                    self.then = Some(ended.and_then(Result::err));
                    break;
                }
            }
        }
        Some(Ok(if gathered.is_empty() { first } else { gathered.freeze() }))
    }

    async fn bytes(&mut self) -> Option<Result<Bytes, EgressError>> {
        loop {
            match self.frame().await?.map(Frame::into_data) {
                Ok(Ok(bytes)) => return Some(Ok(bytes)),
                Ok(Err(_trailers)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(context) {
            Poll::Ready(frame) => {
                this.silence.disarm();
                Poll::Ready(frame.map(|frame| frame.map_err(EgressError::of_body)))
            }
            Poll::Pending => {
                ready!(this.silence.poll(context, this.silence_max));
                Poll::Ready(Some(Err(EgressError::Silent { after: this.silence_max })))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
