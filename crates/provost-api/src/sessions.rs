//! `/v1/sessions`.

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// `POST /v1/sessions`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// Whose session; may be left out by an agent's key, which opens only its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Longest silence before it ends; the server's default if absent. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_max_s: Option<u64>,
    /// Longest life; the server's default if absent. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_max_s: Option<u64>,
}

/// A session that was just opened. The only time its credential is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// What the agent authenticates with on every plane.
    pub credential: Sensitive,
}

/// One bounded run of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub agent: String,
    /// The agent's project.
    pub project: String,
    /// Who opened it, as the ledger names them.
    pub opened_by: String,
    /// When it was opened.
    pub started_at: String,
    /// When it last asked for anything, to within a few seconds.
    pub last_seen_at: String,
    /// Longest silence before it ends. Unit: seconds.
    pub idle_max_s: u64,
    /// When it ends at the latest.
    pub expires_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Why it ended.
    pub end_reason: Option<String>,
}

/// `GET /v1/sessions`: newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionQuery {
    /// Only this agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only this project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only those opened before this session: the last id of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How many at most: 1 to 1,000; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `POST /v1/sessions/{id}/end`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndSession {
    /// Why, for the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /v1/sessions/{id}/watch`: answers when the session is over, or after 30 seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionWatch {
    /// Whether the session has ended or was killed; if not, ask again.
    pub over: bool,
    /// Why, once it is over.
    pub reason: Option<String>,
}
