//! `/v1/projects`, `/v1/agents`, `/v1/keys`, `/v1/humans`, `/v1/me`.

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// `POST /v1/projects`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// 1 to 63 lower-case letters, digits and inner hyphens, starting with a letter.
    pub name: String,
    /// What is kept of bodies: `none`, `digests` (the default) or `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bodies: Option<String>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// What is kept of bodies: `none`, `digests` or `full`.
    pub bodies: String,
    /// When it was created.
    pub created_at: String,
}

/// `POST /v1/agents`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    /// A name as a project's; never used again once taken, not even when retired.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
    /// When it was created.
    pub created_at: String,
    /// When it was retired; its keys and sessions ended then.
    pub retired_at: Option<String>,
}

/// `POST /v1/agents/{name}/keys`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it, such as the machine it is for.
    pub label: String,
    /// How long it is good for; for good if absent. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// `POST /v1/keys/{credential}/rotate`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the old key stays good beside the new one. Unit: seconds.
    #[serde(default)]
    pub grace_s: u64,
}

/// A key that was just made. The only time it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedKey {
    /// The id to revoke or rotate it by.
    pub credential: String,
    /// The key itself.
    pub key: Sensitive,
}

/// What is known of a key; never the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The id to revoke or rotate it by.
    pub credential: String,
    /// What people call it.
    pub label: String,
    /// When it was made.
    pub created_at: String,
    /// When it stops being accepted.
    pub expires_at: Option<String>,
    /// When it last opened a session.
    pub last_used_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
}

/// `POST /v1/humans`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHuman {
    /// What the ledger calls the person.
    pub name: String,
    /// `admin`, `operator`, `approver` or `auditor`.
    pub role: String,
}

/// A person's token that was just made. The only time it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// The person.
    pub human: Human,
    /// The token itself.
    pub token: Sensitive,
}

/// A person who may use the control API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Human {
    /// The person's id.
    pub id: String,
    /// What the ledger calls the person.
    pub name: String,
    /// `admin`, `operator`, `approver` or `auditor`.
    pub role: String,
    /// When the person was added.
    pub created_at: String,
    /// When the person was removed.
    pub removed_at: Option<String>,
}

/// `GET /v1/me`: who the server takes the caller for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// As the ledger names the caller: `human/ada`, `local/1000`.
    pub name: String,
    /// `admin`, `operator`, `approver` or `auditor`.
    pub role: String,
}
