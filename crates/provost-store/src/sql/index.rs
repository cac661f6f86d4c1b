//! The event index: finds ledger entries by action, agent, project, session and kind.

use std::collections::BTreeMap;

use provost_ledger::Brief;
use provost_types::ActionId;
use sqlx::{AssertSqlSafe, Row, any::AnyRow};

use super::{
    Store, StoreError, Transaction,
    columns::{self, Columns, read_all},
    connect::Backend,
    row::EventRow,
};

/// Most rows one `INSERT` writes. With 11 columns well below SQLite's limit of 32,766
/// arguments and PostgreSQL's of 65,535. A power of two: see [`batches`].
const ROWS_MAX: usize = 256;

/// Which end of a list comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ascending positions.
    OldestFirst,
    /// Descending positions.
    NewestFirst,
}

/// What the ledger's head was when it was last signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Number of entries it covers.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

impl Store {
    /// Indexes the entries from position `from` on, by what was read of each. Those that are
    /// indexed already are skipped, so a batch can be offered again.
    ///
    /// A batch costs a transaction, so offer hundreds at a time under load. A power cut may
    /// take the last batches; ask [`Store::indexed_up_to`] at start.
    ///
    /// # Errors
    ///
    /// [`StoreError::Gap`] if there are entries before `from` that are not indexed; nothing of
    /// the batch is indexed then.
    pub async fn index(&self, from: u64, briefs: &[Brief<'_>]) -> Result<(), StoreError> {
        if briefs.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin_index("index events").await?;
        let indexed = indexed(&transaction.rows(sqlx::query(INDEXED)).await?)?;
        if from > indexed {
            return Err(StoreError::Gap { indexed, offered: from });
        }
        let known = usize::try_from(indexed.saturating_sub(from)).unwrap_or(usize::MAX);
        let Some(new) = briefs.get(known..).filter(|new| !new.is_empty()) else {
            return Ok(());
        };
        let rows: Vec<_> = (indexed..)
            .zip(new)
            .map(|(position, brief)| EventRow::of_brief(position, brief))
            .collect();
        transaction.add_mentions(&rows).await?;
        transaction.add_rows(&rows).await?;
        transaction.note_open_intents(&rows).await?;
        transaction.commit().await
    }

    /// Number of ledger entries indexed: the position of the next one to index.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn indexed_up_to(&self) -> Result<u64, StoreError> {
        indexed(&self.read("read the event index", sqlx::query(INDEXED)).await?)
    }

    /// Positions of the entries of one action, ascending.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn find_by_action(&self, action: ActionId) -> Result<Vec<u64>, StoreError> {
        let select =
            sqlx::query("SELECT position FROM event WHERE action = $1 ORDER BY position");
        let rows = self.read("find an action", select.bind(action.to_string())).await?;
        read_all("event", &rows, |row| row.count("position"))
    }

    /// Intents that have no outcome among the events indexed, by position.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn open_intents(&self) -> Result<Vec<(u64, ActionId)>, StoreError> {
        let select = sqlx::query("SELECT position, action FROM open_intent ORDER BY position");
        let rows = self.read("list open intents", select).await?;
        read_all("open_intent", &rows, |row| {
            Ok((row.count("position")?, row.parsed("action")?))
        })
    }

    /// Forgets the index, so that it can be rebuilt from the ledger.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn clear_index(&self) -> Result<(), StoreError> {
        // PostgreSQL deletes row by row what it could let go of at once.
        let clear = match &self.0.backend {
            Backend::Sqlite(_) => {
                ["DELETE FROM open_intent", "DELETE FROM event_block", "DELETE FROM event"]
            }
            Backend::Postgres => {
                ["TRUNCATE open_intent", "TRUNCATE event_block", "TRUNCATE event"]
            }
        };
        let mut transaction = self.begin("clear the event index").await?;
        for clear in clear {
            transaction.run(sqlx::query(clear)).await?;
        }
        transaction.commit().await
    }

    /// Keeps the newest signed checkpoint: one that covers less than the one kept changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn put_checkpoint(&self, size: u64, note: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin("keep a checkpoint").await?;
        let upsert = sqlx::query(
            "INSERT INTO checkpoint (id, size, note) VALUES (1, $1, $2) \
             ON CONFLICT (id) DO UPDATE SET size = excluded.size, note = excluded.note \
             WHERE checkpoint.size <= excluded.size",
        );
        transaction.run(upsert.bind(columns::count(size)).bind(note)).await?;
        transaction.commit().await
    }

    /// The newest signed checkpoint kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError> {
        let select = sqlx::query("SELECT size, note FROM checkpoint");
        let rows = self.read("read the last checkpoint", select).await?;
        let read = |row: Columns<'_>| {
            Ok(CheckpointRow { size: row.count("size")?, note: row.text("note")?.to_owned() })
        };
        Ok(read_all("checkpoint", &rows, read)?.pop())
    }
}

const INDEXED: &str = "SELECT MAX(position) FROM event";

fn indexed(rows: &[AnyRow]) -> Result<u64, StoreError> {
    let unreadable = StoreError::Unreadable { table: "event", column: "position" };
    let last: Option<i64> = match rows.first().map(|row| row.try_get(0)) {
        Some(Ok(last)) => last,
        Some(Err(_)) | None => return Err(unreadable),
    };
    let next = last.map_or(0, |last| last.saturating_add(1));
    u64::try_from(next).map_err(|_| unreadable)
}

impl Transaction {
    async fn add_rows(&mut self, rows: &[EventRow]) -> Result<(), StoreError> {
        for rows in batches(rows) {
            let mut insert = sqlx::query(AssertSqlSafe(format!(
                "INSERT INTO event (position, at, kind, action, agent, project, session, \
                 plane, verb, resource, result) VALUES {}",
                self.placeholder.list(rows.len(), 11)
            )));
            for row in rows {
                insert = insert.bind(row.position).bind(row.at);
                for text in &row.texts {
                    insert = insert.bind(text.as_deref());
                }
            }
            self.run(insert).await?;
        }
        Ok(())
    }

    /// Adds intents that end open in this batch, removes those whose outcome is in it.
    async fn note_open_intents(&mut self, rows: &[EventRow]) -> Result<(), StoreError> {
        let mut open = BTreeMap::new();
        let mut closed = Vec::new();
        for row in rows {
            let [Some(kind), Some(action), ..] = &row.texts else { continue };
            if kind == "intent" {
                open.entry(action.as_str()).or_insert(row.position);
            }
            if kind == "outcome" && open.remove(action.as_str()).is_none() {
                closed.push(action.as_str());
            }
        }
        let open: Vec<_> = open.into_iter().collect();
        for open in batches(&open) {
            let mut insert = sqlx::query(AssertSqlSafe(format!(
                "INSERT INTO open_intent (action, position) VALUES {} ON CONFLICT DO NOTHING",
                self.placeholder.list(open.len(), 2)
            )));
            for (action, position) in open {
                insert = insert.bind(*action).bind(*position);
            }
            self.run(insert).await?;
        }
        for closed in batches(&closed) {
            let mut delete = sqlx::query(AssertSqlSafe(format!(
                "DELETE FROM open_intent WHERE action IN {}",
                self.placeholder.list(1, closed.len())
            )));
            for action in closed {
                delete = delete.bind(*action);
            }
            self.run(delete).await?;
        }
        Ok(())
    }
}

/// Splits rows into batches of [`ROWS_MAX`] and then smaller powers of two: few different
/// statements, so that each is found prepared.
pub(super) fn batches<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let size = rest.len().checked_ilog2().map(|bits| (1 << bits).min(ROWS_MAX))?;
        let (batch, after) = rest.split_at_checked(size)?;
        rest = after;
        Some(batch)
    })
}
