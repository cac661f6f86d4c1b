//! Reading the ledger: events by filter, by action, and with their proofs.

use std::{collections::VecDeque, path::PathBuf};

use provost_ledger::{DecodeError, Directory, Event, Hash, ProofError, inclusion_proof};
use provost_store::{
    EventFilter, Journal, JournalError, Order, SealError, Sealer, SignedHead, Store, StoreError,
};
use provost_types::{ActionId, ProjectName};
use tokio::task::JoinError;

/// Most entries read from the journal at once.
const BATCH_MAX: usize = 1_000;

/// Most bytes of entries in one page, unless its first entry alone has more.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// The ledger's read side.
#[derive(Clone, Debug)]
pub struct LedgerReader {
    /// Every entry, by position.
    pub journal: Journal,
    /// Positions, by whom an entry is about.
    pub store: Store,
    /// Signs the ledger's head.
    pub sealer: Sealer,
    /// Where the ledger's tiles are.
    pub root: PathBuf,
}

/// The ledger could not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerReadError {
    #[error("the ledger cannot be read")]
    Journal(#[from] JournalError),
    #[error("the event index cannot be read")]
    Index(#[from] StoreError),
    #[error("ledger entry {position} is not an event: run `provost audit verify`")]
    Entry {
        position: u64,
        #[source]
        source: DecodeError,
    },
    #[error("the ledger's tiles do not prove entry {position}: run `provost audit verify`")]
    Proof {
        position: u64,
        #[source]
        source: ProofError,
    },
    #[error("the ledger cannot be signed")]
    Seal(#[from] SealError),
    #[error("no checkpoint covers entry {position} yet; try again")]
    Unsigned { position: u64 },
    #[error("the task that reads the ledger ended")]
    Ended(#[from] JoinError),
}

/// An entry and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Entries that were looked for, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// Where to look on: everything before it was looked at.
    pub(crate) next: u64,
}

/// An entry's way to a signed head.
#[derive(Debug)]
pub(crate) struct Inclusion {
    pub(crate) entry: Vec<u8>,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) checkpoint: String,
}

impl LedgerReader {
    /// The first `limit` entries that fit, from `filter.from` on.
    pub(crate) async fn oldest(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Found, LedgerReadError> {
        if is_open(filter) {
            return self.scan(filter, filter.from.unwrap_or_default(), limit).await;
        }
        let indexed = self.store.indexed_up_to().await?;
        let positions = self.store.events(filter, Order::OldestFirst, limit).await?;
        let mut entries = self.at(&positions).await?;
        if let Some(last) = entries.last()
            && (count(&entries) >= limit || entries.len() < positions.len())
        {
            let next = last.position.saturating_add(1);
            return Ok(Found { entries, next });
        }
        let next = filter.from.unwrap_or_default().max(indexed);
        let behind = self.scan(filter, next, limit.saturating_sub(count(&entries))).await?;
        entries.extend(behind.entries);
        Ok(Found { entries, next: behind.next })
    }

    /// The last `limit` entries that fit.
    pub(crate) async fn newest(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Found, LedgerReadError> {
        let indexed = self.store.indexed_up_to().await?;
        let positions = self.store.events(filter, Order::NewestFirst, limit).await?;
        let mut entries: VecDeque<_> = self.at(&positions).await?.into_iter().rev().collect();
        let mut next = filter.from.unwrap_or_default().max(indexed);
        loop {
            let found = self.scan(filter, next, limit).await?;
            entries.extend(found.entries);
            while count(entries.make_contiguous()) > limit {
                entries.pop_front();
            }
            if found.next >= self.journal.size() {
                return Ok(Found { entries: entries.into(), next: found.next });
            }
            next = found.next;
        }
    }

    /// The first `limit` entries that fit, from `from` on, read without the index.
    pub(crate) async fn scan(
        &self,
        filter: &EventFilter,
        from: u64,
        limit: u32,
    ) -> Result<Found, LedgerReadError> {
        let mut found = Found { entries: Vec::new(), next: from };
        while count(&found.entries) < limit && size(&found.entries) < PAGE_BYTES_MAX {
            let batch = self.journal.read(found.next, BATCH_MAX).await?;
            if batch.is_empty() {
                break;
            }
            for bytes in batch {
                let position = found.next;
                if fits(filter, position, &bytes)? {
                    found.entries.push(Entry { position, bytes });
                }
                found.next = position.saturating_add(1);
                if count(&found.entries) >= limit {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Everything recorded about one action, oldest first.
    pub(crate) async fn of_action(
        &self,
        action: ActionId,
    ) -> Result<Vec<Entry>, LedgerReadError> {
        let mut next = self.store.indexed_up_to().await?;
        let positions = self.store.find_by_action(action).await?;
        let mut entries = self.at(&positions).await?;
        loop {
            let batch = self.journal.read(next, BATCH_MAX).await?;
            if batch.is_empty() {
                return Ok(entries);
            }
            for bytes in batch {
                if decode(next, &bytes)?.subject.action == Some(action) {
                    entries.push(Entry { position: next, bytes });
                }
                next = next.saturating_add(1);
            }
        }
    }

    /// The project that an action belongs to; nothing if none was recorded for it.
    pub(crate) async fn project_of(
        &self,
        action: ActionId,
    ) -> Result<Option<ProjectName>, LedgerReadError> {
        let entries = self.of_action(action).await?;
        let Some(first) = entries.first() else { return Ok(None) };
        Ok(decode(first.position, &first.bytes)?.subject.project)
    }

    /// The entry at `position` and its inclusion in a signed head; nothing if there is no
    /// such entry.
    pub(crate) async fn inclusion(
        &self,
        position: u64,
    ) -> Result<Option<Inclusion>, LedgerReadError> {
        let Some(entry) = self.journal.read(position, 1).await?.pop() else { return Ok(None) };
        let covers = |head: &SignedHead| position < head.checkpoint.size;
        let newest = self.sealer.heads().borrow().clone();
        let head = match newest.filter(covers) {
            Some(head) => head,
            None => {
                let sealed = self.sealer.seal_now().await?;
                sealed.filter(covers).ok_or(LedgerReadError::Unsigned { position })?
            }
        };
        let (root, size) = (self.root.clone(), head.checkpoint.size);
        let proof = tokio::task::spawn_blocking(move || {
            inclusion_proof(&Directory::new(root), position, size)
        });
        let hashes =
            proof.await?.map_err(|source| LedgerReadError::Proof { position, source })?;
        Ok(Some(Inclusion { entry, hashes, checkpoint: head.note }))
    }

    /// The entries at `positions`, in that order, as many as fit in a page.
    async fn at(&self, positions: &[u64]) -> Result<Vec<Entry>, LedgerReadError> {
        let mut entries = Vec::with_capacity(positions.len());
        for &position in positions {
            let read = self.journal.read(position, 1).await?;
            entries.extend(read.into_iter().map(|bytes| Entry { position, bytes }));
            if size(&entries) >= PAGE_BYTES_MAX {
                break;
            }
        }
        Ok(entries)
    }
}

/// Reads an entry as the event it is.
pub(crate) fn decode(position: u64, bytes: &[u8]) -> Result<Event, LedgerReadError> {
    Event::decode(bytes).map_err(|source| LedgerReadError::Entry { position, source })
}

fn is_open(filter: &EventFilter) -> bool {
    let EventFilter { agent, project, session, kind, from: _, before: _ } = filter;
    agent.is_none() && project.is_none() && session.is_none() && kind.is_none()
}

fn fits(filter: &EventFilter, position: u64, bytes: &[u8]) -> Result<bool, LedgerReadError> {
    if is_open(filter) {
        return Ok(true);
    }
    let event = decode(position, bytes)?;
    let subject = &event.subject;
    Ok((filter.agent.is_none() || filter.agent == subject.agent)
        && (filter.project.is_none() || filter.project == subject.project)
        && (filter.session.is_none() || filter.session == subject.session)
        && filter.kind.as_deref().is_none_or(|kind| kind == event.kind()))
}

fn count(entries: &[Entry]) -> u32 {
    u32::try_from(entries.len()).unwrap_or(u32::MAX)
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.bytes.len()).sum()
}
