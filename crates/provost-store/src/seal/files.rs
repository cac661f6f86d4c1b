//! Writes the ledger's files: a reader or a crash meets each of them whole or not at all.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use provost_ledger::CHECKPOINT_PATH;

use super::SealError;

/// Where a file is written before it gets its name. Readers pass over it.
const UNFINISHED: &str = "seal.new";

/// The files below one ledger's directory. One writer at a time.
#[derive(Clone, Debug)]
pub(super) struct Files {
    ledger: PathBuf,
}

impl Files {
    pub(super) fn new(ledger: &Path) -> Self {
        Self { ledger: ledger.into() }
    }

    /// Runs `work`, which waits for the disk, where waiting holds up nobody.
    pub(super) async fn run(
        &self,
        work: impl FnOnce(&Self) -> Result<(), SealError> + Send + 'static,
    ) -> Result<(), SealError> {
        let files = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&files)).await;
        done.unwrap_or(Err(SealError::Closed))
    }

    /// Writes full tiles and bundles, and clears away their partial forms. One that is there
    /// already must be the same: a crash may have come between it and the checkpoint.
    pub(super) fn put_full(&self, files: &[provost_ledger::File]) -> Result<(), SealError> {
        self.put(files)?;
        files.iter().try_for_each(|file| {
            let partials = self.ledger.join(format!("{}.p", file.path));
            match fs::remove_dir_all(&partials) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(failed(&partials)(error))
                }
                _ => Ok(()),
            }
        })
    }

    /// Writes a checkpoint after the partial tiles it needs, then clears away older ones.
    pub(super) fn publish(
        &self,
        partials: &[provost_ledger::File],
        note: &str,
    ) -> Result<(), SealError> {
        self.put(partials)?;
        let checkpoint = self.ledger.join(CHECKPOINT_PATH);
        self.write(&checkpoint, note.as_bytes())
            .and_then(|()| sync_dir(&self.ledger))
            .map_err(failed(&checkpoint))?;
        partials.iter().try_for_each(|partial| {
            let path = self.ledger.join(&partial.path);
            remove_siblings(&path).map_err(failed(&path))
        })
    }

    /// The newest signed note.
    pub(super) fn checkpoint(&self) -> Result<Option<String>, SealError> {
        let path = self.ledger.join(CHECKPOINT_PATH);
        match fs::read_to_string(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// Writes files, and then makes all their names durable: a folder is synced once for all
    /// that came into it.
    fn put(&self, files: &[provost_ledger::File]) -> Result<(), SealError> {
        let mut folders = BTreeSet::new();
        for file in files {
            let path = self.ledger.join(&file.path);
            match fs::read(&path) {
                Ok(bytes) if bytes == file.bytes => {}
                Ok(_) => return Err(SealError::Altered { path }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.write(&path, &file.bytes).map_err(failed(&path))?;
                }
                Err(error) => return Err(failed(&path)(error)),
            }
            // Of one that is there already, a crash may have come before the sync.
            folders.extend(path.parent().map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| sync_dir(folder).map_err(failed(folder)))
    }

    /// Writes one file, whole and durable but for its name.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        make_dir(path.parent().unwrap_or(&self.ledger))?;
        let unfinished = self.ledger.join(UNFINISHED);
        if let Err(error) = write_synced(&unfinished, bytes) {
            // On a full disk, the journal needs the room more.
            fs::remove_file(&unfinished).unwrap_or_default();
            return Err(error);
        }
        fs::rename(&unfinished, path)
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a folder and those above it, each durably.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let Some(parent) = dir.parent() else { return Ok(()) };
    make_dir(parent)?;
    fs::DirBuilder::new().mode(0o700).create(dir)?;
    sync_dir(parent)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes what else is in the folder of `path`.
fn remove_siblings(path: &Path) -> io::Result<()> {
    let Some(dir) = path.parent() else { return Ok(()) };
    for sibling in fs::read_dir(dir)? {
        let sibling = sibling?.path();
        if sibling != path {
            fs::remove_file(sibling)?;
        }
    }
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SealError {
    let path = path.into();
    move |source| SealError::Io { path, source: Arc::new(source) }
}
