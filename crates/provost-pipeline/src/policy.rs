//! The policies in force: a directory of files, loaded whole or not at all.
//!
//! A set that does not compile changes nothing: the old one stays in force and the findings
//! are kept for `policy show` and the log. Every set that takes effect is recorded
//! in the ledger with its digest before it does.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use provost_decide::{Finding, Policies, SourceFile, project_policy};
use provost_types::{PolicyVersion, ProjectName, Timestamp};

/// Most policy files in a directory.
const FILES_MAX: usize = 10_000;

/// Largest policy file. Unit: bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The policies in force and where they come from.
#[derive(Debug)]
pub struct PolicyDirectory {
    path: PathBuf,
    current: ArcSwap<Loaded>,
    refused: Mutex<Option<Arc<RefusedSet>>>,
    /// What the directory looked like when it was last read.
    seen: Mutex<Vec<Stamp>>,
}

/// A set of policies that took effect.
#[derive(Debug)]
pub struct Loaded {
    /// The compiled set.
    pub policies: Policies,
    /// The names of its files, sorted.
    pub files: Vec<String>,
    /// When it took effect.
    pub at: Timestamp,
}

/// The newest set on disk, which did not take effect.
#[derive(Debug)]
pub struct RefusedSet {
    /// Why not.
    pub findings: Vec<Finding>,
    /// When it was refused.
    pub at: Timestamp,
}

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyDirectoryError {
    /// It cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// There is too much in it.
    #[error("{}: more than {FILES_MAX} files, or one of more than 4 MiB", path.display())]
    TooMuch {
        /// Which file or folder.
        path: PathBuf,
    },
    /// The set does not compile.
    #[error("{} error(s) in the policies; run `provost policy check`", findings.len())]
    Invalid {
        /// All of them.
        findings: Vec<Finding>,
    },
}

type Stamp = (PathBuf, u64, Option<SystemTime>);

impl PolicyDirectory {
    /// Loads the policies below `path`.
    ///
    /// # Errors
    ///
    /// [`PolicyDirectoryError`]: there is no older set to fall back to, so nothing starts.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, PolicyDirectoryError> {
        let seen = stamps(path)?;
        let loaded = load(path, now)?;
        Ok(Self {
            path: path.to_owned(),
            current: ArcSwap::from_pointee(loaded),
            refused: Mutex::new(None),
            seen: Mutex::new(seen),
        })
    }

    /// The set in force.
    pub fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// The newest set on disk, if it was refused.
    pub fn refused(&self) -> Option<Arc<RefusedSet>> {
        self.refused.lock().clone()
    }

    /// Reads the directory if it looks different, and gives the set it now holds if that is
    /// not the one in force. The caller records it, then calls [`Self::put_in_force`].
    pub(crate) fn changed(&self, now: Timestamp) -> Option<Loaded> {
        let stamps = stamps(&self.path).unwrap_or_default();
        {
            let mut seen = self.seen.lock();
            if *seen == stamps {
                return None;
            }
            *seen = stamps;
        }
        match load(&self.path, now) {
            Ok(loaded) => {
                *self.refused.lock() = None;
                let version = self.current.load().policies.version();
                (loaded.policies.version() != version).then_some(loaded)
            }
            Err(error) => {
                let findings = match &error {
                    PolicyDirectoryError::Invalid { findings } => findings.clone(),
                    PolicyDirectoryError::Io { .. } | PolicyDirectoryError::TooMuch { .. } => {
                        Vec::new()
                    }
                };
                let first = findings.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, first, "new policies refused, the old stay in force");
                *self.refused.lock() = Some(Arc::new(RefusedSet { findings, at: now }));
                None
            }
        }
    }

    /// Makes `loaded` the set in force for every decision from now on.
    pub(crate) fn put_in_force(&self, loaded: Loaded) -> PolicyVersion {
        let version = loaded.policies.version();
        tracing::info!(%version, policies = loaded.policies.len(), "policies in force");
        self.current.store(Arc::new(loaded));
        version
    }

    /// Looks at the directory afresh next time, though its stamps may be the same.
    pub(crate) fn look_again(&self) {
        self.seen.lock().clear();
    }

    /// Writes a new project's starter policy file, unless there is one of that name.
    pub(crate) fn add_project(
        &self,
        project: &ProjectName,
    ) -> Result<(), PolicyDirectoryError> {
        let file = project_policy(project);
        let path = self.path.join(&file.name);
        let written = fs::File::create_new(&path)
            .and_then(|mut new| io::Write::write_all(&mut new, file.text.as_bytes()));
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(PolicyDirectoryError::Io { path, source }),
            Ok(()) => Ok(()),
        }
    }
}

/// Reads the `.cedar` and `.toml` files of a directory, in the order of their names. Of the
/// latter only `approvers.toml` means something; that a misspelled one is not passed over in
/// silence is the compiler's to see to.
///
/// # Errors
///
/// [`PolicyDirectoryError`] if one cannot be read, or there are too many.
pub fn read_policy_files(path: &Path) -> Result<Vec<SourceFile>, PolicyDirectoryError> {
    stamps(path)?
        .into_iter()
        .map(|(file, bytes, _)| {
            if bytes > FILE_BYTES_MAX {
                return Err(PolicyDirectoryError::TooMuch { path: file });
            }
            let text = fs::read_to_string(&file)
                .map_err(|source| PolicyDirectoryError::Io { path: file.clone(), source })?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(SourceFile { name, text })
        })
        .collect()
}

fn load(path: &Path, now: Timestamp) -> Result<Loaded, PolicyDirectoryError> {
    let files = read_policy_files(path)?;
    let policies = Policies::compile(&files)
        .map_err(|findings| PolicyDirectoryError::Invalid { findings })?;
    Ok(Loaded { policies, files: files.into_iter().map(|file| file.name).collect(), at: now })
}

fn stamps(path: &Path) -> Result<Vec<Stamp>, PolicyDirectoryError> {
    let failed = |source| PolicyDirectoryError::Io { path: path.to_owned(), source };
    let mut stamps = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if path.extension().is_none_or(|kind| kind != "cedar" && kind != "toml") {
            continue;
        }
        // Follows links: Kubernetes mounts configuration as links into a swapped folder.
        let metadata = fs::metadata(entry.path()).map_err(failed)?;
        stamps.push((entry.path(), metadata.len(), metadata.modified().ok()));
        if stamps.len() > FILES_MAX {
            return Err(PolicyDirectoryError::TooMuch { path: path.to_owned() });
        }
    }
    stamps.sort();
    Ok(stamps)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use provost_types::Timestamp;

    use super::{PolicyDirectory, PolicyDirectoryError, read_policy_files};

    #[test]
    fn groups_are_read_beside_the_policies_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("old")).unwrap();
        for name in ["b.cedar", "approvers.toml", "a.cedar", "notes.md", "old/c.cedar"] {
            fs::write(path.join(name), "").unwrap();
        }
        let files = read_policy_files(path).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.cedar", "approvers.toml", "b.cedar"]);

        let groups = "groups.leads.members = [\"ada\"]";
        fs::write(path.join("approvers.toml"), groups).unwrap();
        let directory = PolicyDirectory::open(path, Timestamp(0)).unwrap();
        assert!(directory.current().policies.approvers().is_known("leads"));

        // A misspelled name is an error, not a file that nobody reads.
        fs::rename(path.join("approvers.toml"), path.join("approver.toml")).unwrap();
        let refused = PolicyDirectory::open(path, Timestamp(0));
        assert!(matches!(refused, Err(PolicyDirectoryError::Invalid { findings })
            if findings.iter().any(|finding| finding.file == "approver.toml")));
    }
}
