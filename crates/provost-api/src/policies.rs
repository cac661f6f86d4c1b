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

/// How an action was decided, how it would be decided now, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The action.
    pub action: String,
    /// What was asked, and by whom.
    pub question: String,
    /// The decision in the ledger.
    pub recorded: PolicyDecision,
    /// The decision under the set in force now.
    pub now: PolicyDecision,
    /// The policies that determine the decision now, part by part.
    pub determining: Vec<PolicyTrace>,
    /// What would change the decision now, one sentence each.
    pub changes: Vec<String>,
    /// Where it is denied now: the permits that came nearest to allowing it, nearest first.
    pub nearest: Vec<PolicyTrace>,
    /// The same for people, several lines.
    pub text: String,
}

/// A decision and what determined it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDecision {
    /// `allow` or `deny`.
    pub verdict: String,
    /// One sentence: which rule, or what is missing.
    pub reason: String,
    /// The ids of the policies that determined it.
    pub policies: Vec<String>,
    /// Digest of the set it was made under.
    pub version: String,
}

/// One policy against one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTrace {
    /// Its id.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: String,
    /// The file it is in.
    pub file: String,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Whether all its parts hold.
    pub applies: bool,
    /// Its scopes and conditions, in the order of its text.
    pub parts: Vec<PolicyPart>,
}

/// One scope or condition of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyPart {
    /// It, as Cedar text.
    pub text: String,
    /// Whether it holds: `yes`, `NO`, `ERROR` or `-`.
    pub truth: String,
}
