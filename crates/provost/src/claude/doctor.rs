//! `provost claude doctor`: what Claude Code's hooks hold, seen in runs of Claude Code itself.
//!
//! A scripted model asks for a command that leaves a file, while the gateway is down. A check
//! is `enforced` only if our hook's own words were seen as the reason why nothing ran:
//! something else that refused proves nothing about hooks.

mod rehearsal;

use std::{
    fmt,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use rehearsal::{Gateway, Project, Rehearsal, Seen};

/// What is examined.
#[derive(Debug)]
pub(crate) struct Patient {
    /// Claude Code's program.
    pub(crate) program: PathBuf,
    /// The settings that are tried beside the managed ones.
    pub(crate) settings: Settings,
    /// Where managed settings are.
    pub(crate) managed: PathBuf,
    /// The PATH that programs are started with.
    pub(crate) path: String,
}

/// Settings to try.
#[derive(Debug)]
pub(crate) enum Settings {
    /// A user's own, if there are any; Claude Code gets a copy.
    User(PathBuf),
    /// Others, named to Claude Code on its command line.
    Given(PathBuf),
}

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    program: PathBuf,
    version: String,
    settings: PathBuf,
    managed: ManagedFile,
    checks: Vec<Check>,
    /// What hooks do not enforce, whatever the checks say.
    never_enforced: &'static [&'static str],
}

/// What hooks do not enforce, whatever the checks say.
const NEVER_ENFORCED: &[&str] = &[
    "SessionStart: Claude Code starts whatever that hook answers (as an HTTP hook it is not \
     even called)",
    "what is started by other programs than Claude Code, or by Claude Code of another user or \
     in another container",
    "whoever is root, or may write the settings or this program: they can take the hooks out",
    "who answers, unless the managed settings say it (install --managed --hook-url): the \
     user's own settings and --settings may set PROVOST_HOOK_URL; what the gateway refuses in \
     the model's stream holds all the same",
];

/// The managed settings of this machine.
#[derive(Debug, Serialize)]
struct ManagedFile {
    path: PathBuf,
    is_there: bool,
    /// Whether this user can change it, which an agent that runs as this user can then, too.
    is_writable: bool,
}

/// One thing that should hold.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    finding: Finding,
    /// What was seen.
    seen: String,
    /// What to do, unless it is enforced.
    what_to_do: Option<&'static str>,
}

/// Whether it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Finding {
    Enforced,
    NotEnforced,
    Unknown,
}

/// A run, and what has to be refused in it.
struct Trial {
    name: &'static str,
    rehearsal: Rehearsal,
    /// Whether the prompt is to be refused already, and not only the tool.
    is_prompt: bool,
}

const INSTALL: &str = "put the hooks in: provost claude install";
const MANAGE: &str =
    "these can be switched off or led away; instead: sudo provost claude install --managed";
const LOOK: &str = "run it yourself with these settings, and look at what Claude Code says";

/// Runs Claude Code through every trial; `say` is told what is being done.
///
/// # Errors
///
/// The trials could not be set up at all.
pub(crate) async fn examine(patient: &Patient, say: impl Fn(&str)) -> Result<Report> {
    let version = rehearsal::version(patient).await?;
    let settings = match &patient.settings {
        Settings::User(path) => path,
        Settings::Given(path) => {
            ensure!(path.is_file(), "{} is not a file", path.display());
            path
        }
    };
    let mut checks = Vec::new();
    for trial in trials() {
        say(&format!("trying: {} …", trial.name));
        let seen = trial.rehearsal.run(patient).await?;
        checks.push(trial.judged(&seen));
    }
    Ok(Report {
        program: patient.program.clone(),
        version,
        settings: settings.clone(),
        managed: ManagedFile::look(&patient.managed).context("cannot look at the settings")?,
        checks,
        never_enforced: NEVER_ENFORCED,
    })
}

fn trials() -> [Trial; 6] {
    let run = |gateway, arguments, project| Rehearsal { gateway, arguments, project };
    let tool = |name, arguments, project| Trial {
        name,
        rehearsal: run(Gateway::LostAtTool, arguments, project),
        is_prompt: false,
    };
    let prompt = |name, project| Trial {
        name,
        rehearsal: run(Gateway::Down, &[], project),
        is_prompt: true,
    };
    [
        prompt("a prompt is refused while the gateway is down", Project::Plain),
        prompt("the same where a project's settings name another gateway", Project::LeadsAway),
        tool("a tool call is refused when the gateway is lost", &[], Project::Plain),
        tool(
            "the same with --dangerously-skip-permissions",
            &["--dangerously-skip-permissions"],
            Project::Plain,
        ),
        tool("the same with --bare", &["--bare"], Project::Plain),
        tool("the same with disableAllHooks in the project's settings", &[], Project::HooksOff),
    ]
}

impl Trial {
    fn judged(&self, seen: &Seen) -> Check {
        let check = |finding, seen: String, what_to_do| Check {
            name: self.name,
            finding,
            seen,
            what_to_do,
        };
        let can_be_switched_off = self.rehearsal.can_switch_hooks_off();
        let install = if can_be_switched_off { MANAGE } else { INSTALL };
        if seen.ran {
            let seen = "the command ran".to_owned();
            return check(Finding::NotEnforced, seen, Some(install));
        }
        if self.is_prompt {
            if seen.model_was_asked {
                let seen = "the prompt reached the model".to_owned();
                return check(Finding::NotEnforced, seen, Some(install));
            }
            if seen.says(rehearsal::PROMPT_REFUSED) {
                let seen = "the hook refused it, and the model was not asked".to_owned();
                return check(Finding::Enforced, seen, None);
            }
        } else if seen.model_was_told(rehearsal::TOOL_REFUSED) {
            let seen = "the hook refused it, and the command did not run".to_owned();
            return check(Finding::Enforced, seen, None);
        }
        check(Finding::Unknown, seen.told(), Some(LOOK))
    }
}

impl ManagedFile {
    fn look(path: &Path) -> Result<Self> {
        let is_there = fs::exists(path)?;
        let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
        // Whoever may write into the folder may put another file in its place.
        let is_replaceable = folder.is_some_and(|it| tempfile::tempfile_in(it).is_ok());
        let is_writable = is_replaceable || OpenOptions::new().write(true).open(path).is_ok();
        Ok(Self { path: path.to_owned(), is_there, is_writable })
    }
}

impl Report {
    /// Whether nothing is left open.
    pub(crate) fn is_all_enforced(&self) -> bool {
        self.checks.iter().all(|check| check.finding == Finding::Enforced)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Enforced => "enforced",
            Self::NotEnforced => "NOT enforced",
            Self::Unknown => "could not be told",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Claude Code {}: {}", self.version, self.program.display())?;
        writeln!(f, "settings: {}", self.settings.display())?;
        let managed = &self.managed;
        let (there, writable) = (
            if managed.is_there { "" } else { " (there is none)" },
            if managed.is_writable { ", WRITABLE by this user" } else { "" },
        );
        writeln!(f, "managed settings: {}{there}{writable}\n", managed.path.display())?;
        for Check { name, finding, seen, what_to_do } in &self.checks {
            writeln!(f, "{finding:18} {name}: {seen}")?;
            if let Some(what_to_do) = what_to_do {
                writeln!(f, "{:18} → {what_to_do}", "")?;
            }
        }
        writeln!(f, "\nNever enforced by hooks:")?;
        for one in self.never_enforced {
            writeln!(f, "  {one}")?;
        }
        Ok(())
    }
}
