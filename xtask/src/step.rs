//! Runs other programs, and says what is going on. The one place that prints.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result};

/// Prints one line.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell when standard output is gone.
    let _gone = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line that cannot be overlooked in a long log.
pub(crate) fn shout(line: &str) {
    say(&format!("\n!!! {line}\n"));
}

/// A program with its arguments, ready to run from the workspace's folder.
pub(crate) fn program(name: impl AsRef<Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new(name.as_ref());
    command.args(arguments).stdin(Stdio::null());
    command
}

/// `cargo` with arguments.
///
/// The cargo that runs this program exports variables (`CARGO_PKG_*` and the like) that
/// would make the build scripts of some crates run again each time.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program("cargo", arguments);
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name == "CARGO_CRATE_NAME"
                || name == "CARGO_BIN_NAME"
        });
        if own {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a program with its output on ours; true when it succeeded.
pub(crate) fn passes(command: &mut Command) -> Result<bool> {
    say(&format!("\n==> {}", shown(command)));
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    Ok(status.success())
}

/// True when a program can be started at all and succeeds, in silence.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a program, shows each line as it comes, and hands it to `each`.
///
/// Standard error joins standard output, so that lines keep their order.
pub(crate) fn watched(command: &mut Command, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
    say(&format!("\n==> {}", shown(command)));
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let other = writer.try_clone().context("cannot share a pipe")?;
    let mut child = command
        .stdout(writer)
        .stderr(other)
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    // The command holds the pipe's writing ends; without them gone, reading never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("cannot read what a program printed")?;
        let line = String::from_utf8_lossy(&line);
        say(&line);
        each(&line);
    }
    child.wait().context("cannot wait for a program")
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}
