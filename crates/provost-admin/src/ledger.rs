//! Reading the ledger: events by filter, by action, and with their proofs.

use std::{collections::VecDeque, path::PathBuf};

use provost_ledger::{
    DecodeError, Directory, Event, Hash, ProofError, TILE_WIDTH, inclusion_proof,
};
use provost_store::{
    EventFilter, Journal, JournalError, Order, SealError, Sealer, SignedHead, Store, StoreError,
};
use provost_types::{ActionId, ProjectName};
use tokio::task::JoinError;

use crate::search::Search;

/// Most entries read from the journal at once.
const BATCH_MAX: usize = 1_000;

/// Most entries that one call reads in search of those that fit, so that it ends in time.
const ENTRIES_MAX: usize = 20_000;

/// Most rows of the index that one call searches, for the same reason.
const POSITIONS_MAX: u64 = 1 << 20;

/// Most entries whose positions are fetched at once in search of a text.
const CANDIDATES_MAX: u32 = 1_000;

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
    /// There was nothing behind `next` when it was looked at. If not, a page or a call's
    /// share of work ended first.
    pub(crate) at_end: bool,
}

/// An entry's way to a signed head.
#[derive(Debug)]
pub(crate) struct Inclusion {
    pub(crate) entry: Vec<u8>,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) checkpoint: String,
}

impl LedgerReader {
    /// The first `limit` entries that fit, from `filter.from` on; fewer where a page or a
    /// call's share of work ends.
    pub(crate) async fn oldest(
        &self,
        search: &Search,
        limit: u32,
    ) -> Result<Found, LedgerReadError> {
        let from = search.filter.from.unwrap_or_default();
        if search.filter.is_open() {
            return self.scan(search, from, limit).await;
        }
        let indexed = self.store.indexed_up_to().await?;
        let share = if search.filter.is_searching() { POSITIONS_MAX } else { u64::MAX };
        let end = indexed.min(from.saturating_add(share));
        let mut found = self.by_index(search, end, limit).await?;
        if found.next < indexed || is_full(&found, limit) {
            return Ok(found);
        }
        let wanted = limit.saturating_sub(count(&found.entries));
        let behind = self.scan(search, found.next, wanted).await?;
        found.entries.extend(behind.entries);
        Ok(Found { entries: found.entries, ..behind })
    }

    /// The last `limit` entries that fit; the search has no text.
    pub(crate) async fn newest(
        &self,
        search: &Search,
        limit: u32,
    ) -> Result<Found, LedgerReadError> {
        let filter = &search.filter;
        let indexed = self.store.indexed_up_to().await?;
        let positions = self.store.events(filter, Order::NewestFirst, limit).await?;
        let mut entries: VecDeque<_> = self.at(&positions).await?.into_iter().rev().collect();
        let mut next = filter.from.unwrap_or_default().max(indexed);
        loop {
            let found = self.scan(search, next, limit).await?;
            entries.extend(found.entries);
            while count(entries.make_contiguous()) > limit {
                entries.pop_front();
            }
            if found.at_end {
                let entries = entries.into();
                return Ok(Found { entries, next: found.next, at_end: true });
            }
            next = found.next;
        }
    }

    /// The first `limit` entries that fit among those before `end`, which all have rows.
    async fn by_index(
        &self,
        search: &Search,
        end: u64,
        limit: u32,
    ) -> Result<Found, LedgerReadError> {
        let from = search.filter.from.unwrap_or_default();
        let mut found = Found { next: from, ..Found::default() };
        let mut looked_at = 0_usize;
        while found.next < end {
            let filter = EventFilter {
                from: Some(found.next),
                before: Some(end),
                ..search.filter.clone()
            };
            let wanted = match search.text {
                Some(_) => CANDIDATES_MAX,
                None => limit.saturating_sub(count(&found.entries)),
            };
            let positions = self.store.events(&filter, Order::OldestFirst, wanted).await?;
            let mut rest = positions.as_slice();
            while let Some(&first) = rest.first() {
                let near = self.near(first, rest).await?;
                // An index that is ahead of its ledger has rows without an entry.
                rest = rest.get(near.len().max(1)..).unwrap_or_default();
                for entry in near {
                    found.next = entry.position.saturating_add(1);
                    looked_at = looked_at.saturating_add(1);
                    if search.has_text(&entry.bytes) {
                        found.entries.push(entry);
                    }
                    if is_full(&found, limit) || looked_at >= ENTRIES_MAX {
                        return Ok(found);
                    }
                }
            }
            if count(&positions) < wanted {
                found.next = end;
            }
        }
        Ok(found)
    }

    /// The first `limit` entries that fit, from `from` on, read without the index; fewer
    /// where a page or a call's share of work ends.
    pub(crate) async fn scan(
        &self,
        search: &Search,
        from: u64,
        limit: u32,
    ) -> Result<Found, LedgerReadError> {
        let mut found = Found { next: from, ..Found::default() };
        let end = from.saturating_add(ENTRIES_MAX as u64);
        while !is_full(&found, limit) && found.next < end {
            let batch = self.journal.read(found.next, BATCH_MAX).await?;
            if batch.is_empty() {
                found.at_end = true;
                break;
            }
            for bytes in batch {
                let position = found.next;
                if search.fits(position, &bytes)? {
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

    /// The entries at the ascending `positions`, from `first` on, that one read gives: those
    /// of its bundle, which is read whole whatever is wanted of it.
    async fn near(&self, first: u64, positions: &[u64]) -> Result<Vec<Entry>, LedgerReadError> {
        let bundle = |position: u64| position.div_euclid(TILE_WIDTH.into());
        let near = positions.iter().copied();
        let near: Vec<u64> = near.take_while(|at| bundle(*at) == bundle(first)).collect();
        let offset = |at: u64| usize::try_from(at.saturating_sub(first)).unwrap_or(usize::MAX);
        let wanted = near.last().map_or(1, |last| offset(*last).saturating_add(1));
        let read = self.journal.read(first, wanted).await?;
        // A read ends early where entries are long; what it has not is read next.
        let mut read: Vec<Option<Vec<u8>>> = read.into_iter().map(Some).collect();
        let entry = |position: u64| {
            let bytes = read.get_mut(offset(position))?.take()?;
            Some(Entry { position, bytes })
        };
        Ok(near.into_iter().map_while(entry).collect())
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

fn is_full(found: &Found, limit: u32) -> bool {
    count(&found.entries) >= limit || size(&found.entries) >= PAGE_BYTES_MAX
}

fn count<T>(all: &[T]) -> u32 {
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.bytes.len()).sum()
}
