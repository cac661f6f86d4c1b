//! The Merkle tree of RFC 6962 §2.1 over SHA-256.

use sha2::{Digest as _, Sha256};

/// A node of the tree: a leaf hash, an inner node or a root.
pub type Hash = [u8; 32];

/// Hash of one entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Hash of two neighbouring nodes.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree that only grows. Keeps one hash for each bit of its size: at most 64.
#[derive(Clone, Debug, Default)]
// INVARIANT: `peaks` are the roots of the perfect subtrees that `size`'s one bits stand for,
// greatest first.
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// Adds a leaf, given its [`leaf_hash`].
    pub fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        // As in binary addition: each trailing one bit of the size is a subtree to join.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                root = node_hash(&left, &root);
            }
        }
        self.peaks.push(root);
        self.size = self.size.saturating_add(1);
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root; that of an empty tree is the hash of nothing.
    pub fn root(&self) -> Hash {
        root_of_peaks(self.peaks.iter().copied())
    }

    /// Roots of the perfect subtrees, greatest first.
    pub(crate) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
}

impl FromIterator<Hash> for Tree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

/// Root of the tree whose perfect subtrees, greatest first, have these roots.
pub(crate) fn root_of_peaks(peaks: impl DoubleEndedIterator<Item = Hash>) -> Hash {
    let root = peaks.rev().reduce(|right, left| node_hash(&left, &right));
    root.unwrap_or_else(|| Sha256::digest([]).into())
}
