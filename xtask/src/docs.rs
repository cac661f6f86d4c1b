//! Regenerates `docs/reference/`: pages the program prints about itself.
//!
//! Tests of the `provost` crate compare the committed pages with the program, so a page that
//! was not regenerated fails the build.

use std::{fs, process::ExitCode};

use anyhow::{Context as _, Result, ensure};

use crate::step;

/// Pages of `docs/reference/`, by the word that `provost reference` knows them by.
const PAGES: &[&str] = &["configuration", "cli"];

/// Writes every page anew.
pub(crate) fn run() -> Result<ExitCode> {
    fs::create_dir_all("docs/reference").context("cannot make docs/reference")?;
    for page in PAGES {
        let mut command =
            step::cargo(&["run", "--quiet", "--package", "provost", "--", "reference", page]);
        let output = command.output().context("cannot run provost")?;
        ensure!(
            output.status.success(),
            "`provost reference {page}` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let path = format!("docs/reference/{page}.md");
        fs::write(&path, &output.stdout).with_context(|| format!("cannot write {path}"))?;
        step::say(&format!("wrote {path}"));
    }
    Ok(ExitCode::SUCCESS)
}
