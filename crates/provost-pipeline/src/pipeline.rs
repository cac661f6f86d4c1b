//! `Pipeline::run`: the one way through.

use std::sync::Arc;

use provost_decide::Query;
use provost_ledger::{Intent, Subject};
use provost_store::{Bodies, BodyMode};
use provost_types::{Action, ActionId, Clock, Decision, Verdict};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    Caller, Directory, Gateway, Limits, Malformed, Permit, PolicyDirectory, Presented, Purpose,
    Refusal, RefusalCode, Reply,
    directory::InFlight,
    flood::Flood,
    permit::{Held, Keeping},
    record::{Closer, Recorder},
    refusal::Reason,
    tool_calls::ToolCalls,
    trace,
};

/// The pipeline, with everything that a decision needs.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) directory: Arc<Directory>,
    pub(crate) policies: Arc<PolicyDirectory>,
    pub(crate) recorder: Recorder,
    pub(crate) closer: Closer,
    pub(crate) bodies: Arc<Bodies>,
    /// One for each action that may be in flight.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) limits: Limits,
    pub(crate) purpose: Purpose,
    pub(crate) flood: Flood,
    pub(crate) tool_calls: Arc<ToolCalls>,
}

/// What became known about a request before it was admitted or refused.
#[derive(Debug, Default)]
struct Known {
    caller: Option<Caller>,
    intent: Option<Intent>,
}

impl Pipeline {
    /// Takes one request from the wire to its answer.
    ///
    /// Fails closed: if the intent cannot be recorded, nothing is executed. Once the action
    /// has happened upstream the caller always gets its answer, because withholding it would
    /// not undo the action; its outcome is recorded as soon as the ledger can be written.
    ///
    /// # Cancellation
    ///
    /// Must run on a task of its own. Dropping this future in mid-execution records the
    /// outcome `aborted`, whatever the upstream did.
    pub async fn run<G: Gateway>(
        &self,
        gateway: &mut G,
        ask: G::Ask,
        mut reply: Reply<G::Answer>,
    ) {
        let action = ActionId::generate();
        let permit = match self.admit(gateway, &ask, action).await {
            Ok(permit) => permit,
            Err(refusal) => {
                if reply.send(gateway.refuse(&refusal)).await.is_err() {
                    tracing::debug!(%action, "client left before its refusal");
                }
                return;
            }
        };
        let span = permit.span().clone();
        let outcome = gateway.execute(&permit, ask, &mut reply).instrument(span.clone()).await;
        trace::end(&span, &outcome);
        metrics::counter!("provost_outcomes_total", "status" => outcome.status.as_str())
            .increment(1);
        permit.finish(outcome).await;
    }

    /// Refuses a request that never became whole: too large, too slow, broken framing.
    pub async fn refuse_early(&self, presented: &Presented, malformed: Malformed) -> Refusal {
        let action = ActionId::generate();
        let caller = self.directory.authenticate(presented);
        let (caller, reason) = match caller {
            Ok(caller) => (Some(caller), malformed.into()),
            Err(reason) => (None, reason),
        };
        self.refuse(action, Known { caller, intent: None }, reason).await
    }

    /// Refuses what never became a request: whoever sent it could not even say who they are.
    pub async fn refuse_headless(&self, malformed: Malformed) -> Refusal {
        self.refuse(ActionId::generate(), Known::default(), malformed.into()).await
    }

    /// The steps before the action, in their order. Each needs what the one before gave.
    async fn admit<G: Gateway>(
        &self,
        gateway: &G,
        ask: &G::Ask,
        action: ActionId,
    ) -> Result<Permit, Refusal> {
        let mut known = Known::default();
        match self.steps(gateway, ask, action, &mut known).await {
            Ok(permit) => {
                metrics::counter!("provost_actions_total", "result" => "admitted").increment(1);
                Ok(permit)
            }
            Err(reason) => Err(self.refuse(action, known, reason).await),
        }
    }

    async fn steps<G: Gateway>(
        &self,
        gateway: &G,
        ask: &G::Ask,
        id: ActionId,
        known: &mut Known,
    ) -> Result<Permit, Reason> {
        let caller = self.directory.authenticate(&gateway.present(ask))?;
        known.caller = Some(caller.clone());
        let path = self.directory.enter(&caller)?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Reason::new(RefusalCode::Busy, "too many actions are in flight; try again shortly")
        })?;
        let in_flight = InFlight::enter(&caller.live, &self.recorder.clock);
        let action = gateway.classify(ask)?;
        let decision = decide(&self.policies, &caller, &action);
        let keeping = self.keeping(&caller)?;
        let intent = intent(&caller, &action, &keeping, decision);
        known.intent = Some(intent.clone());
        if intent.decision.verdict != Verdict::Allow {
            return Err(Reason::new(RefusalCode::Denied, intent.decision.reason));
        }
        let span = trace::begin(id, &caller, &intent);
        self.recorder.record_intent(caller.subject(id), intent).await?;
        let held = Held {
            closer: self.closer.clone(),
            tool_calls: Arc::clone(&self.tool_calls),
            plane: action.plane,
            is_first: self.tool_calls.enter(caller.session, action.plane),
            span,
            _place: (place, in_flight),
        };
        let permit = Permit::new(id, caller, path, keeping, held);
        permit.keep_request(&action.arguments).await;
        Ok(permit)
    }

    /// What is kept of this project's bodies, and under which keys.
    fn keeping(&self, caller: &Caller) -> Result<Keeping, Reason> {
        let state = self.directory.state.read();
        let project = state.projects.get(&caller.project).ok_or_else(|| {
            let sentence = format!("project {} is not there any more", caller.project);
            Reason::new(RefusalCode::SessionOver, sentence)
        })?;
        Ok(Keeping {
            keys: Arc::clone(&project.keys),
            mode: project.row.bodies,
            bodies: (project.row.bodies == BodyMode::Full).then(|| Arc::clone(&self.bodies)),
        })
    }

    /// Records a refusal. The agent gets it in any case: a refusal needs no proof to act on.
    async fn refuse(&self, action: ActionId, known: Known, reason: Reason) -> Refusal {
        metrics::counter!("provost_actions_total", "result" => reason.code.as_str())
            .increment(1);
        let subject = match &known.caller {
            Some(caller) => caller.subject(action),
            None => Subject { action: Some(action), ..Subject::default() },
        };
        let refusal = reason.about(action);
        trace::refused(&refusal, known.caller.as_ref());
        if known.caller.is_none() && !self.flood.is_recorded(self.recorder.clock.monotonic()) {
            return refusal;
        }
        let credential = known.caller.map(|caller| caller.credential);
        self.recorder.record_refusal(subject, &refusal, credential, known.intent).await;
        refusal
    }

    /// Whether some action like this could be allowed to whoever presents this, whatever its
    /// context: for leaving out what need not be asked. Nothing is recorded, for nothing is
    /// asked yet.
    pub fn would_allow(&self, presented: &Presented, action: &Action) -> bool {
        let caller = self.directory.authenticate(presented);
        caller.is_ok_and(|caller| self.tool_calls.is_possible(&caller, action))
    }

    /// The directory of agents, people and sessions.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The policies in force.
    pub fn policies(&self) -> &Arc<PolicyDirectory> {
        &self.policies
    }

    /// Where time comes from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.recorder.clock
    }

    /// Whether the ledger took the last thing it was asked to take.
    ///
    /// # Errors
    ///
    /// The journal's own words.
    pub fn ledger_health(&self) -> Result<(), provost_store::JournalError> {
        self.recorder.journal.health()
    }
}

pub(crate) fn decide(policies: &PolicyDirectory, caller: &Caller, action: &Action) -> Decision {
    policies.current().policies.decide(&query(caller, action))
}

pub(crate) fn query<'a>(caller: &'a Caller, action: &'a Action) -> Query<'a> {
    Query {
        agent: &caller.agent,
        project: &caller.project,
        plane: action.plane.as_str(),
        verb: action.verb,
        resource_kind: action.resource.kind,
        resource_id: &action.resource.id,
        context: &action.context,
    }
}

pub(crate) fn intent(
    caller: &Caller,
    action: &Action,
    keeping: &Keeping,
    decision: Decision,
) -> Intent {
    Intent {
        plane: action.plane.as_str().to_owned(),
        verb: action.verb.to_owned(),
        resource_kind: action.resource.kind.to_owned(),
        resource_id: action.resource.id.clone(),
        context: action
            .context
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        correlation: action.correlation.clone(),
        arguments: keeping.digest(&action.arguments),
        argument_bytes: u64::try_from(action.arguments.len()).unwrap_or(u64::MAX),
        credential: caller.credential,
        decision,
    }
}
