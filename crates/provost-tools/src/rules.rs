//! `risks.toml`, read once: what programs, paths, variables and tools mean.
//!
//! The file is part of the program; a test holds it valid.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::risk::Risk;

/// The rules, or nothing if the embedded file is broken: then no call is understood.
pub(crate) fn rules() -> Option<&'static Rules> {
    static RULES: LazyLock<Option<Rules>> = LazyLock::new(|| toml::from_str(SOURCE).ok());
    RULES.as_ref()
}

const SOURCE: &str = include_str!("risks.toml");

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    /// Variables that change what programs do, as globs with one final `*` at most.
    variables: Vec<String>,
    /// Parts of the names of variables that hold secrets.
    secret_variables: Vec<String>,
    /// Folders of the system whose programs are what their names say.
    pub(crate) system_folders: Vec<String>,
    /// Programs that are alike.
    #[serde(rename = "alike")]
    alike: Vec<Alike>,
    program: BTreeMap<String, Program>,
    /// Paths with risks of their own.
    #[serde(rename = "path")]
    pub(crate) paths: Vec<PathRule>,
    tool: BTreeMap<String, Tool>,
}

impl Rules {
    /// The rule of a program, by its base name.
    pub(crate) fn program(&self, name: &str) -> Option<&Program> {
        let own = self.program.get(name);
        own.or_else(|| {
            let has = |group: &&Alike| group.names.iter().any(|one| one == name);
            self.alike.iter().find(has).map(|group| &group.rule)
        })
    }

    /// The rule of a tool.
    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tool.get(name)
    }

    /// Whether this variable holds a secret, by its name.
    pub(crate) fn is_secret(&self, variable: &str) -> bool {
        let name = variable.to_ascii_uppercase();
        self.secret_variables.iter().any(|part| name.contains(part))
    }

    /// Whether setting this variable can change what later programs do.
    pub(crate) fn is_loaded(&self, variable: &str) -> bool {
        self.variables.iter().any(|rule| match rule.strip_suffix('*') {
            Some(prefix) => variable.starts_with(prefix),
            None => variable == rule,
        })
    }
}

#[derive(Debug, Deserialize)]
struct Alike {
    names: Vec<String>,
    rule: Program,
}

/// How a program's words are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Flags and operands.
    #[default]
    Plain,
    /// Its words are a command line: `sudo`, `env`, `timeout`.
    Wrapper,
    /// A wrapper that adds words it reads: `xargs`.
    Feeder,
    /// Its words, joined, are a script: `eval`, `watch`.
    Eval,
    /// `-c SCRIPT`, a file, or standard input: `sh`.
    Shell,
    /// Changes the folder.
    Cd,
    /// `find` and its actions.
    Find,
    /// `key=file` words: `dd`.
    Assign,
}

/// What the operands of a program are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operands {
    /// No files.
    #[default]
    None,
    /// Files it reads.
    Read,
    /// Files it writes or deletes.
    Write,
    /// Files it may do both to.
    Both,
    /// Files it reads, and one it writes at the end.
    Copy,
}

/// The rule of a program.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Program {
    /// How its words are read.
    pub(crate) kind: Kind,
    /// What it always risks.
    pub(crate) risks: Vec<Risk>,
    /// What it risks when it has no operand.
    pub(crate) alone: Vec<Risk>,
    /// What its operands are.
    pub(crate) operands: Operands,
    /// How many operands come before the files.
    pub(crate) skip: usize,
    /// Flags that take a value.
    pub(crate) values: Vec<String>,
    /// Flags before the subcommand, or the wrapped command, that take none.
    pub(crate) bare: Vec<String>,
    /// Flags whose value is a file that is read.
    pub(crate) reads: Vec<String>,
    /// Flags whose value is a file that is written.
    pub(crate) writes: Vec<String>,
    /// Flags that make the operands files that are written.
    pub(crate) writing: Vec<String>,
    /// Flags that give the first operand's part a value: `grep -e`.
    pub(crate) instead: Vec<String>,
    /// Flags with risks of their own.
    pub(crate) flags: BTreeMap<String, Vec<Risk>>,
    /// Subcommands, of one word or two.
    pub(crate) sub: BTreeMap<String, Vec<Risk>>,
    /// How many operands, at most, name hosts.
    pub(crate) hosts: usize,
    /// Whether operands such as `host:path` are elsewhere.
    pub(crate) remote: bool,
    /// Whether its first operand is a script of `sed`.
    pub(crate) scripted: bool,
    /// Text in any word that shows it can run or write more: `system` for `awk`.
    pub(crate) telltale: Vec<String>,
    /// Flags with which a wrapper only asks about its words: `command -v`.
    pub(crate) asks: Vec<String>,
}

/// A path with risks of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathRule {
    /// See [`crate::path::meets`].
    pub(crate) pattern: String,
    /// Risks of reading there.
    #[serde(default)]
    pub(crate) read: Vec<Risk>,
    /// Risks of writing there.
    #[serde(default)]
    pub(crate) write: Vec<Risk>,
}

/// The rule of a tool.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tool {
    /// What it always risks.
    pub(crate) risks: Vec<Risk>,
    /// Field that holds a shell script.
    pub(crate) script: Option<String>,
    /// Fields that name a file or folder it reads; `?` at the end if it may be absent.
    pub(crate) reads: Vec<String>,
    /// Fields that name a file it writes.
    pub(crate) writes: Vec<String>,
    /// Fields that hold a URL.
    pub(crate) hosts: Vec<String>,
}
