//! Making a data directory: never over anything that is there.
//!
//! Each thing is made as a whole or not at all. As long as nothing grew in the directory, what
//! is missing is made and what is there is kept, so an interrupted making is completed by
//! another. Once something grew, a missing key was lost, and making it anew would hide that.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use provost_decide::starter_policies;
use provost_ledger::{KeyNameError, LedgerKey};
use provost_store::{MasterKey, MasterKeyError, UnsealError};
use secrecy::{ExposeSecret as _, zeroize::Zeroizing};

use crate::{
    config::{Config, commented_file},
    data_dir::DataDir,
};

/// Length of the seed of the key that signs checkpoints. Unit: bytes. Source: RFC 8032 §5.1.5.
const SEED_LEN: usize = 32;

/// What a data directory has before anything grows in it.
const BEGINNING: &[&str] = &["keys", "policies", "provost.toml", "lost+found"];

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// It is all there.
    #[error(
        "{} is a data directory already, with {}; nothing was changed (a new token: provost \
         human create NAME --role admin)",
        path.display(), present.join(", ")
    )]
    Exists {
        /// Where.
        path: PathBuf,
        /// What is there.
        present: Vec<&'static str>,
    },
    /// Something that was there is not any more.
    #[error(
        "{} has {}, but not {}: what was sealed with a lost key cannot be read with a new one; \
         nothing was changed",
        path.display(), present.join(", "), missing.join(", ")
    )]
    Lost {
        /// Where.
        path: PathBuf,
        /// What is there.
        present: Vec<&'static str>,
        /// What should be.
        missing: Vec<&'static str>,
    },
    /// It is somebody else's folder.
    #[error("{} holds other things, such as `{found}`; nothing was changed", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// One of them.
        found: String,
    },
    /// The master key could not be made or read.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The ledger's key is sealed to another master key.
    #[error("the ledger's key that is there does not open with the master key that is there")]
    LedgerKey(#[from] UnsealError),
    /// The ledger's key is not one.
    #[error("the ledger's key that is there is not one")]
    Seed,
    /// The ledger cannot have this name.
    #[error(transparent)]
    Origin(#[from] KeyNameError),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Randomness(#[from] getrandom::Error),
    /// A file or folder could not be made or read.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

/// Makes what a data directory begins with; gives the files that were made. `origin` names the
/// ledger.
///
/// # Errors
///
/// [`InitError`]; whatever was there is as it was.
pub(crate) fn make(
    data: &DataDir,
    config: &Config,
    origin: &str,
) -> Result<Vec<PathBuf>, InitError> {
    check(data, config)?;
    let mut made = Made { files: Vec::new() };
    for path in [data.path(), &data.keys(), &data.policies()] {
        folder(path)?;
    }
    let master = if config.master_file.exists() {
        MasterKey::open(&config.master_file)?
    } else {
        let key = MasterKey::create(&config.master_file)?;
        made.files.push(config.master_file.clone());
        key
    };
    made.ledger_key(data, &master, origin)?;
    // Policies of the operator's own are left alone; an interrupted making is completed.
    if !has_policies(&data.policies())? {
        for file in starter_policies() {
            let path = data.policies().join(file.name);
            if !path.exists() {
                made.file(path, file.text.as_bytes(), 0o600)?;
            }
        }
    }
    if !data.config_file().exists() {
        made.file(data.config_file(), commented_file().as_bytes(), 0o600)?;
    }
    Ok(made.files)
}

/// Refuses whatever is not a directory in which nothing grew yet.
fn check(data: &DataDir, config: &Config) -> Result<(), InitError> {
    let path = data.path().to_owned();
    let there = |(name, path): (&'static str, PathBuf)| path.exists().then_some(name);
    let grown: Vec<_> = [
        ("a ledger", data.ledger()),
        ("a database", data.database()),
        ("stored credentials", data.secrets()),
        ("stored bodies", data.bodies()),
    ]
    .into_iter()
    .filter_map(there)
    .collect();
    let keys = [
        ("the master key", config.master_file.clone()),
        ("the ledger's key", data.ledger_key()),
        ("the ledger's public key", data.ledger_verifier()),
    ];
    let missing: Vec<_> =
        keys.into_iter().filter(|(_, path)| !path.exists()).map(|(name, _)| name).collect();
    if !grown.is_empty() {
        return Err(if missing.is_empty() {
            InitError::Exists { path, present: grown }
        } else {
            InitError::Lost { path, present: grown, missing }
        });
    }
    if data.ledger_key().exists() && !config.master_file.exists() {
        let (present, missing) = (vec!["the ledger's key"], vec!["the master key"]);
        return Err(InitError::Lost { path, present, missing });
    }
    match foreign(&path)? {
        Some(found) => Err(InitError::Foreign { path, found }),
        None => Ok(()),
    }
}

/// A name in the folder that nothing of ours has.
fn foreign(path: &Path) -> Result<Option<String>, InitError> {
    let names = names(path)?;
    Ok(names.into_iter().find(|name| !BEGINNING.contains(&name.as_str())))
}

fn has_policies(path: &Path) -> Result<bool, InitError> {
    let is_policy = |name: &String| Path::new(name).extension().is_some_and(|it| it == "cedar");
    Ok(names(path)?.iter().any(is_policy))
}

/// Names in a folder, sorted; none if there is no folder.
fn names(path: &Path) -> Result<Vec<String>, InitError> {
    let failed = |source| InitError::Io { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A folder for its owner alone, with whatever folders lead to it.
fn folder(path: &Path) -> Result<(), InitError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| InitError::Io { path: path.to_owned(), source })
}

/// The files made so far.
struct Made {
    files: Vec<PathBuf>,
}

impl Made {
    /// Makes the key that signs checkpoints, or its public half if only that is missing.
    fn ledger_key(
        &mut self,
        data: &DataDir,
        master: &MasterKey,
        origin: &str,
    ) -> Result<(), InitError> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        let path = data.ledger_key();
        if path.exists() {
            let sealed = fs::read(&path).map_err(|source| InitError::Io { path, source })?;
            let plain = master.unseal(&sealed)?;
            *seed = plain.expose_secret().try_into().map_err(|_| InitError::Seed)?;
        } else {
            getrandom::fill(seed.as_mut())?;
            self.file(path, &master.seal(seed.as_ref()), 0o600)?;
        }
        if !data.ledger_verifier().exists() {
            let key = LedgerKey::new(origin, &seed)?;
            let public = format!("{}\n", key.verifier());
            self.file(data.ledger_verifier(), public.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    /// Makes a file that is there as a whole or not at all, and never over another.
    fn file(&mut self, path: PathBuf, bytes: &[u8], mode: u32) -> Result<(), InitError> {
        let beside = path.with_extension("new");
        let written = || {
            // What an interrupted making left beside it was never used.
            let _none = fs::remove_file(&beside);
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(mode).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::hard_link(&beside, &path)?; // unlike a rename, fails if something is there
            fs::remove_file(&beside)
        };
        written().map_err(|source| InitError::Io { path: path.clone(), source })?;
        self.files.push(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::{InitError, make};
    use crate::{config::Config, data_dir::DataDir};

    fn init(data: &DataDir) -> Result<Vec<String>, InitError> {
        let config = Config::load(data, None).unwrap();
        let made = make(data, &config, "provost-test")?;
        let short = |path: &Path| path.strip_prefix(data.path()).unwrap().display().to_string();
        Ok(made.iter().map(|path| short(path)).collect())
    }

    /// Path, mode and content of every file below.
    fn everything(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
            found.push((path.display().to_string(), mode, content));
            if path.is_dir() {
                found.extend(everything(&path));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_fresh_directory_gets_everything_and_nobody_else_may_look() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path().join("a/b"));
        let made = init(&data).unwrap();
        assert_eq!(
            made,
            [
                "keys/master.age",
                "keys/ledger.age",
                "keys/ledger.vkey",
                "policies/approvers.toml",
                "policies/base.cedar",
                "provost.toml"
            ]
        );
        for (path, mode, _) in everything(data.path()) {
            let public = path.ends_with("ledger.vkey");
            assert!(public || mode & 0o077 == 0, "{path}: {mode:o}");
        }
    }

    #[test]
    fn an_interrupted_making_is_completed_and_keeps_what_was_made() {
        for lost in [
            &["provost.toml"][..],
            &["provost.toml", "policies/base.cedar"],
            &["keys/ledger.vkey", "provost.toml"],
            &["keys/ledger.vkey", "keys/ledger.age"],
        ] {
            let folder = tempfile::tempdir().unwrap();
            let data = DataDir::new(folder.path());
            init(&data).unwrap();
            let before = everything(data.path());
            for path in lost {
                fs::remove_file(data.path().join(path)).unwrap();
            }
            let mut made = init(&data).unwrap();
            let mut lost = lost.to_vec();
            made.sort();
            lost.sort_unstable();
            assert_eq!(made, lost);
            let after = everything(data.path());
            let kept = |path: &str| !lost.iter().any(|lost| path.ends_with(lost));
            let before: Vec<_> = before.into_iter().filter(|(path, ..)| kept(path)).collect();
            assert!(before.iter().all(|one| after.contains(one)));
        }
    }

    #[test]
    fn nothing_is_made_over_what_is_there() {
        for (grown, lost, want) in [
            ("provost.db", None, "is a data directory already, with a database"),
            ("ledger", None, "is a data directory already, with a ledger"),
            ("provost.db", Some("keys/master.age"), "has a database, but not the master key"),
            ("secrets", Some("keys/ledger.vkey"), "but not the ledger's public key"),
            ("holiday.jpg", None, "holds other things, such as `holiday.jpg`"),
            ("keys/x", Some("keys/master.age"), "has the ledger's key, but not the master key"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let data = DataDir::new(folder.path());
            init(&data).unwrap();
            fs::write(data.path().join(grown), "").unwrap();
            if let Some(lost) = lost {
                fs::remove_file(data.path().join(lost)).unwrap();
            }
            let before = everything(data.path());
            let error = init(&data).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            assert!(error.contains("nothing was changed"), "{error}");
            assert_eq!(everything(data.path()), before);
        }
    }
}
