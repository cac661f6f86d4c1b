//! `/v1/run-state`.

use serde::{Deserialize, Serialize};

/// `PUT /v1/run-state`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRunState {
    /// `all`, `project/NAME`, `agent/NAME` or `session/ID`.
    pub scope: String,
    /// `running`, `paused` or `killed`. Back to `running` takes an admin.
    pub state: String,
    /// Why: told to the agent and kept in the ledger. Required to pause and to kill.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What was set on one scope. Scopes that were never touched are not listed: they run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStateEntry {
    /// `all`, `project/NAME`, `agent/NAME` or `session/ID`.
    pub scope: String,
    /// `running`, `paused` or `killed`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Who set it, as the ledger names them.
    pub by: String,
    /// When it was set.
    pub at: String,
}
