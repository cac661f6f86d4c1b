//! `/v1/events`, `/v1/actions`, `/v1/checkpoint`: reading the ledger.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `GET /v1/events`: oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Only events behind this index; from the first one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many at most: 1 to 1,000; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `true`: the last `limit` events instead of the first; oldest first all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<bool>,
    /// Only events about this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only events about this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only events about this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Only events of this kind, one of [`EVENT_KINDS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only events of this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only what was asked of this plane: intents and refusals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<String>,
    /// Only intents with this verdict (`allow`), outcomes with this status (`succeeded`,
    /// `failed`, `aborted`, `unknown`) or refusals with this code (such as `denied`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Only events about something with this text in its name, of which the first 200
    /// characters count: `Llm::Model::"claude-sonnet-5"`, or of what people do the subject,
    /// such as `agent/invoice-bot`. A to Z in either case are the same. 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only events recorded at this time or later, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only events recorded before this time, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only events with this text anywhere in their entry. A to Z in either case are the
    /// same. 1 to 200 characters. Not together with `newest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How long to wait if there is none yet: 0 (the default) to 30. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
}

/// Every [`Event::kind`].
pub const EVENT_KINDS: [&str; 9] = [
    "intent", "outcome", "refusal", "admin", "session", "server", "witness", "alert",
    "approval",
];

/// One page of events. A page ends at its limit, at 4 MiB, or where enough was searched for
/// one call; so there is more wherever `after` is not `size - 1`, even behind an empty page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// The `after` of the next page; absent while the ledger is empty.
    pub after: Option<u64>,
    /// How many events the ledger holds.
    pub size: u64,
}

/// One event: its ledger entry, where it is, and what the entry says in other words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the ledger, from 0.
    pub index: u64,
    /// When it was recorded: the entry's `at_us`.
    pub at: String,
    /// One of [`EVENT_KINDS`]: the key of the entry's `record`.
    pub kind: String,
    /// The fields of the ledger entry, as they were recorded.
    #[serde(flatten)]
    pub entry: Map<String, Value>,
}

/// `GET /v1/actions/{action}`: everything recorded about one action, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionEvents {
    /// The action's id.
    pub action: String,
    /// Its events.
    pub events: Vec<Event>,
}

/// `GET /v1/actions/{action}/bodies`: what was asked and answered, where the project keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bodies {
    /// The action's id.
    pub action: String,
    /// What was asked, in base64; absent if it was not kept or is deleted.
    pub request: Option<String>,
    /// What was answered, in base64; absent if it was not kept or is deleted.
    pub response: Option<String>,
}

/// `GET /v1/events/{index}/proof`: everything needed to check, offline, that an event is in
/// the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Position of the event in the ledger.
    pub index: u64,
    /// The entry's exact bytes, in base64: what the leaf hash is computed from.
    pub entry: String,
    /// RFC 6962 inclusion proof, leaf to root: 32-byte hashes in base64.
    pub hashes: Vec<String>,
    /// The signed note whose size and root the proof leads to.
    pub checkpoint: String,
}

/// `GET /v1/checkpoint`: the newest signed head of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// How many events the ledger holds, signed for or not yet.
    pub size: u64,
}
