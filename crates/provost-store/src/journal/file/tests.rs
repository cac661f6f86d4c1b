//! What only the embedded journal can be asked: torn tails, failing disks, segment files.

mod damage;
mod faults;

use std::{fs, path::Path};

use provost_ledger::{Builder, CHECKPOINT_PATH};

use super::{FileJournal, FileLimits};
use crate::{Journal, OpenError};

/// Segments of a few entries each, so that tests see many.
const SMALL: FileLimits = FileLimits { segment_bytes: 200, ahead_bytes: 128 };

fn open(ledger: &Path) -> Result<Journal, OpenError> {
    FileJournal::open_with(ledger, SMALL).map(Journal::File)
}

fn entry(index: u64) -> Vec<u8> {
    let len = usize::try_from(index % 40).unwrap();
    format!("entry {index} {}", "x".repeat(len)).into_bytes()
}

async fn append(journal: &Journal, count: u64) {
    for _ in 0..count {
        let index = journal.size();
        assert_eq!(journal.append(entry(index)).await.unwrap(), index);
    }
}

async fn read_all(journal: &Journal) -> Vec<Vec<u8>> {
    journal.read(0, usize::MAX).await.unwrap()
}

fn entries(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(entry).collect()
}

fn segment_names(ledger: &Path) -> Vec<String> {
    let files = fs::read_dir(ledger.join("journal")).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Writes what a sealer would have of the first `size` entries; the note is not signed.
fn seal(ledger: &Path, size: u64) {
    let mut builder = Builder::default();
    for index in 0..size {
        builder.push(&entry(index)).unwrap();
    }
    for file in builder.take_full() {
        let path = ledger.join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.bytes).unwrap();
    }
    fs::write(ledger.join(CHECKPOINT_PATH), format!("origin\n{size}\nroot\n\n")).unwrap();
}

#[tokio::test]
async fn segments_follow_each_other_and_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    append(&journal, 30).await;
    assert_eq!(read_all(&journal).await, entries(30));
    drop(journal);
    assert!(segment_names(dir.path()).len() > 3, "{:?}", segment_names(dir.path()));

    let journal = open(dir.path()).unwrap();
    assert_eq!(journal.size(), 30);
    assert_eq!(read_all(&journal).await, entries(30));
    append(&journal, 1).await;
    for (from, count, want) in [(0, 1, 0..1), (7, 9, 7..16), (29, 9, 29..31), (31, 9, 31..31)] {
        let want: Vec<_> = want.map(entry).collect();
        assert_eq!(journal.read(from, count).await.unwrap(), want, "from = {from}");
    }
}

#[tokio::test]
async fn two_journals_never_write_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    append(&journal, 1).await;
    assert!(matches!(open(dir.path()), Err(OpenError::InUse { .. })));
    append(&journal, 1).await;
    drop(journal);
    assert_eq!(read_all(&open(dir.path()).unwrap()).await, entries(2));
}

#[tokio::test]
async fn a_closed_journal_is_as_long_as_its_entries_and_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(dir.path()).map(Journal::File).unwrap();
    append(&journal, 3).await;
    let segment = dir.path().join("journal/00000000000000000000.seg");
    let frames: usize = entries(3).iter().map(|entry| entry.len() + 8).sum();
    assert_eq!(fs::metadata(&segment).unwrap().len(), 256 << 10, "zeros are laid down ahead");
    journal.close().await.unwrap();
    assert_eq!(fs::metadata(&segment).unwrap().len(), 20 + frames as u64);
    assert!(journal.append(entry(3)).await.is_err());
    assert!(journal.health().is_err());
    journal.close().await.unwrap();
    assert_eq!(read_all(&journal).await, entries(3), "it can still be read");
}

#[tokio::test]
async fn released_segments_go_and_their_entries_are_read_from_bundles() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    append(&journal, 600).await;
    seal(dir.path(), 600);
    let before = segment_names(dir.path()).len();
    journal.release(512).await.unwrap();
    let left = segment_names(dir.path());
    assert!(left.len() < before / 3, "{} of {before} left", left.len());
    assert_eq!(read_all(&journal).await, entries(600));
    assert_eq!(journal.read(255, 2).await.unwrap(), [entry(255), entry(256)]);

    drop(journal);
    let journal = open(dir.path()).unwrap();
    assert_eq!(read_all(&journal).await, entries(600));
    append(&journal, 168).await;
    seal(dir.path(), 768);
    journal.release(768).await.unwrap();
    assert_eq!(segment_names(dir.path()).len(), 1, "the last segment is never released");
    append(&journal, 1).await;
    assert_eq!(read_all(&journal).await, entries(769));
}

#[tokio::test]
async fn a_long_read_comes_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(dir.path()).map(Journal::File).unwrap();
    for _ in 0..100 {
        journal.append(vec![b'x'; 65_535]).await.unwrap();
    }
    let part = journal.read(0, usize::MAX).await.unwrap().len();
    assert!((60..=65).contains(&part), "read {part} entries of 64 KiB at once");
    assert_eq!(journal.read(99, 5).await.unwrap().len(), 1);
}
