//! What every failed call answers.

use serde::{Deserialize, Serialize};

/// The body of every answer with a 4xx or 5xx status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable, kebab-case: for programs.
    pub code: String,
    /// One sentence: for people. May change.
    pub message: String,
}
