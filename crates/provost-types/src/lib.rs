//! The vocabulary: ids, names, `Action`, `Decision`, `Outcome`, run state, tokens, time.
//!
//! Plain values every other crate speaks in. Nothing here does I/O or knows a protocol, and
//! no type is `Serialize`: each edge (API, store, ledger) owns its own form and converts.

mod action;
mod causes;
mod clock;
mod decision;
mod digest;
mod id;
mod name;
mod outcome;
mod rfc3339;
mod role;
mod run_state;

pub use action::{Action, Correlation, Plane, Resource, Value};
pub use causes::Causes;
pub use clock::{Clock, ManualClock, Monotonic, SystemClock, Timestamp};
pub use decision::{Decision, PolicyId, PolicyVersion, Verdict};
pub use digest::{Digest, DigestError};
pub use id::{ActionId, ApprovalId, BootId, CredentialId, HumanId, IdError, SessionId};
pub use name::{AgentName, NameError, ProjectName};
pub use outcome::{Outcome, Status, ToolUse, Usage};
pub use rfc3339::TimeError;
pub use role::{Role, RoleError};
pub use run_state::{RunState, Scope, ScopeError};
