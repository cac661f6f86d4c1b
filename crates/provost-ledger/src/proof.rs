//! Proofs that an entry is in a ledger, and that one ledger continues another.
//!
//! Source: RFC 6962 §2.1.1 and §2.1.2 for what a proof is, RFC 9162 §2.1.3.2 and §2.1.4.2 for
//! how it is checked.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    iter,
};

use crate::{
    Checkpoint, Hash, Source, Tile, TileError,
    merkle::{Tree, node_hash},
    source::read_hashes,
    tile::{TILE_WIDTH, WIDTH},
};

/// A proof could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is no such entry, or no such older ledger.
    #[error("{asked} is beyond a ledger of {size} entries")]
    Beyond {
        /// The entry's index, or the older ledger's size.
        asked: u64,
        /// The ledger's size.
        size: u64,
    },
    /// A tile that the proof needs could not be used.
    #[error("a tile that the proof needs cannot be used")]
    Tile(#[from] TileError),
}

/// A proof that does not prove what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not hold")]
pub struct BadProof;

/// The hashes that prove entry `index` to be in the ledger of `size` entries, leaf to root.
///
/// # Errors
///
/// [`ProofError`] if `index` is not below `size`, or a tile is missing or damaged.
pub fn inclusion_proof(
    source: &dyn Source,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::Beyond { asked: index, size });
    }
    let mut nodes = Nodes::new(source, size);
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while let Some(middle) = split(start, end) {
        if index < middle {
            proof.push(nodes.root(middle, end)?);
            end = middle;
        } else {
            proof.push(nodes.root(start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that prove the ledger of `new` entries to begin with that of `old` entries.
///
/// # Errors
///
/// [`ProofError`] if `old` is greater than `new`, or a tile is missing or damaged.
pub fn consistency_proof(
    source: &dyn Source,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::Beyond { asked: old, size: new });
    }
    let mut nodes = Nodes::new(source, new);
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, new);
    while let Some(middle) = split(start, end).filter(|_| old > 0 && old < end) {
        if old <= middle {
            proof.push(nodes.root(middle, end)?);
            end = middle;
        } else {
            proof.push(nodes.root(start, middle)?);
            start = middle;
        }
    }
    // A subtree that begins at 0 is the old tree, whose root the verifier knows.
    if start > 0 {
        proof.push(nodes.root(start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the entry with the leaf hash `leaf` is entry `index` of the ledger `head`.
///
/// # Errors
///
/// [`BadProof`] unless `proof` proves exactly that.
pub fn verify_inclusion(
    proof: &[Hash],
    index: u64,
    leaf: &Hash,
    head: &Checkpoint,
) -> Result<(), BadProof> {
    let last = head.size.checked_sub(1).filter(|&last| index <= last).ok_or(BadProof)?;
    let mut path = Path { node: index, last };
    let mut root = *leaf;
    for sibling in proof {
        root = match path.step().ok_or(BadProof)? {
            Side::Left => node_hash(sibling, &root),
            Side::Right => node_hash(&root, sibling),
        };
    }
    if path.last == 0 && root == head.root { Ok(()) } else { Err(BadProof) }
}

/// Checks that the ledger `new` begins with the ledger `old`.
///
/// # Errors
///
/// [`BadProof`] unless `proof` proves exactly that.
pub fn verify_consistency(
    proof: &[Hash],
    old: &Checkpoint,
    new: &Checkpoint,
) -> Result<(), BadProof> {
    let ends = old.size.checked_sub(1).zip(new.size.checked_sub(1));
    let Some((node, last)) = ends.filter(|(node, last)| node < last) else {
        let same = old.size == new.size && old.root == new.root;
        let grown_from_nothing = old.size == 0 && old.root == Tree::default().root();
        let holds = proof.is_empty() && (same || grown_from_nothing);
        return if holds { Ok(()) } else { Err(BadProof) };
    };
    // A perfect old tree is a node of the new one, and left out of the proof.
    let left_out = old.size.is_power_of_two().then_some(&old.root);
    let mut hashes = left_out.into_iter().chain(proof);
    let first = *hashes.next().ok_or(BadProof)?;
    let perfect = node.trailing_ones();
    let mut path = Path { node: shift(node, perfect), last: shift(last, perfect) };
    let (mut old_root, mut new_root) = (first, first);
    for sibling in hashes {
        match path.step().ok_or(BadProof)? {
            Side::Left => {
                old_root = node_hash(sibling, &old_root);
                new_root = node_hash(sibling, &new_root);
            }
            Side::Right => new_root = node_hash(&new_root, sibling),
        }
    }
    let holds = path.last == 0 && old_root == old.root && new_root == new.root;
    if holds { Ok(()) } else { Err(BadProof) }
}

/// A way up the tree: a node's position in its level, and that of the level's last node.
struct Path {
    node: u64,
    last: u64,
}

/// Where the sibling is.
enum Side {
    Left,
    Right,
}

impl Path {
    /// Goes up to the next node that has a sibling; nothing at the root.
    fn step(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of a level may have no sibling there, nor in some levels above.
            let lone = self.node.trailing_zeros();
            (self.node, self.last) = (shift(self.node, lone), shift(self.last, lone));
            Side::Left
        } else {
            Side::Right
        };
        (self.node, self.last) = (self.node / 2, self.last / 2);
        Some(side)
    }
}

fn shift(value: u64, bits: u32) -> u64 {
    value.checked_shr(bits).unwrap_or_default()
}

/// Where RFC 6962 splits the entries `start..end`; nothing if there is but one or none.
fn split(start: u64, end: u64) -> Option<u64> {
    let count = end.checked_sub(start).filter(|&count| count > 1)?;
    start.checked_add(1 << count.saturating_sub(1).checked_ilog2()?)
}

/// Reads inner nodes of a ledger of one size out of its tiles, each tile once.
struct Nodes<'a> {
    source: &'a dyn Source,
    size: u64,
    tiles: BTreeMap<Tile, Vec<Hash>>,
}

impl<'a> Nodes<'a> {
    fn new(source: &'a dyn Source, size: u64) -> Self {
        Self { source, size, tiles: BTreeMap::new() }
    }

    /// Root of the entries `start..end`, which RFC 6962 splits off as a subtree.
    fn root(&mut self, start: u64, end: u64) -> Result<Hash, TileError> {
        let count = end.saturating_sub(start);
        match split(start, end) {
            Some(middle) if !count.is_power_of_two() => {
                let left = self.root(start, middle)?;
                Ok(node_hash(&left, &self.root(middle, end)?))
            }
            _ => self.perfect(start, count.trailing_zeros()),
        }
    }

    /// Root of the `2^height` entries from `start` on.
    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, TileError> {
        let (level, above) = (height / 8, height % 8);
        let bits = level.saturating_mul(8);
        let (first, count) = (shift(start, bits), shift(self.size, bits));
        let index = first / WIDTH;
        let missing = count.saturating_sub(index.saturating_mul(WIDTH));
        let tile = Tile::hashes(u8::try_from(level).unwrap_or(u8::MAX), index)
            .of_width(u16::try_from(missing).unwrap_or(TILE_WIDTH).min(TILE_WIDTH));
        let hashes = match self.tiles.entry(tile) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(read_hashes(self.source, tile)?),
        };
        let skipped = usize::try_from(first % WIDTH).unwrap_or_default();
        let taken = iter::repeat_n((), 1 << above);
        let leaves = hashes.iter().skip(skipped).zip(taken).map(|(hash, ())| *hash);
        Ok(leaves.collect::<Tree>().root())
    }
}
