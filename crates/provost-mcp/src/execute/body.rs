//! A server's answer, whichever way it came.

use bytes::Bytes;
use provost_gateway::{EgressError, UpstreamBody};

use crate::programs::Told;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    Http(UpstreamBody),
    Program(Told),
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn piece(&mut self) -> Option<Result<Bytes, EgressError>> {
        match self {
            Self::Http(body) => body.piece().await,
            Self::Program(told) => told.piece().await,
        }
    }
}
