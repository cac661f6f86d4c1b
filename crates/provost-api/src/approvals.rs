//! `/v1/approvals`: held actions, and what people say to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /v1/approvals`: newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalQuery {
    /// Only of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only in this state, such as `waiting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only older ones than this: the last id of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How many at most: 1 to 1,000; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `changes` of the last answer: with `wait`, answers once it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// How long to wait for a change: 0 to 30. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
}

/// Some approvals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalPage {
    /// The approvals, newest first.
    pub items: Vec<Approval>,
    /// Counts the changes of all approvals since the server began: for `seen`.
    pub changes: u64,
}

/// One held action and how it stands, without its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// `waiting`, `approved`, `denied`, `used`, `expired`, `cancelled` or `revoked`.
    pub state: String,
    /// Why, as the agent is told; empty while it waits.
    pub note: String,
    /// Whose action was held.
    pub agent: String,
    /// The agent's project.
    pub project: String,
    /// The session it was held in first.
    pub session: String,
    /// The action that was held first.
    pub action: String,
    /// Where it came in: `tool`, `mcp`, …
    pub plane: String,
    /// What was to be done.
    pub verb: String,
    /// The type of what is acted on.
    pub resource_kind: String,
    /// What is acted on, such as a tool's name: hostile text.
    pub resource_id: String,
    /// The policies that hold it.
    pub gates: Vec<String>,
    /// Who may answer, by group.
    pub groups: Vec<String>,
    /// How far a yes reaches.
    pub extent: ApprovalExtent,
    /// When it was requested.
    pub requested_at: String,
    /// When it, or the yes it became, stops counting.
    pub expires_at: String,
    /// When it stopped counting.
    pub closed_at: Option<String>,
    /// The action that went ahead by it last.
    pub used_by: Option<String>,
}

/// `GET /v1/approvals/{id}`: all that somebody has to know who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalCard {
    /// The approval.
    pub approval: Approval,
    /// What holds it, and what is missing.
    pub gates: Vec<ApprovalGate>,
    /// What people answered, in order.
    pub answers: Vec<ApprovalAnswer>,
    /// Whether the caller may answer, as things are now.
    pub may_answer: bool,
    /// The exact arguments: hostile text. Only for those who may answer, and admins; the look
    /// is recorded. Bytes that are no UTF-8 are escaped, as `\xff`.
    pub arguments: Option<String>,
    /// `shown`; `hidden` from this caller; `gone`, deleted as nobody has to judge them any
    /// more; or `unreadable`: then it can be denied, not approved.
    pub arguments_state: String,
    /// What happens if nobody does anything.
    pub otherwise: String,
}

/// One policy that holds an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalGate {
    /// The policy's id.
    pub policy: String,
    /// Its `@reason`.
    pub reason: Option<String>,
    /// The groups that may answer, those that it was passed on to included.
    pub groups: Vec<String>,
    /// How many people have to say yes.
    pub quorum: u32,
    /// How many did.
    pub agreed: u32,
    /// Whether the policy was changed or taken out since: then a yes would lift nothing.
    pub changed: bool,
}

/// What one person said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAnswer {
    /// Who: `human/ada`, or `local/1000`.
    pub by: String,
    /// When.
    pub at: String,
    /// What.
    pub verdict: ApprovalVerdict,
    /// Why.
    pub comment: String,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalVerdict {
    /// It may go ahead.
    Approve,
    /// It may not.
    Deny,
}

/// How far a yes reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApprovalExtent {
    /// To one action.
    #[default]
    Once,
    /// To the same action with the same arguments, until the session ends.
    Session,
    /// To every action like it whose arguments fit.
    Pattern {
        /// Globs by argument's name, in which `*` is a piece of one word. Every other argument
        /// has to be as it was.
        arguments: BTreeMap<String, String>,
        /// For how long, when it is asked for. Unit: seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lasts_s: Option<u64>,
    },
}

/// `POST /v1/approvals/{id}/answer`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerApproval {
    /// Yes or no.
    pub verdict: ApprovalVerdict,
    /// Why, in one sentence: the agent is told a no's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// How far a yes reaches; once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<ApprovalExtent>,
}

/// `POST /v1/approvals/{id}/revoke`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeApproval {
    /// Why, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// `GET /v1/sessions/{id}/approvals/{approval}`: whether to answer at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalStateQuery {
    /// How long to wait until it waits no longer: 0 to 30. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
}

/// What an agent may know of its own held action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalStanding {
    /// The approval.
    pub id: String,
    /// As [`Approval::state`].
    pub state: String,
    /// Why; empty while it waits.
    pub note: String,
}
