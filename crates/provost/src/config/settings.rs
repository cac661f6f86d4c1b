//! From a file and the environment to settings: one text for each key, and where it came from.
//!
//! The environment wins over the file, the file over the default. Everything that is wrong is
//! reported at once, each fault with its file and line or its variable.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use provost_types::AgentName;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    keys::{self, Key, Shape},
    mcp::{self, McpServer},
    oauth,
};

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the file, on this line (from 1).
    File(PathBuf, usize),
    /// In this environment variable.
    Variable(String),
    /// In the file as a whole, or nowhere.
    Whole(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment: {name}"),
            Self::Whole(path) => write!(f, "{}", path.display()),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub(crate) struct Fault {
    /// Where.
    pub(crate) origin: Origin,
    /// What.
    pub(crate) problem: Problem,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A key outside every section.
    #[error("`{0}` stands outside every section")]
    Loose(String),
    /// No such section.
    #[error("there is no section `{name}`{}", suggested(*like))]
    Section {
        /// What was written.
        name: String,
        /// What may have been meant.
        like: Option<&'static str>,
    },
    /// No such key.
    #[error("there is no key `{name}`{}", suggested(*like))]
    Key {
        /// What was written.
        name: String,
        /// What may have been meant.
        like: Option<&'static str>,
    },
    /// A value that the key cannot have.
    #[error("`{key}` has to be {}", shape.wanted())]
    Value {
        /// The key.
        key: &'static str,
        /// What it takes.
        shape: Shape,
    },
    /// A server's name that is none.
    #[error(
        "`{0}` is no name of an MCP server: use 1 to 64 lower-case letters, digits and `-`"
    )]
    ServerName(String),
    /// Two keys that have to agree do not.
    #[error("{0}")]
    Together(&'static str),
}

fn suggested(like: Option<&str>) -> String {
    like.map(|like| format!("; did you mean `{like}`?")).unwrap_or_default()
}

/// The texts given for keys, each with its origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    given: BTreeMap<&'static str, (String, Origin)>,
    /// The MCP servers, in the order of their names.
    pub(crate) mcp: Vec<McpServer>,
    /// The agent of each subject of access tokens.
    pub(crate) agents: HashMap<String, AgentName>,
}

impl Settings {
    /// What holds for a key: what was given, or its default.
    pub(crate) fn text(&self, key: &Key) -> Option<&str> {
        self.given.get(key.path).map(|(text, _)| text.as_str()).or(key.default)
    }

    /// Reads the file's text; faults are added to `faults`.
    pub(crate) fn read_file(&mut self, path: &Path, text: &str, faults: &mut Vec<Fault>) {
        let at = |range: Range<usize>| Origin::File(path.to_owned(), line(text, range.start));
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let problem = Problem::Syntax(error.message().to_owned());
                let origin = error.span().map_or_else(|| Origin::Whole(path.to_owned()), at);
                faults.push(Fault { origin, problem });
                return;
            }
        };
        for (name, value) in table {
            let section = name.get_ref().as_ref();
            let known = keys::SECTIONS.iter().any(|(known, _)| *known == section);
            let DeValue::Table(keys) = value.into_inner() else {
                let problem = Problem::Loose(section.to_owned());
                faults.push(Fault { origin: at(name.span()), problem });
                continue;
            };
            if section == "mcp" {
                self.mcp = mcp::read(keys, at, faults);
                continue;
            }
            if !known {
                let like = closest(section, keys::SECTIONS.iter().map(|(name, _)| *name));
                let problem = Problem::Section { name: section.to_owned(), like };
                faults.push(Fault { origin: at(name.span()), problem });
                continue;
            }
            for (key, value) in keys {
                if section == "oauth" && key.get_ref() == "agents" {
                    self.agents = oauth::agents(&value, at, faults);
                    continue;
                }
                let path = format!("{section}.{}", key.get_ref());
                self.take(&path, Given::Toml(&value), at(key.span()), faults);
            }
        }
    }

    /// Takes what the environment overrides; faults are added to `faults`.
    ///
    /// A variable counts when it begins with `PROVOST_` and a section's name.
    pub(crate) fn read_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
        faults: &mut Vec<Fault>,
    ) {
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix("PROVOST_") else { continue };
            let rest = rest.to_ascii_lowercase();
            let section = keys::SECTIONS.iter().find_map(|(section, _)| {
                let key = rest.strip_prefix(section)?.strip_prefix('_')?;
                Some(format!("{section}.{key}"))
            });
            if let Some(path) = section {
                let origin = Origin::Variable(name);
                self.take(&path, Given::Variable(value), origin, faults);
            }
        }
    }

    fn take(&mut self, path: &str, given: Given<'_>, origin: Origin, faults: &mut Vec<Fault>) {
        let Some(key) = keys::ALL.iter().find(|key| key.path == path) else {
            let like = closest_key(path);
            faults
                .push(Fault { origin, problem: Problem::Key { name: path.to_owned(), like } });
            return;
        };
        match given.text(&key.shape).filter(|text| key.shape.accepts(text)) {
            Some(text) => {
                self.given.insert(key.path, (text, origin));
            }
            None => {
                let problem = Problem::Value { key: key.path, shape: key.shape.clone() };
                faults.push(Fault { origin, problem });
            }
        }
    }
}

/// A value as it was given.
enum Given<'a> {
    Toml(&'a Spanned<DeValue<'a>>),
    Variable(String),
}

impl Given<'_> {
    /// The value as text; nothing when its TOML type is not the shape's.
    fn text(self, shape: &Shape) -> Option<String> {
        match self {
            Self::Variable(text) => Some(text),
            Self::Toml(value) => text_of(value.get_ref(), shape),
        }
    }
}

/// A single value as text; nothing when its TOML type is not the shape's.
pub(super) fn text_of(value: &DeValue<'_>, shape: &Shape) -> Option<String> {
    match (shape, value) {
        (Shape::Switch, DeValue::Boolean(given)) => Some(given.to_string()),
        (Shape::Number(_), DeValue::Integer(given)) => {
            u64::from_str_radix(given.as_str(), given.radix()).ok().map(|n| n.to_string())
        }
        (Shape::Switch | Shape::Number(_), _) => None,
        (_, DeValue::String(given)) => Some(given.as_ref().to_owned()),
        (_, _) => None,
    }
}

/// The key that was probably meant by a path that is none: a slip within the section, or the
/// right name in the wrong section.
fn closest_key(path: &str) -> Option<&'static str> {
    let (section, name) = path.split_once('.')?;
    let own = keys::ALL.iter().map(Key::parts).filter(|(known, _)| *known == section);
    let slip = closest(name, own.map(|(_, name)| name));
    keys::ALL
        .iter()
        .find(|key| slip.map_or(key.parts().1 == name, |slip| key.parts() == (section, slip)))
        .map(|key| key.path)
}

/// The known word closest to `given`, when it is close enough to be a slip.
pub(super) fn closest(
    given: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    known
        .map(|word| (strsim::jaro_winkler(given, word), word))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

/// The line, from 1, of a byte offset.
fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1)
}
