//! The embedded journal: segment files below `ledger/journal`, one writer, group commit.
//!
//! Each commit is one write and one `fdatasync` into zeros laid down ahead. Why a file and
//! not a table, with measurements: `docs/adr/0003-journal-is-a-segment-file.md`.

mod disk;
mod segments;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{disk::Disk, segments::Segments, writer::Writer};
use super::{
    JournalError, OpenError,
    queue::{Committer, Queue},
};

/// Sizes of the files a [`FileJournal`] makes. Unit: bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// A segment that has reached this is followed by another one.
    pub segment_bytes: u64,
    /// Zeros laid down at once ahead of the entries.
    ///
    /// Overwriting zeros needs no metadata written, which makes a commit 40 % shorter than
    /// appending does; steps of 256 KiB were the fastest of 0, 256 KiB, 1, 4 and 16 MiB.
    pub ahead_bytes: u64,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, ahead_bytes: 256 << 10 }
    }
}

/// Entries in segment files. Cheap to clone: clones share one journal.
///
/// Dropping the last clone commits what is queued and waits for that.
#[derive(Clone, Debug)]
pub struct FileJournal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    // Dropped in this order: the committer ends once the queue is gone.
    queue: Queue,
    _committer: Joined,
    segments: Arc<Segments>,
    torn_tail: Option<TornTail>,
}

/// Waits, when dropped, for the thread to end: the next journal on the same files must not
/// meet it.
#[derive(Debug)]
struct Joined(Committer);

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.join();
    }
}

/// What a crash left half written at the end of the journal; none of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub path: PathBuf,
    /// Where it was cut off. Unit: bytes from the file's start.
    pub offset: u64,
    /// How much was cut off. Unit: bytes.
    pub bytes: u64,
}

impl FileJournal {
    /// Opens the journal of the ledger in `ledger`, or begins one. Blocks: it reads the
    /// segments that are not sealed yet.
    ///
    /// The caller holds the data directory's [`DataLock`](crate::DataLock).
    ///
    /// # Errors
    ///
    /// [`OpenError::Damaged`] if entries that were acknowledged are missing or altered; then
    /// nothing was changed. [`OpenError::Io`] if a file could not be used.
    pub fn open(ledger: &Path) -> Result<Self, OpenError> {
        Self::open_with(ledger, FileLimits::default())
    }

    /// [`FileJournal::open`] with other sizes.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_with(ledger: &Path, limits: FileLimits) -> Result<Self, OpenError> {
        Self::open_on(ledger, limits, Box::new(disk::Real))
    }

    fn open_on(
        ledger: &Path,
        limits: FileLimits,
        disk: Box<dyn Disk>,
    ) -> Result<Self, OpenError> {
        let (segments, torn_tail) = Segments::open(ledger)?;
        if let Some(TornTail { path, offset, bytes }) = &torn_tail {
            let path = path.display();
            tracing::warn!(%path, offset, bytes, "dropped a half-written, unacknowledged tail");
        }
        let (segments, failed) =
            (Arc::new(segments), |source| OpenError::Io { path: ledger.into(), source });
        let writer = Writer::new(Arc::clone(&segments), limits, disk).map_err(failed)?;
        let (queue, committer) = Queue::start(writer, segments.tail().size).map_err(failed)?;
        let shared = Shared { queue, _committer: Joined(committer), segments, torn_tail };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What was cut off when the journal was opened.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.shared.torn_tail.as_ref()
    }

    pub(super) async fn append(&self, entry: Vec<u8>) -> Result<u64, JournalError> {
        self.shared.queue.append(entry).await
    }

    pub(super) async fn read(
        &self,
        from: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, JournalError> {
        self.with_segments(move |segments| segments.read(from, count)).await
    }

    pub(super) async fn release(&self, covered: u64) -> Result<(), JournalError> {
        self.with_segments(move |segments| segments.release(covered)).await
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// Runs `work`, which waits for the disk, where waiting holds up nobody.
    async fn with_segments<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Segments) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let segments = Arc::clone(&self.shared.segments);
        let done = tokio::task::spawn_blocking(move || work(&segments)).await;
        done.unwrap_or(Err(JournalError::Closed))
    }
}

/// Makes an error of a failed write at `path`.
fn write_failed(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.into();
    move |source| JournalError::Write { path, source: Arc::new(source) }
}
