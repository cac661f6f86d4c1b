//! What can go wrong with an upstream, in kinds that a person can act on.

use std::{error::Error, io, time::Duration};

use hyper_util::client::legacy;

use super::connect::TooSlow;

type Cause = Box<dyn Error + Send + Sync>;

/// There is no answer, or no end of it. The text is fit for the agent; the cause is not.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The request's target cannot be joined to the base URL.
    #[error("the request's target cannot be sent upstream")]
    Target(#[source] http::Error),
    /// DNS gives no address.
    #[error("the upstream's name cannot be resolved")]
    Unresolved(#[source] Cause),
    /// Nobody accepts connections there, or there is no way there.
    #[error("the upstream refused the connection")]
    Refused(#[source] Cause),
    /// No trusted TLS connection.
    #[error("no secure connection to the upstream can be made")]
    Tls(#[source] Cause),
    /// It took too long to connect.
    #[error("the upstream took too long to accept a connection")]
    ConnectTimeout(#[source] Cause),
    /// It took too long to begin its answer.
    #[error("the upstream did not begin an answer within {after:?}")]
    HeadTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// It said nothing in the middle of its answer.
    #[error("the upstream fell silent for {after:?} in its answer")]
    Silent {
        /// How long was waited.
        after: Duration,
    },
    /// It closed or reset the connection before the end of its answer.
    #[error("the upstream broke the connection")]
    Reset(#[source] Cause),
    /// What it says is not HTTP.
    #[error("the upstream's answer is not HTTP")]
    Protocol(#[source] Cause),
}

/// Marks what the resolver said, among the causes of a failed connection.
#[derive(Debug, thiserror::Error)]
#[error("name resolution failed")]
pub(super) struct Unresolved(#[source] pub(super) io::Error);

impl EgressError {
    pub(super) fn of_request(error: legacy::Error) -> Self {
        if !error.is_connect() {
            return Self::of_exchange(error.into());
        }
        let is_timeout = |cause: &(dyn Error + 'static)| {
            cause.is::<TooSlow>() || kind(cause) == Some(io::ErrorKind::TimedOut)
        };
        if has_cause(&error, |cause| cause.is::<Unresolved>()) {
            Self::Unresolved(error.into())
        } else if has_cause(&error, |cause| cause.is::<rustls::Error>()) {
            Self::Tls(error.into())
        } else if has_cause(&error, is_timeout) {
            Self::ConnectTimeout(error.into())
        } else {
            Self::Refused(error.into())
        }
    }

    pub(super) fn of_body(error: hyper::Error) -> Self {
        Self::of_exchange(error.into())
    }

    fn of_exchange(error: Cause) -> Self {
        let broke = |cause: &(dyn Error + 'static)| {
            use io::ErrorKind::{
                BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
            };
            let ended = cause.downcast_ref::<hyper::Error>().is_some_and(|error| {
                error.is_incomplete_message() || error.is_closed() || error.is_canceled()
            });
            ended
                || matches!(
                    kind(cause),
                    Some(
                        BrokenPipe
                            | ConnectionAborted
                            | ConnectionReset
                            | NotConnected
                            | UnexpectedEof
                    )
                )
        };
        if has_cause(&*error, broke) { Self::Reset(error) } else { Self::Protocol(error) }
    }
}

fn kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    error.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// Whether `error` or one of its causes is `it`. Looks into I/O errors, whose `source` leaves
/// out what they hold.
fn has_cause(
    error: &(dyn Error + 'static),
    it: impl Fn(&(dyn Error + 'static)) -> bool,
) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if it(cause) {
            return true;
        }
        let held = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| cause.source());
    }
    false
}
