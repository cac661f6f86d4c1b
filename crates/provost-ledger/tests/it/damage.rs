//! No single change to a ledger's files goes unnoticed.

use proptest::{prelude::*, sample::Index};
use provost_ledger::{Builder, CHECKPOINT_PATH, segment::scan};

use crate::ledger::Ledger;

/// A ledger with all kinds of files: `size` entries signed, full and partial tiles, partial
/// tiles of an older checkpoint and of the next one, and a journal with more entries.
fn ledger(size: u64) -> Ledger {
    let mut ledger = Ledger::default();
    let mut builder = Builder::default();
    ledger.grow(&mut builder, size.saturating_sub(2));
    ledger.write(builder.partials());
    ledger.grow(&mut builder, size);
    ledger.write(builder.partials());
    let signed = builder.clone();
    if size % 256 < 250 {
        ledger.grow(&mut builder, size + 3);
        ledger.write(builder.partials());
    }
    ledger.sign(&signed);
    ledger.journal(size / 2..size - 1);
    ledger.journal(size - 1..size + 5);
    ledger
}

fn pick(ledger: &Ledger, file: Index) -> (String, Vec<u8>) {
    let files: Vec<_> = ledger.files.iter().collect();
    let (path, bytes) = files[file.index(files.len())];
    (path.clone(), bytes.clone())
}

fn is_sound(ledger: &Ledger) -> bool {
    ledger.verify().faults.is_empty()
}

#[test]
fn every_flip_of_every_byte_of_a_small_ledger_is_found() {
    let whole = ledger(5);
    assert_eq!(whole.faults(), "");
    for (path, bytes) in &whole.files {
        for at in 0..bytes.len() {
            let mut damaged = whole.clone();
            damaged.files.get_mut(path).unwrap()[at] ^= 1_u8 << (at % 8);
            assert!(!is_sound(&damaged), "byte {at} of {path}");
        }
    }
}

#[test]
fn every_cut_of_every_file_of_a_small_ledger_is_found() {
    let whole = ledger(5);
    for (path, bytes) in &whole.files {
        for len in 0..bytes.len() {
            let cut = bytes[..len].to_vec();
            // Nothing tells that unsigned entries at the journal's very end ever were there.
            let lawful = path.ends_with("04.seg") && scan(&cut).is_ok_and(|it| !it.torn)
                || path.ends_with("02.seg") && scan(&cut) == scan(bytes);
            let mut damaged = whole.clone();
            damaged.files.insert(path.clone(), cut);
            assert_eq!(is_sound(&damaged), lawful, "{path} cut to {len} bytes");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_flipped_byte_is_found(
        size in 2_u64..1100, file: Index, at: Index, change in 1_u8..,
    ) {
        let mut ledger = ledger(size);
        prop_assert_eq!(ledger.faults(), "");
        let (path, mut bytes) = pick(&ledger, file);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        ledger.files.insert(path.clone(), bytes);
        prop_assert!(!is_sound(&ledger), "byte {at} of {path}");
    }

    #[test]
    fn a_cut_or_longer_file_is_found(
        size in 2_u64..1100, file: Index, len: Index, more in prop::option::of(1_u8..),
    ) {
        let mut ledger = ledger(size);
        let (path, mut bytes) = pick(&ledger, file);
        match more {
            Some(byte) => bytes.push(byte),
            None => bytes.truncate(len.index(bytes.len())),
        }
        let lawful = path.starts_with("journal/") && scan(&bytes).is_ok_and(|it| !it.torn);
        ledger.files.insert(path.clone(), bytes);
        prop_assert!(lawful || !is_sound(&ledger), "{path}");
    }

    #[test]
    fn a_deleted_file_is_found(size in 2_u64..1100, file: Index) {
        let mut ledger = Ledger::sealed(size);
        let (path, _) = pick(&ledger, file);
        ledger.files.remove(&path);
        prop_assert!(!is_sound(&ledger), "{path}");
        let signed = path == CHECKPOINT_PATH;
        let what = if signed { "checkpoint is missing" } else { "is missing\n" };
        prop_assert!(ledger.faults().contains(what));
    }

    #[test]
    fn swapped_files_are_found(size in 2_u64..1100, one: Index, other: Index) {
        let mut ledger = ledger(size);
        let (one, other) = (pick(&ledger, one), pick(&ledger, other));
        prop_assume!(one.1 != other.1);
        ledger.files.insert(one.0.clone(), other.1);
        ledger.files.insert(other.0.clone(), one.1);
        prop_assert!(!is_sound(&ledger), "{} and {}", one.0, other.0);
    }

    #[test]
    fn swapped_hashes_are_found(size in 3_u64..1100, file: Index, one: Index, other: Index) {
        let mut ledger = Ledger::sealed(size);
        ledger.files.retain(|path, _| !path.contains("entries"));
        let (path, bytes) = pick(&ledger, file);
        prop_assume!(path != CHECKPOINT_PATH);
        let mut hashes: Vec<&[u8]> = bytes.chunks(32).collect();
        let (one, other) = (one.index(hashes.len()), other.index(hashes.len()));
        prop_assume!(one != other);
        hashes.swap(one, other);
        let mut damaged = Ledger::sealed(size);
        damaged.files.insert(path.clone(), hashes.concat());
        let want = format!("{path} is not what the tree above it says\n");
        prop_assert_eq!(damaged.faults(), want);
    }

    #[test]
    fn swapped_or_dropped_entries_are_found(
        size in 2_u64..1100, bundle: Index, one: Index, other: Index, drop_one: bool,
    ) {
        let mut ledger = ledger(size);
        let bundles = ledger.files.keys().filter(|path| path.contains("entries"));
        let bundles: Vec<String> = bundles.cloned().collect();
        let path = bundles[bundle.index(bundles.len())].clone();
        let bytes = ledger.files[&path].clone();
        let mut entries = provost_ledger::split_bundle(&bytes).unwrap();
        let (one, other) = (one.index(entries.len()), other.index(entries.len()));
        if drop_one {
            entries.remove(one);
        } else {
            prop_assume!(one != other);
            entries.swap(one, other);
        }
        let framed = entries.iter().flat_map(|entry| {
            let len = u16::try_from(entry.len()).unwrap().to_be_bytes();
            len.into_iter().chain(entry.iter().copied())
        });
        ledger.files.insert(path.clone(), framed.collect());
        prop_assert!(!is_sound(&ledger), "{path}");
    }

    #[test]
    fn verification_survives_anything(
        size in 0_u64..600, file: Index, bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut ledger = Ledger::sealed(size);
        let (path, _) = pick(&ledger, file);
        ledger.files.insert(path, bytes);
        prop_assert!(!is_sound(&ledger));
    }
}
