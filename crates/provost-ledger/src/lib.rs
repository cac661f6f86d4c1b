//! The log's byte format: events, Merkle tree, tiles, signed checkpoints, proofs, verification.
//!
//! Pure: it reads files through [`Source`] and writes none, so that an auditor can use it
//! alone. Who appends, signs and stores is `provost-store`'s business.

mod builder;
mod checkpoint;
mod event;
mod key;
mod merkle;
mod proof;
pub mod segment;
mod source;
mod tile;
mod verify;

pub use builder::Builder;
pub use checkpoint::{CHECKPOINT_PATH, Checkpoint, NoteError};
pub use event::{
    Admin, Alert, Approval, Brief, DecodeError, ENTRY_LEN_MAX, Event, INTEGER_MAX, Intent,
    Record, Refused, ServerEvent, SessionEvent, Subject, Witness,
};
pub use key::{KeyNameError, LedgerKey, LedgerVerifier, VerifierKeyError};
pub use merkle::{Hash, Tree, leaf_hash, node_hash};
pub use proof::{
    BadProof, ProofError, consistency_proof, inclusion_proof, verify_consistency,
    verify_inclusion,
};
pub use source::{Directory, Source, TileError};
pub use tile::{BundleError, Content, EntryLenError, File, TILE_WIDTH, Tile, split_bundle};
pub use verify::{FAULTS_MAX, Fault, Report, verify, verify_events};
