//! Entries that were sealed: read from the ledger's entry bundles.

use std::{fs, io, ops::Range, path::Path, sync::Arc};

use provost_ledger::{CHECKPOINT_PATH, Directory, Source as _, TILE_WIDTH, Tile, split_bundle};

use super::{Damage, JournalError, OpenError};

/// [`TILE_WIDTH`] where indices are reckoned with.
const WIDTH: u64 = TILE_WIDTH as u64;

/// The entry bundles of one ledger.
#[derive(Clone, Debug)]
pub(super) struct Bundles {
    ledger: Directory,
}

impl Bundles {
    /// The bundles of the ledger in `ledger`.
    pub(super) fn new(ledger: &Path) -> Self {
        Self { ledger: Directory::new(ledger) }
    }

    /// Checks that full bundles and the entries that a journal holds leave no gap and cover
    /// all that was signed; returns how many entries the full bundles have.
    ///
    /// The checkpoint's signature is not checked here: a forged one can only make us refuse.
    pub(super) fn must_meet(&self, held: Option<Range<u64>>) -> Result<u64, OpenError> {
        let path = self.ledger.root().join(CHECKPOINT_PATH);
        let signed = match fs::read_to_string(&path) {
            Ok(note) => note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0_u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        let covered = full_bundles(signed);
        let Range { start, end } = held.unwrap_or(covered..covered);
        if start > covered {
            let to = start.saturating_sub(1);
            return Err(Damage::Gap { from: covered, to }.into());
        }
        if end < signed {
            return Err(Damage::Behind { journal: end, signed }.into());
        }
        Ok(covered)
    }

    /// Reads up to `count` entries from `from` on, all of them in one bundle.
    pub(super) fn read(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        let tile = Tile::bundle(from / WIDTH).to_string();
        let path = || self.ledger.root().join(&tile);
        let bytes = self.ledger.read(&tile).map_err(|source| JournalError::Read {
            index: from,
            path: path(),
            source: Arc::new(source),
        })?;
        let damaged = || JournalError::Damaged(Damage::Entry { index: from, path: path() });
        let bytes = bytes.ok_or_else(damaged)?;
        let entries = split_bundle(&bytes).map_err(|_| damaged())?;
        if entries.len() != usize::from(TILE_WIDTH) {
            return Err(damaged());
        }
        let skipped = usize::try_from(from % WIDTH).unwrap_or_default();
        Ok(entries.into_iter().skip(skipped).take(count).map(<[u8]>::to_vec).collect())
    }
}

/// How many of `size` entries are in full bundles.
pub(crate) const fn full_bundles(size: u64) -> u64 {
    size.saturating_sub(size % WIDTH)
}
