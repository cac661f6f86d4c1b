//! Held actions: who is asked, what they answered, and what may go ahead by that.
//!
//! An approval is bound to one agent, one action and its exact arguments. It is asked for
//! once however often the action is tried, settled by people, and spent by one action, or as
//! far as the people said. An answer admits nothing by itself: the action is decided again, in
//! full, with the approved gates lifted, before it runs.

mod answering;
mod book;
mod ending;
mod pattern;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use hmac::Mac as _;
use parking_lot::Mutex;
use provost_decide::{Gate, Lifted, Policies, Query};
use provost_ledger::{Approval, Intent, Record, Subject};
use provost_store::{
    ApprovalRow, ApprovalState, Bodies, BodyMode, BodyPart, GateRow, Reach, StoreError,
};
use provost_types::{Action, ActionId, ApprovalId, Causes, Decision, Digest, Verdict};
use tokio::{
    sync::{Mutex as Turn, watch},
    time::Instant,
};

pub use self::answering::{Answer, AnswerError, Answerer, Extent};
use self::book::{Book, Standing};
pub use self::pattern::PatternError;
use crate::{
    Caller, Directory, PolicyDirectory, RefusalCode, Stop,
    permit::Keeping,
    pipeline::query,
    record::{LEDGER_DOWN, Recorder},
    refusal::Reason,
    run_tree::Path,
};

/// Most approvals that wait at once. Ours: nobody answers more.
const WAITING_MAX: usize = 20_000;

/// Most approvals of one agent that wait at once, so that none drowns the others' requests.
/// Ours.
const WAITING_OF_AGENT_MAX: usize = 10_000;

/// Longest arguments that people are asked about: they have to read them. Unit: bytes. Ours.
const ARGUMENTS_BYTES_MAX: usize = 1 << 20;

/// What a person is told when the database cannot be written.
const STORE_DOWN: &str = "Provost cannot write its database, so nothing can be held; an operator has to look at `readyz`.";

/// How long things take, unless a gate says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalTimes {
    /// How long an action that is held waits for its answer with the connection open.
    pub wait_max: Duration,
    /// How long an approval that nobody answers counts; and a yes that is not used.
    pub expires: Duration,
}

impl Default for ApprovalTimes {
    /// Five minutes, and a day.
    fn default() -> Self {
        Self { wait_max: Duration::from_mins(5), expires: Duration::from_hours(24) }
    }
}

/// The approvals of one installation.
#[derive(Debug)]
pub struct Approvals {
    pub(crate) directory: Arc<Directory>,
    pub(crate) policies: Arc<PolicyDirectory>,
    pub(crate) recorder: Recorder,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) times: ApprovalTimes,
    book: Mutex<Book>,
    /// Changes happen one after the other; looks do not wait for them.
    changing: Turn<()>,
    /// Counts changes, for those who show them.
    changes: watch::Sender<u64>,
}

/// What policy and people say of an action.
#[derive(Debug)]
pub(crate) struct Ruling {
    pub(crate) decision: Decision,
    /// The approval that an allowed action goes ahead by.
    pub(crate) by: Option<ApprovalId>,
}

/// A place in front of an approval that waits.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: ApprovalId,
    standing: watch::Receiver<ApprovalState>,
}

impl Ticket {
    /// Resolves when the approval waits no longer.
    pub(crate) async fn settled(&mut self) {
        // An error: the approval is forgotten, so it does not wait either.
        let _settled = self.standing.wait_for(|state| *state != ApprovalState::Waiting).await;
    }
}

/// How long somebody still waits for people, over all that they are asked.
#[derive(Debug)]
pub(crate) struct Waiting {
    until: Instant,
}

impl Waiting {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { until: Instant::now().checked_add(patience).unwrap_or_else(Instant::now) }
    }

    /// Waits until the approval is settled.
    ///
    /// # Errors
    ///
    /// The patience is over, or the action has to stop: the reason says so to the agent.
    pub(crate) async fn settled(
        &self,
        mut ticket: Ticket,
        (path, decision): (&Path, &Decision),
    ) -> Result<(), Reason> {
        let id = ticket.id;
        tokio::select! {
            biased;
            stop = path.stopped() => Err(stopped(&stop)),
            settled = tokio::time::timeout_at(self.until, ticket.settled()) => {
                settled.map_err(|_patience_is_over| held(id, decision))
            }
        }
    }
}

fn stopped(stop: &Stop) -> Reason {
    let code = match stop {
        Stop::Killed(_) => RefusalCode::Killed,
        Stop::Ended(_) => RefusalCode::SessionOver,
        Stop::ShuttingDown => RefusalCode::Stopping,
    };
    Reason::new(code, stop.sentence())
}

/// An action as approvals know it.
struct Question<'a> {
    caller: &'a Caller,
    action: &'a Action,
    binding: Digest,
}

impl Approvals {
    pub(crate) async fn load(
        directory: Arc<Directory>,
        recorder: Recorder,
        bodies: Arc<Bodies>,
        times: ApprovalTimes,
    ) -> Result<Self, StoreError> {
        let rows = directory.store.live_approvals().await?;
        Ok(Self {
            policies: Arc::clone(&directory.policies),
            directory,
            recorder,
            bodies,
            times,
            book: Mutex::new(Book::new(rows)),
            changing: Turn::default(),
            changes: watch::Sender::new(0),
        })
    }

    /// Decides `action` with what people said of it. `before` is the action that the same
    /// thing was admitted as, where it is seen again.
    pub(crate) fn rule(
        &self,
        (caller, keeping): (&Caller, &Keeping),
        action: &Action,
        before: Option<ActionId>,
    ) -> Ruling {
        let current = self.policies.current();
        let query = query(caller, action);
        let decision = current.policies.decide(&query);
        if decision.verdict != Verdict::Hold {
            return Ruling { decision, by: None };
        }
        let question = Question { caller, action, binding: binding(caller, action, keeping) };
        let fits = |row: &ApprovalRow| fits(row, &question, keeping);
        let found = self.book.lock().find(&caller.agent, before, fits);
        match found {
            Some((Standing::Approved, row)) => lift(&current.policies, &query, &row, decision),
            Some((Standing::Denied, row)) => {
                let reason = format!("{} ({})", row.note, row.id);
                let decision = Decision { verdict: Verdict::Deny, reason, ..decision };
                Ruling { decision, by: None }
            }
            Some((Standing::Waiting, _)) | None => Ruling { decision, by: None },
        }
    }

    /// Asks people about an action that is held, or joins those who asked before. What is
    /// asked is durable before this returns.
    pub(crate) async fn hold(
        &self,
        (caller, keeping): (&Caller, &Keeping),
        (id, action): (ActionId, &Action),
        intent: &Intent,
    ) -> Result<Ticket, Reason> {
        let _turn = self.changing.lock().await;
        let gates = self.gates_of(&intent.decision)?;
        let binding = binding(caller, action, keeping);
        if let Some(found) = self.book.lock().waiting(&caller.agent, binding) {
            let asked = |row: &ApprovalRow| {
                gates.iter().all(|gate| row.gates.iter().any(|one| is_same(one, gate)))
            };
            if asked(&found.row) {
                return Ok(Ticket { id: found.row.id, standing: found.told.subscribe() });
            }
        }
        self.check_room(caller, action)?;
        let now = self.recorder.clock.wall();
        let expires = gates.iter().filter_map(|gate| gate.expires).min();
        let row = ApprovalRow {
            id: ApprovalId::generate(),
            agent: caller.agent.clone(),
            project: caller.project.clone(),
            session: caller.session,
            action: id,
            binding,
            plane: intent.plane.clone(),
            verb: intent.verb.clone(),
            resource_kind: intent.resource_kind.clone(),
            resource_id: intent.resource_id.clone(),
            gates: gates.iter().map(row_of).collect(),
            answers: Vec::new(),
            reach: Reach::Once,
            state: ApprovalState::Waiting,
            note: String::new(),
            requested_at: now,
            expires_at: now.plus(expires.unwrap_or(self.times.expires)),
            closed_at: None,
            used_by: None,
        };
        self.keep_arguments(id, keeping, &action.arguments).await?;
        let told = [("expires", row.expires_at.to_string()), ("gates", names(&row))];
        let step = Step { name: "requested", by: format!("session/{}", caller.session), told };
        self.write_down(&row, step, Some(intent.clone())).await?;
        let standing = self.book.lock().put(row.clone());
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        tracing::info!(approval = %row.id, agent = %row.agent, "an action is held");
        Ok(Ticket { id: row.id, standing })
    }

    /// Spends an approval on `action`, which may then go ahead: durable before this returns.
    /// False if it does not count any more: somebody was first, and the action has to be
    /// decided again.
    pub(crate) async fn spend(
        &self,
        caller: &Caller,
        approval: ApprovalId,
        action: ActionId,
    ) -> Result<bool, Reason> {
        let _turn = self.changing.lock().await;
        let Some(known) = self.book.lock().get(approval) else { return Ok(false) };
        if known.used_by == Some(action) {
            return Ok(true);
        }
        let now = self.recorder.clock.wall();
        if known.state != ApprovalState::Approved || known.expires_at <= now {
            return Ok(false);
        }
        let mut row = ApprovalRow { used_by: Some(action), ..known };
        if row.reach == Reach::Once {
            row.state = ApprovalState::Used;
            row.closed_at = Some(now);
        }
        let by = format!("session/{}", caller.session);
        let told = [("reach", reach_word(&row.reach).to_owned())];
        let step = Step { name: "used", by, told };
        let subject = caller.subject(action);
        self.record(&row, subject, step, None).await.map_err(|_recorded| ledger_down())?;
        self.keep(row).await.map_err(|_logged| store_down())?;
        Ok(true)
    }

    /// Counts every change: for those who show approvals as they come and go.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How long an action waits for its answer at most.
    pub fn wait_max(&self) -> Duration {
        self.times.wait_max
    }

    fn gates_of(&self, decision: &Decision) -> Result<Vec<Gate>, Reason> {
        let current = self.policies.current();
        let gates = current.policies.gates(decision);
        if current.policies.version() != decision.version || gates.is_empty() {
            let sentence = "the policies changed while this was decided; try again";
            return Err(Reason::new(RefusalCode::Busy, sentence));
        }
        Ok(gates)
    }

    fn check_room(&self, caller: &Caller, action: &Action) -> Result<(), Reason> {
        if action.arguments.len() > ARGUMENTS_BYTES_MAX {
            let sentence = "it needs an approval, and its arguments are longer than the 1 MiB \
                            that people are asked about; ask for less at once";
            return Err(Reason::new(RefusalCode::Denied, sentence));
        }
        let (all, own) = self.book.lock().waiting_counts(&caller.agent);
        if all >= WAITING_MAX || own >= WAITING_OF_AGENT_MAX {
            let sentence = "too many approvals wait for people already; wait for their answers";
            return Err(Reason::new(RefusalCode::Busy, sentence));
        }
        Ok(())
    }

    /// Keeps the arguments, encrypted to the project's key, for those who have to judge them.
    async fn keep_arguments(
        &self,
        action: ActionId,
        keeping: &Keeping,
        arguments: &Bytes,
    ) -> Result<(), Reason> {
        let recipient = keeping.keys.body_recipient();
        let mut body = self.bodies.writer(action, BodyPart::Request, recipient);
        body.write(arguments.clone()).await;
        body.finish().await;
        let identity = keeping.keys.body_identity();
        match self.bodies.read(action, BodyPart::Request, identity).await {
            Ok(Some(kept)) if kept == *arguments => Ok(()),
            Ok(_) | Err(_) => {
                tracing::error!(%action, "arguments of a held action cannot be kept");
                let sentence = "Provost cannot keep what people would have to judge, so this \
                                cannot be held; an operator has to look at the disk.";
                Err(Reason::new(RefusalCode::Unavailable, sentence))
            }
        }
    }

    /// Makes a step durable, in the ledger and then in the store.
    async fn write_down<const N: usize>(
        &self,
        row: &ApprovalRow,
        step: Step<N>,
        intent: Option<Intent>,
    ) -> Result<(), Reason> {
        let recorded = self.record(row, subject(row), step, intent).await;
        recorded.map_err(|_recorded| ledger_down())?;
        self.directory.store.put_approval(row).await.map_err(|error| {
            tracing::error!(approval = %row.id, error = %Causes(&error), "approval not kept");
            store_down()
        })
    }

    async fn record<const N: usize>(
        &self,
        row: &ApprovalRow,
        subject: Subject,
        step: Step<N>,
        intent: Option<Intent>,
    ) -> Result<(), crate::LedgerDown> {
        metrics::counter!("provost_approval_steps_total", "step" => step.name).increment(1);
        let told = step.told.into_iter().map(|(name, text)| (name.to_owned(), text));
        let record = Record::Approval(Approval {
            approval: row.id,
            step: step.name.to_owned(),
            by: step.by,
            detail: told.collect::<BTreeMap<_, _>>(),
            intent,
        });
        let recorded = self.recorder.record(subject, record).await;
        if let Err(error) = &recorded {
            tracing::error!(approval = %row.id, error = %Causes(error), "approval not recorded");
        }
        recorded.map(|_position| ())
    }

    /// Writes a changed row to the store, then to memory, where it takes effect.
    async fn keep(&self, row: ApprovalRow) -> Result<(), StoreError> {
        if let Err(error) = self.directory.store.put_approval(&row).await {
            tracing::error!(approval = %row.id, error = %Causes(&error), "approval not kept");
            return Err(error);
        }
        if row.closed_at.is_some() {
            self.forget_arguments(&row).await;
        }
        self.book.lock().change(row);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// What nobody has to judge any more is deleted, unless the project keeps its bodies.
    async fn forget_arguments(&self, row: &ApprovalRow) {
        let keeps = self.directory.body_mode(&row.project) == Some(BodyMode::Full);
        if keeps {
            return;
        }
        if let Err(error) = self.bodies.delete(row.action).await {
            tracing::warn!(approval = %row.id, error = %Causes(&error), "arguments not deleted");
        }
    }
}

/// A step as it is recorded.
struct Step<const N: usize> {
    name: &'static str,
    by: String,
    told: [(&'static str, String); N],
}

/// Decides again with the gates lifted that people approved.
fn lift(policies: &Policies, query: &Query<'_>, row: &ApprovalRow, held: Decision) -> Ruling {
    let lifted: Vec<Lifted> = row
        .gates
        .iter()
        .map(|gate| Lifted { policy: gate.policy.clone(), text: gate.text })
        .collect();
    let decision = policies.decide_lifted(query, &lifted);
    match decision.verdict {
        Verdict::Allow => {
            let reason = format!("{}; {} ({})", decision.reason, row.note, row.id);
            Ruling { decision: Decision { reason, ..decision }, by: Some(row.id) }
        }
        Verdict::Deny => Ruling { decision, by: None },
        // Another gate, or the same in other words: that is another question.
        Verdict::Hold => Ruling { decision: held, by: None },
    }
}

/// Whether an approval is about what is asked.
fn fits(row: &ApprovalRow, question: &Question<'_>, keeping: &Keeping) -> bool {
    if row.project != question.caller.project {
        return false;
    }
    match &row.reach {
        Reach::Once => row.binding == question.binding,
        Reach::Session => {
            row.binding == question.binding && row.session == question.caller.session
        }
        Reach::Pattern { arguments, rest } => {
            let action = question.action;
            let is_same_action = row.plane == action.plane.as_str()
                && row.verb == action.verb
                && row.resource_kind == action.resource.kind
                && row.resource_id == action.resource.id;
            is_same_action
                && pattern::fits(&action.arguments, arguments)
                    .is_some_and(|left| keyed(keeping, &[&left]) == *rest)
        }
    }
}

/// What an approval is bound to: keyed, so that nobody learns arguments by guessing.
fn binding(caller: &Caller, action: &Action, keeping: &Keeping) -> Digest {
    let arguments = pattern::canonical(&action.arguments);
    keyed(
        keeping,
        &[
            caller.agent.as_str().as_bytes(),
            action.plane.as_str().as_bytes(),
            action.verb.as_bytes(),
            action.resource.kind.as_bytes(),
            action.resource.id.as_bytes(),
            &arguments,
        ],
    )
}

/// The project's keyed digest of texts, each with its length before it.
fn keyed(keeping: &Keeping, parts: &[&[u8]]) -> Digest {
    let mut mac = keeping.mac();
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    Digest(mac.finalize().into_bytes().into())
}

fn row_of(gate: &Gate) -> GateRow {
    GateRow {
        policy: gate.policy.clone(),
        text: gate.text,
        groups: gate.groups.clone(),
        quorum: gate.quorum,
    }
}

fn is_same(row: &GateRow, gate: &Gate) -> bool {
    row.policy == gate.policy && row.text == gate.text
}

/// Whose record a step is: the held action's.
fn subject(row: &ApprovalRow) -> Subject {
    Subject {
        action: Some(row.action),
        agent: Some(row.agent.clone()),
        project: Some(row.project.clone()),
        session: Some(row.session),
    }
}

fn names(row: &ApprovalRow) -> String {
    let names: Vec<String> = row.gates.iter().map(|gate| gate.policy.to_string()).collect();
    names.join(", ")
}

const fn reach_word(reach: &Reach) -> &'static str {
    match reach {
        Reach::Once => "once",
        Reach::Session => "session",
        Reach::Pattern { .. } => "pattern",
    }
}

fn ledger_down() -> Reason {
    Reason::new(RefusalCode::Unavailable, LEDGER_DOWN)
}

fn store_down() -> Reason {
    Reason::new(RefusalCode::Unavailable, STORE_DOWN)
}

/// What the agent is told of an action that waits.
pub(crate) fn held(row: ApprovalId, decision: &Decision) -> Reason {
    let sentence = format!(
        "{}; approval {row} waits for them (`provost approvals show {row}`). Do not try another \
         way. Ask for the very same again once it is given",
        decision.reason
    );
    Reason::new(RefusalCode::Held, sentence)
}
