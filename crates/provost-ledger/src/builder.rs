//! Grows a ledger entry by entry and says which files that makes.

use std::mem;

use crate::{
    Hash, Source,
    merkle::{Tree, leaf_hash, root_of_peaks},
    source::{TileError, read_bundle, read_hashes},
    tile::{
        Content, EntryLenError, File, LEVEL_COUNT, TILE_WIDTH, Tile, WIDTH, add_to_bundle,
        join_hashes, split_bundle,
    },
};

/// A tree with everything that is still to be written of it.
///
/// Holds one unfinished bundle and one unfinished tile of each level: below 17 MiB, plus the
/// full files that were not taken yet.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    size: u64,
    bundle: Vec<u8>,
    // INVARIANT: none is full.
    levels: [Unfinished; LEVEL_COUNT],
    full: Vec<File>,
}

/// The last tile of one level.
#[derive(Clone, Debug, Default)]
struct Unfinished {
    hashes: Vec<Hash>,
    tree: Tree,
}

impl Builder {
    /// Takes up the ledger in `source` at `size` entries, as if all of them had been pushed.
    ///
    /// Reads at most 255 full tiles of each level and, for a `size` in the midst of a bundle,
    /// that bundle: never a partial tile. Compare [`Builder::root`] with the checkpoint.
    ///
    /// # Errors
    ///
    /// [`TileError`] for the first file that is missing, malformed or unreadable.
    pub fn resume(source: &dyn Source, size: u64) -> Result<Self, TileError> {
        let mut builder = Self { size, ..Self::default() };
        for tile in Tile::edges(size) {
            match tile.content {
                Content::Entries => builder.resume_bundle(source, tile)?,
                Content::Hashes(level) => {
                    let Some(below) = level.checked_sub(1) else { continue };
                    for child in tile.children(below) {
                        let hashes = read_hashes(source, child)?;
                        builder.add(level, hashes.into_iter().collect::<Tree>().root());
                    }
                }
            }
        }
        Ok(builder)
    }

    /// Adds an entry and returns its index.
    ///
    /// # Errors
    ///
    /// [`EntryLenError`] if it is empty or longer than [`ENTRY_LEN_MAX`](crate::ENTRY_LEN_MAX).
    pub fn push(&mut self, entry: &[u8]) -> Result<u64, EntryLenError> {
        add_to_bundle(&mut self.bundle, entry)?;
        let index = self.size;
        self.size = self.size.saturating_add(1);
        self.carry(leaf_hash(entry));
        Ok(index)
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree over all entries.
    pub fn root(&self) -> Hash {
        let levels = self.levels.iter().rev();
        root_of_peaks(levels.flat_map(|level| level.tree.peaks()).copied())
    }

    /// The full bundles and tiles that were finished since the last call, in an order in
    /// which they may be written: a bundle, its tile, then what that finishes above.
    pub fn take_full(&mut self) -> Vec<File> {
        mem::take(&mut self.full)
    }

    /// The partial bundle and tiles that a checkpoint of the present size needs.
    pub fn partials(&self) -> Vec<File> {
        let files = Tile::edges(self.size).map(|tile| {
            let bytes = match tile.content {
                Content::Entries => self.bundle.clone(),
                Content::Hashes(level) => {
                    let unfinished = self.levels.get(usize::from(level));
                    unfinished.map(|level| join_hashes(&level.hashes)).unwrap_or_default()
                }
            };
            File { path: tile.to_string(), bytes }
        });
        files.collect()
    }

    /// Adds a leaf hash, and to each level above the root of the tile this finishes below.
    fn carry(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut tiles = self.size;
        for (level, unfinished) in (0..).zip(&mut self.levels) {
            unfinished.push(hash);
            if unfinished.hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let finished = mem::take(unfinished);
            hash = finished.tree.root();
            tiles /= WIDTH;
            let index = tiles.saturating_sub(1);
            if level == 0 {
                let bytes = mem::take(&mut self.bundle);
                self.full.push(File { path: Tile::bundle(index).to_string(), bytes });
            }
            let path = Tile::hashes(level, index).to_string();
            self.full.push(File { path, bytes: join_hashes(&finished.hashes) });
        }
    }

    fn resume_bundle(&mut self, source: &dyn Source, tile: Tile) -> Result<(), TileError> {
        let bytes = read_bundle(source, tile)?;
        let entries = split_bundle(&bytes).unwrap_or_default();
        for entry in entries.into_iter().take(tile.width.into()) {
            // An entry that came out of a bundle fits into one.
            add_to_bundle(&mut self.bundle, entry).unwrap_or_default();
            self.add(0, leaf_hash(entry));
        }
        Ok(())
    }

    fn add(&mut self, level: u8, hash: Hash) {
        self.levels.get_mut(usize::from(level)).into_iter().for_each(|it| it.push(hash));
    }
}

impl Unfinished {
    fn push(&mut self, hash: Hash) {
        self.hashes.push(hash);
        self.tree.push(hash);
    }
}
