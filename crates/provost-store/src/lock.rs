//! One process per data directory: an advisory lock that the kernel gives back when we die.

use std::{
    fs, io,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Longest holder's note read from a lock file. Unit: bytes.
const HOLDER_LEN_MAX: u64 = 20;

/// The right to write below one data directory, held until dropped.
#[derive(Debug)]
pub struct DataLock {
    _file: fs::File,
}

/// The data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on it.
    #[error("{} is in use by process {holder}", dir.display())]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// Process id of the holder, or `unknown` in the instant before it is noted.
        holder: String,
    },
    /// The lock file could not be used.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

impl DataLock {
    /// Locks the data directory `dir` through its file `lock`, and notes this process there.
    ///
    /// The file stays when the lock goes: what counts is the kernel's lock, not the file.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] if another process, or this one, holds it; never waits.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                // For the eye only, and a full disk must not keep the ledger from being read.
                note_holder(&mut file).unwrap_or_default();
                Ok(Self { _file: file })
            }
            Err(fs::TryLockError::WouldBlock) => {
                Err(LockError::Held { dir: dir.into(), holder: read_holder(&file) })
            }
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

fn note_holder(file: &mut fs::File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn read_holder(file: &fs::File) -> String {
    let mut note = String::new();
    match file.take(HOLDER_LEN_MAX).read_to_string(&mut note) {
        Ok(_) if !note.trim().is_empty() => note.trim().into(),
        _ => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{DataLock, LockError};

    #[test]
    fn a_second_holder_is_refused_and_told_who_holds() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataLock::acquire(dir.path()).unwrap();
        let error = DataLock::acquire(dir.path()).unwrap_err();
        assert!(matches!(error, LockError::Held { .. }));
        assert!(error.to_string().ends_with(&format!("process {}", std::process::id())));
        drop(lock);
        DataLock::acquire(dir.path()).unwrap();
    }
}
