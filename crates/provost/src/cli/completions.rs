//! `provost completions`: what a shell needs to complete this command line.

use anyhow::Result;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Invocation};
use crate::exit::Exit;

/// Prints what a shell needs to complete this command line
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  provost completions bash > /etc/bash_completion.d/provost")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

/// Prints it.
pub(crate) fn run(asked: &Completions, invocation: &Invocation) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Cli::command(), "provost", &mut script);
    invocation.printer.raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
