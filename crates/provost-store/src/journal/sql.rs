//! The journal as a table: for installations whose only durable disk is a database's.
//!
//! One process writes. Positions are the primary key, so a second writer cannot slip entries
//! in between unnoticed; it makes this journal fail, and stay so.

use std::{path::Path, sync::Arc};

use sqlx::{
    Any, AssertSqlSafe, Row as _,
    any::{AnyArguments, AnyRow},
    query::Query,
};
use tokio::runtime::Handle;

use super::{
    Damage, JournalError, OpenError,
    bundles::Bundles,
    queue::{Medium, Queue},
};
use crate::{Store, StoreError, sql::Transaction};

/// Most rows one `INSERT` writes. A power of two: see [`insert`].
const INSERT_ROWS_MAX: usize = 64;

/// Most rows one read fetches, so at most 16 MiB.
const READ_ROWS_MAX: usize = 256;

/// Entries in the table `ledger_entry`. Cheap to clone: clones share one journal.
///
/// The last clone does not wait for what is queued: call [`Journal::close`](crate::Journal)
/// first.
#[derive(Clone, Debug)]
pub struct SqlJournal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    store: Store,
    bundles: Bundles,
}

impl SqlJournal {
    /// Opens the journal in `store` of the ledger in `ledger`, or begins one. The calling
    /// runtime carries its I/O and must outlive it.
    ///
    /// # Errors
    ///
    /// [`OpenError::Damaged`] if entries that were acknowledged are missing;
    /// [`OpenError::Database`] if the table could not be read.
    pub async fn open(store: Store, ledger: &Path) -> Result<Self, OpenError> {
        let bundles = Bundles::new(ledger);
        let held = held(&store).await.map_err(|error| OpenError::Database(Arc::new(error)))?;
        if let Some(Held { first, last, rows }) = held {
            let size = last.saturating_add(1);
            if size.saturating_sub(first) != rows {
                return Err(Damage::Gap { from: first, to: last }.into());
            }
        }
        let range = held.map(|held| held.first..held.last.saturating_add(1));
        let size = range.as_ref().map(|range| range.end);
        let covered = bundles.must_meet(range)?;
        let size = size.unwrap_or(covered);
        let writer =
            Writer { store: store.clone(), runtime: Handle::current(), size, unsure: None };
        // Nobody joins the thread: it needs the runtime, which a waiting drop would hold up.
        let (queue, _) = Queue::start(writer, size)
            .map_err(|source| OpenError::Io { path: ledger.into(), source })?;
        Ok(Self { shared: Arc::new(Shared { queue, store, bundles }) })
    }

    pub(super) async fn append(&self, entry: Vec<u8>) -> Result<u64, JournalError> {
        self.shared.queue.append(entry).await
    }

    pub(super) async fn read(
        &self,
        from: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, JournalError> {
        let left = self.shared.queue.size().saturating_sub(from);
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX)).min(READ_ROWS_MAX);
        if count == 0 {
            return Ok(Vec::new());
        }
        let rows = select_from(from, count);
        let rows = self.shared.store.read("read the journal", rows).await.map_err(database)?;
        let entries = in_order(from, &rows)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
        let bundles = self.shared.bundles.clone();
        let read = tokio::task::spawn_blocking(move || bundles.read(from, count)).await;
        read.unwrap_or(Err(JournalError::Closed))
    }

    /// Keeps the last entry in any case: the table's greatest position says how many there are.
    pub(super) async fn release(&self, covered: u64) -> Result<(), JournalError> {
        let covered = covered.min(self.shared.queue.size().saturating_sub(1));
        let delete = sqlx::query("DELETE FROM ledger_entry WHERE position < $1");
        let mut transaction = self.shared.store.begin(RELEASE).await.map_err(database)?;
        transaction.run(delete.bind(position(covered))).await.map_err(database)?;
        transaction.commit().await.map_err(database)
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.shared.queue
    }
}

const APPEND: &str = "append to the journal";
const RELEASE: &str = "release sealed entries";

/// Appends rows. Runs on the queue's thread, its I/O on the runtime.
struct Writer {
    store: Store,
    runtime: Handle,
    size: u64,
    /// Entries that were answered with an error, though the database may have taken them.
    unsure: Option<Vec<Vec<u8>>>,
}

impl Writer {
    async fn append(&self, entries: &[Vec<u8>]) -> Result<(), StoreError> {
        let mut transaction = self.store.begin(APPEND).await?;
        insert(&mut transaction, self.size, entries).await?;
        transaction.commit().await
    }

    /// Takes back entries of ours that were not acknowledged, and leaves another's alone.
    async fn take_back(&self, unsure: &[Vec<u8>]) -> Result<(), JournalError> {
        let mut transaction = self.store.begin(APPEND).await.map_err(database)?;
        let limit = unsure.len().saturating_add(1);
        let rows = transaction.rows(select_from(self.size, limit)).await.map_err(database)?;
        let found = in_order(self.size, &rows)?;
        if found.len() != rows.len() || !(found.is_empty() || found == unsure) {
            return Err(JournalError::Damaged(Damage::Contended { index: self.size }));
        }
        let delete = sqlx::query("DELETE FROM ledger_entry WHERE position >= $1");
        transaction.run(delete.bind(position(self.size))).await.map_err(database)?;
        // Deleting nothing needs no room; a row proves that there is some.
        insert(&mut transaction, self.size, &[vec![0]]).await.map_err(database)?;
        let delete = sqlx::query("DELETE FROM ledger_entry WHERE position >= $1");
        transaction.run(delete.bind(position(self.size))).await.map_err(database)?;
        transaction.commit().await.map_err(database)
    }
}

impl Medium for Writer {
    fn write(&mut self, entries: &[Vec<u8>]) -> Result<u64, JournalError> {
        self.recover()?;
        if let Err(error) = self.runtime.block_on(self.append(entries)) {
            self.unsure = Some(entries.to_vec());
            return Err(database(error));
        }
        let first = self.size;
        self.size = self.size.saturating_add(entries.len() as u64);
        Ok(first)
    }

    fn recover(&mut self) -> Result<(), JournalError> {
        if let Some(unsure) = &self.unsure {
            self.runtime.block_on(self.take_back(unsure))?;
            self.unsure = None;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.recover()
    }
}

/// What the table holds.
#[derive(Clone, Copy)]
struct Held {
    first: u64,
    last: u64,
    rows: u64,
}

async fn held(store: &Store) -> Result<Option<Held>, StoreError> {
    let select = sqlx::query("SELECT MIN(position), MAX(position), COUNT(*) FROM ledger_entry");
    let rows = store.read("read the journal", select).await?;
    let unreadable = || StoreError::Unreadable { table: "ledger_entry", column: "position" };
    let row = rows.first().ok_or_else(unreadable)?;
    let number = |column: usize| match row.try_get::<Option<i64>, _>(column) {
        Ok(number) => Ok(number.and_then(|number| u64::try_from(number).ok())),
        Err(_) => Err(unreadable()),
    };
    Ok(match (number(0)?, number(1)?, number(2)?) {
        (Some(first), Some(last), Some(rows)) => Some(Held { first, last, rows }),
        _ => None,
    })
}

/// Inserts `entries` from position `first` on, in statements of a power of two rows each, so
/// that the database prepares seven statements and not one for each length of a batch.
async fn insert(
    transaction: &mut Transaction,
    first: u64,
    entries: &[Vec<u8>],
) -> Result<(), StoreError> {
    let (mut rest, mut next) = (entries, first);
    while let Some(power) = rest.len().checked_ilog2() {
        let (rows, after) = rest.split_at(INSERT_ROWS_MAX.min(1 << power));
        let values: Vec<_> = (1..=rows.len())
            .map(|row| row.saturating_mul(2))
            .map(|even| format!("(${}, ${even})", even.saturating_sub(1)))
            .collect();
        let text =
            format!("INSERT INTO ledger_entry (position, entry) VALUES {}", values.join(", "));
        let mut statement = sqlx::query(AssertSqlSafe(text));
        for entry in rows {
            statement = statement.bind(position(next)).bind(entry.clone());
            next = next.saturating_add(1);
        }
        transaction.run(statement).await?;
        rest = after;
    }
    Ok(())
}

fn select_from(from: u64, count: usize) -> Query<'static, Any, AnyArguments> {
    let select = "SELECT position, entry FROM ledger_entry WHERE position >= $1 \
         ORDER BY position LIMIT $2";
    sqlx::query(select).bind(position(from)).bind(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The entries of rows that begin at `from` and go on without a gap.
fn in_order(from: u64, rows: &[AnyRow]) -> Result<Vec<Vec<u8>>, JournalError> {
    let unreadable =
        |column| database(StoreError::Unreadable { table: "ledger_entry", column });
    let mut entries = Vec::with_capacity(rows.len());
    for (row, expected) in rows.iter().zip(from..) {
        let found: i64 = row.try_get(0).map_err(|_| unreadable("position"))?;
        if found != position(expected) {
            break;
        }
        entries.push(row.try_get(1).map_err(|_| unreadable("entry"))?);
    }
    Ok(entries)
}

/// A position as the column holds it.
fn position(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

fn database(error: StoreError) -> JournalError {
    JournalError::Database(Arc::new(error))
}
