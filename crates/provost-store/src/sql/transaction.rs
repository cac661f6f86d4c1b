//! One transaction, or one read: bounded in time, its errors sorted.

use std::{future::Future, time::Duration};

use sqlx::{
    Any, AnyPool,
    any::{AnyArguments, AnyRow},
    query::Query,
};
use tokio::sync::OwnedMutexGuard;

use super::{Shared, Store, StoreError, columns::Placeholder, connect::Backend};

/// Longest wait for one answer of the database. A frozen server answers nothing, not even an
/// error; what waits for it must go on.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A statement and its arguments.
pub(crate) type Statement<'q> = Query<'q, Any, AnyArguments>;

/// A transaction that may write. Dropped without [`Transaction::commit`], it never was.
pub(crate) struct Transaction {
    /// How to write a long list of values.
    pub(super) placeholder: Placeholder,
    doing: &'static str,
    inner: sqlx::Transaction<'static, Any>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Store {
    /// Begins a transaction that is durable once committed. `doing` completes "could not …".
    pub(crate) async fn begin(&self, doing: &'static str) -> Result<Transaction, StoreError> {
        self.0.begin(doing, &self.0.pool).await
    }

    /// Begins a transaction on the index, which may lose it in a power cut.
    pub(super) async fn begin_index(
        &self,
        doing: &'static str,
    ) -> Result<Transaction, StoreError> {
        self.0.begin(doing, &self.0.index_pool).await
    }

    /// The rows of one statement, outside of any transaction.
    pub(crate) async fn read(
        &self,
        doing: &'static str,
        statement: Statement<'_>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        self.0.backend.check_present(doing)?;
        answer(doing, statement.fetch_all(&self.0.pool)).await
    }
}

impl Shared {
    async fn begin(
        &self,
        doing: &'static str,
        pool: &AnyPool,
    ) -> Result<Transaction, StoreError> {
        self.backend.check_present(doing)?;
        let (begin, turn, placeholder) = match &self.backend {
            // A transaction that reads first and takes SQLite's write lock later can fail
            // for good, so it takes the lock at once.
            Backend::Sqlite(_) => {
                ("BEGIN IMMEDIATE", Some(self.turn.clone()), Placeholder::Bare)
            }
            Backend::Postgres => ("BEGIN", None, Placeholder::Numbered),
        };
        answer(doing, async {
            let _turn = match turn {
                Some(turn) => Some(turn.lock_owned().await),
                None => None,
            };
            let inner = pool.begin_with(begin).await?;
            Ok(Transaction { placeholder, doing, inner, _turn })
        })
        .await
    }
}

impl Transaction {
    /// Runs a statement; gives the number of rows it changed.
    pub(crate) async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let done = answer(self.doing, statement.execute(&mut *self.inner)).await?;
        Ok(done.rows_affected())
    }

    /// Runs a statement; gives its rows.
    pub(crate) async fn rows(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        answer(self.doing, statement.fetch_all(&mut *self.inner)).await
    }

    /// Makes all of it so. After an error it may or may not be: an answer can get lost.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        answer(self.doing, self.inner.commit()).await
    }
}

async fn answer<T>(
    doing: &'static str,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_WAIT_MAX, asked).await {
        Ok(answered) => answered.map_err(StoreError::driver(doing)),
        Err(_) => Err(StoreError::silent(doing, ANSWER_WAIT_MAX)),
    }
}
