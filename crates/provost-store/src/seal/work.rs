//! What the sealer does each time: read entries, write full tiles, partial ones, checkpoint.

use std::{path::Path, sync::Arc};

use provost_ledger::{Builder, Checkpoint, Directory, File, LedgerKey};

use super::{SealError, SignedHead, files::Files};
use crate::{Damage, Journal, JournalError, journal::full_bundles};

/// Most entries taken from the journal before their full tiles are written.
const BATCH_LEN_MAX: usize = 4096;

/// The tree so far, and what of it is not written yet.
#[derive(Debug)]
pub(super) struct Work {
    files: Files,
    journal: Journal,
    key: LedgerKey,
    builder: Builder,
    /// Full tiles and bundles that must be written before anything else.
    pending: Arc<Vec<File>>,
    /// Entries the checkpoint on disk counts.
    sealed: u64,
}

impl Work {
    /// Takes up the ledger where its checkpoint is, which is returned.
    ///
    /// Full tiles come from disk, the entries after them from the journal, which keeps them
    /// for that: a partial tile that is missing or damaged is no obstacle.
    pub(super) async fn resume(
        ledger: &Path,
        journal: Journal,
        key: LedgerKey,
    ) -> Result<(Self, Option<SignedHead>), SealError> {
        let files = Files::new(ledger);
        let head = match files.checkpoint()? {
            Some(note) => {
                let checkpoint = Checkpoint::open(&note, key.verifier())?;
                Some(SignedHead { checkpoint, note })
            }
            None => None,
        };
        let sealed = head.as_ref().map_or(0, |head| head.checkpoint.size);
        let builder = Builder::resume(&Directory::new(ledger), full_bundles(sealed));
        let builder = builder.map_err(|error| SealError::Tile(Arc::new(error)))?;
        let pending = Arc::default();
        let mut work = Self { files, journal, key, builder, pending, sealed };
        while work.builder.size() < sealed {
            work.take_up(sealed).await?;
        }
        match &head {
            Some(head) if head.checkpoint.root != work.builder.root() => {
                Err(SealError::Root { size: sealed })
            }
            _ => Ok((work, head)),
        }
    }

    /// Seals every entry that is durable now; returns the new checkpoint, if there is one.
    pub(super) async fn seal(&mut self) -> Result<Option<SignedHead>, SealError> {
        let size = self.journal.size();
        self.write_pending().await?;
        while self.builder.size() < size {
            self.take_up(size).await?;
            self.write_pending().await?;
        }
        if size == self.sealed {
            return Ok(None);
        }
        let (origin, root) = (self.key.verifier().name().to_owned(), self.builder.root());
        let checkpoint = Checkpoint { origin, size, root };
        let head = SignedHead { note: checkpoint.sign(&self.key), checkpoint };
        let (partials, note) = (self.builder.partials(), head.note.clone());
        self.files.run(move |files| files.publish(&partials, &note)).await?;
        self.sealed = size;
        Ok(Some(head))
    }

    /// Lets the journal forget what full bundles under a signed checkpoint hold.
    pub(super) async fn release(&self) -> Result<(), JournalError> {
        self.journal.release(full_bundles(self.sealed)).await
    }

    /// Adds some of the entries before `size` to the tree: as many as one read gives.
    async fn take_up(&mut self, size: u64) -> Result<(), SealError> {
        let from = self.builder.size();
        let count = usize::try_from(size.saturating_sub(from)).unwrap_or(usize::MAX);
        let entries = self.journal.read(from, count.min(BATCH_LEN_MAX)).await?;
        if entries.is_empty() {
            let gap = Damage::Gap { from, to: size.saturating_sub(1) };
            return Err(JournalError::Damaged(gap).into());
        }
        for entry in entries {
            self.builder.push(&entry)?;
        }
        Arc::make_mut(&mut self.pending).extend(self.builder.take_full());
        Ok(())
    }

    async fn write_pending(&mut self) -> Result<(), SealError> {
        if !self.pending.is_empty() {
            let full = Arc::clone(&self.pending);
            self.files.run(move |files| files.put_full(&full)).await?;
            self.pending = Arc::default();
        }
        Ok(())
    }
}
