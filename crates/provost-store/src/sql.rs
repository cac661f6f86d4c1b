//! SQL rows: who exists, what is live, and an index of the ledger's events.
//!
//! One dialect for both databases: the SQL here runs unchanged on SQLite and PostgreSQL.
//! Rows about events are an index: the ledger is the record, and the index can be rebuilt
//! from it. Nothing here decides or caches; each public method is one transaction.

mod error;
mod index;
mod rows;
mod people;
mod sessions;

pub use error::*;
pub use index::*;
pub use rows::*;
pub use sessions::*;

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens `sqlite:///path` (created if missing, mode 0600) or `postgres://…`, and brings
    /// its schema up to date.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: not such a URL, not reachable, or written by a newer version.
    pub async fn connect(_url: &str) -> Result<Self, ConnectError> {
        todo!()
    }

    /// Asks the database for a sign of life: reads through it, and for SQLite checks that
    /// its file is still there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]
    pub async fn health(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Ends every connection; for SQLite, folds the write-ahead log into the file.
    pub async fn close(&self) {
        todo!()
    }
}
