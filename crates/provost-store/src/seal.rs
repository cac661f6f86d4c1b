//! The sealer: follows the journal, and turns entries into tiles under a signed checkpoint.
//!
//! It is behind the journal by a second at most while the disk works. When the disk does not,
//! it tries again every second and nothing is lost: the journal keeps what is not sealed.

mod files;
mod work;

#[cfg(test)]
mod tests;

use std::{io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use provost_ledger::{Checkpoint, EntryLenError, LedgerKey, NoteError, TileError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use self::work::Work;
use crate::{Journal, JournalError};

/// Longest time an entry waits for its checkpoint, while the disk works.
const UNSEALED_WAIT_MAX: Duration = Duration::from_secs(1);

/// Entries that are sealed at once, however short they waited. Sealing costs the disk a dozen
/// syncs whatever it seals, and the journal needs the disk more; so a busy ledger is sealed
/// once a second too, unless this many entries came first.
const UNSEALED_LEN_MAX: u64 = 1 << 16;

/// Pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Seals one journal in the background. Cheap to clone.
///
/// Dropping the last clone stops it where it is; [`Sealer::close`] seals all there is first.
#[derive(Clone, Debug)]
pub struct Sealer {
    requests: mpsc::Sender<Request>,
    head: watch::Receiver<Option<SignedHead>>,
    health: watch::Receiver<Option<SealError>>,
}

/// A signed checkpoint, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// Size and root.
    pub checkpoint: Checkpoint,
    /// The signed note: what is in the file `checkpoint`.
    pub note: String,
}

/// Entries could not be sealed. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealError {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] JournalError),
    /// The journal gave what cannot be in a ledger.
    #[error("the journal holds what is no entry")]
    Entry(#[from] EntryLenError),
    /// A file could not be written or read.
    #[error("cannot seal to {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: Arc<io::Error>,
    },
    /// What is sealed never changes, and the journal says it should be otherwise.
    #[error("{} does not hold what the journal says", path.display())]
    Altered {
        /// The sealed file.
        path: PathBuf,
    },
    /// The checkpoint to go on from is not ours.
    #[error("the checkpoint cannot be trusted")]
    Checkpoint(#[from] NoteError),
    /// The entries to go on from are not the signed ones.
    #[error("the first {size} entries are not those that were signed")]
    Root {
        /// Entries the checkpoint counts.
        size: u64,
    },
    /// A tile to go on from cannot be used.
    #[error("the ledger cannot be taken up")]
    Tile(#[source] Arc<TileError>),
    /// The sealer was stopped.
    #[error("the sealer is stopped")]
    Closed,
}

type Answer = oneshot::Sender<Result<Option<SignedHead>, SealError>>;

enum Request {
    Seal(Answer),
    Close(Answer),
}

impl Sealer {
    /// Takes up the ledger in `ledger` and seals `journal` to it, on a task of `tracker`.
    ///
    /// # Errors
    ///
    /// [`SealError`] if what is sealed is not what the journal and the checkpoint say.
    pub async fn start(
        ledger: &Path,
        journal: Journal,
        key: LedgerKey,
        tracker: &TaskTracker,
    ) -> Result<Self, SealError> {
        let (work, head) = Work::resume(ledger, journal.clone(), key).await?;
        let (requests, received) = mpsc::channel(8);
        let (head, head_seen) = watch::channel(head);
        let (health, health_seen) = watch::channel(None);
        tracker
            .spawn(Task { work, grown: journal.grown(), journal, head, health }.run(received));
        Ok(Self { requests, head: head_seen, health: health_seen })
    }

    /// The newest signed note; none before the first entry is sealed.
    pub fn checkpoint(&self) -> Option<String> {
        self.head.borrow().as_ref().map(|head| head.note.clone())
    }

    /// Follows the newest signed checkpoint. Its size only grows.
    pub fn heads(&self) -> watch::Receiver<Option<SignedHead>> {
        self.head.clone()
    }

    /// Whether the last attempt to seal succeeded.
    ///
    /// # Errors
    ///
    /// What went wrong, until an attempt succeeds.
    pub fn health(&self) -> Result<(), SealError> {
        if self.requests.is_closed() {
            return Err(SealError::Closed);
        }
        self.health.borrow().clone().map_or(Ok(()), Err)
    }

    /// Seals every entry that is durable by now, and returns the checkpoint that covers them.
    ///
    /// # Errors
    ///
    /// [`SealError`]; it will be tried again without asking.
    pub async fn seal_now(&self) -> Result<Option<SignedHead>, SealError> {
        self.ask(Request::Seal).await
    }

    /// Closes the journal, seals all of it, and stops.
    ///
    /// # Errors
    ///
    /// [`SealError`]: stopped, but not all is sealed; the next start will. Closing what is
    /// closed is no error.
    pub async fn close(&self) -> Result<(), SealError> {
        match self.ask(Request::Close).await {
            Ok(_) | Err(SealError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ask(
        &self,
        request: impl FnOnce(Answer) -> Request,
    ) -> Result<Option<SignedHead>, SealError> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).await.map_err(|_| SealError::Closed)?;
        answer.await.map_err(|_| SealError::Closed)?
    }
}

struct Task {
    work: Work,
    journal: Journal,
    grown: watch::Receiver<u64>,
    head: watch::Sender<Option<SignedHead>>,
    health: watch::Sender<Option<SealError>>,
}

impl Task {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            let request = tokio::select! {
                request = requests.recv() => request,
                () = self.due() => {
                    // An error is kept as the sealer's health, and it is tried again.
                    self.seal().await.unwrap_or_default();
                    continue;
                }
            };
            match request {
                Some(Request::Seal(done)) => drop(done.send(self.seal().await)),
                Some(Request::Close(done)) => {
                    let closed = self.journal.close().await;
                    let sealed = self.seal().await;
                    requests.close();
                    drop(done.send(closed.map_err(SealError::from).and(sealed)));
                    return;
                }
                None => return,
            }
        }
    }

    /// Returns when there is something to seal and it has waited long enough.
    async fn due(&mut self) {
        if self.health.borrow().is_some() {
            return tokio::time::sleep(RETRY_PAUSE).await;
        }
        let sealed = self.head.borrow().as_ref().map_or(0, |head| head.checkpoint.size);
        let unsealed = |size: &u64| size.saturating_sub(sealed);
        if self.grown.wait_for(|size| unsealed(size) > 0).await.is_err() {
            std::future::pending::<()>().await; // closed and sealed: nothing will ever be due
        }
        let full = self.grown.wait_for(|size| unsealed(size) >= UNSEALED_LEN_MAX);
        drop(tokio::time::timeout(UNSEALED_WAIT_MAX, full).await);
    }

    async fn seal(&mut self) -> Result<Option<SignedHead>, SealError> {
        let sealed = self.work.seal().await;
        self.note(sealed.as_ref().err());
        if let Some(head) = sealed? {
            metrics::gauge!("provost_ledger_sealed_entries").set(head.checkpoint.size as f64);
            self.head.send_replace(Some(head));
            if let Err(error) = self.work.release().await {
                tracing::warn!(%error, "sealed entries could not be cleared from the journal");
            }
        }
        Ok(self.head.borrow().clone())
    }

    /// Keeps what health is, and says once each way that sealing fails or works again.
    fn note(&self, error: Option<&SealError>) {
        let was_sound = self.health.borrow().is_none();
        match (was_sound, error) {
            (true, None) => return,
            (true, Some(error)) => {
                metrics::counter!("provost_ledger_seal_failures_total").increment(1);
                let source = std::error::Error::source(error).map(ToString::to_string);
                tracing::error!(%error, source, "ledger is not being sealed");
            }
            (false, None) => tracing::info!("ledger is being sealed again"),
            (false, Some(_)) => {}
        }
        self.health.send_replace(error.cloned());
    }
}
