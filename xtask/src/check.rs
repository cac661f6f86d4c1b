//! The fast gates: formatting, tidiness, lints. No test is run, nothing is installed.

use std::process::ExitCode;

use anyhow::Result;

use crate::{step, tidy};

/// Runs the fast gates, all of them, and says which failed.
pub(crate) fn run() -> Result<ExitCode> {
    let failed = faults()?;
    if failed.is_empty() {
        step::say("\nfast gates passed");
        return Ok(ExitCode::SUCCESS);
    }
    step::say(&format!("\nfailed: {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

/// The names of the fast gates that fail.
pub(crate) fn faults() -> Result<Vec<&'static str>> {
    let mut failed = Vec::new();
    if !step::passes(&mut step::cargo(&["fmt", "--all", "--check"]))? {
        failed.push("format");
    }
    if !tidy::passes()? {
        failed.push("tidy");
    }
    let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    if !step::passes(&mut step::cargo(&lints))? {
        failed.push("lints");
    }
    Ok(failed)
}
