//! What `GET /v1/events` looks for: a filter that the index answers, and a text that only the
//! entries themselves can.

use provost_api::{EVENT_KINDS, EventQuery};
use provost_ledger::Brief;
use provost_store::EventFilter;
use provost_types::{TimeError, Timestamp};

use crate::{error::ApiError, extract::parsed_in, ledger::LedgerReadError};

/// Longest text that is looked for. Unit: characters. The index keeps no more of a resource.
const TEXT_CHARS_MAX: usize = 200;

/// [`EVENT_KINDS`] in a sentence.
const KINDS_TOLD: &str =
    "use intent, outcome, refusal, admin, session, server, witness, alert or approval";

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    pub(crate) filter: EventFilter,
    /// A text that the entry has to have in it.
    pub(crate) text: Option<Text>,
}

/// A text to look for in entries, whatever the case of its letters from A to Z.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// As it was given: it may be a piece of JSON.
    plain: String,
    /// As it looks within a string of an entry.
    escaped: String,
}

impl Search {
    /// Reads what was asked for.
    ///
    /// # Errors
    ///
    /// `malformed` or `invalid`, naming the field.
    pub(crate) fn read(asked: &EventQuery) -> Result<Self, ApiError> {
        let filter = EventFilter {
            agent: parsed_in("agent", asked.agent.as_deref())?,
            project: parsed_in("project", asked.project.as_deref())?,
            session: parsed_in("session", asked.session.as_deref())?,
            kind: kind(asked.kind.as_deref())?,
            action: parsed_in("action", asked.action.as_deref())?,
            plane: word("plane", asked.plane.as_deref())?,
            result: word("result", asked.result.as_deref())?,
            resource: text("resource", asked.resource.as_deref())?,
            since: time("since", asked.since.as_deref())?,
            until: time("until", asked.until.as_deref())?,
            from: asked.after.map(|after| after.saturating_add(1)),
            before: None,
        };
        if let (Some(since), Some(until)) = (filter.since, filter.until)
            && since >= until
        {
            let problem = "use a time after that of `since`";
            return Err(ApiError::Invalid { field: "until", problem });
        }
        let text = text("text", asked.text.as_deref())?.map(|text| Text::new(&text));
        if text.is_some() && asked.newest == Some(true) {
            let problem = "cannot be combined with `text`: leave one of them out";
            return Err(ApiError::Invalid { field: "newest", problem });
        }
        Ok(Self { filter, text })
    }

    /// Whether the entry at `position` fits.
    pub(crate) fn fits(&self, position: u64, entry: &[u8]) -> Result<bool, LedgerReadError> {
        if !self.filter.is_open() {
            let brief = Brief::read(entry)
                .map_err(|source| LedgerReadError::Entry { position, source })?;
            if !self.filter.fits(position, &brief) {
                return Ok(false);
            }
        }
        Ok(self.has_text(entry))
    }

    /// Whether the text is in the entry, if one is looked for.
    pub(crate) fn has_text(&self, entry: &[u8]) -> bool {
        self.text.as_ref().is_none_or(|text| text.is_in(entry))
    }
}

impl Text {
    fn new(text: &str) -> Self {
        let plain = text.to_ascii_lowercase();
        let quoted = serde_json::Value::from(plain.as_str()).to_string();
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Self { escaped: inner.unwrap_or(&quoted).to_owned(), plain }
    }

    fn is_in(&self, entry: &[u8]) -> bool {
        let lower = entry.to_ascii_lowercase();
        let entry = String::from_utf8_lossy(&lower);
        entry.contains(&self.plain)
            || (self.escaped != self.plain && entry.contains(&self.escaped))
    }
}

fn kind(asked: Option<&str>) -> Result<Option<String>, ApiError> {
    match asked {
        Some(kind) if !EVENT_KINDS.contains(&kind) => {
            Err(ApiError::Invalid { field: "kind", problem: KINDS_TOLD })
        }
        kind => Ok(kind.map(str::to_owned)),
    }
}

fn time(field: &'static str, asked: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    asked.map(str::parse).transpose().map_err(|_: TimeError| {
        let problem = "use an RFC 3339 time from 1970 on, such as 2026-11-25T14:00:00Z";
        ApiError::Invalid { field, problem }
    })
}

fn word(field: &'static str, asked: Option<&str>) -> Result<Option<String>, ApiError> {
    let is_of_word = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    match asked {
        Some(word) if !(1..=64).contains(&word.len()) || !word.chars().all(is_of_word) => {
            let problem = "use one word of up to 64 letters, digits and hyphens";
            Err(ApiError::Invalid { field, problem })
        }
        word => Ok(word.map(str::to_owned)),
    }
}

fn text(field: &'static str, asked: Option<&str>) -> Result<Option<String>, ApiError> {
    match asked {
        Some(text) if !(1..=TEXT_CHARS_MAX).contains(&text.chars().count()) => {
            Err(ApiError::Invalid { field, problem: "use 1 to 200 characters" })
        }
        text => Ok(text.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use provost_api::EVENT_KINDS;

    use super::{KINDS_TOLD, Text};

    #[test]
    fn every_kind_is_told() {
        for kind in EVENT_KINDS {
            assert!(KINDS_TOLD.contains(kind), "kind = {kind}");
        }
    }

    #[test]
    fn a_text_is_found_in_whatever_case_and_however_it_is_escaped() {
        let entry = r#"{"reason":"Say \"No\" to\nC:\\temp; Été","status":"failed"}"#;
        for (text, want) in [
            ("say", true),
            ("SAY \"no\"", true),            // as the string has it
            ("say \\\"no\\\"", true),        // as the entry has it
            ("\"status\":\"failed\"", true), // a piece of JSON
            ("to\nc:\\TEMP", true),
            ("ÉTÉ", false), // only A to Z have two cases
            ("Été", true),
            ("succeeded", false),
        ] {
            assert_eq!(Text::new(text).is_in(entry.as_bytes()), want, "text = {text:?}");
        }
    }
}
