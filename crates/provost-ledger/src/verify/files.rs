//! Which files there are, and whether those that no walk down the tree meets are in order.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
};

use super::{
    fault::{Fault, Faults},
    journal::Journal,
    tree::recompute,
};
use crate::{
    CHECKPOINT_PATH, Source, Tile, TileError,
    source::{read_bundle, read_hashes},
    tile::{Content, TILE_WIDTH},
};

/// Ends of the names of files that are being written, which are then renamed.
const UNFINISHED: [&str; 2] = [".new", ".tmp"];

/// The files of a ledger that are not full tiles below its checkpoint's size.
pub(super) struct Files {
    size: u64,
    /// Partial tiles, stale ones too, and full ones that begin before `size` and end behind.
    loose: BTreeMap<(Content, u64), BTreeSet<u16>>,
    /// Full tiles that begin at `size` or behind.
    beyond: Vec<Tile>,
    /// The journal's segments.
    segments: Vec<String>,
}

impl Files {
    /// Lists a ledger whose checkpoint is of `size` entries.
    pub(super) fn list(
        source: &dyn Source,
        size: u64,
        faults: &mut Faults,
    ) -> io::Result<Self> {
        let mut files =
            Self { size, loose: BTreeMap::new(), beyond: Vec::new(), segments: Vec::new() };
        let mut dirs = VecDeque::from([String::new()]);
        while let Some(dir) = dirs.pop_front() {
            let mut names = source.list(dir.trim_end_matches('/'))?;
            names.sort_unstable();
            for name in names {
                let path = format!("{dir}{name}");
                if path.ends_with('/') {
                    dirs.push_back(path);
                } else if !files.place(&path) {
                    faults.push(Fault::Unexpected { path });
                }
            }
        }
        Ok(files)
    }

    /// The journal's segments, in order.
    pub(super) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Entries there are in bundles, signed or not.
    pub(super) fn end(&self) -> u64 {
        let loose = self.loose.iter().flat_map(|(&(content, index), widths)| {
            widths.iter().map(move |&width| Tile { content, index, width })
        });
        let tiles = loose.chain(self.beyond.iter().copied());
        let bundles = tiles.filter(|tile| tile.content == Content::Entries);
        bundles.map(|tile| tile.entries().1.saturating_add(1)).fold(self.size, u64::max)
    }

    /// The fullest bundle at `index`.
    pub(super) fn bundle(&self, index: u64) -> Tile {
        let full = Tile::bundle(index);
        if full.entries().1 < self.size || self.beyond.contains(&full) {
            return full;
        }
        let widths = self.loose.get(&(Content::Entries, index));
        full.of_width(widths.and_then(BTreeSet::last).copied().unwrap_or(TILE_WIDTH))
    }

    /// Checks that full tiles beyond the checkpoint are such as a server leaves that died, or
    /// is only about to sign: of entries below `signed`, a later checkpoint's size, or of
    /// entries that the journal still has.
    pub(super) fn check_beyond(
        &self,
        source: &dyn Source,
        signed: u64,
        journal: &Journal,
        faults: &mut Faults,
    ) -> io::Result<()> {
        for &tile in &self.beyond {
            let (first, last) = tile.entries();
            if last >= signed && !journal.covers(first, last) {
                faults.push(Fault::Beyond { tile, size: signed });
            }
            self.check_unsigned(source, tile, faults)?;
        }
        Ok(())
    }

    /// Checks that tiles of different widths in the same place begin alike, and that those
    /// which reach beyond the checkpoint agree with what is below them.
    pub(super) fn check_copies(
        &self,
        source: &dyn Source,
        faults: &mut Faults,
    ) -> io::Result<()> {
        for (&(content, index), widths) in &self.loose {
            let mut before: Option<(Tile, Vec<u8>)> = None;
            for &width in widths.iter().chain(&[TILE_WIDTH]) {
                let tile = Tile { content, index, width };
                // A live server may have replaced it since it was listed.
                let Some(bytes) = source.read(&tile.to_string())? else { continue };
                if let Some((other, start)) = before.replace((tile, bytes.clone()))
                    && !bytes.starts_with(&start)
                {
                    faults.push(Fault::Copy { tile: other, other: tile });
                }
                if !tile.is_full() || widths.contains(&TILE_WIDTH) {
                    self.check_unsigned(source, tile, faults)?;
                }
            }
        }
        Ok(())
    }

    /// Checks that a tile is well-formed and, if no checkpoint vouches for it, agrees with
    /// what is below it.
    fn check_unsigned(
        &self,
        source: &dyn Source,
        tile: Tile,
        faults: &mut Faults,
    ) -> io::Result<()> {
        let result = match tile.content {
            Content::Entries => read_bundle(source, tile).map(|_| Vec::new()),
            Content::Hashes(_) => read_hashes(source, tile),
        };
        match result {
            Ok(hashes) if tile.entries().1 >= self.size => {
                if recompute(source, tile, &hashes)? != hashes {
                    faults.push(Fault::Unsigned { tile });
                }
            }
            Ok(_) | Err(TileError::Missing { .. }) => {}
            Err(TileError::Io { source, .. }) => return Err(source),
            Err(error) => faults.push(Fault::File(error)),
        }
        Ok(())
    }

    /// Notes a file; false if it is none of a ledger's.
    fn place(&mut self, path: &str) -> bool {
        if let Some(tile) = Tile::from_path(path) {
            let (first, last) = tile.entries();
            if tile.is_full() && first >= self.size {
                self.beyond.push(tile);
            } else if !tile.is_full() || last >= self.size {
                self.loose.entry((tile.content, tile.index)).or_default().insert(tile.width);
            }
            return true;
        }
        let segment = path.starts_with("journal/") && path.ends_with(".seg");
        if segment {
            self.segments.push(path.into());
        }
        segment || path == CHECKPOINT_PATH || UNFINISHED.iter().any(|end| path.ends_with(end))
    }
}
