//! An upstream's answer as it arrives.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::EgressError;
use crate::deadline::Deadline;

/// The body of an upstream's answer: fails if it breaks off or falls silent. Dropping it
/// before its end closes the connection.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    silence_max: Duration,
    silence: Deadline,
}

impl UpstreamBody {
    pub(super) fn new(incoming: Incoming, silence_max: Duration) -> Self {
        Self { incoming, silence_max, silence: Deadline::default() }
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
