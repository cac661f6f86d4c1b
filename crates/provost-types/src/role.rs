//! What a person may do through the control API.

use std::str::FromStr;

/// A person's role. Roles do not nest: each route lists the roles it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Changes identities, secrets and policy; undoes a kill.
    Admin,
    /// Starts, pauses and stops agents.
    Operator,
    /// Answers held actions.
    Approver,
    /// Reads the ledger and everything that explains it; changes nothing.
    Auditor,
}

/// A text that is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: use admin, operator, approver or auditor")]
pub struct RoleError(pub String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Approver, Self::Auditor];

    /// The role's word in the API and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}
