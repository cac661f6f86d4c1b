//! Bodies of requests and answers, kept encrypted for projects that ask for it.
//!
//! One file a body, `YYYY-MM-DD/ACTION.{request,response}.age`, encrypted to its project's key:
//! whoever lacks that key, this server's disk included, cannot read it. A body that cannot be
//! kept does not hold up its action; that it is missing is logged, and shows by its absence.

mod writer;

#[cfg(test)]
mod tests;

use std::{
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use provost_types::{ActionId, Timestamp};

pub use self::writer::{BodyWriter, Kept};
use crate::{BodyIdentity, BodyRecipient};

/// Most bytes kept of one body unless said otherwise; the rest is left out.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Folder of bodies that are being written.
const UNFINISHED: &str = "unfinished";

/// Length of `YYYY-MM-DD`. Unit: bytes.
const DAY_LEN: usize = 10;

/// Which half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPart {
    /// What was asked.
    Request,
    /// What was answered.
    Response,
}

/// The bodies of one installation.
#[derive(Clone, Debug)]
pub struct Bodies {
    folder: PathBuf,
    body_bytes_max: u64,
}

/// Bodies could not be read or deleted.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The file or folder could not be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// The file is encrypted to another key, cut short, or altered.
    #[error("{} does not open with this project's key", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
}

impl Bodies {
    /// Bodies below `folder`. Clears away what a crash left half written there.
    pub fn new(folder: &Path) -> Self {
        Self::with_limit(folder, BODY_BYTES_MAX)
    }

    /// [`Bodies::new`] that keeps at most `body_bytes_max` bytes of each.
    pub fn with_limit(folder: &Path, body_bytes_max: u64) -> Self {
        // Unreadable without their last chunk, and of no use but to whoever reads the disk.
        fs::remove_dir_all(folder.join(UNFINISHED)).unwrap_or_default();
        Self { folder: folder.into(), body_bytes_max }
    }

    /// A writer for one body, which appears once it is finished. Touches no file yet.
    pub fn writer(
        &self,
        action: ActionId,
        part: BodyPart,
        recipient: &BodyRecipient,
    ) -> BodyWriter {
        let path = self.path(action, part);
        let name = path.file_name().unwrap_or_default();
        let unfinished = self.folder.join(UNFINISHED).join(name);
        BodyWriter::new(unfinished, path, recipient.clone(), self.body_bytes_max)
    }

    /// Reads a body back; none if it was not kept or is deleted. Unit of its bound: the
    /// `body_bytes_max` it was written under.
    ///
    /// # Errors
    ///
    /// [`BodyError`], by its variants.
    pub async fn read(
        &self,
        action: ActionId,
        part: BodyPart,
        identity: &BodyIdentity,
    ) -> Result<Option<Vec<u8>>, BodyError> {
        let (path, identity) = (self.path(action, part), identity.clone());
        waiting(path.clone(), move || open(&path, &identity)).await
    }

    /// Deletes what was kept of one action.
    ///
    /// # Errors
    ///
    /// [`BodyError::Io`]; a body that is not there is none.
    pub async fn delete(&self, action: ActionId) -> Result<(), BodyError> {
        let paths = [BodyPart::Request, BodyPart::Response].map(|part| self.path(action, part));
        waiting(self.folder.clone(), move || paths.iter().try_for_each(|path| remove(path)))
            .await
    }

    /// Deletes the bodies of every day, in UTC, that was over at `time`; returns those days.
    ///
    /// # Errors
    ///
    /// [`BodyError::Io`]; some days may be deleted already, and the next call goes on.
    pub async fn delete_before(&self, time: Timestamp) -> Result<Vec<String>, BodyError> {
        let folder = self.folder.clone();
        waiting(self.folder.clone(), move || delete_before(&folder, &day(time))).await
    }

    fn path(&self, action: ActionId, part: BodyPart) -> PathBuf {
        self.folder.join(day(begun(action))).join(format!("{action}.{part}.age"))
    }
}

impl fmt::Display for BodyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

/// When an action got its id: a UUID of version 7 says so itself.
fn begun(action: ActionId) -> Timestamp {
    let (seconds, nanos) = action.uuid().get_timestamp().map_or((0, 0), |at| at.to_unix());
    let micros = seconds.saturating_mul(1_000_000).saturating_add(u64::from(nanos / 1000));
    Timestamp(micros)
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take(DAY_LEN).collect()
}

fn open(path: &Path, identity: &BodyIdentity) -> Result<Option<Vec<u8>>, BodyError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BodyError::Io { path: path.into(), source }),
    };
    let mut body = Vec::new();
    age::Decryptor::new_buffered(io::BufReader::new(file))
        .and_then(|decryptor| decryptor.decrypt(std::iter::once(identity as _)))
        .map_err(|_| BodyError::NotOurs { path: path.into() })?
        .read_to_end(&mut body)
        .map_err(|_| BodyError::NotOurs { path: path.into() })?;
    Ok(Some(body))
}

fn remove(path: &Path) -> Result<(), BodyError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(BodyError::Io { path: path.into(), source })
        }
        _ => Ok(()),
    }
}

fn delete_before(folder: &Path, first_kept: &str) -> Result<Vec<String>, BodyError> {
    let mut deleted = Vec::new();
    let failed = |path: &Path| {
        let path = path.into();
        |source| BodyError::Io { path, source }
    };
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_day = name.len() == DAY_LEN && name.starts_with(|c: char| c.is_ascii_digit());
        if is_day && name.as_str() < first_kept {
            fs::remove_dir_all(entry.path()).map_err(failed(&entry.path()))?;
            deleted.push(name);
        }
    }
    deleted.sort_unstable();
    Ok(deleted)
}

/// Runs `work`, which waits for the disk, where waiting holds up nobody.
async fn waiting<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, BodyError> + Send + 'static,
) -> Result<T, BodyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(BodyError::Io { path, source: io::Error::other(error) }))
}
