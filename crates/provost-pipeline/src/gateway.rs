//! The shape of a gateway: one plane's wire protocol, and nothing else.

use std::{future::Future, time::Duration};

use provost_types::{Action, ApprovalId, Outcome};
use secrecy::SecretString;

use crate::{Permit, Refusal, Reply};

/// One connection's worth of a wire protocol, reduced to what only it can know.
///
/// Everything else (who is calling, whether they may, what is written down, what is cut
/// short) is the pipeline's, and is the same for all planes.
pub trait Gateway: Send {
    /// One framed request from the client.
    type Ask: Send + 'static;
    /// One framed piece of the reply. A plain reply is one piece; a stream is many.
    type Answer: Send + 'static;

    /// Says which credential the protocol carried. Pure.
    fn present(&self, ask: &Self::Ask) -> Presented;

    /// Says what `ask` would do. Pure: same bytes, same action.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if its meaning is unclear. When in doubt, refuse: an action that
    /// cannot be classified cannot be governed.
    fn classify(&self, ask: &Self::Ask) -> Result<Action, Malformed>;

    /// Does it, upstream: sends each piece of the answer to `reply` as it comes, and
    /// returns what became of it. Must heed [`Permit::stopped`].
    fn execute(
        &mut self,
        permit: &Permit,
        ask: Self::Ask,
        reply: &mut Reply<Self::Answer>,
    ) -> impl Future<Output = Outcome> + Send;

    /// How long whoever sent `ask` can wait for a person's answer, if it is held.
    fn patience(&self, ask: &Self::Ask) -> Duration {
        let _unasked = ask;
        Duration::ZERO
    }

    /// What is sent while `ask` waits for approval `on`, so that the client goes on waiting:
    /// once at the beginning, then again and again. By default nothing.
    fn keep_waiting(&mut self, ask: &Self::Ask, on: ApprovalId) -> Vec<Self::Answer> {
        let _unasked = (ask, on);
        Vec::new()
    }

    /// Says no, in the protocol's own words.
    fn refuse(&self, refusal: &Refusal) -> Self::Answer;

    /// The same to a client that was kept waiting and may have got a part of an answer.
    fn refusal(&self, refusal: &Refusal) -> Vec<Self::Answer> {
        vec![self.refuse(refusal)]
    }
}

/// What a request carried as proof of who is asking.
#[derive(Debug)]
pub enum Presented {
    /// Exactly one credential.
    Token(SecretString),
    /// Exactly one, which may be an access token for the resource at this path.
    TokenAt {
        /// The credential.
        token: SecretString,
        /// The path of the request.
        path: String,
    },
    /// None.
    Nothing,
    /// Several that differ: two readers could see two callers.
    Conflicting,
}

/// A request that means nothing, or could mean two things.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// One sentence for the caller: which field, and how to mend it.
    pub message: String,
    /// In what way.
    pub kind: MalformedKind,
}

/// In what way a request is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedKind {
    /// It does not follow the protocol.
    Syntax,
    /// It is larger than the limit.
    TooLarge,
    /// It names a route this gateway does not have.
    NotFound,
    /// It uses a method the route does not have.
    Method,
}
