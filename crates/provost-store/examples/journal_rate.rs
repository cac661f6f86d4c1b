//! Measures what a journal can take on this machine: appends a second, and how long each waits.
//!
//! `cargo run --release -p provost-store --example journal_rate [FOLDER [POSTGRES_URL]]`.
//! `docs/adr/0003-journal-is-a-segment-file.md` has the figures and what followed from them.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
};

use provost_ledger::LedgerKey;
use provost_store::{FileJournal, Journal, Sealer, SqlJournal, Store, sqlite_url};
use provost_types::{Clock, SystemClock};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

/// How long each row of the table is measured. Unit: microseconds.
const MEASURED: u64 = 2_000_000;

/// What is not measured at the beginning. Unit: microseconds.
const WARM_UP: u64 = 300_000;

/// Unit: bytes. About what an intent with its decision takes.
const ENTRY_LEN: usize = 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let postgres = arguments.next();
    writeln!(io::stdout(), "| journal | callers | appends/s | p50 | p99 | p99.9 |")?;
    writeln!(io::stdout(), "| --- | --- | --- | --- | --- | --- |")?;
    for callers in [1, 32, 256] {
        let dir = tempfile::tempdir_in(&folder)?;
        let journal = Journal::File(FileJournal::open(dir.path())?);
        measure("segment file", callers, journal).await?;

        let dir = tempfile::tempdir_in(&folder)?;
        let journal = Journal::File(FileJournal::open(dir.path())?);
        let key = LedgerKey::new("example.com/ledger", &[7; 32])?;
        let tasks = TaskTracker::new();
        let sealer = Sealer::start(dir.path(), journal.clone(), key, &tasks).await?;
        measure("segment file, sealed meanwhile", callers, journal).await?;
        sealer.close().await?;

        let dir = tempfile::tempdir_in(&folder)?;
        let url = sqlite_url(&dir.path().join("provost.db"));
        measure("SQLite table", callers, table(&url, dir.path()).await?).await?;

        if let Some(url) = &postgres {
            let dir = tempfile::tempdir_in(&folder)?;
            measure("PostgreSQL table", callers, table(url, dir.path()).await?).await?;
        }
    }
    Ok(())
}

async fn table(url: &str, ledger: &Path) -> Result<Journal, Box<dyn Error>> {
    Ok(Journal::Sql(SqlJournal::open(Store::connect(url).await?, ledger).await?))
}

async fn measure(name: &str, callers: u64, journal: Journal) -> Result<(), Box<dyn Error>> {
    let begin = SystemClock.monotonic().0.saturating_add(WARM_UP);
    let mut work = JoinSet::new();
    for _ in 0..callers {
        work.spawn(append_until(journal.clone(), begin, begin.saturating_add(MEASURED)));
    }
    let mut waits = Vec::new();
    while let Some(done) = work.join_next().await {
        waits.extend(done??);
    }
    waits.sort_unstable();
    let rate = waits.len() as f64 / MEASURED as f64 * 1e6;
    let of = |per_mille: usize| {
        let rank = waits.len().saturating_mul(per_mille) / 1000;
        waits.get(rank).copied().unwrap_or_default()
    };
    let (p50, p99, p999) = (of(500), of(990), of(999));
    writeln!(
        io::stdout(),
        "| {name} | {callers} | {rate:.0} | {p50} µs | {p99} µs | {p999} µs |"
    )?;
    Ok(())
}

/// Appends, one entry after the other; returns how long each took. Unit: microseconds.
async fn append_until(
    journal: Journal,
    begin: u64,
    end: u64,
) -> Result<Vec<u64>, provost_store::JournalError> {
    let mut waits = Vec::new();
    loop {
        let asked = SystemClock.monotonic().0;
        if asked >= end {
            return Ok(waits);
        }
        journal.append(vec![b'x'; ENTRY_LEN]).await?;
        if asked >= begin {
            waits.push(SystemClock.monotonic().0.saturating_sub(asked));
        }
    }
}
