//! Everything a developer repeats: `cargo xtask tidy | check | test | clients | docs`.
//!
//! Parses the command, runs it, gives the exit code. What each command does is in the
//! module of its name; how a program is run and what is said meanwhile is in `step.rs`.

mod check;
mod clients;
mod docs;
mod step;
mod test;
mod tidy;
mod tools;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy     rules about the code that the compiler cannot check
  check    the fast gates: format, tidy, lints
  test     every gate and every test; installs what it needs; what CI runs
  clients  install the real clients that the tests drive, into target/clients
  docs     regenerate docs/reference from the program";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    match run(command.as_deref()) {
        Ok(code) => code,
        Err(error) => {
            step::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Option<&str>) -> Result<ExitCode> {
    std::env::set_current_dir(root()?).context("cannot enter the workspace")?;
    match command {
        Some("tidy") => tidy::run(),
        Some("check") => check::run(),
        Some("test") => test::run(),
        Some("clients") => clients::run(),
        Some("docs") => docs::run(),
        Some("--help" | "-h" | "help") => {
            step::say(USAGE);
            Ok(ExitCode::SUCCESS)
        }
        Some(_) | None => {
            step::say(USAGE);
            Ok(ExitCode::from(2))
        }
    }
}

/// The workspace's folder: the parent of this crate's.
fn root() -> Result<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(own.parent().context("this crate has no parent folder")?.to_owned())
}
