//! `/v1/policies`: the rules in force and why they answer as they do.

use serde::{Deserialize, Serialize};

/// `GET /v1/policies`: the set in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// Digest of the whole set, as on every decision.
    pub version: String,
    /// How many policies it has.
    pub count: u64,
    /// The files it was read from.
    pub files: Vec<PolicyFile>,
    /// When it came into force.
    pub loaded_at: String,
    /// A newer set that was refused; the one above stays in force meanwhile.
    pub refused: Option<RefusedPolicySet>,
}

/// One policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFile {
    /// Its name below the policy directory.
    pub name: String,
}

/// A set that was read and not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPolicySet {
    /// When it was read.
    pub at: String,
    /// What is wrong with it: `file:line:column: severity[code]: message`.
    pub findings: Vec<String>,
}

/// `POST /v1/policies/explain`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainAction {
    /// The action to explain, by its id.
    pub action: String,
}

/// Why an action was decided as it was, and how it would be decided now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The action.
    pub action: String,
    /// `allow` or `deny`, as recorded.
    pub recorded_verdict: String,
    /// The policies that determined it, as recorded.
    pub recorded_policies: Vec<String>,
    /// The set it was decided under.
    pub recorded_version: String,
    /// `allow` or `deny`, under the set in force now.
    pub verdict: String,
    /// The set in force now.
    pub version: String,
    /// The policies of the set in force that were considered.
    pub policies: Vec<ConsideredPolicy>,
    /// The whole explanation for people, several lines.
    pub text: String,
}

/// One policy of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsideredPolicy {
    /// Its id.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: String,
    /// Whether its conditions hold for the action.
    pub applies: bool,
    /// What about the action would have to differ, where it does not apply.
    pub because: Option<String>,
}
