//! SQL rows: who exists, what is live, and an index of the ledger's events.
//!
//! One dialect for both databases: the SQL here runs unchanged on SQLite and PostgreSQL.
//! Rows about events are an index: the ledger is the record, and the index can be rebuilt
//! from it. Nothing here decides or caches; each public method is one transaction.

mod agents;
mod approvals;
mod blocks;
mod check;
mod columns;
mod connect;
mod credentials;
mod error;
mod event_filter;
mod filter;
mod humans;
mod index;
mod migrate;
mod row;
mod rows;
mod sessions;
mod tools;
mod transaction;

use std::{fmt, sync::Arc};

use sqlx::AnyPool;
use tokio::sync::Mutex;

pub use approvals::{
    AnswerRow, ApprovalFilter, ApprovalRow, ApprovalState, ApprovalStateError, GateRow, Reach,
};
pub use check::IndexFault;
pub use connect::sqlite_url;
pub use error::{ConnectError, StoreError, Unavailable};
pub use event_filter::EventFilter;
pub use index::{CheckpointRow, Order};
pub use rows::{
    AgentRow, BodyMode, BodyModeError, CredentialRow, Holder, HumanRow, ProjectRow,
    RunStateRow, SessionRow,
};
pub use sessions::{Ending, SessionFilter};
pub use tools::{TOOL_DEFINITION_BYTES_MAX, ToolDefinition, ToolRow, WaitingDefinition};
pub(crate) use transaction::Transaction;

use connect::Backend;

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    backend: Backend,
    /// For rows that must survive a power cut once written.
    pool: AnyPool,
    /// For the event index, which is rebuilt where a power cut took its end.
    index_pool: AnyPool,
    /// Whose turn it is to write, where the database has one writer: first come, first
    /// served, which SQLite's own waiting is not.
    turn: Arc<Mutex<()>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.backend).finish()
    }
}

impl Store {
    /// Opens `sqlite:///path` (created if missing, mode 0600) or `postgres://…`, and brings
    /// its schema up to date.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: not such a URL, not reachable, or written by a newer version.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        let (backend, pool, index_pool) = connect::connect(url).await?;
        Ok(Self(Arc::new(Shared { backend, pool, index_pool, turn: Arc::default() })))
    }

    /// Asks the database for a sign of life: a write that changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]
    pub async fn health(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin("write").await?;
        let nothing = "UPDATE schema_version SET version = version WHERE version < 0";
        transaction.run(sqlx::query(nothing)).await?;
        transaction.commit().await
    }

    /// Ends every connection; for SQLite, folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.0.index_pool.close().await;
        self.0.pool.close().await;
    }
}
