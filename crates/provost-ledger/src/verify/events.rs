//! Whether the records of a ledger are events. The tree does not care: it vouches for bytes.

use std::io;

use super::fault::{Fault, Faults};
use crate::{
    Event, Source, Tile, TileError,
    source::read_bundle,
    tile::{Content, TILE_WIDTH, WIDTH, split_bundle},
};

/// Decodes each of the first `size` records, about ten times slower than [`verify`] hashes
/// them. Run that first: bundles that are missing or damaged are passed over here.
///
/// A record that is signed and no event means that the program that wrote it was faulty, or
/// newer than this one. `progress` is told how many records were looked at so far.
///
/// # Errors
///
/// Whatever kept a file that is there from being read.
///
/// [`verify`]: crate::verify()
pub fn verify_events(
    source: &dyn Source,
    size: u64,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Vec<Fault>> {
    let mut faults = Faults::default();
    for index in 0..size.div_ceil(WIDTH) {
        let first = index.saturating_mul(WIDTH);
        let width = u16::try_from(size.saturating_sub(first)).unwrap_or(TILE_WIDTH);
        let width = width.min(TILE_WIDTH);
        let bundle = Tile { content: Content::Entries, index, width };
        let bytes = match read_bundle(source, bundle) {
            Ok(bytes) => bytes,
            Err(TileError::Io { source, .. }) => return Err(source),
            Err(_) => continue,
        };
        let entries = split_bundle(&bytes).unwrap_or_default();
        for (index, entry) in (first..).zip(entries.into_iter().take(width.into())) {
            if let Err(error) = Event::decode(entry) {
                faults.push(Fault::NotEvent { index, bundle, error });
            }
        }
        progress(first.saturating_add(width.into()));
    }
    Ok(faults.into_vec())
}
