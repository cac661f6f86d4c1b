//! What can go wrong with a journal.

use std::{io, path::PathBuf, sync::Arc};

use provost_ledger::ENTRY_LEN_MAX;

use crate::StoreError;

/// An entry was not made durable, or could not be read. Cheap to clone, for one failed commit
/// is answered to every caller that shared it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The entry is empty or too long.
    #[error("an entry of {bytes} bytes: must be 1 to {ENTRY_LEN_MAX}")]
    Length {
        /// The entry's length.
        bytes: usize,
    },
    /// The disk did not take it: full, read-only or failing.
    #[error("cannot write the journal at {}", path.display())]
    Write {
        /// The segment file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The disk did not give it back.
    #[error("cannot read entry {index} from {}", path.display())]
    Read {
        /// The first entry asked for.
        index: u64,
        /// The segment or bundle file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: Arc<io::Error>,
    },
    /// What is stored is not what was written.
    #[error(transparent)]
    Damaged(Damage),
    /// The database did not take it, or did not give it back.
    #[error("the journal's database failed")]
    Database(#[source] Arc<StoreError>),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// Stored entries that cannot be what was once acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A segment or bundle does not hold an entry it should.
    #[error("entry {index} is missing or altered in {}", path.display())]
    Entry {
        /// The first entry that is wrong.
        index: u64,
        /// The segment or bundle file.
        path: PathBuf,
    },
    /// A segment's header does not say what its file name says.
    #[error("{} is not the journal segment its name says", path.display())]
    Header {
        /// The segment file.
        path: PathBuf,
    },
    /// Neither a segment nor a full bundle holds some entries.
    #[error("entries {from} to {to} are in no journal segment and no full bundle")]
    Gap {
        /// The first entry that is missing.
        from: u64,
        /// The last entry that is missing.
        to: u64,
    },
    /// The signed checkpoint counts more entries than there are.
    #[error("the journal ends at {journal} entries, but {signed} were signed")]
    Behind {
        /// Entries in the journal.
        journal: u64,
        /// Entries the checkpoint counts.
        signed: u64,
    },
    /// Another writer put other entries where ours go.
    #[error("entry {index} was written by somebody else")]
    Contended {
        /// The first such entry.
        index: u64,
    },
}

/// A journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Opening it would lose or bend what was acknowledged. Restore it, or ask what happened.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A file could not be used.
    #[error("cannot open the journal at {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// Another journal, in this process or another, writes to the same files.
    #[error("the journal at {} is in use", path.display())]
    InUse {
        /// The folder of segments.
        path: PathBuf,
    },
    /// The database could not be used.
    #[error("cannot open the journal's table")]
    Database(#[source] Arc<StoreError>),
}
