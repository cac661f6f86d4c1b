//! The event index's row for a ledger entry: a function of the entry and nothing else.

use provost_ledger::{Brief, Event, Intent, Record, ServerEvent, SessionEvent};

use super::columns;

/// Longest text of a column. Unit: characters. What is longer is cut: the index finds
/// entries, it does not repeat them.
const TEXT_LEN_MAX: usize = 200;

/// The kinds of nearly every event: reading in order finds them as fast as any index.
pub(super) const COMMON_KINDS: [&str; 2] = ["intent", "outcome"];

/// Columns of [`EventRow`] that hold text, in the order of [`EventRow::texts`].
pub(super) const TEXT_COLUMNS: [&str; 9] =
    ["kind", "action", "agent", "project", "session", "plane", "verb", "resource", "result"];

/// One row of table `event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventRow {
    /// The entry's position in the ledger.
    pub(super) position: i64,
    /// The event's wall-clock time.
    pub(super) at: i64,
    /// The values of [`TEXT_COLUMNS`].
    pub(super) texts: [Option<String>; 9],
}

impl EventRow {
    /// The row for the entry at `position` that `brief` was read from.
    pub(super) fn of_brief(position: u64, brief: &Brief<'_>) -> Self {
        let resource = brief.resource.as_ref().map(|(kind, id)| match kind {
            Some(kind) => named(kind, id),
            None => cut(id),
        });
        Self {
            position: columns::count(position),
            at: columns::time(brief.at),
            texts: [
                Some(brief.kind.to_owned()),
                brief.action.as_deref().map(cut),
                brief.agent.as_deref().map(cut),
                brief.project.as_deref().map(cut),
                brief.session.as_deref().map(cut),
                brief.plane.as_deref().map(cut),
                brief.verb.as_deref().map(cut),
                resource,
                brief.result.as_deref().map(cut),
            ],
        }
    }

    /// What the event is about.
    pub(super) fn resource(&self) -> Option<&str> {
        let [.., resource, _] = &self.texts;
        resource.as_deref()
    }

    /// The row for `event` at `position`, by the way that trusts nothing.
    pub(super) fn new(position: u64, event: &Event) -> Self {
        let subject = &event.subject;
        let [plane, verb, resource, result] = particulars(&event.record);
        Self {
            position: columns::count(position),
            at: columns::time(event.at),
            texts: [
                Some(event.kind().to_owned()),
                subject.action.map(|id| id.to_string()),
                subject.agent.as_ref().map(ToString::to_string),
                subject.project.as_ref().map(ToString::to_string),
                subject.session.map(|id| id.to_string()),
                plane,
                verb,
                resource,
                result,
            ],
        }
    }
}

/// Plane, verb, resource and result.
fn particulars(record: &Record) -> [Option<String>; 4] {
    match record {
        Record::Intent(intent) => {
            let [plane, verb, resource] = asked(intent);
            [plane, verb, resource, Some(intent.decision.verdict.as_str().to_owned())]
        }
        Record::Outcome(outcome) => {
            [None, None, None, Some(outcome.status.as_str().to_owned())]
        }
        Record::Refusal(refused) => {
            let [plane, verb, resource] =
                refused.intent.as_ref().map(asked).unwrap_or_default();
            [plane, verb, resource, Some(cut(&refused.code))]
        }
        Record::Admin(admin) => [None, Some(cut(&admin.verb)), Some(cut(&admin.subject)), None],
        Record::Session(event) => [None, Some(session_verb(event).to_owned()), None, None],
        Record::Server(event) => [None, Some(server_verb(event).to_owned()), None, None],
        Record::Witness(witness) => [Some(cut(&witness.plane)), None, None, None],
        Record::Alert(alert) => [None, Some(cut(&alert.rule)), None, None],
        Record::Approval(approval) => {
            let [plane, verb, resource] =
                approval.intent.as_ref().map(asked).unwrap_or_default();
            [plane, verb, resource, Some(cut(&approval.step))]
        }
    }
}

fn asked(intent: &Intent) -> [Option<String>; 3] {
    let resource = named(&intent.resource_kind, &intent.resource_id);
    [Some(cut(&intent.plane)), Some(cut(&intent.verb)), Some(resource)]
}

fn named(kind: &str, id: &str) -> String {
    cut(&format!("{kind}::{id:?}"))
}

const fn session_verb(event: &SessionEvent) -> &'static str {
    match event {
        SessionEvent::Started { .. } => "started",
        SessionEvent::Ended { .. } => "ended",
    }
}

const fn server_verb(event: &ServerEvent) -> &'static str {
    match event {
        ServerEvent::Started { .. } => "started",
        ServerEvent::Stopped => "stopped",
        ServerEvent::ClockStepped { .. } => "clock-stepped",
    }
}

fn cut(text: &str) -> String {
    let end = text.char_indices().nth(TEXT_LEN_MAX).map_or(text.len(), |(end, _)| end);
    columns::text(text.get(..end).unwrap_or_default())
}
