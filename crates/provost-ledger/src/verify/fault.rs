//! What can be wrong with a ledger.

use crate::{DecodeError, NoteError, Tile, TileError};

/// Faults that are told apart. Unit: faults. More are only counted.
pub const FAULTS_MAX: usize = 1000;

/// One thing that is wrong with a ledger. Names the file, and where it can the record.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is no checkpoint.
    #[error("checkpoint is missing: nothing vouches for this ledger")]
    NoCheckpoint,
    /// The checkpoint is not the ledger's.
    #[error("checkpoint cannot be trusted: {0}")]
    Checkpoint(NoteError),
    /// The checkpoint to compare with is another ledger's.
    #[error("checkpoint is not of the ledger `{origin}` that it is compared with")]
    OtherLedger {
        /// Origin of the checkpoint that was given.
        origin: String,
    },
    /// The ledger is shorter than it was.
    #[error(
        "checkpoint has {size} records, but {since} were signed before: the end is cut off"
    )]
    CutOff {
        /// Records now.
        size: u64,
        /// Records then.
        since: u64,
    },
    /// The ledger is not the one it was.
    #[error("checkpoint does not continue the one of {since} records: history was rewritten")]
    Rewritten {
        /// Records then.
        since: u64,
    },
    /// The tiles at the tree's right edge do not make the signed root.
    #[error("checkpoint's root is not that of the tiles and entries of its {size} records")]
    Root {
        /// Records that the checkpoint signs.
        size: u64,
    },
    /// A file cannot be used as it is.
    #[error(transparent)]
    File(TileError),
    /// A tile is not the one that the tree above it vouches for.
    #[error("{tile} is not what the tree above it says")]
    Tile {
        /// Which.
        tile: Tile,
    },
    /// A record is not the one that was written.
    #[error("record {index} in {bundle} is not what was signed")]
    Record {
        /// Its index.
        index: u64,
        /// The bundle it is in.
        bundle: Tile,
    },
    /// A record is what was signed, but not an event.
    #[error("record {index} in {bundle}: {error}")]
    NotEvent {
        /// Its index.
        index: u64,
        /// The bundle it is in.
        bundle: Tile,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// Both a tile and what is below it differ from what was signed.
    #[error("records {first} to {last}: not all below {tile} is what was signed")]
    Below {
        /// The damaged tile.
        tile: Tile,
        /// First of the records it stands for.
        first: u64,
        /// Last of the records it stands for.
        last: u64,
    },
    /// Two files that should begin alike do not.
    #[error("{tile} does not agree with {other}")]
    Copy {
        /// The one.
        tile: Tile,
        /// The other.
        other: Tile,
    },
    /// A tile that no checkpoint vouches for does not agree with what is below it.
    #[error("{tile} is unsigned and does not agree with what is below it")]
    Unsigned {
        /// Which.
        tile: Tile,
    },
    /// A full tile or bundle of records that neither the checkpoint nor the journal has.
    #[error("{tile} lies beyond the checkpoint's {size} records: an older one was put back")]
    Beyond {
        /// Which.
        tile: Tile,
        /// Records that the checkpoint signs.
        size: u64,
    },
    /// A file that does not belong there.
    #[error("{path} is no file of a ledger")]
    Unexpected {
        /// Which.
        path: String,
    },
    /// A journal segment's header is damaged.
    #[error("{path} is not a journal segment of its name")]
    Segment {
        /// Which.
        path: String,
    },
    /// A journal segment has a damaged record, or one whose writing was cut short.
    #[error("record {index} in {path} is damaged, or was never wholly written")]
    Torn {
        /// Which segment.
        path: String,
        /// Index of the record.
        index: u64,
    },
    /// A journal segment does not begin where the one before it, or the tree, ends.
    #[error("{path} begins at record {index}, but record {expected} comes next")]
    Gap {
        /// Which segment.
        path: String,
        /// Index of its first record.
        index: u64,
        /// Index of the record that was expected.
        expected: u64,
    },
    /// A journal segment and an entry bundle have different records.
    #[error("record {index} in {path} differs from that in {bundle}")]
    Journal {
        /// Which segment.
        path: String,
        /// Index of the record.
        index: u64,
        /// Which bundle.
        bundle: Tile,
    },
    /// More faults than are told apart.
    #[error("and {count} faults more")]
    More {
        /// How many. Unit: faults.
        count: usize,
    },
}

/// Faults as they are found: the first of them, and how many more.
#[derive(Default)]
pub(super) struct Faults {
    first: Vec<Fault>,
    more: usize,
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        if self.first.len() < FAULTS_MAX {
            self.first.push(fault);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<Fault> {
        let more = (self.more > 0).then_some(Fault::More { count: self.more });
        self.first.extend(more);
        self.first
    }
}
