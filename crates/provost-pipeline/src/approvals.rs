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
mod waiting;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use hmac::Mac as _;
use parking_lot::Mutex;
use provost_decide::{Gate, Lifted, Policies, Query};
use provost_ledger::{Approval, Intent, Record, Subject};
use provost_store::{
    ApprovalRow, ApprovalState, Bodies, BodyMode, BodyPart, GateRow, Kept, ProjectKeys, Reach,
    StoreError,
};
use provost_types::{Action, ActionId, ApprovalId, Causes, Decision, Digest, Verdict};
use tokio::sync::{Mutex as Turn, watch};

pub use self::answering::{Answer, AnswerError, Answerer, Extent};
use self::book::{Book, Standing};
pub use self::pattern::PatternError;
pub(crate) use self::waiting::{Ticket, Waiting};
use crate::{
    Caller, Directory, LedgerDown, Loaded, RefusalCode,
    permit::{finish, mac},
    pipeline::query,
    record::{LEDGER_DOWN, Recorder},
    refusal::Reason,
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
    directory: Arc<Directory>,
    recorder: Recorder,
    bodies: Arc<Bodies>,
    times: ApprovalTimes,
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
    /// What people have to be asked about an action that is held.
    pub(crate) question: Option<Question>,
    /// The policies that decided.
    pub(crate) loaded: Arc<Loaded>,
}

/// What people are asked about one agent's action.
#[derive(Debug)]
pub(crate) struct Question {
    /// Keyed digest of the agent, the action and its exact arguments.
    binding: Digest,
    /// What holds it.
    gates: Vec<Gate>,
}

/// A change of an approval that could not be made.
#[derive(Debug, thiserror::Error)]
enum NotChanged {
    #[error(transparent)]
    Ledger(#[from] LedgerDown),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotChanged> for Reason {
    fn from(error: NotChanged) -> Self {
        let sentence = match error {
            NotChanged::Ledger(_) => LEDGER_DOWN,
            NotChanged::Store(_) => STORE_DOWN,
        };
        Self::new(RefusalCode::Unavailable, sentence)
    }
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
        (caller, keys): (&Caller, &ProjectKeys),
        action: &Action,
        before: Option<ActionId>,
    ) -> Ruling {
        let loaded = self.directory.policies.current();
        let query = query(caller, action);
        let decision = loaded.policies.decide(&query);
        if decision.verdict != Verdict::Hold {
            return Ruling { decision, by: None, question: None, loaded };
        }
        let gates = loaded.policies.gates(&decision);
        let question = Question { binding: binding((caller, keys), action), gates };
        let (decision, by) = match self.find((caller, keys), (action, &question), before) {
            Some((Standing::Approved, row)) => lift(&loaded.policies, &query, &row, decision),
            Some((Standing::Denied, row)) => {
                let reason = format!("{} ({})", row.note, row.id);
                (Decision { verdict: Verdict::Deny, reason, ..decision }, None)
            }
            Some((Standing::Waiting, _)) | None => (decision, None),
        };
        Ruling { decision, by, question: Some(question), loaded }
    }

    /// Asks people about an action that is held, or joins those who asked before. What is
    /// asked is durable before this returns. None if they answered meanwhile: the action has
    /// to be decided again.
    pub(crate) async fn hold(
        &self,
        (caller, keys): (&Caller, &ProjectKeys),
        (id, action): (ActionId, &Action),
        (question, intent): (&Question, &Intent),
    ) -> Result<Option<Ticket>, Reason> {
        let _turn = self.changing.lock().await;
        match self.find((caller, keys), (action, question), None) {
            Some((Standing::Waiting, row)) => return Ok(self.ticket(row.id)),
            Some((Standing::Approved | Standing::Denied, _)) => return Ok(None),
            None => {}
        }
        self.check_room(caller, action)?;
        let now = self.recorder.clock.wall();
        let expires = question.gates.iter().filter_map(|gate| gate.expires).min();
        let row = ApprovalRow {
            id: ApprovalId::generate(),
            agent: caller.agent.clone(),
            project: caller.project.clone(),
            session: caller.session,
            action: id,
            binding: question.binding,
            plane: intent.plane.clone(),
            verb: intent.verb.clone(),
            resource_kind: intent.resource_kind.clone(),
            resource_id: intent.resource_id.clone(),
            gates: question.gates.iter().map(row_of).collect(),
            answers: Vec::new(),
            reach: Reach::Once,
            state: ApprovalState::Waiting,
            note: String::new(),
            requested_at: now,
            expires_at: now.plus(expires.unwrap_or(self.times.expires)),
            closed_at: None,
            used_by: None,
        };
        self.keep_arguments(id, keys, &action.arguments).await?;
        let told = vec![("expires", row.expires_at.to_string()), ("gates", names(&row))];
        let by = format!("session/{}", caller.session);
        let step = Step { intent: Some(intent.clone()), ..Step::new("requested", by, told) };
        let (id, agent) = (row.id, row.agent.clone());
        if let Err(error) = self.put_down(row.clone(), subject(&row), step).await {
            self.forget_arguments(&row).await;
            return Err(error.into());
        }
        tracing::info!(approval = %id, %agent, "an action is held");
        Ok(self.ticket(id))
    }

    fn ticket(&self, id: ApprovalId) -> Option<Ticket> {
        Some(Ticket { id, standing: self.book.lock().standing(id)? })
    }

    /// What is known of the question, if it still counts.
    fn find(
        &self,
        known: (&Caller, &ProjectKeys),
        (action, question): (&Action, &Question),
        before: Option<ActionId>,
    ) -> Option<(Standing, ApprovalRow)> {
        let is_of = |row: &ApprovalRow| {
            let covers = |gate: &Gate| row.gates.iter().any(|one| is_same(one, gate));
            question.gates.iter().all(covers) && fits(row, known, (action, question.binding))
        };
        let now = self.recorder.clock.wall();
        self.book.lock().find(&known.0.agent, (before, now), is_of)
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
        let told = vec![("reach", reach_word(&row.reach).to_owned())];
        self.put_down(row, caller.subject(action), Step::new("used", by, told)).await?;
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
        keys: &ProjectKeys,
        arguments: &Bytes,
    ) -> Result<(), Reason> {
        let recipient = keys.body_recipient();
        let mut body = self.bodies.writer(action, BodyPart::Request, recipient);
        body.write(arguments.clone()).await;
        match body.finish().await {
            Kept::Whole => Ok(()),
            Kept::Cut | Kept::Nothing => {
                tracing::error!(%action, "arguments of a held action cannot be kept");
                let sentence = "Provost cannot keep what people would have to judge, so this \
                                cannot be held; an operator has to look at the disk.";
                Err(Reason::new(RefusalCode::Unavailable, sentence))
            }
        }
    }

    /// Makes a change durable, in the ledger and then in the store; then it takes effect.
    async fn put_down(
        &self,
        row: ApprovalRow,
        subject: Subject,
        step: Step,
    ) -> Result<(), NotChanged> {
        self.record(row.id, subject, step).await?;
        if let Err(error) = self.directory.store.put_approval(&row).await {
            tracing::error!(approval = %row.id, error = %Causes(&error), "approval not kept");
            return Err(error.into());
        }
        if row.closed_at.is_some() {
            self.forget_arguments(&row).await;
        }
        self.book.lock().set(row);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    async fn record(
        &self,
        approval: ApprovalId,
        subject: Subject,
        step: Step,
    ) -> Result<(), LedgerDown> {
        let Step { name, by, told, intent } = step;
        metrics::counter!("provost_approval_steps_total", "step" => name).increment(1);
        let told = told.into_iter().map(|(name, text)| (name.to_owned(), text));
        let (step, detail) = (name.to_owned(), told.collect::<BTreeMap<_, _>>());
        let record = Record::Approval(Approval { approval, step, by, detail, intent });
        let recorded = self.recorder.record(subject, record).await;
        if let Err(error) = &recorded {
            tracing::error!(%approval, error = %Causes(error), "approval not recorded");
        }
        recorded.map(|_position| ())
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
struct Step {
    name: &'static str,
    by: String,
    told: Vec<(&'static str, String)>,
    intent: Option<Intent>,
}

impl Step {
    fn new(name: &'static str, by: String, told: Vec<(&'static str, String)>) -> Self {
        Self { name, by, told, intent: None }
    }
}

/// Decides again with the gates lifted that people approved; the approval that allows it.
fn lift(
    policies: &Policies,
    query: &Query<'_>,
    row: &ApprovalRow,
    held: Decision,
) -> (Decision, Option<ApprovalId>) {
    let lifted: Vec<Lifted> = row
        .gates
        .iter()
        .map(|gate| Lifted { policy: gate.policy.clone(), text: gate.text })
        .collect();
    let decision = policies.decide_lifted(query, &lifted);
    match decision.verdict {
        Verdict::Allow => {
            let reason = format!("{}; {} ({})", decision.reason, row.note, row.id);
            (Decision { reason, ..decision }, Some(row.id))
        }
        Verdict::Deny => (decision, None),
        // Cannot be: the approval covers every gate that holds it.
        Verdict::Hold => (Decision { verdict: Verdict::Deny, ..held }, None),
    }
}

/// Whether an approval is about an action with this binding.
fn fits(
    row: &ApprovalRow,
    (caller, keys): (&Caller, &ProjectKeys),
    (action, binding): (&Action, Digest),
) -> bool {
    if row.project != caller.project {
        return false;
    }
    match &row.reach {
        Reach::Once => row.binding == binding,
        Reach::Session => row.binding == binding && row.session == caller.session,
        Reach::Pattern { arguments, rest } => {
            let is_same_action = row.plane == action.plane.as_str()
                && row.verb == action.verb
                && row.resource_kind == action.resource.kind
                && row.resource_id == action.resource.id;
            is_same_action
                && pattern::check(&action.arguments, arguments)
                    .is_ok_and(|left| keyed(keys, &[&left]) == *rest)
        }
    }
}

/// What an approval is bound to: keyed, so that nobody learns arguments by guessing.
fn binding((caller, keys): (&Caller, &ProjectKeys), action: &Action) -> Digest {
    let arguments = pattern::canonical(&action.arguments);
    keyed(
        keys,
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
fn keyed(keys: &ProjectKeys, parts: &[&[u8]]) -> Digest {
    let mut mac = mac(keys);
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    finish(mac)
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
