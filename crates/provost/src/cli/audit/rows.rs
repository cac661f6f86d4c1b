//! The database's rows about events, compared with the ledger they are an index of.

use std::{collections::BTreeSet, io};

use anyhow::Result;
use provost_ledger::{
    Checkpoint, Directory, Event, LedgerVerifier, Source as _, TILE_WIDTH, Tile,
    consistency_proof, split_bundle, verify_consistency,
};
use provost_store::Store;

/// What the comparison gave.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Rows that were compared.
    pub(super) rows: u64,
    /// One sentence for each row that says something else than the ledger.
    pub(super) faults: Vec<String>,
}

/// A database, and the ledger its rows are about.
pub(super) struct Comparison<'a> {
    /// The database.
    pub(super) store: &'a Store,
    /// The ledger.
    pub(super) source: &'a Directory,
    /// The ledger's signed head.
    pub(super) head: &'a Checkpoint,
    /// What checks signatures.
    pub(super) verifier: &'a LedgerVerifier,
    /// How many records there are, if nobody is adding any.
    pub(super) size: Option<u64>,
}

impl Comparison<'_> {
    /// Compares the rows of every signed record; `progress` is told how many.
    ///
    /// Records that cannot be read are left to the verification of the ledger itself.
    ///
    /// # Errors
    ///
    /// The database or the ledger cannot be read.
    pub(super) async fn run(&self, progress: &mut dyn FnMut(u64)) -> Result<Compared> {
        let mut compared = Compared::default();
        // A checkpoint is kept once every record it signs has its row, so those are owed; a
        // crash may have lost the last rows of what came after it.
        let owed = self.store.last_checkpoint().await?.map_or(0, |kept| kept.size);
        let end = self.store.indexed_up_to().await?.max(owed).min(self.head.size);
        let width = u64::from(TILE_WIDTH);
        for bundle in 0..end.div_ceil(width) {
            let first = bundle.saturating_mul(width);
            let Some(mut events) = self.events(bundle)? else { continue };
            events.truncate(usize::try_from(end.saturating_sub(first))?);
            let faults = self.store.check_index(first, &events).await?;
            compared.faults.extend(faults.iter().map(ToString::to_string));
            compared.rows = compared.rows.saturating_add(events.len() as u64);
            progress(compared.rows);
        }
        if let Some(size) = self.size {
            let faults = self.store.check_index_end(size.max(end)).await?;
            compared.faults.extend(faults.iter().map(ToString::to_string));
        }
        compared.faults.extend(self.kept_checkpoint().await?);
        // One fault may be found from both of its sides.
        let told: BTreeSet<String> = compared.faults.into_iter().collect();
        Ok(Compared { faults: told.into_iter().collect(), ..compared })
    }

    /// Compares the checkpoint that the database keeps with the ledger's own.
    async fn kept_checkpoint(&self) -> Result<Option<String>> {
        if let Some(fault) = self.store.check_checkpoint(self.head, self.verifier).await? {
            return Ok(Some(fault.to_string()));
        }
        let Some(kept) = self.store.last_checkpoint().await? else { return Ok(None) };
        let Ok(kept) = Checkpoint::open(&kept.note, self.verifier) else { return Ok(None) };
        let proof = consistency_proof(self.source, kept.size, self.head.size).ok();
        let continues =
            proof.is_some_and(|proof| verify_consistency(&proof, &kept, self.head).is_ok());
        Ok((!continues).then(|| {
            format!(
                "the ledger does not continue the one of {} records whose checkpoint the \
                 database keeps: history was rewritten",
                kept.size
            )
        }))
    }

    /// The events of a bundle, from the narrowest file that there is of it; nothing if there
    /// is none, or it does not hold events.
    fn events(&self, bundle: u64) -> io::Result<Option<Vec<Event>>> {
        let first = bundle.saturating_mul(u64::from(TILE_WIDTH));
        let there = self.head.size.saturating_sub(first).min(u64::from(TILE_WIDTH));
        let narrowest = u16::try_from(there).unwrap_or(TILE_WIDTH);
        for width in narrowest..=TILE_WIDTH {
            let file = Tile::bundle(bundle).of_width(width).to_string();
            if let Some(bytes) = self.source.read(&file)? {
                let entries = split_bundle(&bytes).unwrap_or_default();
                let events: Result<Vec<Event>, _> =
                    entries.into_iter().map(Event::decode).collect();
                return Ok(events.ok());
            }
        }
        Ok(None)
    }
}
