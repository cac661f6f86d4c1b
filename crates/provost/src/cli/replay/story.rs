//! Events of a session joined into a story: an intent and its outcome are one item.
//!
//! A kind of event that is not known here is an item of its own, in the words of its record.

use std::collections::BTreeMap;

use provost_api::{Event, Session};
use provost_types::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::audit::{effects, number, sentence, text};

/// Column in which an item's second line begins.
const INDENT: &str = "            ";

/// What a session did, in order.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// In the order in which they began.
    pub(super) items: Vec<Item>,
}

/// One thing that happened.
#[derive(Debug)]
pub(super) struct Item {
    /// The event that it began with.
    event: Event,
    /// Where that was an intent: its outcome.
    outcome: Option<Event>,
}

/// An item for programs.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    at: &'a str,
    /// How long after the session's begin.
    since_begin_us: u64,
    /// `action`, or the kind of its only event.
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    action: &'a str,
    /// How long the action took.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    /// Where its events are in the ledger.
    indexes: Vec<u64>,
    /// The records of its events, by their kinds.
    #[serde(flatten)]
    records: Map<String, Value>,
}

impl Story {
    /// Joins events, which are in the ledger's order.
    pub(super) fn of(events: Vec<Event>) -> Self {
        let mut story = Self::default();
        let mut asked: BTreeMap<String, usize> = BTreeMap::new();
        for event in events {
            let action = text(&event, "/subject/action").to_owned();
            let began = match event.kind.as_str() {
                "intent" => {
                    asked.insert(action, story.items.len());
                    None
                }
                "outcome" => asked.remove(&action),
                _ => None,
            };
            match began.and_then(|at| story.items.get_mut(at)) {
                Some(item) => item.outcome = Some(event),
                None => story.items.push(Item { event, outcome: None }),
            }
        }
        story
    }

    /// The actions whose outcome is not among the events.
    pub(super) fn open(&mut self) -> impl Iterator<Item = &mut Item> {
        self.items
            .iter_mut()
            .filter(|item| item.event.kind == "intent" && item.outcome.is_none())
    }

    /// The whole in one line.
    pub(super) fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut input, mut output) = (0_u64, 0_u64);
        for item in &self.items {
            let word = match item.event.kind.as_str() {
                "intent" | "outcome" => item.status(),
                "refusal" => "refused",
                _ => continue,
            };
            let count = counts.entry(word).or_default();
            *count = count.saturating_add(1);
            for event in [&item.event].into_iter().chain(&item.outcome) {
                let used = |name| {
                    let pointer = format!("/record/outcome/usage/{name}");
                    number(event, &pointer).unwrap_or_default()
                };
                for name in ["input", "cache_read", "cache_write"] {
                    input = input.saturating_add(used(name));
                }
                output = output.saturating_add(used("output"));
            }
        }
        let actions = counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let counts: Vec<_> =
            counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        match actions {
            0 => "no actions".to_owned(),
            _ => format!(
                "{actions} actions: {}; {input} tokens in, {output} out",
                counts.join(", ")
            ),
        }
    }
}

impl Item {
    /// When it began.
    pub(super) fn at(&self) -> Timestamp {
        Timestamp(number(&self.event, "/at_us").unwrap_or_default())
    }

    /// The action it is; empty if it is none.
    pub(super) fn action(&self) -> &str {
        text(&self.event, "/subject/action")
    }

    /// Takes the outcome from everything that was recorded about the action.
    pub(super) fn conclude(&mut self, events: Vec<Event>) {
        self.outcome = events.into_iter().find(|event| event.kind == "outcome");
    }

    fn status(&self) -> &str {
        let outcome = self.outcome.as_ref().unwrap_or(&self.event);
        match text(outcome, "/record/outcome/status") {
            "" => "in flight",
            status => status,
        }
    }

    /// How long the action took, by the clock that nobody can set where one boot saw all of
    /// it. Unit: microseconds.
    fn took_us(&self) -> Option<u64> {
        let outcome = self.outcome.as_ref()?;
        let boots = [&self.event, outcome].map(|event| text(event, "/boot"));
        let clock = match boots {
            [first, second] if first == second && !first.is_empty() => "/elapsed_us",
            _ => "/at_us",
        };
        let [from, until] = [&self.event, outcome].map(|event| number(event, clock));
        Some(until?.saturating_sub(from?))
    }
}

/// Tells items, for people and for programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    /// When the session began.
    pub(super) began: Timestamp,
}

impl Teller {
    /// The item on one line; an action on two; what a tool would do on one more.
    pub(super) fn told(self, item: &Item) -> String {
        let event = &item.event;
        let action = match item.action() {
            "" => String::new(),
            action => format!("  {action}"),
        };
        let since_begin = offset(self.since_begin_us(item));
        let sentence = sentence(event);
        let effects = match effects(event) {
            effects if effects.is_empty() => effects,
            effects => format!("{INDENT}{effects}\n"),
        };
        match (event.kind.as_str(), &item.outcome) {
            ("intent", Some(outcome)) => {
                let took = item.took_us().unwrap_or_default();
                let took = format!("{}.{:03} s", took / 1_000_000, took / 1_000 % 1_000);
                let outcome = self::sentence(outcome);
                let outcome = format!("{INDENT}{outcome}, after {took}{action}\n");
                format!("{since_begin}  {sentence}\n{effects}{outcome}")
            }
            ("intent", None) => {
                let outcome = format!("{INDENT}no outcome yet{action}\n");
                format!("{since_begin}  {sentence}\n{effects}{outcome}")
            }
            ("outcome", _) => {
                format!("{since_begin}  what was asked before: {sentence}{action}\n")
            }
            ("refusal", _) => {
                format!("{since_begin}  refused: {sentence}{action}\n{effects}")
            }
            ("session", _) => format!("{since_begin}  the session {sentence}\n"),
            _ => format!("{since_begin}  {sentence}{}{action}\n", reason(event)),
        }
    }

    /// The item for programs.
    pub(super) fn document(self, item: &Item) -> Document<'_> {
        let mut records = Map::new();
        for event in [&item.event].into_iter().chain(&item.outcome) {
            let record = event.entry.get("record").and_then(Value::as_object);
            records.extend(record.cloned().unwrap_or_default());
        }
        let kind = match item.event.kind.as_str() {
            "intent" => "action",
            kind => kind,
        };
        let events = [&item.event].into_iter().chain(&item.outcome);
        Document {
            at: &item.event.at,
            since_begin_us: self.since_begin_us(item),
            kind,
            action: item.action(),
            took_us: item.took_us(),
            indexes: events.map(|event| event.index).collect(),
            records,
        }
    }

    fn since_begin_us(self, item: &Item) -> u64 {
        item.at().0.saturating_sub(self.began.0)
    }
}

/// Whose session it is, and since when.
pub(super) fn heading(session: &Session) -> String {
    let Session { id, agent, project, started_at, .. } = session;
    format!("{id} of {agent} in {project}, from {started_at}\n")
}

/// Whether the event stops, or lets go on, what the session is part of. What is about the
/// session alone is among its own events.
pub(super) fn is_stop_above(event: &Event, session: &Session) -> bool {
    let scope = text(event, "/record/admin/subject");
    text(event, "/record/admin/verb").starts_with("run-state.")
        && match scope.split_once('/') {
            Some(("agent", name)) => name == session.agent,
            Some(("project", name)) => name == session.project,
            Some(_) => false,
            None => scope == "all",
        }
}

/// Why people did it: their reasons have no line breaks.
fn reason(event: &Event) -> String {
    match text(event, "/record/admin/detail/reason") {
        "" => String::new(),
        reason => format!(": {reason}"),
    }
}

/// `+03:02.512`, or from an hour on `+1:03:02.512`.
fn offset(micros: u64) -> String {
    let (seconds, millis) = (micros / 1_000_000, micros / 1_000 % 1_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("+{minutes:02}:{seconds:02}.{millis:03}"),
        _ => format!("+{hours}:{minutes:02}:{seconds:02}.{millis:03}"),
    }
}

#[cfg(test)]
mod tests;
