//! Why an action did not happen, in words fit for the agent.

use provost_types::ActionId;

use crate::{Malformed, MalformedKind};

/// Why an action did not happen.
///
/// Holds only what the agent may see: it may be hostile. What else is known is in the
/// ledger under `action`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable, machine-readable.
    pub code: RefusalCode,
    /// One sentence: what is refused, why, and what to do next.
    pub message: String,
    /// Where to look it up.
    pub action: ActionId,
}

/// The closed list of reasons. Gateways map each to a native error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// No credential, or not one of ours, or one that no longer counts.
    Unauthenticated,
    /// The session was ended, or outlived its limits.
    SessionOver,
    /// Paused: may go on later.
    Paused,
    /// Killed: a person stopped it.
    Killed,
    /// The request could not be understood.
    Malformed,
    /// The request is larger than the limit.
    TooLarge,
    /// There is no such route.
    NotFound,
    /// There is no such method on this route.
    Method,
    /// Policy says no.
    Denied,
    /// A person has to answer first: the same may be asked again later.
    Held,
    /// Too many actions in flight.
    Busy,
    /// The ledger cannot be written, so nothing may happen.
    Unavailable,
    /// The server is shutting down.
    Stopping,
}

impl RefusalCode {
    /// The code's word in records, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::SessionOver => "session-over",
            Self::Paused => "paused",
            Self::Killed => "killed",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::NotFound => "not-found",
            Self::Method => "method",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Stopping => "stopping",
        }
    }
}

/// A reason before it is tied to an action: what each step of admission returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: RefusalCode,
    pub(crate) message: String,
}

impl Reason {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn about(self, action: ActionId) -> Refusal {
        Refusal { code: self.code, message: self.message, action }
    }
}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Self {
        let code = match malformed.kind {
            MalformedKind::Syntax => RefusalCode::Malformed,
            MalformedKind::TooLarge => RefusalCode::TooLarge,
            MalformedKind::NotFound => RefusalCode::NotFound,
            MalformedKind::Method => RefusalCode::Method,
        };
        Self::new(code, malformed.message)
    }
}
