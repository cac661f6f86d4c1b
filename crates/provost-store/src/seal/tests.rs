//! The sealed ledger is checked with the auditor's own verification.

use std::{fs, path::Path, time::Duration};

use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use provost_ledger::{Checkpoint, Directory, LedgerKey, Report, verify};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::{SealError, Sealer, SignedHead};
use crate::{FileJournal, FileLimits, Journal};

fn key() -> LedgerKey {
    LedgerKey::new("example.com/ledger", &[7; 32]).unwrap()
}

fn open_journal(ledger: &Path) -> Journal {
    let limits = FileLimits { segment_bytes: 2000, ahead_bytes: 512 };
    FileJournal::open_with(ledger, limits).map(Journal::File).unwrap()
}

/// A ledger at work.
struct Ledger {
    journal: Journal,
    sealer: Sealer,
    tasks: TaskTracker,
}

impl Ledger {
    async fn start(dir: &Path) -> Self {
        let (journal, tasks) = (open_journal(dir), TaskTracker::new());
        let sealer = Sealer::start(dir, journal.clone(), key(), &tasks).await.unwrap();
        Self { journal, sealer, tasks }
    }

    /// Ends it as it is, sealed or not.
    async fn stop(self) {
        drop((self.journal, self.sealer));
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn append(&self, count: u64) {
        let mut appends = JoinSet::new();
        for index in 0..count {
            let journal = self.journal.clone();
            let entry = format!("{} and {index}", self.journal.size()).into_bytes();
            appends.spawn(async move { journal.append(entry).await.unwrap() });
        }
        appends.join_all().await;
    }

    async fn seal(&self) -> SignedHead {
        self.sealer.seal_now().await.unwrap().unwrap()
    }
}

fn check(ledger: &Path) -> Report {
    let report = verify(&Directory::new(ledger), key().verifier(), None, &mut |_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:#?}", report.faults);
    report
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .map(|files| {
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_sealed_verifies_and_only_the_last_partial_tiles_stay() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(dir.path()).await;
    assert_eq!(ledger.sealer.seal_now().await.unwrap(), None, "nothing to sign");
    for (count, bundles) in [
        (1, vec!["000.p"]),
        (9, vec!["000.p"]),
        (246, vec!["000"]),
        (44, vec!["000", "001.p"]),
        (300, vec!["000", "001", "002.p"]),
    ] {
        ledger.append(count).await;
        let head = ledger.seal().await;
        assert_eq!(head.checkpoint.size, ledger.journal.size());
        assert_eq!(names(&dir.path().join("tile/entries")), bundles);
        assert_eq!(names(&dir.path().join("tile/0")), bundles);
        let report = check(dir.path());
        assert_eq!((report.entries_verified, report.unsigned_tail), (ledger.journal.size(), 0));
        assert_eq!(Some(head.note), ledger.sealer.checkpoint());
    }
    assert_eq!(names(&dir.path().join("tile/entries/002.p")), ["88"]);
    assert!(names(&dir.path().join("journal")).len() < 5, "sealed segments are released");
    assert_eq!(ledger.journal.read(0, usize::MAX).await.unwrap().len(), 600);
}

#[tokio::test]
async fn closing_seals_everything_and_a_new_start_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut since: Option<Checkpoint> = None;
    for round in 1..5 {
        let ledger = Ledger::start(dir.path()).await;
        ledger.append(130).await;
        ledger.sealer.close().await.unwrap();
        ledger.sealer.close().await.unwrap();
        assert!(matches!(ledger.sealer.health(), Err(SealError::Closed)));
        assert!(ledger.journal.append(b"late".to_vec()).await.is_err());
        let head = ledger.sealer.heads().borrow().clone().unwrap();
        assert_eq!(head.checkpoint.size, round * 130);
        let report =
            verify(&Directory::new(dir.path()), key().verifier(), since.as_ref(), &mut |_| {});
        assert!(report.unwrap().faults.is_empty());
        since = Some(head.checkpoint);
        ledger.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn entries_are_sealed_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(dir.path()).await;
    let mut heads = ledger.sealer.heads();
    for count in [1, 300] {
        ledger.append(count).await;
        let size = ledger.journal.size();
        let sealed = |head: &Option<SignedHead>| {
            head.as_ref().is_some_and(|head| head.checkpoint.size == size)
        };
        tokio::time::timeout(Duration::from_secs(5), heads.wait_for(sealed))
            .await
            .unwrap()
            .unwrap();
    }
    check(dir.path());
}

#[tokio::test(start_paused = true)]
async fn a_sealer_that_cannot_write_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(dir.path()).await;
    let in_the_way = dir.path().join("seal.new");
    fs::create_dir(&in_the_way).unwrap();
    ledger.append(700).await;
    assert!(matches!(ledger.sealer.seal_now().await, Err(SealError::Io { .. })));
    assert!(ledger.sealer.health().is_err());
    ledger.append(10).await;
    fs::remove_dir(&in_the_way).unwrap();
    let mut heads = ledger.sealer.heads();
    let all = heads.wait_for(|head| head.as_ref().is_some_and(|it| it.checkpoint.size == 710));
    tokio::time::timeout(Duration::from_secs(5), all).await.unwrap().unwrap();
    ledger.sealer.health().unwrap();
    assert_eq!(check(dir.path()).entries_verified, 710);
}

/// Each file in turn is the one at which the disk gives up and the process dies.
#[tokio::test]
async fn a_crash_at_any_file_loses_nothing() {
    let files = [
        "tile/entries/000",
        "tile/0/000",
        "tile/entries/001",
        "tile/0/001",
        "tile/1/000.p/2",
        "tile/0/002.p/88",
        "tile/entries/002.p/88",
        "checkpoint",
    ];
    for file in files {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::start(dir.path()).await;
        ledger.append(200).await;
        let first = ledger.seal().await;
        // A folder cannot be replaced by a file; the checkpoint is there already.
        let in_the_way = dir.path().join(if file == "checkpoint" { "seal.new" } else { file });
        fs::create_dir_all(in_the_way.join("x")).unwrap();
        ledger.append(400).await;
        let error = ledger.sealer.seal_now().await.unwrap_err();
        assert!(matches!(error, SealError::Io { .. }), "file = {file}: {error:?}");
        assert_eq!(ledger.sealer.checkpoint().unwrap(), first.note, "file = {file}");
        ledger.stop().await;
        fs::remove_dir_all(&in_the_way).unwrap();

        let ledger = Ledger::start(dir.path()).await;
        assert_eq!(ledger.journal.size(), 600, "file = {file}");
        ledger.sealer.seal_now().await.unwrap();
        assert_eq!(check(dir.path()).entries_verified, 600, "file = {file}");
        assert_eq!(names(&dir.path().join("tile/entries")), ["000", "001", "002.p"]);
    }
}

#[tokio::test]
async fn a_partial_tile_that_is_gone_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(dir.path()).await;
    ledger.append(300).await;
    ledger.sealer.close().await.unwrap();
    ledger.stop().await;
    fs::remove_dir_all(dir.path().join("tile/entries/001.p")).unwrap();
    let ledger = Ledger::start(dir.path()).await;
    ledger.append(1).await;
    ledger.sealer.seal_now().await.unwrap();
    check(dir.path());
}

#[tokio::test]
async fn sealed_files_are_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(dir.path()).await;
    ledger.append(300).await;
    let bundle = dir.path().join("tile/entries/000");
    fs::create_dir_all(bundle.parent().unwrap()).unwrap();
    fs::write(&bundle, b"another history").unwrap();
    let error = ledger.sealer.seal_now().await.unwrap_err();
    assert!(matches!(error, SealError::Altered { path } if path == bundle));
    assert_eq!(fs::read(&bundle).unwrap(), b"another history");
    assert_eq!(ledger.sealer.checkpoint(), None);
}

#[tokio::test]
async fn a_ledger_that_is_not_as_signed_is_not_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(dir.path()).await;
    ledger.append(10).await;
    ledger.sealer.close().await.unwrap();
    let note = ledger.sealer.checkpoint().unwrap();
    ledger.stop().await;
    let path = dir.path().join("checkpoint");
    let refused = async |note: &str| {
        fs::write(&path, note).unwrap();
        let journal = open_journal(dir.path());
        Sealer::start(dir.path(), journal, key(), &TaskTracker::new()).await.unwrap_err()
    };

    let forged = note.replace("\n10\n", "\n9\n");
    assert!(matches!(refused(&forged).await, SealError::Checkpoint(_)));
    let origin = key().verifier().name().to_owned();
    let other = Checkpoint { origin, size: 10, root: [1; 32] }.sign(&key());
    assert!(matches!(refused(&other).await, SealError::Root { size: 10 }));
    assert!(matches!(refused("").await, SealError::Checkpoint(_)));
    fs::write(&path, note).unwrap();
    Ledger::start(dir.path()).await;
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Seal,
    Crash,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..300_u64).prop_map(Step::Append),
        2 => Just(Step::Seal),
        1 => Just(Step::Crash),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_checkpoint_continues_the_one_before(
        steps in proptest::collection::vec(step(), 1..12)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let source = Directory::new(dir.path());
            let mut ledger = Ledger::start(dir.path()).await;
            let mut since: Option<Checkpoint> = None;
            for step in steps {
                match step {
                    Step::Append(count) => ledger.append(count).await,
                    Step::Seal => drop(ledger.sealer.seal_now().await.unwrap()),
                    Step::Crash | Step::Close => {
                        if matches!(step, Step::Close) {
                            ledger.sealer.close().await.unwrap();
                        }
                        let size = ledger.journal.size();
                        ledger.stop().await;
                        ledger = Ledger::start(dir.path()).await;
                        assert_eq!(ledger.journal.size(), size);
                    }
                }
                let Some(head) = ledger.sealer.heads().borrow().clone() else { continue };
                let verifier = key().verifier().clone();
                let report = verify(&source, &verifier, since.as_ref(), &mut |_| {}).unwrap();
                assert!(report.faults.is_empty(), "{:#?}", report.faults);
                let entries = report.entries_verified.saturating_add(report.unsigned_tail);
                assert_eq!(entries, ledger.journal.size());
                since = Some(head.checkpoint);
            }
        });
    }
}
