//! Whether the journal's segments are whole, follow one another and agree with the bundles.

use std::io;

use super::{
    fault::{Fault, Faults},
    files::Files,
};
use crate::{
    Source, TileError,
    segment::{Scan, scan, segment_path},
    source::read_bundle,
    tile::{WIDTH, split_bundle},
};

/// How often a segment is read again that a live server may be in the midst of writing.
const LOOKS_MAX: usize = 16;

/// What the journal holds.
#[derive(Default)]
pub(super) struct Journal {
    segments: Vec<Segment>,
}

/// One segment that could be read.
struct Segment {
    path: String,
    /// Index of its first entry.
    first: u64,
    /// Index after its last entry.
    next: u64,
    /// Where its whole frames end, if something other than zeros follows. Unit: bytes.
    torn_at: Option<usize>,
}

impl Journal {
    /// Reads all segments and compares their entries with those in bundles.
    pub(super) fn read(
        source: &dyn Source,
        files: &Files,
        faults: &mut Faults,
    ) -> io::Result<Self> {
        let mut segments = Vec::new();
        for path in files.segments() {
            // A live server may have dropped it since it was listed.
            let Some(bytes) = source.read(path)? else { continue };
            match scan(&bytes) {
                Ok(scan) if segment_path(scan.first_index) == *path => {
                    let segment = Segment::new(path, &scan);
                    segment.check_entries(source, files, &scan, faults)?;
                    segments.push(segment);
                }
                _ => faults.push(Fault::Segment { path: path.clone() }),
            }
        }
        Ok(Self { segments })
    }

    /// Whether the entries from `first` to `last` are there.
    pub(super) fn covers(&self, first: u64, last: u64) -> bool {
        let ends = self.segments.first().zip(self.segments.last());
        ends.is_some_and(|(oldest, newest)| oldest.first <= first && newest.next > last)
    }

    /// Checks that the segments follow one another and go on where the bundles, which have
    /// `covered` entries, end. Returns how many entries there are with the journal's.
    pub(super) fn check(
        &self,
        source: &dyn Source,
        covered: u64,
        faults: &mut Faults,
    ) -> io::Result<u64> {
        let mut expected = None;
        for segment in &self.segments {
            let follows = match expected {
                Some(next) => segment.first == next,
                None => segment.first <= covered,
            };
            if !follows {
                let expected = expected.unwrap_or(covered);
                let (path, index) = (segment.path.clone(), segment.first);
                faults.push(Fault::Gap { path, index, expected });
            }
            if segment.is_torn_for_good(source)? {
                let (path, index) = (segment.path.clone(), segment.next);
                faults.push(Fault::Torn { path, index });
            }
            expected = Some(segment.next);
        }
        Ok(expected.unwrap_or_default())
    }
}

impl Segment {
    fn new(path: &str, scan: &Scan<'_>) -> Self {
        let count = u64::try_from(scan.entries.len()).unwrap_or(u64::MAX);
        Self {
            path: path.into(),
            first: scan.first_index,
            next: scan.first_index.saturating_add(count),
            torn_at: scan.torn.then_some(scan.end),
        }
    }

    fn check_entries(
        &self,
        source: &dyn Source,
        files: &Files,
        scan: &Scan<'_>,
        faults: &mut Faults,
    ) -> io::Result<()> {
        let end = self.next.min(files.end());
        let mut entries = (self.first..end).zip(&scan.entries).peekable();
        while let Some(&(index, _)) = entries.peek() {
            let tile = files.bundle(index / WIDTH);
            let bytes = match read_bundle(source, tile) {
                Ok(bytes) => bytes,
                Err(TileError::Io { source, .. }) => return Err(source),
                // Told by who looks at bundles.
                Err(_) => Vec::new(),
            };
            let (first, last) = tile.entries();
            let mut bundled = (first..).zip(split_bundle(&bytes).unwrap_or_default());
            while let Some((index, entry)) = entries.next_if(|(index, _)| *index <= last) {
                let same_place = bundled.find(|(place, _)| *place == index);
                if same_place.is_some_and(|(_, bundled)| bundled != *entry) {
                    let path = self.path.clone();
                    faults.push(Fault::Journal { path, index, bundle: tile });
                }
            }
        }
        Ok(())
    }

    /// Whether it is still torn in the same place after several looks.
    fn is_torn_for_good(&self, source: &dyn Source) -> io::Result<bool> {
        let Some(torn_at) = self.torn_at else { return Ok(false) };
        for _ in 0..LOOKS_MAX {
            let Some(bytes) = source.read(&self.path)? else { return Ok(false) };
            if scan(&bytes).is_ok_and(|scan| scan.end != torn_at || !scan.torn) {
                return Ok(false);
            }
            std::thread::yield_now();
        }
        Ok(true)
    }
}
