//! Durable state: the journal and what is sealed from it, bodies, keys at rest, and SQL rows.
//!
//! The only crate with SQL, and the only one that writes below the data directory's
//! `ledger/` and `bodies/`. It decides nothing: it keeps, and says when it cannot.

mod bodies;
mod journal;
mod lock;
mod seal;
mod sealing;
mod sql;

pub use bodies::*;
pub use journal::*;
pub use lock::*;
pub use seal::*;
pub use sealing::*;
pub use sql::*;
