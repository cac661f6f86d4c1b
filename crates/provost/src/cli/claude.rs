//! `provost claude`: Claude Code's hooks, put in, taken out, and proved.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Invocation, demo::claude_on_path, variable};
use crate::{
    claude::{Change, Hooks, Managed, SettingsFile, doctor},
    exit::{Exit, Misuse},
};

/// Where settings are that users cannot change. Source: Claude Code's documentation,
/// "Settings".
const MANAGED: &str = "/etc/claude-code/managed-settings.json";

/// Claude Code's hooks: put in, taken out, and proved
#[derive(Debug, Subcommand)]
pub(crate) enum Claude {
    Install(Install),
    Uninstall(Uninstall),
    Doctor(Doctor),
}

/// Puts hooks into Claude Code's settings that ask Provost and refuse without an answer
///
/// Shows the change first and asks. What else is in the file stays, and what was there before
/// is kept in a file beside it, so that `uninstall` gives it back. A user's hooks are switched
/// off by `--bare` and by `disableAllHooks`; managed ones are not. Prove it with `provost
/// claude doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
With --managed, hooks other than managed ones are switched off, and so is
--dangerously-skip-permissions. Whoever is root can take all of it out.

Without --hook-url, the user's own settings and --settings can set PROVOST_HOOK_URL, and so
who answers. With it, `provost claude doctor` cannot stand in for the gateway, and says that it
could not tell.

Exit codes: 0 done, or nothing to change; 1 failed, and nothing was changed; 2 not confirmed.

Examples:
  provost claude install
  sudo provost claude install --managed --gateway https://provost.example.com:8484 \\
      --hook-url https://provost.example.com:8484/hook
  provost claude install --settings image/managed-settings.json --yes")]
pub(crate) struct Install {
    #[command(flatten)]
    place: Place,
    /// The gateway that Claude Code may not be talked out of
    #[arg(long, value_name = "URL", requires = "managed")]
    gateway: Option<String>,
    /// Where hooks are answered, so that no other settings can name another place
    #[arg(long, value_name = "URL", requires = "managed")]
    hook_url: Option<String>,
}

/// Takes out of Claude Code's settings what `install` put in, and gives back what was there
///
/// What somebody changed since then stays as they left it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit codes: 0 done, or nothing to change; 1 failed, and nothing was changed; 2 not confirmed.

Examples:
  provost claude uninstall
  sudo provost claude uninstall --managed --yes")]
pub(crate) struct Uninstall {
    #[command(flatten)]
    place: Place,
}

/// Which settings.
#[derive(Debug, Args)]
struct Place {
    /// The settings of everybody on this machine, in /etc/claude-code; needs root
    #[arg(long)]
    managed: bool,
    /// The folder they are in [default: $CLAUDE_CONFIG_DIR or ~/.claude]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The file they are in
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    settings: Option<PathBuf>,
    /// Does not ask
    #[arg(long)]
    yes: bool,
}

/// Runs Claude Code against a gateway that is down, and sees whether it refuses
///
/// A scripted model on loopback asks for a command that leaves a file. Nothing reaches a real
/// model or the real gateway. Every line tells what was seen in this run, and nothing else.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The settings in force are those of this user (a copy, in a fresh home) and those managed on
this machine, with whatever other hooks and scripts they name; with --settings that file in the
user's place.

Exit codes: 0 all is enforced; 1 something is not, or could not be told; 2 there is no `claude`.

Examples:
  provost claude doctor
  provost claude doctor --claude ~/.local/bin/claude --output json
  provost claude doctor --settings image/settings.json")]
pub(crate) struct Doctor {
    /// Claude Code's program [default: `claude` on the PATH]
    #[arg(long, value_name = "PROGRAM")]
    claude: Option<PathBuf>,
    /// Settings to try instead of the user's
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// Does one of them.
pub(crate) async fn run(asked: Claude, invocation: &Invocation) -> Result<Exit> {
    match asked {
        Claude::Install(asked) => install(asked, invocation),
        Claude::Uninstall(asked) => uninstall(asked, invocation),
        Claude::Doctor(asked) => diagnose(asked, invocation).await,
    }
}

fn install(asked: Install, invocation: &Invocation) -> Result<Exit> {
    let program = std::env::current_exe().context("this program has no path")?;
    let ca_file = match &invocation.ca_file {
        Some(path) => Some(std::path::absolute(path).context("--ca-file has no path")?),
        None => None,
    };
    let gateway = asked.gateway.map(|url| url.trim_end_matches('/').to_owned());
    let managed = asked.place.managed.then_some(Managed { gateway, hook_url: asked.hook_url });
    let hooks = Hooks::new(&program, ca_file.as_deref(), managed);
    let hooks =
        hooks.ok_or(Misuse("the paths of this program and of --ca-file must be UTF-8"))?;
    let change = asked.place.file()?.putting_in(&hooks)?;
    let exit = asked.place.settle(&change, invocation)?;
    if exit == Exit::Done {
        invocation.printer.note("Prove that it holds: provost claude doctor");
    }
    Ok(exit)
}

fn uninstall(asked: Uninstall, invocation: &Invocation) -> Result<Exit> {
    let (change, is_known) = asked.place.file()?.taking_out()?;
    if !is_known && !change.is_nothing() {
        invocation.printer.note(
            "There is no record of what was there before: only the hooks are taken out, and \
             settings that `install --managed` added stay.",
        );
    }
    asked.place.settle(&change, invocation)
}

/// A change, for programs.
#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    diff: String,
    /// Whether it was made.
    made: bool,
}

impl Place {
    fn file(&self) -> Result<SettingsFile> {
        let path = match (&self.settings, &self.dir) {
            (Some(file), _) => file.clone(),
            (None, Some(folder)) if self.managed => folder.join("managed-settings.json"),
            (None, Some(folder)) => folder.join("settings.json"),
            (None, None) if self.managed => PathBuf::from(MANAGED),
            (None, None) => user_settings()?,
        };
        Ok(SettingsFile::new(path))
    }

    /// Shows a change, asks where somebody can answer, and makes it.
    fn settle(&self, change: &Change, invocation: &Invocation) -> Result<Exit> {
        let printer = invocation.printer;
        let file = change.path();
        if change.is_nothing() {
            let shown = Shown { file, diff: String::new(), made: false };
            printer.answer(&shown, |_| format!("{}: nothing to change", file.display()))?;
            return Ok(Exit::Done);
        }
        let is_agreed = self.yes || {
            printer.note(&change.diff());
            agreed(|question| printer.note(question), file)?
        };
        if is_agreed {
            change.make()?;
        }
        let shown = Shown { file, diff: change.diff(), made: is_agreed };
        printer.answer(&shown, |shown| {
            let done = if shown.made { "changed" } else { "not changed:" };
            let diff = if self.yes { shown.diff.as_str() } else { "" };
            format!("{diff}{done} {}", file.display())
        })?;
        Ok(if is_agreed { Exit::Done } else { Exit::Usage })
    }
}

/// Asks whether to change a file.
///
/// # Errors
///
/// Nobody is there who could answer.
fn agreed(ask: impl Fn(&str), file: &Path) -> Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Misuse(
            "nothing was changed: there is no terminal to ask on; look at the change above and \
             add --yes",
        )
        .into());
    }
    ask(&format!("Change {}? [y/N]", file.display()));
    let mut line = String::new();
    stdin.read_line(&mut line).context("cannot read the answer")?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

fn user_settings() -> Result<PathBuf> {
    if let Some(folder) = variable("CLAUDE_CONFIG_DIR") {
        return Ok(Path::new(&folder).join("settings.json"));
    }
    let home = variable("HOME").context("neither CLAUDE_CONFIG_DIR nor HOME is set")?;
    Ok(Path::new(&home).join(".claude/settings.json"))
}

async fn diagnose(asked: Doctor, invocation: &Invocation) -> Result<Exit> {
    let program = match asked.claude {
        Some(program) => std::path::absolute(program).context("--claude has no path")?,
        None => claude_on_path()
            .ok_or(Misuse("there is no `claude` on the PATH; say where it is: --claude"))?,
    };
    let settings = match asked.settings {
        Some(file) => doctor::Settings::Given(
            std::path::absolute(file).context("--settings has no path")?,
        ),
        None => doctor::Settings::User(user_settings()?),
    };
    let patient = doctor::Patient {
        program,
        settings,
        managed: PathBuf::from(MANAGED),
        path: variable("PATH").unwrap_or_default(),
    };
    let report = doctor::examine(&patient, |what| invocation.printer.note(what)).await?;
    invocation.printer.answer(&report, ToString::to_string)?;
    Ok(if report.is_all_enforced() { Exit::Done } else { Exit::Failed })
}
