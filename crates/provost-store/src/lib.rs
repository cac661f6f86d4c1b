//! Durable state: the journal and what is sealed from it, bodies, keys at rest, and SQL rows.
//!
//! The only crate with SQL, and the only one that writes below the data directory's
//! `ledger/` and `bodies/`. It decides nothing: it keeps, and says when it cannot.

mod bodies;
mod indexer;
mod journal;
mod lock;
mod seal;
mod sealing;
mod sql;

pub use bodies::{Bodies, BodyError, BodyPart, BodyWriter, Kept};
pub use indexer::{IndexError, Indexer};
pub use journal::{
    Damage, FileJournal, FileLimits, Journal, JournalError, OpenError, SqlJournal, TornTail,
};
pub use lock::{DataLock, LockError};
pub use seal::{SealError, Sealer, SignedHead};
pub use sealing::{
    BodyIdentity, BodyRecipient, MasterKey, MasterKeyError, ProjectKeys, UnsealError,
};
pub use sql::*;
