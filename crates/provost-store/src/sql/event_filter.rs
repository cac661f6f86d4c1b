//! Which events to list: one question, put to SQL or to an entry that has no row yet.
//!
//! Both ways compare the columns of the entry's row, so that they cannot differ.

use provost_ledger::Brief;
use provost_types::{ActionId, AgentName, ProjectName, SessionId, Timestamp};

use super::{
    columns,
    connect::Backend,
    filter::Filter,
    row::{COMMON_KINDS, EventRow, TEXT_COLUMNS},
};

/// Which events to list. Every field that is there must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this agent's.
    pub agent: Option<AgentName>,
    /// Only this project's.
    pub project: Option<ProjectName>,
    /// Only this session's.
    pub session: Option<SessionId>,
    /// Only of this kind, as [`provost_ledger::Event::kind`] says it.
    pub kind: Option<String>,
    /// Only this action's.
    pub action: Option<ActionId>,
    /// Only what was asked of this plane: intents and refusals.
    pub plane: Option<String>,
    /// Only with this verdict of an intent, status of an outcome, or code of a refusal.
    pub result: Option<String>,
    /// Only with this text in the first 200 characters of what they are about: of a resource
    /// such as `Llm::Model::"claude-sonnet-5"`, or of a subject such as `agent/invoice-bot`.
    /// A to Z in either case are the same.
    pub resource: Option<String>,
    /// Only those recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Only those recorded before this time.
    pub until: Option<Timestamp>,
    /// Only those from this position on, itself included.
    pub from: Option<u64>,
    /// Only those before this position.
    pub before: Option<u64>,
}

impl EventFilter {
    /// Whether every event between the two positions fits.
    pub fn is_open(&self) -> bool {
        let any = Self { from: self.from, before: self.before, ..Self::default() };
        *self == any
    }

    /// Whether few events may fit that no list of blocks leads to, so that finding one can
    /// take a search through all.
    pub fn is_searching(&self) -> bool {
        self.action.is_none()
            && (self.plane.is_some()
                || self.result.is_some()
                || self.resource.is_some()
                || self.since.is_some()
                || self.until.is_some())
    }

    /// Whether the entry at `position` that `brief` was read from fits: exactly if its row
    /// would be found.
    pub fn fits(&self, position: u64, brief: &Brief<'_>) -> bool {
        let row = EventRow::of_brief(position, brief);
        let (from, before) = self.range();
        let is_same = |(wanted, is): (Option<String>, &Option<String>)| {
            wanted.is_none_or(|wanted| Some(wanted) == *is)
        };
        (from..before).contains(&row.position)
            && self.since.is_none_or(|since| row.at >= columns::time(since))
            && self.until.is_none_or(|until| row.at < columns::time(until))
            && self.wanted().into_iter().zip(&row.texts).all(is_same)
            && self.part().is_none_or(|part| {
                row.resource().is_some_and(|is| is.to_ascii_lowercase().contains(&part))
            })
    }

    /// The positions it asks for: from the first up to but without the second.
    pub(super) fn range(&self) -> (i64, i64) {
        (self.from.map_or(0, columns::count), self.before.map_or(i64::MAX, columns::count))
    }

    /// The word of the filter that fewest events bear; none if nearly every event may fit.
    pub(super) fn word(&self) -> Option<String> {
        let rare = self.kind.as_deref().filter(|kind| !COMMON_KINDS.contains(kind));
        self.session
            .map(|id| format!("session/{id}"))
            .or_else(|| rare.map(|kind| format!("kind/{}", columns::text(kind))))
            .or_else(|| self.agent.as_ref().map(|name| format!("agent/{name}")))
            .or_else(|| self.project.as_ref().map(|name| format!("project/{name}")))
    }

    /// The events that fit in a range of positions.
    pub(super) fn select(&self, (from, before): (i64, i64), backend: &Backend) -> Filter {
        let mut select = Filter::new("SELECT position FROM event WHERE TRUE");
        for (comparison, wanted) in COMPARISONS.into_iter().zip(self.wanted()) {
            select.text(comparison, wanted);
        }
        select.number("at >=", self.since.map(columns::time));
        select.number("at <", self.until.map(columns::time));
        select.number("position >=", Some(from));
        select.number("position <", Some(before));
        if let Some(part) = self.part() {
            // Both forms fold A to Z and nothing else, whatever the database's locale.
            let before = match backend {
                Backend::Sqlite(_) => "instr(lower(resource),",
                Backend::Postgres => "strpos(lower(resource COLLATE \"C\"),",
            };
            select.call(before, part, ") > 0");
        }
        select
    }

    /// What the text columns must hold, in the order of [`TEXT_COLUMNS`].
    fn wanted(&self) -> [Option<String>; TEXT_COLUMNS.len()] {
        [
            self.kind.as_deref().map(columns::text),
            self.action.map(|id| id.to_string()),
            self.agent.as_ref().map(ToString::to_string),
            self.project.as_ref().map(ToString::to_string),
            self.session.map(|id| id.to_string()),
            self.plane.as_deref().map(columns::text),
            None,
            None,
            self.result.as_deref().map(columns::text),
        ]
    }

    /// The part of a resource that is looked for, as both ways compare it.
    fn part(&self) -> Option<String> {
        self.resource.as_deref().map(|part| columns::text(part).to_ascii_lowercase())
    }
}

/// How [`TEXT_COLUMNS`] are compared, in their order.
const COMPARISONS: [&str; TEXT_COLUMNS.len()] = [
    "kind =",
    "action =",
    "agent =",
    "project =",
    "session =",
    "plane =",
    "verb =",
    "resource =",
    "result =",
];
