//! `Pipeline::run`: the one way through.

use std::{pin::pin, sync::Arc, time::Duration};

use provost_decide::Query;
use provost_ledger::{Intent, Subject};
use provost_store::{Bodies, BodyMode};
use provost_types::{Action, ActionId, Clock, Decision, Verdict};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    Approvals, Caller, Directory, Gateway, Limits, Malformed, Permit, PolicyDirectory,
    Presented, Purpose, Refusal, RefusalCode, Reply,
    approvals::{Ruling, Ticket, Waiting},
    directory::InFlight,
    flood::Flood,
    permit::{Held, Keeping},
    record::{Closer, Recorder},
    refusal::Reason,
    run_tree::Path,
    tool_calls::ToolCalls,
    trace,
};

/// How often a client that waits for people hears that it still does. Ours: shorter than any
/// idle timeout of a proxy that is known to us.
const KEEP_WAITING_EVERY: Duration = Duration::from_secs(15);

/// The pipeline, with everything that a decision needs.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) directory: Arc<Directory>,
    pub(crate) policies: Arc<PolicyDirectory>,
    pub(crate) approvals: Arc<Approvals>,
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

/// How far one go through the steps came.
enum Step {
    Admitted(Box<Permit>),
    /// What people said changed meanwhile: another spent it, or somebody answered.
    Again,
    Held(Box<HeldBack>),
}

/// An action that waits for people: it is in flight, so its session is not idle, but takes no
/// place among those that run.
struct HeldBack {
    ticket: Ticket,
    decision: Decision,
    path: Path,
    _in_flight: InFlight,
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
        let permit = match self.admit(gateway, &ask, action, &mut reply).await {
            Ok(permit) => permit,
            Err(refusal) => {
                for frame in gateway.refusal(&refusal) {
                    if reply.send(frame).await.is_err() {
                        tracing::debug!(%action, "client left before its refusal");
                        break;
                    }
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
        let welcome = self.directory.welcome(presented).await;
        let caller = welcome.and_then(|()| self.directory.authenticate(presented));
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
        gateway: &mut G,
        ask: &G::Ask,
        action: ActionId,
        reply: &mut Reply<G::Answer>,
    ) -> Result<Permit, Refusal> {
        let mut known = Known::default();
        let mut waiting = None;
        let admitted = loop {
            match self.steps(gateway, ask, action, &mut known).await {
                Ok(Step::Admitted(permit)) => break Ok(permit),
                Ok(Step::Again) => {}
                Ok(Step::Held(held)) => {
                    let most = self.approvals.wait_max();
                    let waiting = waiting
                        .get_or_insert_with(|| Waiting::new(gateway.patience(ask).min(most)));
                    // Decided again from the beginning, for all may have changed meanwhile.
                    if let Err(reason) = wait(gateway, ask, reply, (*held, waiting)).await {
                        break Err(reason);
                    }
                }
                Err(reason) => break Err(reason),
            }
        };
        match admitted {
            Ok(permit) => {
                metrics::counter!("provost_actions_total", "result" => "admitted").increment(1);
                Ok(*permit)
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
    ) -> Result<Step, Reason> {
        let presented = gateway.present(ask);
        self.directory.welcome(&presented).await?;
        let caller = self.directory.authenticate(&presented)?;
        known.caller = Some(caller.clone());
        let path = self.directory.enter(&caller)?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Reason::new(RefusalCode::Busy, "too many actions are in flight; try again shortly")
        })?;
        let in_flight = InFlight::enter(&caller.live, &self.recorder.clock);
        let action = gateway.classify(ask)?;
        let keeping = self.keeping(&caller)?;
        let known_by = (&caller, keeping.keys.as_ref());
        let Ruling { decision, by, question, .. } =
            self.approvals.rule(known_by, &action, None);
        let intent = intent(&caller, &action, &keeping, decision);
        known.intent = Some(intent.clone());
        match (intent.decision.verdict, question) {
            (Verdict::Allow, _) => {}
            (Verdict::Deny, _) | (Verdict::Hold, None) => {
                return Err(Reason::new(RefusalCode::Denied, intent.decision.reason));
            }
            (Verdict::Hold, Some(question)) => {
                let asked = (&question, &intent);
                let ticket = self.approvals.hold(known_by, (id, &action), asked).await?;
                let Some(ticket) = ticket else { return Ok(Step::Again) };
                let decision = intent.decision;
                let held = HeldBack { ticket, decision, path, _in_flight: in_flight };
                return Ok(Step::Held(Box::new(held)));
            }
        }
        if let Some(approval) = by
            && !self.approvals.spend(&caller, approval, id).await?
        {
            return Ok(Step::Again);
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
        Ok(Step::Admitted(Box::new(permit)))
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

    /// What people are asked, and what they answered.
    pub fn approvals(&self) -> &Arc<Approvals> {
        &self.approvals
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

/// Waits for people, and keeps the client waiting too.
async fn wait<G: Gateway>(
    gateway: &mut G,
    ask: &G::Ask,
    reply: &mut Reply<G::Answer>,
    (held, waiting): (HeldBack, &Waiting),
) -> Result<(), Reason> {
    let id = held.ticket.id;
    let HeldBack { ticket, decision, path, _in_flight } = held;
    let gone = reply.leaving();
    let mut settled = pin!(waiting.settled(ticket, (&path, &decision), gone));
    loop {
        for frame in gateway.keep_waiting(ask, id) {
            if reply.send(frame).await.is_err() {
                break; // That nobody takes it ends the wait below.
            }
        }
        tokio::select! {
            biased;
            settled = &mut settled => return settled,
            () = tokio::time::sleep(KEEP_WAITING_EVERY) => {}
        }
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
