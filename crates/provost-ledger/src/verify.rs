//! Finds out whether a ledger is what its checkpoint says: whole, unchanged, in order.
//!
//! Trust flows from the signature down: the checkpoint vouches for the root, the root for the
//! tiles at the tree's right edge, each tile for those below it, the lowest for the entries.
//! So a fault can be laid at the file, and mostly at the record, that is wrong, and damage to
//! one file does not put its neighbours under suspicion.

use std::io;

use crate::{
    CHECKPOINT_PATH, Checkpoint, LedgerVerifier, Source, consistency_proof, verify_consistency,
};

mod events;
mod fault;
mod files;
mod journal;
mod tree;

pub use events::verify_events;
pub use fault::{FAULTS_MAX, Fault};

use fault::Faults;
use files::Files;
use journal::Journal;
use tree::Walk;

/// What was found out about a ledger.
#[derive(Debug)]
pub struct Report {
    /// The signed head it was checked against; nothing if there is none to be trusted.
    pub checkpoint: Option<Checkpoint>,
    /// Entries that the checkpoint vouches for.
    pub entries_verified: u64,
    /// Entries that are there but that no checkpoint vouches for yet.
    pub unsigned_tail: u64,
    /// All that is wrong; at most [`FAULTS_MAX`] and one that counts the others.
    pub faults: Vec<Fault>,
}

/// Verifies the ledger in `source`, to which a server may go on writing meanwhile.
///
/// Records behind the checkpoint that the journal has are no fault but the unsigned tail: so
/// does a server leave them that died. What that hides, an older checkpoint put back or the
/// tail cut off, only a checkpoint that left the machine can show, and that is `since`.
///
/// `since` is an older checkpoint the caller trusts: the ledger must be a continuation of it.
/// `progress` is told how many entries were looked at so far.
///
/// # Errors
///
/// Whatever kept a file that is there from being read. Missing and damaged files are faults.
pub fn verify(
    source: &dyn Source,
    verifier: &LedgerVerifier,
    since: Option<&Checkpoint>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Report> {
    let mut faults = Faults::default();
    let Some(checkpoint) = read_checkpoint(source, verifier, &mut faults)? else {
        return Ok(Report {
            checkpoint: None,
            entries_verified: 0,
            unsigned_tail: 0,
            faults: faults.into_vec(),
        });
    };
    let size = checkpoint.size;
    let files = Files::list(source, size, &mut faults)?;
    let journal = Journal::read(source, &files, &mut faults)?;
    let mut walk = Walk::new(source, &mut faults, progress);
    walk.tree(&checkpoint)?;
    let entries_verified = walk.verified();
    files.check_copies(source, &mut faults)?;
    if let Some(since) = since {
        check_continues(source, since, &checkpoint, &mut faults);
    }
    let signed = match read_checkpoint(source, verifier, &mut faults)? {
        Some(later) if later != checkpoint => {
            check_continues(source, &checkpoint, &later, &mut faults);
            later.size
        }
        _ => size,
    };
    files.check_beyond(source, signed, &journal, &mut faults)?;
    let end = journal.check(source, files.end().max(signed), &mut faults)?;
    let unsigned_tail = end.max(files.end()).saturating_sub(size);
    let faults = faults.into_vec();
    Ok(Report { checkpoint: Some(checkpoint), entries_verified, unsigned_tail, faults })
}

fn read_checkpoint(
    source: &dyn Source,
    verifier: &LedgerVerifier,
    faults: &mut Faults,
) -> io::Result<Option<Checkpoint>> {
    let Some(note) = source.read(CHECKPOINT_PATH)? else {
        faults.push(Fault::NoCheckpoint);
        return Ok(None);
    };
    // What is not UTF-8 is not a note either, and the replacement will not have been signed.
    match Checkpoint::open(&String::from_utf8_lossy(&note), verifier) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(error) => {
            faults.push(Fault::Checkpoint(error));
            Ok(None)
        }
    }
}

/// Checks that the ledger at `new` begins with the ledger at `old`.
fn check_continues(
    source: &dyn Source,
    old: &Checkpoint,
    new: &Checkpoint,
    faults: &mut Faults,
) {
    if old.origin != new.origin {
        faults.push(Fault::OtherLedger { origin: old.origin.clone() });
    } else if old.size > new.size {
        faults.push(Fault::CutOff { size: new.size, since: old.size });
    } else {
        let proof = consistency_proof(source, old.size, new.size).ok();
        if proof.is_none_or(|proof| verify_consistency(&proof, old, new).is_err()) {
            faults.push(Fault::Rewritten { since: old.size });
        }
    }
}
