//! The journal: entries in the order they became durable, and the only place they are made so.
//!
//! An entry is acknowledged once it would survive power loss, never before; callers that wait
//! at the same time share one commit. What cannot be made durable is rolled back, so nothing
//! half written is ever counted. The journal neither reads nor judges the entries.

mod bundles;
mod error;
mod file;
mod queue;
mod sql;

use tokio::sync::watch;

pub(crate) use bundles::full_bundles;
pub use error::{Damage, JournalError, OpenError};
pub use file::{FileJournal, FileLimits, TornTail};
pub use sql::SqlJournal;

/// Most bytes of entries one read returns, unless its first entry alone is longer.
const READ_BYTES_MAX: usize = 4 << 20;

/// A journal of either kind. Cheap to clone: clones share one journal.
#[derive(Clone, Debug)]
pub enum Journal {
    /// Segment files, the default: one process, one disk.
    File(FileJournal),
    /// Rows of a database.
    Sql(SqlJournal),
}

impl Journal {
    /// Appends one entry of 1 to [`ENTRY_LEN_MAX`] bytes and returns its index once it is
    /// durable.
    ///
    /// Entries get their indices in the order they are queued. A caller that stops waiting
    /// does not take its entry back. There is no deadline but the disk's own.
    ///
    /// # Errors
    ///
    /// Any [`JournalError`]: the entry has no index and will not be found later, unless the
    /// disk does not take it back either and the process is killed before it does. The next
    /// call tries again, so a disk that can be written again needs no restart.
    ///
    /// [`ENTRY_LEN_MAX`]: provost_ledger::ENTRY_LEN_MAX
    pub async fn append(&self, entry: Vec<u8>) -> Result<u64, JournalError> {
        match self {
            Self::File(journal) => journal.append(entry).await,
            Self::Sql(journal) => journal.append(entry).await,
        }
    }

    /// Reads up to `count` durable entries, the first of them `from`.
    ///
    /// Gives fewer where the journal ends or where it has read a few megabytes; none only
    /// where `from` is [`Journal::size`] or more, or `count` is zero.
    ///
    /// # Errors
    ///
    /// [`JournalError::Read`] if the disk cannot, [`JournalError::Damaged`] if what it gives
    /// is not what was written.
    pub async fn read(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        match self {
            Self::File(journal) => journal.read(from, count).await,
            Self::Sql(journal) => journal.read(from, count).await,
        }
    }

    /// How many entries are durable: the index the next one gets.
    pub fn size(&self) -> u64 {
        self.queue().size()
    }

    /// Follows [`Journal::size`].
    pub fn grown(&self) -> watch::Receiver<u64> {
        self.queue().grown()
    }

    /// Whether the last attempt to write succeeded. Costs nothing, changes nothing.
    ///
    /// # Errors
    ///
    /// What went wrong, until an append or [`Journal::probe`] succeeds.
    pub fn health(&self) -> Result<(), JournalError> {
        self.queue().health()
    }

    /// Has a journal that failed try to write again, so that one that nobody appends to
    /// recovers as well. Does nothing to a healthy one.
    ///
    /// # Errors
    ///
    /// What is still wrong.
    pub async fn probe(&self) -> Result<(), JournalError> {
        self.queue().probe().await
    }

    /// Makes what is queued durable, gives back the space set aside, and takes no more.
    ///
    /// # Errors
    ///
    /// What went wrong; nothing acknowledged is lost by it.
    pub async fn close(&self) -> Result<(), JournalError> {
        self.queue().close().await
    }

    /// Forgets entries before `covered`, which the ledger's full entry bundles hold, as far
    /// as that frees whole units; reads of them go to the bundles from then on.
    pub(crate) async fn release(&self, covered: u64) -> Result<(), JournalError> {
        match self {
            Self::File(journal) => journal.release(covered).await,
            Self::Sql(journal) => journal.release(covered).await,
        }
    }

    fn queue(&self) -> &queue::Queue {
        match self {
            Self::File(journal) => journal.queue(),
            Self::Sql(journal) => journal.queue(),
        }
    }
}
