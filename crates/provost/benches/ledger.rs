//! How fast the ledger takes entries, and how fast it is verified.
//!
//! `cargo bench -p provost --bench ledger`. Entries are those of real actions.
//! `docs/benchmarks.md` has the figures, `docs/adr/0003-journal-is-a-segment-file.md` those of
//! the alternatives.

#[path = "ticks/mod.rs"]
mod ticks;

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Result, ensure};
use provost_ledger::{
    Builder, CHECKPOINT_PATH, Checkpoint, Directory, Event, File, Intent, LedgerKey, Record,
    Subject, verify, verify_events,
};
use provost_store::{FileJournal, Journal, Sealer};
use provost_types::{
    ActionId, BootId, Correlation, CredentialId, Decision, Digest, Monotonic, PolicyVersion,
    SessionId, Timestamp, Value, Verdict,
};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use ticks::Waits;

const CALLERS: [usize; 3] = [1, 32, 256];

/// How often appending is measured. The best counts: the others measure the neighbours.
const ROUNDS: usize = 3;

/// Unit: microseconds.
const WARM_UP: u64 = 300_000;

/// Unit: microseconds.
const MEASURED: u64 = 2_000_000;

/// Entries of the ledger that is verified.
const ENTRIES: usize = 1_000_000;

const ORIGIN: &str = "bench.example.com/ledger";

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let entry = intent()?;
    ticks::say(&format!("An intent has {} bytes.\n", entry.len()))?;
    ticks::say(&runtime.block_on(appending(&entry))?)?;
    ticks::say(&verifying(&entry)?)?;
    Ok(())
}

/// The event that precedes a call of Claude Code.
fn intent() -> Result<Vec<u8>> {
    let betas = ["claude-code-20250219", "interleaved-thinking-2025-05-14"];
    let context = [
        ("model", Value::Text("claude-sonnet-5".into())),
        ("stream", Value::Bool(true)),
        ("max_tokens", Value::Long(32_000)),
        ("betas", Value::Texts(betas.map(str::to_owned).into())),
        ("tools", Value::Long(20)),
    ];
    let intent = Intent {
        plane: "llm".into(),
        verb: "message".into(),
        resource_kind: "Llm::Model".into(),
        resource_id: "claude-sonnet-5".into(),
        context: context.map(|(name, value)| (name.to_owned(), value)).into(),
        correlation: Correlation::default(),
        arguments: Some(Digest([7; 32])),
        argument_bytes: 65_536,
        credential: CredentialId::generate(),
        decision: Decision {
            verdict: Verdict::Allow,
            policies: Vec::new(),
            version: PolicyVersion(Digest([9; 32])),
            reason: "allowed by finance.message".into(),
        },
    };
    let subject = Subject {
        action: Some(ActionId::generate()),
        agent: Some("invoice-bot".parse()?),
        project: Some("finance".parse()?),
        session: Some(SessionId::generate()),
    };
    let event = Event {
        at: Timestamp(1_764_000_000_000_000),
        elapsed: Monotonic(123_456_789),
        boot: BootId::generate(),
        subject,
        record: Record::Intent(intent),
    };
    Ok(event.encode())
}

async fn appending(entry: &[u8]) -> Result<String> {
    let mut text = String::from(
        "| callers | appends/s | p50 | p99 | sealed meanwhile: appends/s | p50 | p99 |\n\
         |--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for callers in CALLERS {
        let (mut alone, mut sealed) = Default::default();
        for _ in 0..ROUNDS {
            let folder = tempfile::tempdir()?;
            let journal = Journal::File(FileJournal::open(folder.path())?);
            keep_better(&mut alone, append(&journal, callers, entry).await?);

            let folder = tempfile::tempdir()?;
            let journal = Journal::File(FileJournal::open(folder.path())?);
            let (key, tasks) = (LedgerKey::new(ORIGIN, &[7; 32])?, TaskTracker::new());
            let sealer = Sealer::start(folder.path(), journal.clone(), key, &tasks).await?;
            keep_better(&mut sealed, append(&journal, callers, entry).await?);
            sealer.close().await?;
        }
        let columns = [alone, sealed].map(|(rate, waits): (f64, Waits)| {
            format!("{rate:.0} | {} µs | {} µs", waits.p50(), waits.p99())
        });
        writeln!(text, "| {callers} | {} |", columns.join(" | "))?;
    }
    Ok(text)
}

fn keep_better(best: &mut (f64, Waits), seen: (f64, Waits)) {
    if seen.0 > best.0 {
        *best = seen;
    }
}

/// Each caller waits for its entry's index before it sends the next.
async fn append(journal: &Journal, callers: usize, entry: &[u8]) -> Result<(f64, Waits)> {
    let begin = ticks::now().saturating_add(WARM_UP);
    let end = begin.saturating_add(MEASURED);
    let mut work = JoinSet::new();
    for _ in 0..callers {
        let (journal, entry) = (journal.clone(), entry.to_vec());
        work.spawn(async move {
            let mut waits = Vec::new();
            loop {
                let asked = ticks::now();
                if asked >= end {
                    return Ok::<_, provost_store::JournalError>(waits);
                }
                journal.append(entry.clone()).await?;
                if asked >= begin {
                    waits.push(ticks::now().saturating_sub(asked));
                }
            }
        });
    }
    let mut waits = Vec::new();
    while let Some(done) = work.join_next().await {
        waits.extend(done??);
    }
    Ok((ticks::rate(waits.len(), MEASURED), Waits::of(waits)))
}

fn verifying(entry: &[u8]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let key = LedgerKey::new(ORIGIN, &[7; 32])?;
    let begun = ticks::now();
    build(folder.path(), entry, &key)?;
    let built = ticks::now();
    let source = Directory::new(folder.path());
    let report = verify(&source, key.verifier(), None, &mut |_| {})?;
    let verified = ticks::now();
    ensure!(report.faults.is_empty(), "{:?}", report.faults.first());
    ensure!(report.entries_verified == ENTRIES as u64, "{}", report.entries_verified);
    let faults = verify_events(&source, ENTRIES as u64, &mut |_| {})?;
    let decoded = ticks::now();
    ensure!(faults.is_empty(), "{:?}", faults.first());

    let mut text = format!("| {ENTRIES} entries | took | entries/s |\n|---|--:|--:|\n");
    let rows = [
        ("built: hashed, written, not synced", begun, built),
        ("verified: every tile, every hash, the signature", built, verified),
        ("decoded besides, as events", verified, decoded),
    ];
    for (what, from, to) in rows {
        let took = to.saturating_sub(from);
        let rate = ticks::rate(ENTRIES, took);
        writeln!(text, "| {what} | {:.2} s | {rate:.0} |", took as f64 / 1e6)?;
    }
    Ok(text)
}

/// Builds a ledger as a sealer leaves it.
fn build(folder: &Path, entry: &[u8], key: &LedgerKey) -> Result<()> {
    let mut builder = Builder::default();
    for _ in 0..ENTRIES {
        builder.push(entry)?;
        write(folder, builder.take_full())?;
    }
    write(folder, builder.partials())?;
    let (size, root) = (builder.size(), builder.root());
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size, root };
    fs::write(folder.join(CHECKPOINT_PATH), checkpoint.sign(key))?;
    Ok(())
}

fn write(folder: &Path, files: Vec<File>) -> Result<()> {
    for File { path, bytes } in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(())
}
