//! The walk from the signed root down to each entry.

use std::io;

use super::fault::{Fault, Faults};
use crate::{
    Checkpoint, Hash, Source, Tile, TileError, leaf_hash,
    merkle::{Tree, root_of_peaks},
    source::{read_bundle, read_hashes},
    tile::{Content, WIDTH, split_bundle},
};

/// Damaged places in one tile for which both readings are tried. Unit: places.
///
/// Each doubles the work.
const MENDED_MAX: usize = 8;

/// One pass over a ledger's tiles and bundles; each is read once unless something is wrong.
pub(super) struct Walk<'a> {
    source: &'a dyn Source,
    faults: &'a mut Faults,
    progress: &'a mut dyn FnMut(u64),
    verified: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        faults: &'a mut Faults,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self { source, faults, progress, verified: 0 }
    }

    /// Entries that the root vouches for.
    pub(super) fn verified(&self) -> u64 {
        self.verified
    }

    /// Checks the whole tree that `head` signs.
    pub(super) fn tree(&mut self, head: &Checkpoint) -> io::Result<()> {
        let edges = Tile::edges(head.size).filter(|tile| tile.content != Content::Entries);
        let edges: Vec<Tile> = edges.collect();
        let mut stored = Vec::with_capacity(edges.len());
        for &edge in &edges {
            stored.push(self.hashes(edge)?.unwrap_or_default());
        }
        if root_of_edges(&stored) == head.root {
            return self.below_all(&edges, &stored);
        }
        if let Some(truth) = self.mend_edges(&edges, &stored, &head.root)? {
            return self.below_all(&edges, &truth);
        }
        self.faults.push(Fault::Root { size: head.size });
        self.below_all(&edges, &stored)?;
        self.verified = 0;
        Ok(())
    }

    /// Finds what the edge tiles should be, when what they are does not make the root.
    fn mend_edges(
        &mut self,
        edges: &[Tile],
        stored: &[Vec<Hash>],
        root: &Hash,
    ) -> io::Result<Option<Vec<Vec<Hash>>>> {
        let mut computed = Vec::with_capacity(edges.len());
        for (&edge, hashes) in edges.iter().zip(stored) {
            computed.push(recompute(self.source, edge, hashes)?);
        }
        let truth = mend(stored, &computed, |it| root_of_edges(it) == *root);
        for ((&tile, was), is) in edges.iter().zip(stored).zip(truth.iter().flatten()) {
            // An empty one is missing, which was said.
            if was != is && !was.is_empty() {
                self.faults.push(Fault::Tile { tile });
            }
        }
        Ok(truth)
    }

    /// Checks a full tile whose root must be `want`, and all below it.
    fn tile(&mut self, tile: Tile, want: &Hash) -> io::Result<()> {
        let stored = self.hashes(tile)?;
        if let Some(hashes) = stored.as_ref().filter(|hashes| root(hashes) == *want) {
            return self.below(tile, hashes);
        }
        let missing = stored.is_none();
        let stored = stored.unwrap_or_default();
        if !missing {
            self.faults.push(Fault::Tile { tile });
        }
        let computed = recompute(self.source, tile, &stored)?;
        if let Some(truth) = mend(&stored, &computed, |hashes| root(hashes) == *want) {
            return self.below(tile, &truth);
        }
        let (first, last) = tile.entries();
        self.faults.push(Fault::Below { tile, first, last });
        // Nothing vouches for what is below: go on with what it says of itself.
        let lowest = tile.content == Content::Hashes(0) && !missing;
        let verified = self.verified;
        self.below(tile, if lowest { &stored } else { &computed })?;
        self.verified = verified;
        Ok(())
    }

    fn below_all(&mut self, tiles: &[Tile], hashes: &[Vec<Hash>]) -> io::Result<()> {
        tiles.iter().zip(hashes).try_for_each(|(tile, hashes)| self.below(*tile, hashes))
    }

    /// Checks what is below `tile`, whose true hashes are `hashes`.
    fn below(&mut self, tile: Tile, hashes: &[Hash]) -> io::Result<()> {
        let Content::Hashes(level) = tile.content else { return Ok(()) };
        if let Some(below) = level.checked_sub(1) {
            let mut children = tile.children(below).zip(hashes);
            return children.try_for_each(|(child, want)| self.tile(child, want));
        }
        let bundle = Tile { content: Content::Entries, ..tile };
        let first = tile.index.saturating_mul(WIDTH);
        (self.progress)(first.saturating_add(tile.width.into()));
        let Some(leaves) = self.usable(leaves(self.source, bundle))? else { return Ok(()) };
        for ((index, leaf), want) in (first..).zip(&leaves).zip(hashes) {
            if leaf == want {
                self.verified = self.verified.saturating_add(1);
            } else {
                self.faults.push(Fault::Record { index, bundle });
            }
        }
        Ok(())
    }

    fn hashes(&mut self, tile: Tile) -> io::Result<Option<Vec<Hash>>> {
        self.usable(read_hashes(self.source, tile))
    }

    /// Turns what is wrong with a file into a fault.
    fn usable<T>(&mut self, result: Result<T, TileError>) -> io::Result<Option<T>> {
        match result {
            Ok(usable) => Ok(Some(usable)),
            Err(TileError::Io { source, .. }) => Err(source),
            Err(error) => {
                self.faults.push(Fault::File(error));
                Ok(None)
            }
        }
    }
}

/// A tile's hashes computed from what is below it; from `stored` where that is missing.
pub(super) fn recompute(
    source: &dyn Source,
    tile: Tile,
    stored: &[Hash],
) -> io::Result<Vec<Hash>> {
    let below = match tile.content {
        Content::Entries => return Ok(Vec::new()),
        Content::Hashes(0) => {
            let bundle = Tile { content: Content::Entries, ..tile };
            return Ok(known(leaves(source, bundle))?.unwrap_or_else(|| stored.to_vec()));
        }
        Content::Hashes(level) => level.saturating_sub(1),
    };
    let mut stored = stored.iter();
    let mut hashes = Vec::with_capacity(tile.width.into());
    for child in tile.children(below) {
        let stored = stored.next().copied();
        let computed = known(read_hashes(source, child))?.map(|hashes| root(&hashes));
        hashes.push(computed.or(stored).unwrap_or_default());
    }
    Ok(hashes)
}

fn known<T>(result: Result<T, TileError>) -> io::Result<Option<T>> {
    match result {
        Ok(known) => Ok(Some(known)),
        Err(TileError::Io { source, .. }) => Err(source),
        Err(_) => Ok(None),
    }
}

/// Leaf hashes of a bundle's first `width` entries.
fn leaves(source: &dyn Source, bundle: Tile) -> Result<Vec<Hash>, TileError> {
    let bytes = read_bundle(source, bundle)?;
    let entries = split_bundle(&bytes).unwrap_or_default();
    Ok(entries.into_iter().take(bundle.width.into()).map(leaf_hash).collect())
}

fn root(hashes: &[Hash]) -> Hash {
    hashes.iter().copied().collect::<Tree>().root()
}

fn root_of_edges(edges: &[Vec<Hash>]) -> Hash {
    let trees: Vec<Tree> = edges.iter().map(|edge| edge.iter().copied().collect()).collect();
    root_of_peaks(trees.iter().flat_map(Tree::peaks).copied())
}

/// The mixture of two readings that `fits`, if there is one.
fn mend<T: Clone + PartialEq>(
    stored: &[T],
    computed: &[T],
    fits: impl Fn(&[T]) -> bool,
) -> Option<Vec<T>> {
    if fits(computed) {
        return Some(computed.to_vec());
    }
    let pairs = || stored.iter().zip(computed);
    let differing = pairs().filter(|(was, is)| was != is).count();
    if stored.len() != computed.len() || differing > MENDED_MAX {
        return None;
    }
    (1..1_u32 << differing).find_map(|choice| {
        let mut choice = choice;
        let mixed = pairs().map(|(was, is)| {
            if was == is {
                return is.clone();
            }
            let take_stored = choice & 1 == 1;
            choice >>= 1;
            if take_stored { was.clone() } else { is.clone() }
        });
        let mixed: Vec<T> = mixed.collect();
        fits(&mixed).then_some(mixed)
    })
}
