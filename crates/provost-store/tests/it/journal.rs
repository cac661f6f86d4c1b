//! What every kind of journal does, and what the table alone can meet.

mod table;

use std::path::Path;

use provost_ledger::{Directory, LedgerKey, verify};
use provost_store::{
    Damage, FileJournal, FileLimits, Journal, JournalError, OpenError, Sealer, SqlJournal,
    Store,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

/// Where a test's journal is.
struct Place {
    ledger: TempDir,
    kind: Kind,
}

enum Kind {
    Files,
    Table { store: Store, url: String },
}

impl Place {
    fn files() -> Self {
        Self { ledger: tempfile::tempdir().unwrap(), kind: Kind::Files }
    }

    async fn table(url: &str) -> Self {
        let store = Store::connect(url).await.unwrap();
        let kind = Kind::Table { store, url: url.into() };
        Self { ledger: tempfile::tempdir().unwrap(), kind }
    }

    fn ledger(&self) -> &Path {
        self.ledger.path()
    }

    async fn open(&self) -> Result<Journal, OpenError> {
        match &self.kind {
            Kind::Files => {
                let limits = FileLimits { segment_bytes: 4000, ahead_bytes: 1000 };
                FileJournal::open_with(self.ledger(), limits).map(Journal::File)
            }
            Kind::Table { store, .. } => {
                SqlJournal::open(store.clone(), self.ledger()).await.map(Journal::Sql)
            }
        }
    }

    async fn opened(&self) -> Journal {
        self.open().await.unwrap()
    }
}

/// Makes of each fact a test for files, one for a table of SQLite, and all of them one for
/// PostgreSQL.
macro_rules! conforms {
    ($($fact:ident),* $(,)?) => {
        mod files {
            $(
                #[tokio::test]
                async fn $fact() {
                    super::$fact(super::Place::files()).await;
                }
            )*
        }

        mod tables {
            crate::database::facts![$($fact),*];

            $(
                async fn $fact(url: String) {
                    super::$fact(super::Place::table(&url).await).await;
                }
            )*
        }
    };
}

conforms![
    entries_keep_their_order_and_their_bytes,
    concurrent_callers_get_indices_without_gaps,
    an_entry_has_1_to_65535_bytes,
    a_closed_journal_takes_no_more_and_can_be_read,
    a_caller_that_leaves_takes_nothing_back,
    sealed_entries_are_forgotten_and_still_read,
    a_journal_with_less_than_was_signed_is_refused,
];

async fn read_all(journal: &Journal) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    loop {
        let part = journal.read(entries.len() as u64, usize::MAX).await.unwrap();
        if part.is_empty() {
            assert_eq!(entries.len() as u64, journal.size());
            return entries;
        }
        entries.extend(part);
    }
}

async fn append_many(journal: &Journal, count: u64) {
    let mut appends = JoinSet::new();
    for number in 0..count {
        let journal = journal.clone();
        let entry = format!("{} and {number}", journal.size()).into_bytes();
        appends.spawn(async move { journal.append(entry).await.unwrap() });
    }
    appends.join_all().await;
}

async fn entries_keep_their_order_and_their_bytes(place: Place) {
    let mut want: Vec<Vec<u8>> = Vec::new();
    for round in 0..3_u8 {
        let journal = place.opened().await;
        assert_eq!(read_all(&journal).await, want);
        let grown = journal.grown();
        for entry in
            [vec![0], (0..=255).collect(), vec![round; 300], b"{\"a\":\"\xff\0\"}".into()]
        {
            let index = journal.append(entry.clone()).await.unwrap();
            assert_eq!(index, want.len() as u64);
            want.push(entry);
            assert_eq!(*grown.borrow(), want.len() as u64, "known as soon as acknowledged");
        }
        assert_eq!(read_all(&journal).await, want);
        let size = journal.size();
        for (from, count, range) in [(1, 2, 1..3), (size - 1, 9, want.len() - 1..want.len())] {
            assert_eq!(journal.read(from, count).await.unwrap(), want[range]);
        }
        for (from, count) in [(size, 1), (size + 9, 1), (u64::MAX, 9), (0, 0)] {
            assert_eq!(journal.read(from, count).await.unwrap(), [[0; 0]; 0], "from = {from}");
        }
        journal.health().unwrap();
        journal.probe().await.unwrap();
        if round != 1 {
            journal.close().await.unwrap();
        }
    }
}

async fn concurrent_callers_get_indices_without_gaps(place: Place) {
    let journal = place.opened().await;
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        let journal = journal.clone();
        callers.spawn(async move {
            let mut got = Vec::new();
            for number in 0..10 {
                let entry = format!("{caller}, {number}").into_bytes();
                got.push((journal.append(entry.clone()).await.unwrap(), entry));
            }
            assert!(got.is_sorted(), "one caller's entries are in its order");
            got
        });
    }
    let mut got = callers.join_all().await.concat();
    got.sort();
    assert!(got.iter().map(|(index, _)| *index).eq(0..500));
    let entries: Vec<_> = got.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(read_all(&journal).await, entries);
    drop(journal);
    assert_eq!(read_all(&place.opened().await).await, entries);
}

async fn an_entry_has_1_to_65535_bytes(place: Place) {
    let journal = place.opened().await;
    for bytes in [0, 65_536, 1 << 20] {
        let error = journal.append(vec![b'x'; bytes]).await.unwrap_err();
        assert!(matches!(error, JournalError::Length { bytes: given } if given == bytes));
    }
    journal.health().unwrap();
    assert_eq!(journal.append(vec![b'x'; 65_535]).await.unwrap(), 0);
    assert_eq!(read_all(&journal).await, [vec![b'x'; 65_535]]);
}

async fn a_closed_journal_takes_no_more_and_can_be_read(place: Place) {
    let journal = place.opened().await;
    append_many(&journal, 30).await;
    journal.close().await.unwrap();
    journal.close().await.unwrap();
    assert!(matches!(journal.append(b"late".into()).await, Err(JournalError::Closed)));
    assert!(matches!(journal.health(), Err(JournalError::Closed)));
    assert_eq!(read_all(&journal).await.len(), 30);
}

async fn a_caller_that_leaves_takes_nothing_back(place: Place) {
    let journal = place.opened().await;
    for turns in 0..40 {
        let mut append = Box::pin(journal.append(format!("left after {turns}").into_bytes()));
        for _ in 0..turns {
            tokio::select! {
                biased;
                _ = &mut append => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    let last = journal.append(b"last".into()).await.unwrap();
    assert!(last >= 39, "all but the one never polled were queued: {last}");
    let entries = read_all(&journal).await;
    assert_eq!(entries.last().unwrap(), b"last");
    drop(journal);
    assert_eq!(read_all(&place.opened().await).await, entries);
}

fn key() -> LedgerKey {
    LedgerKey::new("example.com/ledger", &[7; 32]).unwrap()
}

async fn sealed_entries_are_forgotten_and_still_read(place: Place) {
    let mut want = Vec::new();
    for _ in 0..3 {
        let (journal, tasks) = (place.opened().await, TaskTracker::new());
        let sealer = Sealer::start(place.ledger(), journal.clone(), key(), &tasks).await;
        let sealer = sealer.unwrap();
        assert_eq!(read_all(&journal).await, want);
        append_many(&journal, 300).await;
        let head = sealer.seal_now().await.unwrap().unwrap();
        assert_eq!(head.checkpoint.size, journal.size());
        assert!(read_all(&journal).await.starts_with(&want));
        append_many(&journal, 10).await;
        sealer.close().await.unwrap();
        want = read_all(&journal).await;
        drop((journal, sealer));
        tasks.close();
        tasks.wait().await;
    }
    let held = place.held().await;
    assert!((930 % 256..930).contains(&held), "{held} of 930 entries are still in the journal");
    let source = Directory::new(place.ledger());
    let report = verify(&source, key().verifier(), None, &mut |_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:#?}", report.faults);
    assert_eq!(report.entries_verified, 930);
}

async fn a_journal_with_less_than_was_signed_is_refused(place: Place) {
    let (journal, tasks) = (place.opened().await, TaskTracker::new());
    let sealer = Sealer::start(place.ledger(), journal.clone(), key(), &tasks).await.unwrap();
    append_many(&journal, 300).await;
    sealer.close().await.unwrap();
    drop((journal, sealer));
    tasks.close();
    tasks.wait().await;
    place.lose().await;
    match place.open().await {
        Err(OpenError::Damaged(damage)) => {
            assert_eq!(damage, Damage::Behind { journal: 256, signed: 300 });
        }
        other => panic!("opened: {other:?}"),
    }
}

impl Place {
    /// How many entries the journal itself still has.
    async fn held(&self) -> usize {
        match &self.kind {
            Kind::Files => {
                let segments = std::fs::read_dir(self.ledger().join("journal")).unwrap();
                let held = segments.map(|segment| {
                    let bytes = std::fs::read(segment.unwrap().path()).unwrap();
                    provost_ledger::segment::scan(&bytes).unwrap().entries.len()
                });
                held.sum()
            }
            Kind::Table { url, .. } => table::positions(url).await.len(),
        }
    }

    /// Loses the journal, and nothing of the sealed ledger.
    async fn lose(&self) {
        match &self.kind {
            Kind::Files => std::fs::remove_dir_all(self.ledger().join("journal")).unwrap(),
            Kind::Table { url, .. } => table::run(url, "DELETE FROM ledger_entry").await,
        }
    }
}
