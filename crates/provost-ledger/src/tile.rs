//! Tiles and entry bundles: their paths and their bytes.
//!
//! Source: C2SP tlog-tiles. 256 hashes make a tile, 256 entries a bundle; a full one never
//! changes.

use std::fmt;

use crate::{ENTRY_LEN_MAX, Hash};

/// Hashes in a full tile, and entries in a full bundle. Source: C2SP tlog-tiles.
pub const TILE_WIDTH: u16 = 256;

/// [`TILE_WIDTH`] where indices are reckoned with.
pub(crate) const WIDTH: u64 = TILE_WIDTH as u64;

/// Levels of tiles there can be: 256^8 is 2^64.
pub(crate) const LEVEL_COUNT: usize = 8;

/// The name of one tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What is in it.
    pub content: Content,
    /// Its position among those of its kind.
    pub index: u64,
    /// Hashes or entries in it: 1 to [`TILE_WIDTH`]; less than that makes it partial.
    pub width: u16,
}

/// What is in a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// Entries, each with its length before it: an entry bundle.
    Entries,
    /// Hashes of this level: 0 for entries, each next for a full tile of the one below.
    Hashes(u8),
}

/// One file as it must be written, below the ledger's directory.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An entry that no bundle and no segment can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry has 1 to {ENTRY_LEN_MAX} bytes, not {len}")]
pub struct EntryLenError {
    /// Its length. Unit: bytes.
    pub len: usize,
}

/// A bundle that does not end where an entry ends, or has an empty entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entry bundle is malformed from byte {offset} on")]
pub struct BundleError {
    /// Where the first malformed entry begins. Unit: bytes.
    pub offset: usize,
}

impl Tile {
    /// The full entry bundle at `index`: entries `256 × index` and the 255 after it.
    pub const fn bundle(index: u64) -> Self {
        Self { content: Content::Entries, index, width: TILE_WIDTH }
    }

    /// The full tile at `index` of `level`.
    pub const fn hashes(level: u8, index: u64) -> Self {
        Self { content: Content::Hashes(level), index, width: TILE_WIDTH }
    }

    /// The same tile when it holds `width` entries or hashes.
    #[must_use]
    pub const fn of_width(self, width: u16) -> Self {
        Self { width, ..self }
    }

    /// Whether it holds all it can.
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The partial tiles of hashes that end a tree of `size` entries, the highest level
    /// first, and at last the partial bundle. The hashes' peaks, in order, make the root.
    pub(crate) fn edges(size: u64) -> impl Iterator<Item = Self> {
        let hashes = (0..8).rev().map(move |level| {
            let count = size >> (u32::from(level) * 8);
            (Content::Hashes(level), count)
        });
        hashes.chain([(Content::Entries, size)]).filter_map(move |(content, count)| {
            let index = count / WIDTH;
            let width = u16::try_from(count % WIDTH).ok()?;
            (width > 0).then_some(Self { content, index, width })
        })
    }

    /// The full tiles of the level `below` whose roots this tile of hashes holds.
    pub(crate) fn children(self, below: u8) -> impl Iterator<Item = Self> {
        let first = self.index.saturating_mul(WIDTH);
        (first..).take(self.width.into()).map(move |index| Self::hashes(below, index))
    }

    /// Indices of the first and the last entry that it stands for.
    pub(crate) fn entries(self) -> (u64, u64) {
        let each = match self.content {
            Content::Entries => 1,
            Content::Hashes(level) => WIDTH.saturating_pow(level.into()),
        };
        let first = self.index.saturating_mul(WIDTH);
        let next = first.saturating_add(self.width.into());
        (first.saturating_mul(each), next.saturating_mul(each).saturating_sub(1))
    }

    /// Path of the directory with the tile's partial forms.
    pub(crate) fn partials(self) -> String {
        format!("{}.p", self.of_width(TILE_WIDTH))
    }

    /// Reads back what `Display` wrote; nothing for any other path.
    pub fn from_path(path: &str) -> Option<Self> {
        let (content, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (digits, width) = match rest.split_once(".p/") {
            Some((digits, width)) => (digits, width.parse().ok()?),
            None => (rest, TILE_WIDTH),
        };
        let content = match content {
            "entries" => Content::Entries,
            level => Content::Hashes(level.parse().ok()?),
        };
        let mut index = 0_u64;
        for group in digits.split('/') {
            let group: u64 = group.trim_start_matches('x').parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(group)?;
        }
        // Another spelling of the same tile is another file: it must not pass for the tile.
        let tile = Self { content, index, width };
        (tile.is_possible() && tile.to_string() == path).then_some(tile)
    }

    fn is_possible(self) -> bool {
        let leveled = match self.content {
            Content::Entries => true,
            Content::Hashes(level) => usize::from(level) < LEVEL_COUNT,
        };
        leveled && (1..=TILE_WIDTH).contains(&self.width)
    }
}

impl fmt::Display for Tile {
    /// The path below the ledger's directory, such as `tile/entries/x001/x234/067.p/5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Entries => f.write_str("tile/entries")?,
            Content::Hashes(level) => write!(f, "tile/{level}")?,
        }
        let mut above = Vec::new();
        let mut rest = self.index / 1000;
        while rest > 0 {
            above.push(rest % 1000);
            rest /= 1000;
        }
        for group in above.iter().rev() {
            write!(f, "/x{group:03}")?;
        }
        write!(f, "/{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

/// Adds `entry` to the end of `bundle`.
///
/// # Errors
///
/// [`EntryLenError`] if it is empty or longer than [`ENTRY_LEN_MAX`].
pub(crate) fn add_to_bundle(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryLenError> {
    let error = EntryLenError { len: entry.len() };
    let len = u16::try_from(entry.len()).map_err(|_| error)?;
    if len == 0 {
        return Err(error);
    }
    bundle.extend(len.to_be_bytes());
    bundle.extend(entry);
    Ok(())
}

/// The entries of a bundle, in order.
///
/// # Errors
///
/// [`BundleError`] at the first entry that is cut short or empty.
pub fn split_bundle(bundle: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(TILE_WIDTH.into());
    let mut rest = bundle;
    while !rest.is_empty() {
        let offset = bundle.len().saturating_sub(rest.len());
        let (entry, after) = split_entry(rest).ok_or(BundleError { offset })?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let len = u16::from_be_bytes(*len);
    if len == 0 { None } else { rest.split_at_checked(len.into()) }
}

/// The bytes of a tile of hashes.
pub(crate) fn join_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.as_flattened().to_vec()
}

/// The hashes of a tile; nothing unless its length is a multiple of theirs.
pub(crate) fn split_hashes(tile: &[u8]) -> Option<&[Hash]> {
    let (hashes, rest) = tile.as_chunks();
    rest.is_empty().then_some(hashes)
}
