//! A disk that fails, and works again.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::{
    super::{
        FileJournal,
        disk::{Disk, Real},
    },
    SMALL, append, entries, entry, read_all,
};
use crate::{Journal, JournalError};

/// What the disk does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// All that is asked.
    Sound,
    /// Takes so many bytes of a write, then says it is full.
    Full(usize),
    /// Takes writes, and fails to make them durable.
    Unsynced,
    /// Fails once to make a write durable, and is sound from then on.
    UnsyncedOnce,
}

#[derive(Clone, Debug)]
struct Moody(Arc<Mutex<Mood>>);

impl Moody {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Mood::Sound)))
    }

    fn turn(&self, mood: Mood) {
        *self.0.lock().unwrap() = mood;
    }

    fn open(&self, ledger: &Path) -> Journal {
        let disk = Box::new(self.clone());
        FileJournal::open_on(ledger, SMALL, disk).map(Journal::File).unwrap()
    }
}

impl Disk for Moody {
    fn write(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mood = *self.0.lock().unwrap();
        match mood {
            Mood::Sound | Mood::Unsynced | Mood::UnsyncedOnce => {
                Real.write(file, bytes, offset)
            }
            Mood::Full(taken) => {
                Real.write(file, &bytes[..taken.min(bytes.len())], offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        let mood = *self.0.lock().unwrap();
        match mood {
            Mood::Unsynced => Err(io::Error::from_raw_os_error(5)), // EIO
            Mood::UnsyncedOnce => {
                self.turn(Mood::Sound);
                Err(io::Error::from_raw_os_error(5))
            }
            Mood::Sound | Mood::Full(_) => Real.sync(file),
        }
    }
}

#[tokio::test]
async fn a_failed_append_leaves_nothing_and_the_next_one_succeeds() {
    for mood in [Mood::Full(0), Mood::Full(5), Mood::Full(30), Mood::Unsynced] {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Moody::new());
        let journal = disk.open(dir.path());
        append(&journal, 5).await;
        disk.turn(mood);
        let error = journal.append(entry(99)).await.unwrap_err();
        assert!(matches!(error, JournalError::Write { .. }), "{error:?}");
        assert!(journal.health().is_err());
        assert!(journal.append(entry(99)).await.is_err(), "still failing");
        assert!(journal.probe().await.is_err());
        assert_eq!((journal.size(), read_all(&journal).await), (5, entries(5)));

        disk.turn(Mood::Sound);
        append(&journal, 20).await;
        journal.health().unwrap();
        assert_eq!(read_all(&journal).await, entries(25), "mood = {mood:?}");
        drop(journal);
        assert_eq!(read_all(&disk.open(dir.path())).await, entries(25));
    }
}

#[tokio::test]
async fn a_probe_alone_brings_a_journal_back() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Moody::new());
    let journal = disk.open(dir.path());
    journal.probe().await.unwrap();
    disk.turn(Mood::Full(3));
    journal.append(entry(99)).await.unwrap_err();
    journal.probe().await.unwrap_err();
    disk.turn(Mood::Sound);
    journal.health().unwrap_err();
    journal.probe().await.unwrap();
    journal.health().unwrap();
    append(&journal, 3).await;
    assert_eq!(read_all(&journal).await, entries(3));
}

#[tokio::test]
async fn a_crash_after_a_failed_append_brings_nothing_back() {
    for mood in [Mood::Full(30), Mood::Full(9), Mood::Unsynced] {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Moody::new());
        let journal = disk.open(dir.path());
        append(&journal, 5).await;
        disk.turn(mood);
        journal.append(entry(99)).await.unwrap_err();
        disk.turn(Mood::Sound);
        drop(journal);
        assert_eq!(read_all(&disk.open(dir.path())).await, entries(5), "mood = {mood:?}");
    }
}

#[tokio::test]
async fn a_refused_entry_is_gone_from_the_disk_before_its_caller_knows() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Moody::new());
    let journal = disk.open(dir.path());
    append(&journal, 3).await;
    disk.turn(Mood::UnsyncedOnce);
    journal.append(entry(99)).await.unwrap_err();
    // What a kill would leave at this moment.
    let left = tempfile::tempdir().unwrap();
    let name = "journal/00000000000000000000.seg";
    fs::create_dir(left.path().join("journal")).unwrap();
    fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
    assert_eq!(read_all(&disk.open(left.path())).await, entries(3));
}

#[tokio::test]
async fn a_segment_that_cannot_be_begun_is_tried_again() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Moody::new());
    let journal = disk.open(dir.path());
    let in_the_way = |size: u64| dir.path().join(format!("journal/{size:020}.new"));
    let failed_at = loop {
        let size = journal.size();
        fs::create_dir(in_the_way(size)).unwrap();
        if journal.append(entry(size)).await.is_err() {
            break size;
        }
        fs::remove_dir(in_the_way(size)).unwrap();
    };
    assert!(failed_at > 0);
    journal.append(entry(failed_at)).await.unwrap_err();
    fs::remove_dir(in_the_way(failed_at)).unwrap();
    append(&journal, 10).await;
    assert_eq!(read_all(&journal).await, entries(failed_at + 10));
    drop(journal);
    assert_eq!(read_all(&disk.open(dir.path())).await, entries(failed_at + 10));
}

#[tokio::test]
async fn a_deleted_segment_is_noticed_before_anything_is_acknowledged() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Moody::new());
    let journal = disk.open(dir.path());
    append(&journal, 2).await;
    let segment = dir.path().join("journal/00000000000000000000.seg");
    let moved = dir.path().join("moved");
    fs::rename(&segment, &moved).unwrap();
    fs::copy(&moved, dir.path().join("copied")).unwrap();
    fs::remove_file(&moved).unwrap();
    journal.append(entry(2)).await.unwrap_err();
    fs::rename(dir.path().join("copied"), &segment).unwrap();
    append(&journal, 2).await;
    assert_eq!(read_all(&journal).await, entries(4));
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    Turn(Mood),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6_u8).prop_map(Step::Append),
        1 => any::<u8>().prop_map(|taken| Step::Turn(Mood::Full(taken.into()))),
        1 => Just(Step::Turn(Mood::Unsynced)),
        1 => Just(Step::Turn(Mood::UnsyncedOnce)),
        2 => Just(Step::Turn(Mood::Sound)),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the disk does, the journal is exactly what was acknowledged. (An entry whose
    /// sync failed could come back if the process were killed before the rollback; here it
    /// ends in order, and rolls back.)
    #[test]
    fn the_journal_is_what_was_acknowledged(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (dir, disk) = (tempfile::tempdir().unwrap(), Moody::new());
            let mut journal = disk.open(dir.path());
            let mut acknowledged = 0_u64;
            for step in steps {
                match step {
                    Step::Append(count) => {
                        for _ in 0..count {
                            if let Ok(index) = journal.append(entry(acknowledged)).await {
                                assert_eq!(index, acknowledged);
                                acknowledged = index.saturating_add(1);
                            }
                        }
                    }
                    Step::Turn(mood) => disk.turn(mood),
                    Step::Reopen => {
                        drop(journal);
                        journal = disk.open(dir.path());
                    }
                }
                assert_eq!(journal.size(), acknowledged);
                assert_eq!(read_all(&journal).await, entries(acknowledged));
            }
        });
    }
}
