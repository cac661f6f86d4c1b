//! `/v1/secrets`.

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// `PUT /v1/secrets/{name}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutSecret {
    /// The credential: one line, not blank. Never given back by any route.
    pub value: Sensitive,
}

/// What is told of a stored upstream credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// When its value was last set.
    pub set_at: String,
}
