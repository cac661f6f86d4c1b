//! Files as a crash or a hand left them.

use std::{fs, path::PathBuf};

use provost_ledger::CHECKPOINT_PATH;

use super::{append, entries, entry, open, read_all, seal, segment_names};
use crate::{Damage, Journal, OpenError};

/// A crash leaves any part of what was written last; before that, everything.
#[tokio::test]
async fn a_journal_cut_anywhere_has_every_entry_before_the_cut() {
    let source = tempfile::tempdir().unwrap();
    let journal = open(source.path()).unwrap();
    append(&journal, 8).await;
    journal.close().await.unwrap();
    let names = segment_names(source.path());
    let name = format!("journal/{}", names.last().unwrap());
    let whole = fs::read(source.path().join(&name)).unwrap();
    let first: u64 = names.last().unwrap().trim_end_matches(".seg").parse().unwrap();
    let mut ends = vec![20];
    for index in first..8 {
        ends.push(ends.last().unwrap() + 8 + entry(index).len());
    }
    assert_eq!(*ends.last().unwrap(), whole.len());
    assert!(ends.len() > 2, "several frames are cut");

    for cut in 20..=whole.len() {
        for behind in [&b""[..], &[0; 300], &[1; 300]] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("journal")).unwrap();
            for name in &names {
                let name = format!("journal/{name}");
                fs::copy(source.path().join(&name), dir.path().join(&name)).unwrap();
            }
            let mut torn = whole[..cut].to_vec();
            torn.extend(behind);
            fs::write(dir.path().join(&name), &torn).unwrap();
            let whole_frames = ends.iter().filter(|&&end| end <= cut).count() as u64 - 1;

            let journal = open(dir.path()).unwrap();
            let size = first + whole_frames;
            assert_eq!(journal.size(), size, "cut = {cut}, behind = {behind:?}");
            assert_eq!(read_all(&journal).await, entries(size), "cut = {cut}");
            let Journal::File(file) = &journal else { panic!("not of files") };
            let rest = &torn[ends[usize::try_from(whole_frames).unwrap()]..];
            let is_torn = rest.iter().any(|&byte| byte != 0);
            assert_eq!(file.torn_tail().is_some(), is_torn, "cut = {cut}, rest = {rest:?}");
            append(&journal, 2).await;
            drop(journal);
            assert_eq!(read_all(&open(dir.path()).unwrap()).await, entries(size + 2));
        }
    }
}

/// A journal of several segments, closed, and the bytes of its files.
async fn closed_journal() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    append(&journal, 300).await;
    journal.close().await.unwrap();
    let names = segment_names(dir.path());
    let paths = names.iter().map(|name| dir.path().join("journal").join(name)).collect();
    (dir, paths)
}

fn damage_of(dir: &tempfile::TempDir) -> Damage {
    match open(dir.path()) {
        Err(OpenError::Damaged(damage)) => damage,
        other => panic!("not refused as damaged: {other:?}"),
    }
}

#[tokio::test]
async fn damage_before_the_last_segment_is_refused() {
    let (dir, paths) = closed_journal().await;
    let second: u64 = paths[1].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let third: u64 = paths[2].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let whole = fs::read(&paths[1]).unwrap();

    let mut altered = whole.clone();
    altered[30] ^= 1;
    fs::write(&paths[1], &altered).unwrap();
    let path = paths[1].clone();
    assert_eq!(damage_of(&dir), Damage::Entry { index: second, path });
    assert_eq!(fs::read(&paths[1]).unwrap(), altered, "nothing was mended");

    fs::write(&paths[1], &whole[..20]).unwrap();
    assert_eq!(damage_of(&dir), Damage::Gap { from: second, to: third - 1 });

    let mut altered = whole.clone();
    altered[9] ^= 1;
    fs::write(&paths[1], &altered).unwrap();
    assert_eq!(damage_of(&dir), Damage::Header { path: paths[1].clone() });

    fs::copy(&paths[0], &paths[1]).unwrap();
    assert_eq!(damage_of(&dir), Damage::Header { path: paths[1].clone() });

    fs::remove_file(&paths[1]).unwrap();
    assert_eq!(damage_of(&dir), Damage::Gap { from: second, to: third - 1 });

    fs::write(&paths[1], &whole).unwrap();
    assert_eq!(read_all(&open(dir.path()).unwrap()).await, entries(300));
}

#[tokio::test]
async fn fewer_entries_than_were_signed_are_refused() {
    let (dir, paths) = closed_journal().await;
    seal(dir.path(), 300);
    let last: u64 =
        paths.last().unwrap().file_stem().unwrap().to_str().unwrap().parse().unwrap();
    fs::remove_file(paths.last().unwrap()).unwrap();
    assert_eq!(damage_of(&dir), Damage::Behind { journal: last, signed: 300 });
    for path in &paths {
        fs::remove_file(path).unwrap_or_default();
    }
    assert_eq!(damage_of(&dir), Damage::Behind { journal: 256, signed: 300 });

    // All of them in full bundles: nothing is lost, and the journal goes on there.
    seal(dir.path(), 256);
    let journal = open(dir.path()).unwrap();
    append(&journal, 3).await;
    assert_eq!(read_all(&journal).await, entries(259));
}

#[tokio::test]
async fn a_gap_between_bundles_and_journal_is_refused() {
    let (dir, paths) = closed_journal().await;
    seal(dir.path(), 256);
    fs::write(dir.path().join(CHECKPOINT_PATH), "origin\n255\nroot\n\n").unwrap();
    let second: u64 = paths[1].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    fs::remove_file(&paths[0]).unwrap();
    assert_eq!(damage_of(&dir), Damage::Gap { from: 0, to: second - 1 });
}

#[tokio::test]
async fn a_bundle_that_lost_an_entry_is_reported_by_the_read() {
    let (dir, paths) = closed_journal().await;
    seal(dir.path(), 300);
    let journal = open(dir.path()).unwrap();
    journal.release(256).await.unwrap();
    assert!(!paths[0].exists());
    let bundle = dir.path().join("tile/entries/000");
    let whole = fs::read(&bundle).unwrap();
    for bad in [&whole[..0], &whole[..10]] {
        fs::write(&bundle, bad).unwrap();
        assert!(journal.read(0, 1).await.is_err());
    }
    fs::remove_file(&bundle).unwrap();
    assert!(journal.read(0, 1).await.is_err());
    assert_eq!(journal.read(299, 1).await.unwrap(), [entry(299)]);
}

#[tokio::test]
async fn a_segment_that_was_never_finished_is_cleared_away() {
    let (dir, _) = closed_journal().await;
    let unfinished = dir.path().join("journal/00000000000000000300.new");
    fs::write(&unfinished, b"pvj").unwrap();
    assert_eq!(open(dir.path()).unwrap().size(), 300);
    assert!(!unfinished.exists());
}
