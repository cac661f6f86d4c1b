//! Comparing what SQL says about the ledger with the ledger.

use std::collections::BTreeSet;

use provost_ledger::{Checkpoint, Event, LedgerVerifier};
use sqlx::any::AnyRow;

use super::{
    Store, StoreError,
    blocks::{BLOCK_LEN, Mention, mention, mentions},
    columns::{self, Columns, read_all},
    row::{EventRow, TEXT_COLUMNS},
};

/// Most faults of one kind that one call reports.
const FAULTS_MAX: i64 = 1000;

/// Positions searched at once for intents that are not listed: a search through millions
/// would outlast the wait for an answer.
const STRETCH_LEN: usize = 65_536;

/// A row that does not say what the ledger says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexFault {
    /// A row differs from its entry.
    #[error("table `event`: the row of record {position} is wrong in column `{column}`")]
    Wrong {
        /// The record's position.
        position: u64,
        /// The first column that differs.
        column: &'static str,
    },
    /// A row holds what no reader understands.
    #[error("table `event`: the row of record {position} is not readable")]
    Unreadable {
        /// The record's position.
        position: u64,
    },
    /// An entry has no row.
    #[error("table `event`: the row of record {position} is missing")]
    Missing {
        /// The record's position.
        position: u64,
    },
    /// A row has no entry.
    #[error("table `event`: the row of record {position} is surplus: there is no such record")]
    Surplus {
        /// The position it claims.
        position: i64,
    },
    /// A block has events that its list does not tell of.
    #[error("table `event_block`: the row of `{word}` for records from {first} is missing")]
    BlockNotListed {
        /// The feature of the events: `agent/NAME`, `project/NAME`, `session/ID`, `kind/KIND`.
        word: String,
        /// Position of the block's first record.
        first: i64,
    },
    /// A block is listed that has no such event.
    #[error("table `event_block`: the row of `{word}` for records from {first} is surplus")]
    BlockListed {
        /// The feature no event has.
        word: String,
        /// Position of the block's first record.
        first: i64,
    },
    /// An intent without outcome is not listed as open.
    #[error("table `open_intent`: the row of the intent at record {position} is missing")]
    IntentNotListed {
        /// The intent's position.
        position: u64,
    },
    /// What is listed as an open intent is none.
    #[error("table `open_intent`: the row of `{action}` is surplus or wrong")]
    IntentListed {
        /// The action it names.
        action: String,
    },
    /// The checkpoint kept is not signed by the ledger's key, or not about the size it
    /// stands for.
    #[error("table `checkpoint`: the note of the row is not a checkpoint of {size} records")]
    CheckpointNote {
        /// The size the row stands for.
        size: u64,
    },
    /// The checkpoint kept covers more than the ledger's own: the ledger was cut back.
    #[error(
        "table `checkpoint`: {kept} records were signed, the ledger's checkpoint has {sealed}"
    )]
    CheckpointAhead {
        /// Records the kept checkpoint covers.
        kept: u64,
        /// Records the ledger's checkpoint covers.
        sealed: u64,
    },
    /// Two checkpoints of one size differ: there are two histories.
    #[error("table `checkpoint`: another root was signed for {size} records")]
    CheckpointForked {
        /// Records both cover.
        size: u64,
    },
}

impl From<&Mention> for IndexFault {
    fn from(surplus: &Mention) -> Self {
        Self::BlockListed { word: surplus.word.clone(), first: surplus.first() }
    }
}

impl Store {
    /// Compares the rows of the entries from position `from` on with the entries.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn check_index(
        &self,
        from: u64,
        entries: &[Event],
    ) -> Result<Vec<IndexFault>, StoreError> {
        let expected: Vec<EventRow> = (from..)
            .zip(entries)
            .map(|(position, event)| EventRow::new(position, event))
            .collect();
        let mut faults = Vec::new();
        let mut ranges = vec![expected.as_slice()];
        while let Some(range) = ranges.pop() {
            let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
            match self.event_rows(first.position, last.position).await {
                Ok(rows) => compare(range, &rows, &mut faults),
                Err(error) if error.is_unavailable() => return Err(error),
                // One row that is not even text spoils the answer: halve until it is found.
                Err(_) if range.len() > 1 => {
                    let (left, right) = range.split_at(range.len() / 2);
                    ranges.extend([right, left]);
                }
                Err(_) => faults.push(IndexFault::Unreadable { position: unsigned(first) }),
            }
        }
        faults.extend(self.check_blocks(&expected).await?);
        Ok(faults)
    }

    /// Compares the lists of blocks. A block that goes on beyond `rows` may be listed for
    /// words that only its other events bear.
    async fn check_blocks(&self, rows: &[EventRow]) -> Result<Vec<IndexFault>, StoreError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(Vec::new());
        };
        let block = |row: &EventRow| row.position.div_euclid(BLOCK_LEN);
        let listed = self.mentioned(block(first), block(last)).await?;
        let expected: BTreeSet<Mention> = mentions(rows).into_iter().collect();
        let missing = expected.difference(&listed);
        let missing = missing.map(|mention| IndexFault::BlockNotListed {
            word: mention.word.clone(),
            first: mention.first(),
        });
        let mut faults: Vec<_> = missing.collect();
        for surplus in listed.difference(&expected) {
            let whole = first.position <= surplus.first() && last.position >= surplus.last();
            if whole || !self.is_mentioned(surplus).await? {
                faults.push(surplus.into());
            }
        }
        Ok(faults)
    }

    /// Looks for rows without an entry, in a ledger of `size` entries, and compares the
    /// list of open intents with the events. Call it once every entry's row is checked.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn check_index_end(&self, size: u64) -> Result<Vec<IndexFault>, StoreError> {
        let surplus = sqlx::query(
            "SELECT position FROM event WHERE position < 0 OR position >= $1 \
             ORDER BY position LIMIT $2",
        );
        let surplus = surplus.bind(columns::count(size)).bind(FAULTS_MAX);
        let rows = self.read("check the event index", surplus).await?;
        let mut faults = read_all("event", &rows, |row| {
            Ok(IndexFault::Surplus { position: row.value("position")? })
        })?;
        let beyond = sqlx::query(
            "SELECT word, block FROM event_block WHERE block < 0 OR block > $1 \
             ORDER BY block, word LIMIT $2",
        );
        let last = columns::count(size).saturating_sub(1).div_euclid(BLOCK_LEN);
        let rows =
            self.read("check the event index", beyond.bind(last).bind(FAULTS_MAX)).await?;
        faults.extend(read_all("event_block", &rows, mention)?.iter().map(IndexFault::from));
        for from in (0..size).step_by(STRETCH_LEN) {
            let until = from.saturating_add(STRETCH_LEN as u64);
            let not_listed = sqlx::query(NOT_LISTED).bind(columns::count(from));
            let not_listed = not_listed.bind(columns::count(until)).bind(FAULTS_MAX);
            let rows = self.read("check open intents", not_listed).await?;
            faults.extend(read_all("event", &rows, |row| {
                Ok(IndexFault::IntentNotListed { position: row.count("position")? })
            })?);
        }
        let rows =
            self.read("check open intents", sqlx::query(LISTED).bind(FAULTS_MAX)).await?;
        faults.extend(read_all("open_intent", &rows, |row| {
            Ok(IndexFault::IntentListed { action: row.text("action")?.to_owned() })
        })?);
        Ok(faults)
    }

    /// Compares the checkpoint kept with the ledger's own, `sealed`. One kept that is older
    /// is no fault here: [`provost_ledger::verify`] says whether the ledger still extends it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn check_checkpoint(
        &self,
        sealed: &Checkpoint,
        verifier: &LedgerVerifier,
    ) -> Result<Option<IndexFault>, StoreError> {
        let Some(row) = self.last_checkpoint().await? else { return Ok(None) };
        let fault = match Checkpoint::open(&row.note, verifier) {
            Ok(kept) if kept.size != row.size => {
                Some(IndexFault::CheckpointNote { size: row.size })
            }
            Ok(kept) if kept.size > sealed.size => {
                Some(IndexFault::CheckpointAhead { kept: kept.size, sealed: sealed.size })
            }
            Ok(kept) if kept.size == sealed.size && kept.root != sealed.root => {
                Some(IndexFault::CheckpointForked { size: kept.size })
            }
            Ok(_) => None,
            Err(_) => Some(IndexFault::CheckpointNote { size: row.size }),
        };
        Ok(fault)
    }

    async fn event_rows(&self, first: i64, last: i64) -> Result<Vec<EventRow>, StoreError> {
        let select = sqlx::query(
            "SELECT * FROM event WHERE position >= $1 AND position <= $2 ORDER BY position",
        );
        let rows = self.read("check the event index", select.bind(first).bind(last)).await?;
        rows.iter().map(event_row).collect()
    }
}

const NOT_LISTED: &str = "SELECT position FROM event WHERE kind = 'intent' \
     AND position >= $1 AND position < $2 \
     AND NOT EXISTS (SELECT 1 FROM event AS outcome \
     WHERE outcome.action = event.action AND outcome.kind = 'outcome') \
     AND NOT EXISTS (SELECT 1 FROM open_intent \
     WHERE open_intent.action = event.action AND open_intent.position = event.position) \
     ORDER BY position LIMIT $3";

const LISTED: &str = "SELECT action FROM open_intent WHERE NOT EXISTS (SELECT 1 FROM event \
     WHERE event.action = open_intent.action AND event.position = open_intent.position \
     AND event.kind = 'intent') OR EXISTS (SELECT 1 FROM event \
     WHERE event.action = open_intent.action AND event.kind = 'outcome') \
     ORDER BY action LIMIT $1";

fn event_row(row: &AnyRow) -> Result<EventRow, StoreError> {
    let row = Columns { table: "event", row };
    let mut texts = [const { None }; TEXT_COLUMNS.len()];
    for (text, column) in texts.iter_mut().zip(TEXT_COLUMNS) {
        *text = row.value(column)?;
    }
    Ok(EventRow { position: row.value("position")?, at: row.value("at")?, texts })
}

fn compare(expected: &[EventRow], found: &[EventRow], faults: &mut Vec<IndexFault>) {
    let mut found = found.iter().peekable();
    for expected in expected {
        let position = unsigned(expected);
        match found.next_if(|row| row.position == expected.position) {
            None => faults.push(IndexFault::Missing { position }),
            Some(row) => faults.extend(
                difference(expected, row).map(|column| IndexFault::Wrong { position, column }),
            ),
        }
    }
}

fn difference(expected: &EventRow, found: &EventRow) -> Option<&'static str> {
    if expected.at != found.at {
        return Some("at");
    }
    let texts = expected.texts.iter().zip(&found.texts).zip(TEXT_COLUMNS);
    texts
        .into_iter()
        .find_map(|((expected, found), column)| (expected != found).then_some(column))
}

fn unsigned(row: &EventRow) -> u64 {
    row.position.unsigned_abs()
}
