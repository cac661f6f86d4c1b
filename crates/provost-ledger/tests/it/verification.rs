//! What verification says about sound ledgers and about each kind of damage.

use std::sync::LazyLock;

use provost_ledger::{
    Builder, CHECKPOINT_PATH, Checkpoint, Directory, FAULTS_MAX, LedgerKey, leaf_hash,
    segment::segment_path, verify, verify_events,
};

use crate::ledger::{Ledger, Live, checkpoint, entry, key, verifier};

/// Verifies a ledger of 66,300 entries, of which the journal has the last 300 and 7 more,
/// after `damage`.
fn check(damage: impl FnOnce(&mut Ledger), want: &str) {
    static SOUND: LazyLock<Ledger> = LazyLock::new(|| {
        let mut ledger = Ledger::sealed(66_300);
        ledger.journal(66_000..66_100);
        ledger.journal(66_100..66_307);
        ledger
    });
    let mut ledger = SOUND.clone();
    damage(&mut ledger);
    assert_eq!(ledger.faults(), want);
}

fn flip(path: &str, at: usize) -> impl FnOnce(&mut Ledger) {
    move |ledger| ledger.files.get_mut(path).unwrap()[at] ^= 1
}

fn delete(path: &str) -> impl FnOnce(&mut Ledger) {
    move |ledger| drop(ledger.files.remove(path).unwrap())
}

#[test]
fn a_sound_ledger_has_no_faults() {
    for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_300] {
        let ledger = Ledger::sealed(size);
        let mut progress = vec![0];
        let report =
            verify(&ledger, &verifier(), None, &mut |seen| progress.push(seen)).unwrap();
        assert!(report.faults.is_empty(), "size = {size}: {:?}", report.faults);
        assert_eq!((report.entries_verified, report.unsigned_tail), (size, 0));
        assert_eq!(report.checkpoint.unwrap().size, size);
        assert!(progress.is_sorted() && progress.last() == Some(&size), "{progress:?}");
    }
}

#[test]
fn entries_beyond_the_checkpoint_are_counted() {
    check(|_| {}, "");
    let mut ledger = Ledger::sealed(300);
    ledger.journal(0..307);
    assert_eq!(ledger.verify().unsigned_tail, 7);
    // The server died between the partial tiles and the checkpoint.
    let mut builder = Builder::resume(&ledger, 300).unwrap();
    ledger.grow(&mut builder, 310);
    ledger.write(builder.partials());
    assert_eq!(ledger.faults(), "");
    assert_eq!(ledger.verify().unsigned_tail, 10);
    assert_eq!(ledger.verify().entries_verified, 300);
}

#[test]
fn the_record_that_was_changed_is_named() {
    check(flip("tile/entries/000", 9), "record 0 in tile/entries/000 is not what was signed\n");
    check(
        |ledger| {
            let bundle = ledger.files.get_mut("tile/entries/258.p/252").unwrap();
            *bundle.last_mut().unwrap() ^= 1;
        },
        "record 66299 in journal/00000000000000066100.seg differs from that in \
         tile/entries/258.p/252\n\
         record 66299 in tile/entries/258.p/252 is not what was signed\n",
    );
}

#[test]
fn a_tile_that_was_changed_is_named_alone() {
    let tile = |path: &str, at| {
        check(flip(path, at), &format!("{path} is not what the tree above it says\n"));
    };
    tile("tile/0/000", 0); // the first record's hash
    tile("tile/0/255", 8191);
    tile("tile/1/000", 33);
    tile("tile/0/258.p/252", 40); // at the edge: vouched for by the root alone
    tile("tile/1/001.p/2", 40);
    tile("tile/2/000.p/1", 0);
}

#[test]
fn several_changes_are_told_apart() {
    check(
        |ledger| {
            flip("tile/1/000", 32 * 17)(ledger); // the hash of tile/0/017
            flip("tile/0/018", 0)(ledger);
            flip("tile/entries/019", 9)(ledger);
            flip("tile/0/258.p/252", 0)(ledger);
            flip("tile/1/001.p/2", 0)(ledger);
        },
        "tile/1/001.p/2 is not what the tree above it says\n\
         tile/0/258.p/252 is not what the tree above it says\n\
         tile/1/000 is not what the tree above it says\n\
         tile/0/018 is not what the tree above it says\n\
         record 4864 in tile/entries/019 is not what was signed\n",
    );
}

#[test]
fn records_and_their_hashes_changed_together_are_found() {
    // Whoever changes a record and its hash, but not the tree above.
    let forge = |ledger: &mut Ledger| {
        flip("tile/entries/001", 9)(ledger);
        let bundle = &ledger.files["tile/entries/001"];
        let first = provost_ledger::split_bundle(bundle).unwrap()[0];
        let hash = leaf_hash(first);
        ledger.files.get_mut("tile/0/001").unwrap()[..32].copy_from_slice(&hash);
    };
    check(
        forge,
        "tile/0/001 is not what the tree above it says\n\
         records 256 to 511: not all below tile/0/001 is what was signed\n",
    );
    // Whoever writes the whole ledger anew, but cannot sign it.
    check(
        |ledger| {
            let note = ledger.files[CHECKPOINT_PATH].clone();
            let mut builder = Builder::default();
            builder.push(b"forged").unwrap();
            ledger.grow(&mut builder, 66_300);
            ledger.write(builder.partials());
            ledger.files.insert(CHECKPOINT_PATH.into(), note);
        },
        "checkpoint's root is not that of the tiles and entries of its 66300 records\n",
    );
}

#[test]
fn nothing_is_verified_under_a_root_that_does_not_fit() {
    let mut ledger = Ledger::sealed(300);
    let note = checkpoint(300, [5; 32]).sign(&key());
    ledger.files.insert(CHECKPOINT_PATH.into(), note.into_bytes());
    assert_eq!(ledger.verify().entries_verified, 0);
}

#[test]
fn what_is_missing_is_named() {
    let missing = |path: &str| check(delete(path), &format!("{path} is missing\n"));
    missing("tile/entries/000");
    missing("tile/entries/258.p/252");
    missing("tile/0/100");
    missing("tile/0/258.p/252");
    missing("tile/1/000");
    missing("tile/1/001.p/2");
    missing("tile/2/000.p/1");
    check(delete(CHECKPOINT_PATH), "checkpoint is missing: nothing vouches for this ledger\n");
    check(
        delete(&segment_path(66_000)), // sealed, and rightly dropped
        "",
    );
}

#[test]
fn what_is_too_much_is_named() {
    for path in ["tile/0/1", "tile/x", "x", "tile/entries/x001/000.p/0", "journal/x"] {
        let add = |ledger: &mut Ledger| drop(ledger.files.insert(path.into(), vec![1]));
        check(add, &format!("{path} is no file of a ledger\n"));
    }
    // Being written, or left over from a server that died while it wrote.
    for path in ["tile/0/000.tmp", "checkpoint.tmp", "journal/00000000000000066307.new"] {
        check(|ledger| drop(ledger.files.insert(path.into(), vec![1])), "");
    }
}

#[test]
fn files_of_the_wrong_length_are_named() {
    let cut = |path: &str, len| {
        let path = path.to_string();
        move |ledger: &mut Ledger| ledger.files.get_mut(&path).unwrap().truncate(len)
    };
    check(cut("tile/0/000", 8160), "tile/0/000 has 8160 bytes, not 32 for each hash\n");
    check(cut("tile/entries/000", 0), "tile/entries/000 has 0 entries\n");
    check(cut("tile/entries/000", 12), "tile/entries/000 is malformed from byte 10 on\n");
    check(
        |ledger| ledger.files.get_mut("tile/entries/000").unwrap().extend([0, 1, b'x']),
        "tile/entries/000 has 257 entries\n",
    );
}

#[test]
fn old_partial_tiles_may_stay_but_must_agree() {
    let with_stale = |damage: fn(&mut Ledger)| {
        move |ledger: &mut Ledger| {
            let mut stale = Ledger::sealed(66_200);
            stale.files.retain(|path, _| path.contains(".p/"));
            damage(&mut stale);
            ledger.files.append(&mut stale.files);
        }
    };
    check(with_stale(|_| {}), "");
    check(
        with_stale(|stale| flip("tile/0/258.p/152", 0)(stale)),
        "tile/0/258.p/152 does not agree with tile/0/258.p/252\n",
    );
    check(
        with_stale(|stale| flip("tile/entries/258.p/152", 9)(stale)),
        "tile/entries/258.p/152 does not agree with tile/entries/258.p/252\n",
    );
}

#[test]
fn an_older_checkpoint_put_back_is_found() {
    let mut ledger = Ledger::sealed(800);
    let old = Ledger::sealed(300).files.remove(CHECKPOINT_PATH).unwrap();
    ledger.files.insert(CHECKPOINT_PATH.into(), old);
    ledger.journal(600..807);
    assert_eq!(
        ledger.faults(),
        "tile/0/002 lies beyond the checkpoint's 300 records: an older one was put back\n\
         tile/entries/002 lies beyond the checkpoint's 300 records: an older one was put back\n"
    );
    // Where the journal still has the records, they are merely unsigned.
    ledger.journal(290..600);
    let report = ledger.verify();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!((report.entries_verified, report.unsigned_tail), (300, 507));
    flip("tile/0/002", 0)(&mut ledger);
    flip("tile/entries/002", 9)(&mut ledger);
    assert_eq!(
        ledger.faults(),
        "record 512 in journal/00000000000000000290.seg differs from that in tile/entries/002\n\
         tile/1/000.p/3 is unsigned and does not agree with what is below it\n\
         tile/0/002 is unsigned and does not agree with what is below it\n"
    );
}

#[test]
fn the_journal_must_be_whole_and_agree() {
    let (first, second) = (segment_path(66_000), segment_path(66_100));
    check(flip(&first, 3), &format!("{first} is not a journal segment of its name\n"));
    check(
        |ledger| {
            let moved = ledger.files.remove(&second).unwrap();
            ledger.files.insert(segment_path(66_101), moved);
        },
        "journal/00000000000000066101.seg is not a journal segment of its name\n",
    );
    check(
        flip(&first, 40),
        &format!(
            "record 66000 in {first} is damaged, or was never wholly written\n\
             {second} begins at record 66100, but record 66000 comes next\n"
        ),
    );
    let last =
        |ledger: &mut Ledger| *ledger.files.get_mut(&second).unwrap().last_mut().unwrap() = 1;
    check(last, &format!("record 66307 in {second} is damaged, or was never wholly written\n"));
    check(
        |ledger| {
            ledger.journal(66_310..66_312);
            ledger.journal(66_300..66_305);
        },
        "journal/00000000000000066300.seg begins at record 66300, \
         but record 66307 comes next\n\
         journal/00000000000000066310.seg begins at record 66310, \
         but record 66305 comes next\n",
    );
    check(
        |ledger| {
            ledger.files.retain(|path, _| !path.starts_with("journal/"));
            ledger.journal(66_301..66_302);
        },
        "journal/00000000000000066301.seg begins at record 66301, \
         but record 66300 comes next\n",
    );
}

#[test]
fn a_checkpoint_nobody_signed_is_not_trusted() {
    let mut ledger = Ledger::sealed(300);
    let other = LedgerKey::new("example.com/ledger", &[8; 32]).unwrap();
    let head = ledger.verify().checkpoint.unwrap();
    for (note, want) in [
        (head.sign(&other), "not signed by the ledger's key"),
        (head.sign(&key()).replace("300", "299"), "the signature is not valid"),
        ("\u{fffd}".into(), "not a signed note"),
    ] {
        ledger.files.insert(CHECKPOINT_PATH.into(), note.into_bytes());
        let report = ledger.verify();
        assert!(report.checkpoint.is_none());
        let want = format!("checkpoint cannot be trusted: {want}\n");
        assert_eq!(ledger.faults(), want);
    }
}

#[test]
fn a_ledger_must_continue_what_was_seen_before() {
    let ledger = Ledger::sealed(300);
    let seen = |size| Ledger::sealed(size).verify().checkpoint.unwrap();
    let foreign = Checkpoint { origin: "elsewhere".into(), ..seen(200) };
    for (since, want) in [
        (seen(0), ""),
        (seen(200), ""),
        (seen(300), ""),
        (
            seen(301),
            "checkpoint has 300 records, but 301 were signed before: the end is cut off",
        ),
        (
            checkpoint(200, [1; 32]),
            "checkpoint does not continue the one of 200 records: history was rewritten",
        ),
        (
            checkpoint(300, [1; 32]),
            "checkpoint does not continue the one of 300 records: history was rewritten",
        ),
        (foreign, "checkpoint is not of the ledger `elsewhere` that it is compared with"),
    ] {
        let report = verify(&ledger, &verifier(), Some(&since), &mut |_| {}).unwrap();
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.join("\n"), want, "since = {since:?}");
    }
}

#[test]
fn a_wrecked_ledger_has_a_bounded_report() {
    let mut ledger = Ledger::sealed(1600);
    for index in 0..6 {
        let path = format!("tile/entries/{index:03}");
        let bytes = ledger.files.get_mut(&path).unwrap();
        let letters = bytes.iter_mut().filter(|byte| **byte == b'e');
        letters.for_each(|byte| *byte = b'E');
    }
    let report = ledger.verify();
    assert_eq!(report.faults.len(), FAULTS_MAX + 1);
    assert_eq!(report.faults.last().unwrap().to_string(), "and 536 faults more");
    assert_eq!(report.entries_verified, 64);
}

#[test]
fn records_that_are_no_events_are_found_when_asked_for() {
    let mut builder = Builder::default();
    let mut ledger = Ledger::default();
    let golden = include_str!("golden/entries.jsonl");
    for line in golden.lines().cycle().take(300) {
        builder.push(line.as_bytes()).unwrap();
    }
    builder.push(b"{}").unwrap();
    ledger.write(builder.take_full());
    ledger.write(builder.partials());
    ledger.sign(&builder);
    assert_eq!(ledger.faults(), "");
    let mut seen = Vec::new();
    let faults = verify_events(&ledger, 301, &mut |count| seen.push(count)).unwrap();
    assert_eq!(seen, [256, 301]);
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, ["record 300 in tile/entries/001.p/45: the entry is not an event"]);
    assert!(verify_events(&ledger, 300, &mut |_| {}).unwrap().is_empty());
}

/// The states a server goes through between two checkpoints: it writes full tiles, partial
/// ones, the checkpoint, and deletes partial tiles and journal segments that are covered.
fn states() -> Vec<Ledger> {
    let mut ledger = Ledger::sealed(600);
    ledger.journal(500..600);
    let mut states = vec![ledger.clone()];
    ledger.journal(500..1000);
    ledger.journal(1000..1300);
    states.push(ledger.clone());
    let mut builder = Builder::resume(&ledger, 600).unwrap();
    ledger.grow(&mut builder, 1300);
    states.push(ledger.clone());
    ledger.files.retain(|path, _| !path.contains("/002.p/"));
    states.push(ledger.clone());
    ledger.write(builder.partials());
    states.push(ledger.clone());
    ledger.sign(&builder);
    states.push(ledger.clone());
    let kept = Ledger::sealed(1300).files;
    ledger.files.retain(|path, _| !path.contains(".p/") || kept.contains_key(path));
    ledger.files.remove(&segment_path(500));
    states.push(ledger);
    states
}

#[test]
fn a_server_that_died_at_any_moment_leaves_no_fault() {
    for (moment, ledger) in states().into_iter().enumerate() {
        let report = ledger.verify();
        assert!(report.faults.is_empty(), "moment {moment}: {:?}", report.faults);
        let entries = report.entries_verified + report.unsigned_tail;
        assert_eq!(entries, if moment == 0 { 600 } else { 1300 }, "moment {moment}");
    }
}

#[test]
fn a_server_at_work_is_no_fault() {
    let states = states();
    for start in 0..states.len() {
        // However many looks at the files each state lasts.
        for looks in 1..60 {
            let states = states.iter().skip(start).map(|ledger| (looks, ledger.clone()));
            let live = Live::new(states.collect());
            let report = verify(&live, &verifier(), None, &mut |_| {}).unwrap();
            assert!(report.faults.is_empty(), "{start}, {looks}: {:?}", report.faults);
        }
    }
}

#[test]
fn a_ledger_on_disk_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::sealed(300);
    ledger.journal(290..303);
    for (path, bytes) in &ledger.files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let source = Directory::new(dir.path());
    assert_eq!(source.root(), dir.path());
    let report = verify(&source, &verifier(), None, &mut |_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!((report.entries_verified, report.unsigned_tail), (300, 3));
    let nowhere = Directory::new(dir.path().join("nowhere"));
    let report = verify(&nowhere, &verifier(), None, &mut |_| {}).unwrap();
    assert_eq!(report.faults.len(), 1);
    assert_eq!(entry(0), b"entry 0 ");
}
