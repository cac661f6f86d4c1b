//! The proof that one action was admitted; the only key to an upstream.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use provost_ledger::Subject;
use provost_store::{Bodies, BodyMode, BodyPart, BodyWriter, ProjectKeys};
use provost_types::{
    Action, ActionId, AgentName, CredentialId, Digest, Outcome, Plane, ProjectName, SessionId,
    Status,
};
use sha2::Sha256;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

use crate::{
    Directory, Refusal,
    directory::{InFlight, LiveSession},
    record::Closer,
    run_tree::Path,
    tool_calls::{AdmittedCall, Place, ToolCalls},
};

/// Proof that an action was allowed and that its intent is on disk.
///
/// Not `Clone`, and only [`crate::Pipeline::run`] can make one. Upstream connections and
/// credentials are handed out against a `&Permit` and nothing else. Dropped before it is
/// finished (a panic, a cancelled task), it records the outcome `aborted`.
#[derive(Debug)]
pub struct Permit {
    action: ActionId,
    caller: Caller,
    path: Path,
    keeping: Keeping,
    held: Held,
    finished: bool,
}

/// What an action holds while it is in flight.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) closer: Closer,
    pub(crate) tool_calls: Arc<ToolCalls>,
    /// Where the action came in.
    pub(crate) plane: Plane,
    /// Whether it is its session's first there.
    pub(crate) is_first: bool,
    pub(crate) span: Span,
    /// Its place among those in flight, here and in its session.
    pub(crate) _place: (OwnedSemaphorePermit, InFlight),
}

/// Who is asking: made only by the verifier, from a credential.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) agent: AgentName,
    pub(crate) project: ProjectName,
    pub(crate) session: SessionId,
    pub(crate) credential: CredentialId,
    pub(crate) live: Arc<LiveSession>,
}

impl Caller {
    /// Whose record `action` is.
    pub(crate) fn subject(&self, action: ActionId) -> Subject {
        Subject {
            action: Some(action),
            agent: Some(self.agent.clone()),
            project: Some(self.project.clone()),
            session: Some(self.session),
        }
    }
}

/// What is kept of a project's bodies, and under which keys.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    pub(crate) keys: Arc<ProjectKeys>,
    pub(crate) mode: BodyMode,
    /// Where bodies go, if they are kept.
    pub(crate) bodies: Option<Arc<Bodies>>,
}

impl Keeping {
    /// The keyed digest of `bytes`, unless the project keeps none.
    pub(crate) fn digest(&self, bytes: &[u8]) -> Option<Digest> {
        let mut mac = self.keyed()?;
        mac.update(bytes);
        Some(finish(mac))
    }

    fn keyed(&self) -> Option<Hmac<Sha256>> {
        (self.mode != BodyMode::None).then(|| mac(&self.keys))
    }
}

/// A digest to be, under the project's key.
#[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104 §2)")]
pub(crate) fn mac(keys: &ProjectKeys) -> Hmac<Sha256> {
    Hmac::new_from_slice(keys.digest_key()).expect("keys of every length do")
}

pub(crate) fn finish(mac: Hmac<Sha256>) -> Digest {
    Digest(mac.finalize().into_bytes().into())
}

/// Why an action in flight has to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A person killed it; the sentence is fit for the agent.
    Killed(String),
    /// Its session was ended or ran out; the sentence is fit for the agent.
    Ended(String),
    /// The server is shutting down.
    ShuttingDown,
}

impl Stop {
    /// The sentence to show and record.
    pub fn sentence(&self) -> &str {
        match self {
            Self::Killed(sentence) | Self::Ended(sentence) => sentence,
            Self::ShuttingDown => "Provost is shutting down; try again when it is back.",
        }
    }
}

impl Permit {
    pub(crate) fn new(
        action: ActionId,
        caller: Caller,
        path: Path,
        keeping: Keeping,
        held: Held,
    ) -> Self {
        Self { action, caller, path, keeping, held, finished: false }
    }

    /// The action this permit is for.
    pub fn action(&self) -> ActionId {
        self.action
    }

    /// The agent that acts.
    pub fn agent(&self) -> &AgentName {
        &self.caller.agent
    }

    /// The project it belongs to.
    pub fn project(&self) -> &ProjectName {
        &self.caller.project
    }

    /// The session it acts in.
    pub fn session(&self) -> SessionId {
        self.caller.session
    }

    /// Who there is, and which tools are pinned.
    pub(crate) fn directory(&self) -> &Directory {
        &self.held.tool_calls.directory
    }

    /// The action's span.
    pub(crate) fn span(&self) -> &Span {
        &self.held.span
    }

    /// Resolves when the action has to stop at once, and says why.
    pub async fn stopped(&self) -> Stop {
        self.path.stopped().await
    }

    /// How long what is kept for the session beyond this action may live.
    pub fn session_life(&self) -> SessionLife {
        SessionLife(self.path.clone())
    }

    /// A sink for the answer's bytes: digests them, and keeps them where the project says so.
    pub fn result_sink(&self) -> ResultSink {
        ResultSink {
            digest: self.keeping.keyed(),
            bytes: 0,
            body: self.body(BodyPart::Response),
        }
    }

    /// Decides a tool call that the answer asks for, and records the decision: the call may
    /// reach the client only if this succeeds.
    ///
    /// A call that is held waits for people: for `patience`, but no longer than `[approvals]`
    /// says or until the client is `gone`. Then it is refused, and the same call finds their
    /// answer later. Nothing but that wait may be cut: do not drop this before it is done.
    ///
    /// # Errors
    ///
    /// [`Refusal`], recorded like every other.
    pub async fn tool_call(
        &self,
        mut call: Action,
        patience: Duration,
        gone: impl Future<Output = ()> + Send,
    ) -> Result<AdmittedCall, Refusal> {
        call.correlation.asked_in = Some(self.action);
        let mut gone = pin!(gone);
        self.held.tool_calls.decide(self.place(), &call, (patience, gone.as_mut())).await
    }

    /// Decides what an upstream asks of the client, and records the decision: the client may
    /// see it only if this succeeds. Returns the ask's own action.
    ///
    /// # Errors
    ///
    /// [`Refusal`], recorded like every other.
    pub async fn server_ask(&self, mut ask: Action) -> Result<ActionId, Refusal> {
        ask.correlation.asked_in = Some(self.action);
        self.held.tool_calls.decide_ask(self.place(), &ask).await
    }

    /// Notes that this action puts a tool call on the wire: `tool_use` is the id the client
    /// says it has. It is joined to what other planes saw of it.
    pub async fn call_on_the_wire(&self, tool_use: Option<&str>, arguments: &[u8]) {
        self.held.tool_calls.on_the_wire(self.place(), tool_use, arguments).await;
    }

    fn place(&self) -> Place<'_> {
        Place {
            caller: &self.caller,
            keeping: &self.keeping,
            path: &self.path,
            plane: self.held.plane,
            via: self.action,
            is_first: self.held.is_first,
        }
    }

    /// Whether some action like this could be allowed, whatever its context: for lists of what
    /// may be asked. Nothing is recorded, for nothing is asked yet.
    pub fn would_allow(&self, action: &Action) -> bool {
        self.held.tool_calls.is_possible(&self.caller, action)
    }

    /// Records what the client says came of a tool call of this session: whether it failed,
    /// and the keyed digest of its result. A result that was recorded before is passed over.
    pub async fn tool_result(&self, tool_use: &str, failed: bool, result: &[u8]) {
        let status = if failed { Status::Failed } else { Status::Succeeded };
        let mut outcome = Outcome::new(status);
        outcome.result = self.keeping.digest(result);
        outcome.result_bytes = u64::try_from(result.len()).unwrap_or(u64::MAX);
        self.held.tool_calls.conclude(self.place(), tool_use, outcome).await;
    }

    /// Keeps the request's body where the project says so.
    pub(crate) async fn keep_request(&self, arguments: &Bytes) {
        if let Some(mut body) = self.body(BodyPart::Request) {
            body.write(arguments.clone()).await;
            body.finish().await;
        }
    }

    fn body(&self, part: BodyPart) -> Option<BodyWriter> {
        let bodies = self.keeping.bodies.as_ref()?;
        Some(bodies.writer(self.action, part, self.keeping.keys.body_recipient()))
    }

    /// The last step: the outcome is recorded, now or as soon as the ledger can be written.
    pub(crate) async fn finish(mut self, outcome: Outcome) {
        self.finished = true;
        self.held.closer.conclude(&self.caller, self.action, outcome).await;
    }
}

/// Tells when a session is over: it outlives the permit it is of.
#[derive(Clone, Debug)]
pub struct SessionLife(Path);

impl SessionLife {
    /// Resolves when the session has to stop at once, and says why.
    pub async fn over(&self) -> Stop {
        self.0.stopped().await
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.finished {
            let outcome = Outcome::because(Status::Aborted, "the action was dropped");
            self.held.closer.conclude_later(&self.caller, self.action, outcome);
        }
    }
}

/// Where a gateway pours the bytes of an answer as it sends them on.
#[derive(Debug)]
pub struct ResultSink {
    digest: Option<Hmac<Sha256>>,
    bytes: u64,
    body: Option<BodyWriter>,
}

impl ResultSink {
    /// Takes the next bytes of the answer; waits while the disk that keeps them is slow.
    pub async fn update(&mut self, bytes: &Bytes) {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if let Some(body) = &mut self.body {
            body.write(bytes.clone()).await;
        }
    }

    /// Writes what was poured into `outcome`: the keyed digest and the size.
    pub async fn finish(self, outcome: &mut Outcome) {
        outcome.result = self.digest.map(finish);
        outcome.result_bytes = self.bytes;
        if let Some(body) = self.body {
            body.finish().await;
        }
    }
}
