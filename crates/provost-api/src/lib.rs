//! Wire types of the control API, shared by the server, the CLI and the console.
//!
//! Plain JSON: snake_case, ids and names as strings, times as RFC 3339 strings, durations in
//! whole seconds. No behaviour: what a value means is checked where it is used, and domain
//! types convert in the crate that serves them. Requests refuse fields they do not know, so
//! that a misspelt one is never silently ignored; answers may gain fields.

mod approvals;
mod error;
mod events;
mod identities;
mod mcp;
mod policies;
mod run_state;
mod secrets;
mod sensitive;
mod sessions;

pub use approvals::{
    AnswerApproval, Approval, ApprovalAnswer, ApprovalCard, ApprovalExtent, ApprovalGate,
    ApprovalPage, ApprovalQuery, ApprovalStanding, ApprovalStateQuery, ApprovalVerdict,
    RevokeApproval,
};
pub use error::ErrorBody;
pub use events::{
    ActionEvents, Bodies, Checkpoint, EVENT_KINDS, Event, EventPage, EventQuery, Proof,
};
pub use identities::{
    Agent, Human, IssuedKey, IssuedToken, Key, Me, NewAgent, NewHuman, NewKey, NewProject,
    Project, RotateKey,
};
pub use mcp::{
    AcceptMcpTool, BeginMcpLogin, FinishMcpLogin, McpLogin, McpLoginBegun, McpTool,
    McpToolDefinitions, McpToolQuery,
};
pub use policies::{
    ExplainAction, Explanation, PolicyDecision, PolicyFile, PolicyPart, PolicySet, PolicyTrace,
    RefusedPolicySet,
};
pub use run_state::{RunStateEntry, SetRunState};
pub use secrets::{PutSecret, Secret};
pub use sensitive::Sensitive;
pub use sessions::{
    EndSession, NewSession, OpenedSession, Session, SessionQuery, SessionWatch,
};

/// A whole list. Lists here are small enough to be sent at once; events have their own pages.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct List<T> {
    /// The items, in the order the route documents.
    pub items: Vec<T>,
}
