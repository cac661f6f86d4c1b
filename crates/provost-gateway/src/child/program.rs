//! What to run, and within what.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use super::StartError;

/// Where programs are looked for unless the environment says so. Source: Debian's default for
/// services, systemd.exec(5).
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The language of messages, unless the environment says so: plain, in UTF-8.
const LANGUAGE: &str = "C.UTF-8";

/// Longest line that may be asked for. Unit: bytes. Ours; below what a semaphore can count.
const LINE_BYTES_CEILING: usize = 1 << 28;

/// Fewest open files that a program can start with: its streams, itself and its libraries.
const OPEN_FILES_MIN: u64 = 16;

/// Variables that a shell sets for itself, and takes away in [`super::gate`].
const SHELLS_OWN: &[&str] = &["OLDPWD", "PROVOST_GATE", "PWD", "SHLVL"];

/// A program as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramSpec {
    /// What it is called in the log.
    pub name: String,
    /// An absolute path, or a name that is looked for in the environment's `PATH`.
    pub program: PathBuf,
    /// Its arguments. No shell reads them.
    pub arguments: Vec<String>,
    /// The absolute path of the folder it works in.
    pub folder: PathBuf,
    /// The absolute path of the folder that it may call its home.
    pub home: PathBuf,
    /// Its environment. Beside it there are `PATH`, `HOME` and `LANG`, which may be set here,
    /// and nothing else.
    pub environment: Vec<(String, String)>,
    /// Its limits.
    pub limits: ProgramLimits,
}

/// What a program may take, and how long it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramLimits {
    /// Longest line in either direction, and most that waits to be written. Unit: bytes.
    pub line_bytes_max: usize,
    /// Longest wait for the program to read what was sent before.
    pub send_wait_max: Duration,
    /// How long it may take to end by itself once its input is closed.
    pub close_grace: Duration,
    /// How long it may take to end once it was told to.
    pub term_grace: Duration,
    /// What the system holds it to.
    pub resources: Resources,
}

impl Default for ProgramLimits {
    /// Sized for servers of tools: results of some megabytes, and state to be saved at the end.
    fn default() -> Self {
        Self {
            line_bytes_max: 16 * 1024 * 1024,
            send_wait_max: Duration::from_secs(10),
            close_grace: Duration::from_secs(2),
            term_grace: Duration::from_secs(2),
            resources: Resources::default(),
        }
    }
}

/// Limits of every single process of a program; what is not set, is as it is for us.
///
/// Source: setrlimit(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory it may map. Unit: bytes. Some runtimes map far more than they use.
    pub address_space_bytes: Option<u64>,
    /// Memory of its own that it may write to. Unit: bytes. What is only set aside does not
    /// count, so it fits runtimes that map much. Source: getrlimit(2), `RLIMIT_DATA`.
    pub data_bytes: Option<u64>,
    /// Files it may have open; at least 16.
    pub open_files: Option<u64>,
    /// Processes and threads of its user, who may be ours: counted are all of them. Does not
    /// hold for root.
    pub processes: Option<u64>,
    /// Longest file it may write. Unit: bytes.
    pub file_bytes: Option<u64>,
    /// Processor time after which it is ended. Unit: seconds.
    pub cpu_seconds: Option<u64>,
}

/// A program that can be started, as far as that can be told beforehand.
// INVARIANT: paths are absolute, names of variables are such, nothing has a NUL in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(ProgramSpec);

/// A program cannot be run as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// Something that must be an absolute path is none.
    #[error("{what} must be an absolute path, not {}", path.display())]
    Relative {
        /// Of what.
        what: &'static str,
        /// What was given.
        path: PathBuf,
    },
    /// No system can be given a NUL within a text.
    #[error("{what} must not hold a NUL character")]
    Nul {
        /// Which text.
        what: &'static str,
    },
    /// No shell passes on a variable of that name.
    #[error(
        "{name:?} cannot be set: names are letters, digits and `_`, do not begin with a digit, \
         and are none of PWD, OLDPWD, SHLVL"
    )]
    Variable {
        /// The name.
        name: String,
    },
    /// It is set twice.
    #[error("the variable {name} is set twice")]
    Twice {
        /// Its name.
        name: String,
    },
    /// A limit leaves no room to start, or is no limit.
    #[error("the limit on {what} must be {least} to {most}")]
    Limit {
        /// On what.
        what: &'static str,
        /// Least value.
        least: u64,
        /// Greatest value.
        most: u64,
    },
}

impl Program {
    /// Checks what can be checked without starting it.
    ///
    /// # Errors
    ///
    /// [`ProgramError`], by its variants.
    pub fn new(spec: ProgramSpec) -> Result<Self, ProgramError> {
        let mut parts = spec.program.components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(name)), None) => {
                check_text("the program", &name.to_string_lossy())?;
            }
            _ => check_path("the program", &spec.program)?,
        }
        check_path("the folder", &spec.folder)?;
        check_path("the home folder", &spec.home)?;
        for argument in &spec.arguments {
            check_text("an argument", argument)?;
        }
        for (position, (name, value)) in spec.environment.iter().enumerate() {
            check_variable(name, value)?;
            if spec.environment.iter().take(position).any(|(other, _)| other == name) {
                return Err(ProgramError::Twice { name: name.clone() });
            }
        }
        check_limits(&spec.limits)?;
        Ok(Self(spec))
    }

    /// What it was made of.
    pub fn spec(&self) -> &ProgramSpec {
        &self.0
    }

    pub(super) fn limits(&self) -> &ProgramLimits {
        &self.0.limits
    }

    /// The whole environment but for secrets; what comes later counts.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&str, &Path)> {
        let given = self.0.environment.iter();
        [("HOME", &*self.0.home), ("LANG", Path::new(LANGUAGE)), ("PATH", SEARCH_PATH.as_ref())]
            .into_iter()
            .chain(given.map(|(name, value)| (name.as_str(), Path::new(value))))
    }

    /// Where the program is now. Looked for by us, because a shell that does not find it only
    /// says so in words.
    pub(super) fn find(&self) -> Result<PathBuf, StartError> {
        let program = &self.0.program;
        let set = self.0.environment.iter().find(|(name, _)| name == "PATH");
        let folders = set.map_or(SEARCH_PATH, |(_, value)| value).split(':');
        // An absolute path stays what it is, whatever it is joined to.
        let mut places = folders
            .map(|folder| Path::new(folder).join(program))
            .filter(|place| place.is_absolute());
        places
            .find(|place| {
                let file = fs::metadata(place);
                file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
            .ok_or_else(|| StartError::NotFound { program: program.clone() })
    }
}

/// Whether a program can be given this variable.
pub(super) fn check_variable(name: &str, value: &str) -> Result<(), ProgramError> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name || SHELLS_OWN.contains(&name) {
        return Err(ProgramError::Variable { name: name.to_owned() });
    }
    check_text("a variable's value", value)
}

fn check_path(what: &'static str, path: &Path) -> Result<(), ProgramError> {
    if !path.is_absolute() {
        return Err(ProgramError::Relative { what, path: path.to_owned() });
    }
    check_text(what, &path.to_string_lossy())
}

fn check_text(what: &'static str, text: &str) -> Result<(), ProgramError> {
    if text.contains('\0') { Err(ProgramError::Nul { what }) } else { Ok(()) }
}

fn check_limits(limits: &ProgramLimits) -> Result<(), ProgramError> {
    let line = u64::try_from(limits.line_bytes_max).unwrap_or(u64::MAX);
    let line_max = u64::try_from(LINE_BYTES_CEILING).unwrap_or(u64::MAX);
    let resources = limits.resources;
    for (what, value, least, most) in [
        ("a line's length", Some(line), 1, line_max),
        ("open files", resources.open_files, OPEN_FILES_MIN, u64::MAX),
        ("processor time", resources.cpu_seconds, 1, u64::MAX),
    ] {
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            return Err(ProgramError::Limit { what, least, most });
        }
    }
    Ok(())
}
