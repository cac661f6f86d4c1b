//! The signed head of the ledger.
//!
//! Source: C2SP tlog-checkpoint and signed-note. Extension lines are refused: we write none,
//! and a line that nobody checks is no place to find words in.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{Hash, LedgerKey, LedgerVerifier};

/// Path of the checkpoint below the ledger's directory.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// Longest note that is read. Unit: bytes. Room for dozens of cosignatures.
const NOTE_LEN_MAX: usize = 65_536;

/// What a ledger was at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The ledger's name in the world, which is also its key's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// A text that is not a checkpoint signed by the key it was checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note.
    #[error("not a signed note")]
    Note,
    /// A signed note whose text is not a checkpoint.
    #[error("the signed text is not a checkpoint")]
    Checkpoint,
    /// No signature is by the key.
    #[error("not signed by the ledger's key")]
    Unsigned,
    /// A signature claims to be by the key and is not.
    #[error("the signature is not valid")]
    Signature,
    /// Signed by the key, but for a ledger of another name.
    #[error("the checkpoint is of another ledger than its key's name says")]
    Origin,
}

impl Checkpoint {
    /// The checkpoint as a signed note.
    ///
    /// Its `origin` must be the key's name, or [`Checkpoint::open`] will refuse it.
    pub fn sign(&self, key: &LedgerKey) -> String {
        let text = self.text();
        let signature = key.signature_line(&text);
        format!("{text}\n{signature}")
    }

    /// Reads a note and checks that `verifier`'s key signed it. Other signatures, such as
    /// those of witnesses, are passed over.
    ///
    /// # Errors
    ///
    /// [`NoteError`] unless the note is well-formed, signed by the key, and of its origin.
    pub fn open(note: &str, verifier: &LedgerVerifier) -> Result<Self, NoteError> {
        let (text, signatures) = split_note(note).ok_or(NoteError::Note)?;
        let mut signed = false;
        for line in signatures.lines() {
            let (name, id, signature) = split_signature(line).ok_or(NoteError::Note)?;
            if verifier.is_called(name, &id) {
                signed = verifier.accepts(text, &signature);
                if !signed {
                    return Err(NoteError::Signature);
                }
            }
        }
        if !signed {
            return Err(NoteError::Unsigned);
        }
        let checkpoint = Self::parse(text).ok_or(NoteError::Checkpoint)?;
        if checkpoint.origin == verifier.name() {
            Ok(checkpoint)
        } else {
            Err(NoteError::Origin)
        }
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let checkpoint = Self {
            origin: lines.next().filter(|origin| !origin.is_empty())?.into(),
            size: lines.next()?.parse().ok()?,
            root: BASE64_STANDARD.decode(lines.next()?).ok()?.try_into().ok()?,
        };
        // One form only: no leading zeros, no signs, no further lines.
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

/// The signed text, with its last newline, and the lines of signatures.
fn split_note(note: &str) -> Option<(&str, &str)> {
    let stray = |c: char| c.is_ascii_control() && c != '\n';
    if note.len() > NOTE_LEN_MAX || note.contains(stray) || !note.ends_with('\n') {
        return None;
    }
    let blank = note.rfind("\n\n")?;
    let (text, rest) = note.split_at_checked(blank.checked_add(1)?)?;
    rest.strip_prefix('\n').map(|signatures| (text, signatures))
}

/// The key name, key id and signature of a signature line.
fn split_signature(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    let (id, signature) = bytes.split_first_chunk()?;
    let named = !name.is_empty() && !signature.is_empty();
    named.then(|| (name, *id, signature.to_vec()))
}
