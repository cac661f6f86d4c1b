//! What a tool call of an agent would do, as far as its name and arguments tell.
//!
//! [`effects`] reads the JSON input of one call. Of the agent's own tools it knows the fields;
//! of a shell command it reads the real grammar and names programs, subcommands, files and
//! hosts. It is a pure function: it looks at no file, resolves no link and no name, and what
//! it cannot understand it reports with every [`Risk`] and `parsed: false`.
//!
//! The judgement of programs, paths and tools is data: `risks.toml`.
//!
//! # Limits
//!
//! - It says what the words say. `make`, a script file, a hook or an alias of the user can do
//!   anything; that is [`Risk::Execute`], and so is each program that `risks.toml` lacks.
//! - Which words of a command are files follows one rule per program. Files that a program
//!   opens of its own accord (its configuration, what an archive holds) are not listed.
//!   Those of `git` and other programs with subcommands are not listed at all.
//! - Arithmetic with a variable is execute, since bash evaluates what the variable holds.
//! - A path or host that hangs on a variable, or on what another command prints, is listed
//!   as `*`; one with a glob is listed as the glob. Both have the risks of every path that
//!   they could be. Rules that allow prefixes are safe with these; rules that forbid exact
//!   paths should ask for the risk too.
//! - After `cd a;` a path may lie in either folder, so both are listed. After a `cd` that
//!   cannot be told, paths are listed as given.
//! - Links, mounts and the case of letters are the file system's; `~` stays `~`.
//! - What `ssh` runs on the other side is not looked at: it is network and execute.
//! - The grammar is that of bash. `zsh` and `sh` are read as if they were bash.

mod call;
mod canonical;
mod files;
mod gather;
mod json;
mod path;
mod risk;
mod rules;
mod sed;
mod shell;
mod tool;
mod word;

pub use canonical::{canonical_json, json_value, json_value_once};
pub use risk::Risk;

/// What a tool call would do, as far as its arguments tell.
///
/// Every list is sorted and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Base names of the programs that a shell command would run, such as `git`.
    pub programs: Vec<String>,
    /// Programs with their first subcommand, where they have such: `git push`, `ls`.
    pub commands: Vec<String>,
    /// What could go wrong.
    pub risks: Vec<Risk>,
    /// Files and folders it would read; absolute if the folder of the call is known.
    pub reads: Vec<String>,
    /// Files and folders it would create, change or delete.
    pub writes: Vec<String>,
    /// Hosts that it names, in lower case and without port; `*` if one cannot be told.
    pub hosts: Vec<String>,
    /// False if the call could not be understood; then `risks` holds every risk.
    pub parsed: bool,
}

/// Says what the tool `name` would do with the JSON text `input` in the folder `cwd`.
///
/// Never fails: what is not understood comes back with `parsed: false` and every risk, along
/// with what was understood before.
#[must_use]
pub fn effects(name: &str, input: &[u8], cwd: Option<&str>) -> Effects {
    match rules::rules() {
        Some(rules) => tool::read(rules, name, input, cwd).finish(),
        None => gather::Gather::opaque().finish(),
    }
}
