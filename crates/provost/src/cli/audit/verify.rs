//! `provost audit verify`: recomputes everything from the files, and asks no server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use provost_ledger::{Checkpoint, Directory, LedgerVerifier, Report};
use provost_store::{DataLock, Store};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::rows::Comparison;
use crate::{cli::Invocation, config::JournalKind, exit::Exit};

/// Recomputes the whole ledger from its files and says what is wrong with it
///
/// Needs no server and no secret; a server may go on writing meanwhile. The rows of the
/// database about events are compared with the ledger as well, unless `--ledger` names a copy.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  provost audit verify
  provost audit verify --since monday.txt
  provost audit verify --ledger /mnt/copy --key 'provost.example.com+…'")]
pub(crate) struct Verify {
    /// A checkpoint kept from before: the ledger has to be its continuation
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// A copy of the ledger's folder, instead of the data directory's
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// The public key, or the file it is in, instead of the data directory's
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// What was found out.
#[derive(Serialize)]
struct Verified {
    /// The signed head: who signed, how many records, the root.
    checkpoint: Option<Head>,
    entries_verified: u64,
    unsigned_tail: u64,
    rows_compared: u64,
    faults: Vec<String>,
}

#[derive(Serialize)]
struct Head {
    origin: String,
    size: u64,
}

/// Verifies.
pub(super) async fn run(asked: &Verify, invocation: &Invocation) -> Result<Exit> {
    let verifier = verifier(asked.key.as_deref(), invocation)?;
    let since = asked.since.as_deref().map(|path| kept(path, &verifier)).transpose()?;
    let folder = asked.ledger.clone().unwrap_or_else(|| invocation.data.ledger());
    ensure!(folder.is_dir(), "there is no ledger in {}", folder.display());
    let source = Directory::new(&folder);

    let bar = invocation.printer.progress(signed_size(&folder, &verifier));
    let report = provost_ledger::verify(&source, &verifier, since.as_ref(), &mut |seen| {
        bar.set_position(seen)
    })
    .context("the ledger cannot be read")?;
    bar.finish_and_clear();

    let mut verified = Verified::from(&report);
    if asked.ledger.is_none() {
        compare_rows(&verifier, &report, &mut verified, invocation).await?;
    }
    invocation.printer.answer(&verified, told)?;
    Ok(if verified.faults.is_empty() { Exit::Done } else { Exit::Failed })
}

impl From<&Report> for Verified {
    fn from(report: &Report) -> Self {
        let head = report.checkpoint.as_ref();
        Self {
            checkpoint: head.map(|head| Head { origin: head.origin.clone(), size: head.size }),
            entries_verified: report.entries_verified,
            unsigned_tail: report.unsigned_tail,
            rows_compared: 0,
            faults: report.faults.iter().map(ToString::to_string).collect(),
        }
    }
}

fn told(verified: &Verified) -> String {
    let mut text: String =
        verified.faults.iter().map(|fault| format!("FAULT  {fault}\n")).collect();
    if let Some(head) = &verified.checkpoint {
        text.push_str(&format!("checkpoint of {}: {} records\n", head.origin, head.size));
    }
    text.push_str(&format!(
        "verified {} records, {} rows; {} newer records are not signed yet\n",
        verified.entries_verified, verified.rows_compared, verified.unsigned_tail
    ));
    text.push_str(&match verified.faults.len() {
        0 => "the ledger is whole and unchanged\n".to_owned(),
        count => format!("{count} faults\n"),
    });
    text
}

/// The key that checks signatures: given, in a file, or the data directory's.
pub(super) fn verifier(given: Option<&str>, invocation: &Invocation) -> Result<LedgerVerifier> {
    let own = invocation.data.ledger_verifier();
    let text = match given {
        Some(given) if given.contains('+') => given.to_owned(),
        Some(path) => read(Path::new(path))?,
        None => read(&own)?,
    };
    text.trim().parse().context("the ledger's public key is not one")
}

fn kept(path: &Path, verifier: &LedgerVerifier) -> Result<Checkpoint> {
    Checkpoint::open(&read(path)?, verifier)
        .with_context(|| format!("{} is not a checkpoint of this ledger", path.display()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// How many records there are to look at, for the progress bar alone.
fn signed_size(folder: &Path, verifier: &LedgerVerifier) -> u64 {
    fs::read_to_string(folder.join(provost_ledger::CHECKPOINT_PATH))
        .ok()
        .and_then(|note| Checkpoint::open(&note, verifier).ok())
        .map_or(0, |head| head.size)
}

/// Compares the database's rows about events with the ledger.
async fn compare_rows(
    verifier: &LedgerVerifier,
    report: &Report,
    verified: &mut Verified,
    invocation: &Invocation,
) -> Result<()> {
    let Some(head) = &report.checkpoint else { return Ok(()) };
    let config = invocation.config()?;
    // While nobody writes, every record has its row; held until the comparison is done.
    let lock = DataLock::acquire(invocation.data.path()).ok();
    let is_in_files = config.store.journal == JournalKind::File;
    let size = head.size.saturating_add(report.unsigned_tail);
    let store = Store::connect(config.store.url.expose_secret()).await?;
    let bar = invocation.printer.progress(head.size);
    let comparison = Comparison {
        store: &store,
        source: &Directory::new(invocation.data.ledger()),
        head,
        verifier,
        size: lock.as_ref().filter(|_| is_in_files).map(|_| size),
    };
    let compared = comparison.run(&mut |seen| bar.set_position(seen)).await?;
    bar.finish_and_clear();
    store.close().await;
    drop(lock);
    verified.rows_compared = compared.rows;
    verified.faults.extend(compared.faults);
    Ok(())
}
