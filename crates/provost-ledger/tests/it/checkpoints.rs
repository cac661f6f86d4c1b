//! Signed checkpoints and their keys.

use proptest::prelude::*;
use provost_ledger::{Checkpoint, LedgerKey, LedgerVerifier, NoteError};

use crate::ledger::{checkpoint, key, verifier};

/// The key and note that the documentation of Go's `golang.org/x/mod/sumdb/note` uses.
const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_NOTE: &str = "\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann \
x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
";

#[test]
fn anothers_signed_note_is_accepted_as_signed() {
    let verifier: LedgerVerifier = NEUMANN.parse().unwrap();
    assert_eq!(verifier.to_string(), NEUMANN);
    // Signed, but not a checkpoint.
    assert_eq!(Checkpoint::open(NEUMANN_NOTE, &verifier), Err(NoteError::Checkpoint));
    let changed = NEUMANN_NOTE.replace("your problem is", "my problem is");
    assert_eq!(Checkpoint::open(&changed, &verifier), Err(NoteError::Signature));
}

#[test]
fn the_format_is_fixed() {
    let public = "AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
    assert_eq!(verifier().to_string(), format!("example.com/ledger+ec4d6e6d+{public}"));
    assert_eq!(checkpoint(3, [9; 32]).sign(&key()), include_str!("golden/checkpoint"));
    assert_eq!(format!("{:?}", key()), "LedgerKey(example.com/ledger)");
}

#[test]
fn what_is_no_checkpoint_of_ours_is_refused() {
    let good = checkpoint(300, [1; 32]);
    let note = good.sign(&key());
    let (text, signature) = note.split_once("\n\n").unwrap();
    let other = LedgerKey::new("example.com/ledger", &[8; 32]).unwrap();
    let elsewhere = Checkpoint { origin: "example.com/other".into(), ..good.clone() };
    let signed = |text: &str| {
        // Signs any text as if it were a checkpoint's.
        let origin = text.trim_end_matches('\n').to_string();
        let note = Checkpoint { origin, ..good.clone() };
        note.sign(&key())
    };
    for (note, want) in [
        (String::new(), NoteError::Note),
        (text.into(), NoteError::Note),
        (format!("{text}\n\n"), NoteError::Unsigned),
        (format!("{text}\n\n{signature}").trim_end().into(), NoteError::Note), // no newline
        (format!("{text}\n\n{signature}x"), NoteError::Note),
        (format!("{text}\n\n- {signature}"), NoteError::Note), // not an em dash
        (note.replace('\n', "\r\n"), NoteError::Note),
        (note.replace("300", "301"), NoteError::Signature),
        (note.replace("300", "0300"), NoteError::Signature),
        (note.replace("— example.com/ledger", "— example.com/x"), NoteError::Unsigned),
        (good.sign(&other), NoteError::Unsigned),
        (elsewhere.sign(&key()), NoteError::Origin),
        (signed("example.com/ledger\n300"), NoteError::Checkpoint), // five lines
        (signed(""), NoteError::Checkpoint),
        (note.repeat(400), NoteError::Note), // too long
    ] {
        assert_eq!(Checkpoint::open(&note, &verifier()), Err(want), "note = {note:?}");
    }
}

#[test]
fn signatures_of_witnesses_are_passed_over() {
    let good = checkpoint(300, [1; 32]);
    let note = good.sign(&key());
    let witness = LedgerKey::new("witness.example", &[3; 32]).unwrap();
    let cosigned = good.sign(&witness);
    let (_, signature) = cosigned.split_once("\n\n").unwrap();
    assert_eq!(Checkpoint::open(&format!("{note}{signature}"), &verifier()), Ok(good));
}

#[test]
fn keys_are_named_after_ledgers() {
    for (name, fine) in [
        ("example.com/ledger", true),
        ("l", true),
        ("", false),
        ("a b", false),
        ("a\u{2003}b", false), // a Unicode space
        ("a+b", false),
        ("a\nb", false),
    ] {
        assert_eq!(LedgerKey::new(name, &[0; 32]).is_ok(), fine, "name = {name:?}");
    }
}

#[test]
fn verifier_keys_have_one_form() {
    let text = verifier().to_string();
    assert_eq!(text.parse(), Ok(verifier()));
    for bad in [
        String::new(),
        "example.com/ledger".into(),
        text.replace("ledger", "other"), // the id is not of this name
        text.to_uppercase(),
        format!("{text} "),
        format!("{text}+"),
        text.replacen('+', "++", 1),
    ] {
        assert!(bad.parse::<LedgerVerifier>().is_err(), "text = {bad:?}");
    }
}

proptest! {
    #[test]
    fn checkpoints_survive_signing_and_no_changed_byte_does(
        size: u64, root: [u8; 32], at: prop::sample::Index, bit in 0..7,
    ) {
        let good = checkpoint(size, root);
        let note = good.sign(&key());
        prop_assert_eq!(Checkpoint::open(&note, &verifier()), Ok(good));
        let mut bytes = note.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let changed = String::from_utf8_lossy(&bytes);
        prop_assert!(Checkpoint::open(&changed, &verifier()).is_err(), "{changed}");
    }
}
