//! Where a ledger's files are read from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Hash,
    tile::{BundleError, TILE_WIDTH, Tile, split_bundle, split_hashes},
};

/// How often a partial tile is looked for again when it vanished between listing and reading.
const LOOKS_MAX: usize = 5;

/// Read access to a ledger's files, by their path below its directory.
pub trait Source {
    /// The bytes of the file at `path`, or nothing if there is none.
    ///
    /// # Errors
    ///
    /// Whatever kept a file that is there from being read.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// Names of the files and directories in `dir` (`""` is the ledger itself), those of
    /// directories with a `/` at their end, in any order; nothing if there is no such
    /// directory.
    ///
    /// # Errors
    ///
    /// Whatever kept a directory that is there from being listed.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
}

/// A ledger on disk.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

/// A tile or bundle that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// There is no such file.
    #[error("{tile} is missing")]
    Missing {
        /// Which.
        tile: Tile,
    },
    /// It has not as many hashes as it should.
    #[error("{tile} has {len} bytes, not 32 for each hash")]
    Length {
        /// Which.
        tile: Tile,
        /// How long it is. Unit: bytes.
        len: usize,
    },
    /// It is not made of entries, each with its length.
    #[error("{tile} is malformed from byte {offset} on")]
    Malformed {
        /// Which.
        tile: Tile,
        /// Where the first malformed entry begins. Unit: bytes.
        offset: usize,
    },
    /// It has not as many entries as it should.
    #[error("{tile} has {count} entries")]
    Count {
        /// Which.
        tile: Tile,
        /// How many there are.
        count: usize,
    },
    /// The file could not be read.
    #[error("{tile} cannot be read")]
    Io {
        /// Which.
        tile: Tile,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

impl Directory {
    /// The ledger whose files are below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where the files are.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Source for Directory {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        absent(fs::read(self.root.join(path)))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let Some(entries) = absent(fs::read_dir(self.root.join(dir)))? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let mut name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                name.push('/');
            }
            names.push(name);
        }
        Ok(names)
    }
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first `tile.width` hashes of a tile, from the narrowest file that has them.
pub(crate) fn read_hashes(source: &dyn Source, tile: Tile) -> Result<Vec<Hash>, TileError> {
    let (file, bytes) = read_tile(source, tile)?;
    let hashes = split_hashes(&bytes).filter(|hashes| hashes.len() == usize::from(file.width));
    let hashes = hashes.ok_or(TileError::Length { tile: file, len: bytes.len() })?;
    Ok(hashes.iter().copied().take(tile.width.into()).collect())
}

/// The bytes of the bundle that has at least the first `tile.width` entries.
///
/// [`split_bundle`] will succeed on them.
pub(crate) fn read_bundle(source: &dyn Source, tile: Tile) -> Result<Vec<u8>, TileError> {
    let (file, bytes) = read_tile(source, tile)?;
    let entries = split_bundle(&bytes);
    let malformed = |BundleError { offset }| TileError::Malformed { tile: file, offset };
    let count = entries.map_err(malformed)?.len();
    if count != usize::from(file.width) {
        return Err(TileError::Count { tile: file, count });
    }
    Ok(bytes)
}

/// The narrowest file that holds `tile`, and its bytes.
///
/// A partial tile may be gone already, replaced by a wider one or the full one.
fn read_tile(source: &dyn Source, tile: Tile) -> Result<(Tile, Vec<u8>), TileError> {
    let failed = |source| TileError::Io { tile, source };
    for _ in 0..LOOKS_MAX {
        if let Some(bytes) = source.read(&tile.to_string()).map_err(failed)? {
            return Ok((tile, bytes));
        }
        for width in wider(source, tile).map_err(failed)? {
            let file = tile.of_width(width);
            if let Some(bytes) = source.read(&file.to_string()).map_err(failed)? {
                return Ok((file, bytes));
            }
        }
    }
    Err(TileError::Missing { tile })
}

/// Widths of the files that may hold more of the same tile, narrowest first.
fn wider(source: &dyn Source, tile: Tile) -> io::Result<Vec<u16>> {
    if tile.is_full() {
        return Ok(Vec::new());
    }
    let names = source.list(&tile.partials())?;
    let widths = names.iter().filter_map(|name| name.parse().ok());
    let mut widths: Vec<u16> =
        widths.filter(|&width| width > tile.width && width < TILE_WIDTH).collect();
    widths.sort_unstable();
    widths.push(TILE_WIDTH);
    Ok(widths)
}
