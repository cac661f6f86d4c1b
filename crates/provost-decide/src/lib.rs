//! Facts and an action in, a decision out. Cedar lives here and nowhere else.
//!
//! [`Policies`] is one compiled policy directory: immutable, shared, cheap to ask. Everything
//! is a pure function of the policy texts and the query: no I/O, no clock, and no error on the
//! deciding path, because what cannot be decided is denied with a reason.

mod approvers;
mod cache;
mod decide;
mod explain;
mod finding;
mod gallery;
mod gate;
mod index;
mod lint;
mod load;
mod memory;
mod obligation;
mod period;
mod policies;
mod query;
mod report;
mod rule;
mod schema;
mod sentence;
mod source;
mod starter;
mod trace;

pub use approvers::{Approvers, Group, Quiet, Who};
pub use explain::Explanation;
pub use finding::{Finding, Severity};
pub use gate::{Gate, Lifted};
pub use policies::Policies;
pub use query::Query;
pub use rule::{Effect, Listed};
pub use source::SourceFile;
pub use starter::{project_policy, starter_policies};
pub use trace::{Part, Trace, Truth};
