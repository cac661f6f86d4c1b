//! `provost reference`: the pages of `docs/reference`, printed by what they describe.

use anyhow::Result;
use clap::{Args, Command, CommandFactory as _, ValueEnum};

use super::{Cli, Invocation};
use crate::{config, exit::Exit};

/// Prints a page of the reference
#[derive(Debug, Args)]
pub(crate) struct Reference {
    /// Which page
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every key of the configuration
    Configuration,
    /// Every command
    Cli,
}

/// Prints it.
pub(crate) fn run(asked: &Reference, invocation: &Invocation) -> Result<Exit> {
    let page = match asked.page {
        Page::Configuration => config::reference(),
        Page::Cli => commands(),
    };
    invocation.printer.raw(&page)?;
    Ok(Exit::Done)
}

/// `docs/reference/cli.md`: the help of every command, and the exit codes.
pub(super) fn commands() -> String {
    let mut page = String::from(
        "<!-- Written by `cargo xtask docs`; change crates/provost/src/cli/. -->\n\n\
         # Command line\n\n\
         ## Exit codes\n\n| code | meaning |\n| --- | --- |\n",
    );
    for (code, meaning) in Exit::MEANINGS {
        page.push_str(&format!("| {code} | {meaning} |\n"));
    }
    let mut cli = Cli::command().term_width(96);
    cli.build();
    describe(&cli, "provost", &mut page);
    page
}

fn describe(command: &Command, path: &str, page: &mut String) {
    let is_whole = path == "provost";
    let mut shown = command.clone();
    if !is_whole {
        // The options of every command are told once, with the first.
        let global: Vec<_> = shown
            .get_arguments()
            .filter(|one| one.is_global_set())
            .map(|one| one.get_id().clone())
            .collect();
        for id in global {
            shown = shown.mut_arg(id, |one| one.hide(true));
        }
    }
    let help: String = shown
        .render_long_help()
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    page.push_str(&format!("\n## `{path}`\n\n```text\n{}\n```\n", help.trim()));
    for inner in command.get_subcommands() {
        if !inner.is_hide_set() && inner.get_name() != "help" {
            describe(inner, &format!("{path} {}", inner.get_name()), page);
        }
    }
}
