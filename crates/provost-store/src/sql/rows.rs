//! Plain values of what the database keeps: projects, agents, credentials, people, sessions,
//! run states.
//!
//! Any value of a row is valid; what must hold between rows is held by the database.

use std::{fmt, str::FromStr, time::Duration};

use provost_types::{
    AgentName, CredentialId, HumanId, ProjectName, Role, RunState, Scope, SessionId, Timestamp,
};

/// How much of the bodies of a project's actions is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyMode {
    /// Neither bodies nor their digests.
    None,
    /// Keyed digests in the ledger; no bodies.
    Digests,
    /// Keyed digests in the ledger, and bodies encrypted to the project's key.
    Full,
}

impl BodyMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::None, Self::Digests, Self::Full];

    /// The mode's word in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Digests => "digests",
            Self::Full => "full",
        }
    }
}

/// A text that is not a body mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a body mode: use none, digests or full")]
pub struct BodyModeError {
    /// What was given, cut to 40 characters.
    pub given: String,
}

impl FromStr for BodyMode {
    type Err = BodyModeError;

    fn from_str(text: &str) -> Result<Self, BodyModeError> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| BodyModeError { given: text.chars().take(40).collect() })
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its name, unique.
    pub name: ProjectName,
    /// How much of its bodies is kept.
    pub bodies: BodyMode,
    /// Its keys, sealed to the master key. Without them its digests and bodies mean nothing.
    pub sealed_keys: Vec<u8>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRow {
    /// Its name, unique and never used again.
    pub name: AgentName,
    /// The project it belongs to, for good.
    pub project: ProjectName,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was retired; nothing of it works since.
    pub retired_at: Option<Timestamp>,
}

/// Whose credential it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// An agent: opens sessions.
    Agent(AgentName),
    /// A session: acts.
    Session(SessionId),
    /// A person: uses the control API.
    Human(HumanId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name) => write!(f, "agent/{name}"),
            Self::Session(id) => write!(f, "session/{id}"),
            Self::Human(id) => write!(f, "human/{id}"),
        }
    }
}

/// A credential: never itself, only what recognises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// Its public id.
    pub id: CredentialId,
    /// Whose it is.
    pub holder: Holder,
    /// What its holder calls it.
    pub label: String,
    /// SHA-256 of the credential's text, unique.
    pub sha256: [u8; 32],
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it last worked.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A person who may use the control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HumanRow {
    /// Their id.
    pub id: HumanId,
    /// Their name, unique among those not removed.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they were removed.
    pub removed_at: Option<Timestamp>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// The agent that runs in it.
    pub agent: AgentName,
    /// The agent's project.
    pub project: ProjectName,
    /// Who opened it: `human/ada`, `local/1000`, `agent/invoice-bot`.
    pub opened_by: String,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When it last acted, or was opened.
    pub last_seen_at: Timestamp,
    /// How long it may be idle. Kept to the microsecond.
    pub idle_max: Duration,
    /// When it ends however busy it is.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended, in one sentence; there if and only if `ended_at` is.
    pub end_reason: Option<String>,
}

/// What someone last set a scope to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStateRow {
    /// What it applies to.
    pub scope: Scope,
    /// Running, paused or killed.
    pub state: RunState,
    /// Why, in one sentence.
    pub reason: String,
    /// Who set it.
    pub by: String,
    /// When it was set.
    pub at: Timestamp,
}
