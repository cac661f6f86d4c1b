//! The one path every action takes, and who may take it.
//!
//! ```text
//! authenticate ─► session ─► run state ─► classify ─► decide ─► record intent ─┐
//!                                        (gateway)    (pure)      (durable)    │
//!                      record outcome ◄─ execute, with a `Permit` ◄────────────┘
//!                        (durable)          (gateway)
//! ```
//!
//! [`Pipeline::run`] is that line, in that order, and is the only place it is written
//! down. A gateway cannot skip a step: reaching an upstream takes a [`Permit`], and only
//! `run` makes one, after the intent is on disk.
//!
//! ```compile_fail,E0451
//! let forged = provost_pipeline::Permit { action: todo!(), ..todo!() };
//! ```

mod access_token;
mod approvals;
mod by;
pub mod credential;
mod directory;
mod flood;
mod gateway;
mod permit;
mod pipeline;
mod policy;
mod reading;
mod record;
mod refusal;
mod reply;
mod run_tree;
mod start;
mod tool_calls;
mod tool_pins;
pub mod trace;

pub use access_token::{
    AccessTokens, AgentClaim, KeySource, KeysAnswer, KeysUnavailable, SignedWith, Trust,
};
pub use approvals::{
    Answer, AnswerError, Answerer, ApprovalTimes, Approvals, Extent, PatternError,
};
pub use by::By;
pub use directory::{
    Directory, DirectoryError, IssuedToken, OpenedSession, Terms, Unauthenticated,
};
pub use gateway::{Gateway, Malformed, MalformedKind, Presented};
pub use permit::{Caller, Permit, ResultSink, SessionLife, Stop};
pub use pipeline::Pipeline;
pub use policy::{
    Loaded, PolicyDirectory, PolicyDirectoryError, RefusedSet, read_policy_files,
};
pub use reading::{ActionBodies, ReadBodiesError};
pub use record::LedgerDown;
pub use refusal::{Refusal, RefusalCode};
pub use reply::{ClientGone, Reply};
pub use start::{Limits, Parts, Purpose, StartError};
pub use tool_calls::AdmittedCall;
pub use tool_pins::{Pin, PinnedTool};
