//! Keeps the event index up with the journal.
//!
//! The index is behind the journal by what is being written now, never ahead of it. It can be
//! thrown away at any time: [`Indexer::catch_up`] builds it again.

use std::time::Duration;

use provost_ledger::{Brief, DecodeError};
use provost_types::Causes;
use tokio_util::sync::CancellationToken;

use crate::{Journal, JournalError, Store, StoreError};

/// Most entries indexed in one transaction.
const BATCH_MAX: usize = 4_000;

/// Pause between two rounds, so that a busy ledger is indexed in few batches. Who searches
/// reads what is not indexed yet from the journal.
const GATHER: Duration = Duration::from_millis(500);

/// Pause before the next try when the database cannot be written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Reads the journal, writes the index.
#[derive(Clone, Debug)]
pub struct Indexer {
    journal: Journal,
    store: Store,
}

/// The index could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] JournalError),
    /// The database cannot be written.
    #[error("the event index cannot be written")]
    Store(#[from] StoreError),
    /// The journal has no entry where it should.
    #[error("ledger entry {position} is missing: run `provost audit verify`")]
    Missing {
        /// Which.
        position: u64,
    },
    /// An entry is not an event.
    #[error("ledger entry {position} is not an event: run `provost audit verify`")]
    Entry {
        /// Which.
        position: u64,
        /// Why not.
        #[source]
        source: DecodeError,
    },
}

impl Indexer {
    /// An indexer of `journal` into `store`.
    pub fn new(journal: Journal, store: Store) -> Self {
        Self { journal, store }
    }

    /// Indexes everything that is in the journal now, not what comes meanwhile: under load the
    /// work would never end, and every batch would be a small one. An index that is ahead of
    /// the journal is of another ledger, and is built anew.
    ///
    /// # Errors
    ///
    /// [`IndexError`]; what was indexed stays.
    pub async fn catch_up(&self) -> Result<(), IndexError> {
        let size = self.journal.size();
        let mut indexed = self.store.indexed_up_to().await?;
        if indexed > size {
            tracing::warn!("event index is ahead of the ledger: building it anew");
            self.store.clear_index().await?;
            indexed = 0;
        }
        while indexed < size {
            indexed = self.batch(indexed).await?;
        }
        Ok(())
    }

    /// Follows the journal until `stop`; then indexes what is left.
    pub async fn follow(self, stop: CancellationToken) {
        let mut grown = self.journal.grown();
        loop {
            let pause = if self.caught_up().await { GATHER } else { RETRY_PAUSE };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
            tokio::select! {
                changed = grown.changed() => if changed.is_err() { return },
                () = stop.cancelled() => break,
                // What failed is tried again, though nothing was added.
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        }
        // What cannot be indexed now, the next start catches up with.
        let _indexed = self.caught_up().await;
    }

    async fn caught_up(&self) -> bool {
        let caught_up = self.catch_up().await;
        if let Err(error) = &caught_up {
            tracing::error!(error = %Causes(error), "event index is behind the ledger");
        }
        caught_up.is_ok()
    }

    /// Indexes some entries from position `from` on; where those after them begin.
    async fn batch(&self, from: u64) -> Result<u64, IndexError> {
        let entries = self.journal.read(from, BATCH_MAX).await?;
        let briefs = (from..)
            .zip(&entries)
            .map(|(position, entry)| {
                Brief::read(entry).map_err(|source| IndexError::Entry { position, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if briefs.is_empty() {
            return Err(IndexError::Missing { position: from });
        }
        self.store.index(from, &briefs).await?;
        Ok(from.saturating_add(briefs.len() as u64))
    }
}
