//! Collects effects while a call is read.

use std::collections::BTreeSet;

use crate::{
    Effects, Risk,
    path::{Folder, meets, resolve},
    rules::{PathRule, Rules},
    word::{Piece, Word},
};

/// Most texts in one list, so that a hostile call cannot fill a record.
const LIST_MAX: usize = 512;

/// Longest path, as on Linux: longer ones name nothing. Unit: characters.
const PATH_CHARS_MAX: usize = 4_096;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// It is read.
    Read,
    /// It is created, changed or deleted.
    Write,
}

/// Effects so far.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    programs: BTreeSet<String>,
    commands: BTreeSet<String>,
    risks: BTreeSet<Risk>,
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    hosts: BTreeSet<String>,
    /// Paths already held against the rules, by piece: `x*` can be a name or a glob.
    judged: BTreeSet<(Access, Vec<Piece>)>,
    opaque: bool,
}

impl Gather {
    /// What is known of a call that is not understood at all.
    pub(crate) fn opaque() -> Self {
        Self { opaque: true, ..Self::default() }
    }

    /// Marks the call as not understood.
    pub(crate) fn fail(&mut self) {
        self.opaque = true;
    }

    /// True if something was not understood.
    pub(crate) fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Notes a program with its command.
    pub(crate) fn program(&mut self, program: &str, command: String) {
        self.programs.insert(program.to_owned());
        self.commands.insert(command);
        self.opaque |= self.programs.len() > LIST_MAX || self.commands.len() > LIST_MAX;
    }

    /// Notes risks.
    pub(crate) fn risks(&mut self, risks: &[Risk]) {
        self.risks.extend(risks);
    }

    /// Notes a file, in each folder the call may be in by then.
    pub(crate) fn file(&mut self, rules: &Rules, word: &Word, access: Access, at: &[Folder]) {
        if self.opaque || word.0.is_empty() || is_device(&word.shown()) {
            return;
        }
        for folder in at {
            let path = resolve(word, folder);
            if path.0.len() > PATH_CHARS_MAX {
                return self.fail();
            }
            let list = match access {
                Access::Read => &mut self.reads,
                Access::Write => &mut self.writes,
            };
            list.insert(if path.is_open() { "*".to_owned() } else { path.shown() });
            self.opaque |= list.len() > LIST_MAX;
            let could_be = match folder {
                Folder::Lost if !is_rooted(&path) => Word([vec![Piece::Any], path.0].concat()),
                Folder::Lost | Folder::Known(_) => path,
            };
            if !self.judged.insert((access, could_be.0.clone())) {
                continue;
            }
            for rule in rules.paths.iter().filter(|rule| meets(&rule.pattern, &could_be)) {
                self.risks.extend(of(rule, access));
            }
        }
    }

    /// Notes a host as it stands in a URL, or by itself.
    pub(crate) fn host(&mut self, word: &Word) {
        if let Some(host) = certain_part(word).as_deref().and_then(host_of) {
            self.hosts.insert(host);
            self.opaque |= self.hosts.len() > LIST_MAX;
        } else if word.text().is_none() {
            self.hosts.insert("*".to_owned());
        }
    }

    /// The effects, with every risk if something was not understood.
    pub(crate) fn finish(self) -> Effects {
        let risks = match self.opaque {
            true => Risk::ALL.to_vec(),
            false => self.risks.into_iter().collect(),
        };
        Effects {
            programs: self.programs.into_iter().collect(),
            commands: self.commands.into_iter().collect(),
            risks,
            reads: self.reads.into_iter().collect(),
            writes: self.writes.into_iter().collect(),
            hosts: self.hosts.into_iter().collect(),
            parsed: !self.opaque,
        }
    }
}

fn of(rule: &PathRule, access: Access) -> &[Risk] {
    match access {
        Access::Read => &rule.read,
        Access::Write => &rule.write,
    }
}

fn is_rooted(path: &Word) -> bool {
    matches!(path.0.first(), Some(Piece::Char('/') | Piece::Home | Piece::Any))
}

/// Files that are streams and nowhere else: naming them helps nobody.
pub(crate) fn is_device(path: &str) -> bool {
    let rest = path.strip_prefix("/dev/");
    let streams = ["null", "stdin", "stdout", "stderr", "tty", "zero", "random", "urandom"];
    rest.is_some_and(|name| streams.contains(&name) || name.starts_with("fd/")) || path == "-"
}

/// The whole of a URL, or what is known of it if the host ends before the unknown part.
fn certain_part(word: &Word) -> Option<String> {
    let known = word.0.iter().map_while(|piece| match piece {
        Piece::Char(char) => Some(*char),
        Piece::Home | Piece::One | Piece::Many | Piece::Any => None,
    });
    let known: String = known.collect();
    let after_scheme = known.split_once("://").map_or("", |(_, rest)| rest);
    (word.text().is_some() || after_scheme.contains(['/', '?', '#'])).then_some(known)
}

/// The host in `scheme://user@host:port/path`, `user@host:path` or `host/path`.
fn host_of(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    // Some readers take a backslash for a slash, and end the host there.
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(inner) => inner.split(']').next()?,
        None => place.split(':').next()?,
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn hosts_lose_their_case_user_and_port() {
        for (text, want) in [
            ("https://Example.COM:8443/a", Some("example.com")),
            ("https://good.com@evil.com/", Some("evil.com")),
            ("https://evil.com\\@good.com/", Some("evil.com")),
            ("https://evil.com#@good.com/", Some("evil.com")),
            ("git@github.com:acme/site.git", Some("github.com")),
            ("http://[::1]:80/", Some("::1")),
            ("example.com./x", Some("example.com")),
            ("https://", None),
        ] {
            assert_eq!(host_of(text).as_deref(), want, "text = {text}");
        }
    }
}
