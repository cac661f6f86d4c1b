//! A file of settings: read whole, shown as a diff, and replaced whole or not at all.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use serde_json::Value;
use similar::TextDiff;
use tempfile::NamedTempFile;

use super::settings::{Hooks, Record, SettingsError, take_out};

/// Largest file that is read. Unit: bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// What may be done with a file that was not there before: Claude Code's users read it.
const NEW_MODE: u32 = 0o644;
/// What is added to the name of the file that keeps what was there before.
const RECORD_END: &str = "provost-installed.json";

/// A file of Claude Code's settings, which need not be there yet.
#[derive(Clone, Debug)]
pub(crate) struct SettingsFile {
    path: PathBuf,
}

/// Settings that were not changed. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It could point anywhere, and be pointed elsewhere.
    #[error("{} is not a regular file; name the file itself with --settings", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// It is larger than settings are.
    #[error("{} is larger than {} MiB", path.display(), FILE_BYTES_MAX >> 20)]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// It is not JSON; Claude Code does not read it either.
    #[error("{}, line {line}: not valid JSON; correct it first", path.display())]
    NotJson {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong there.
        #[source]
        source: serde_json::Error,
    },
    /// It is JSON, and not settings.
    #[error("{} is not a file of settings", path.display())]
    NotSettings {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: SettingsError,
    },
    /// Somebody changed it after it was shown.
    #[error("{} was changed meanwhile; run the command again", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// The system does not let it be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// The system does not let it be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

/// A change that was worked out and is not made yet.
#[derive(Debug)]
pub(crate) struct Change {
    file: SettingsFile,
    before: Option<String>,
    /// What the file is to be; nothing if it is to go.
    after: Option<String>,
    /// What is to be known of what was there before.
    record: Option<String>,
}

impl SettingsFile {
    /// The file at this path.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What putting these hooks in would change.
    ///
    /// # Errors
    ///
    /// [`FileError`]: it cannot be read, or is not what Claude Code documents.
    pub(crate) fn putting_in(self, hooks: &Hooks) -> Result<Change, FileError> {
        let (before, mut value, record) = self.read()?;
        let mut record = record.unwrap_or_default();
        hooks.put_in(&mut value, &mut record).map_err(|source| self.shape(source))?;
        record.is_file_made |= before.is_none();
        let after = self.unless_same(&before, &value)?;
        let record = Some(self.printed(&record)?);
        Ok(Change { file: self, before, after: Some(after), record })
    }

    /// What taking Provost's hooks out would change; whether it is known what was there before.
    ///
    /// # Errors
    ///
    /// As [`Self::putting_in`].
    pub(crate) fn taking_out(self) -> Result<(Change, bool), FileError> {
        let (before, mut value, record) = self.read()?;
        let is_known = record.is_some();
        let record = record.unwrap_or_default();
        take_out(&mut value, &record).map_err(|source| self.shape(source))?;
        let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        let after = if before.is_none() || (record.is_file_made && is_empty) {
            None
        } else {
            Some(self.unless_same(&before, &value)?)
        };
        Ok((Change { file: self, before, after, record: None }, is_known))
    }

    /// The file that keeps what was there before.
    fn record_path(&self) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{stem}.{RECORD_END}"))
    }

    fn read(&self) -> Result<(Option<String>, Value, Option<Record>), FileError> {
        let text = text_of(&self.path)?;
        let value = match &text {
            Some(text) => parsed(&self.path, text)?,
            None => Value::Object(serde_json::Map::new()),
        };
        let record_path = self.record_path();
        let record = match text_of(&record_path)? {
            Some(text) => Some(parsed(&record_path, &text)?),
            None => None,
        };
        Ok((text, value, record))
    }

    /// The text of a value: the one that is there, if it says the same.
    fn unless_same(&self, before: &Option<String>, value: &Value) -> Result<String, FileError> {
        match before {
            Some(before) if parsed::<Value>(&self.path, before)? == *value => {
                Ok(before.clone())
            }
            _ => self.printed(value),
        }
    }

    fn printed(&self, value: &impl serde::Serialize) -> Result<String, FileError> {
        let text = serde_json::to_string_pretty(value);
        text.map(|text| text + "\n").map_err(|error| self.unwritten(error.into()))
    }

    fn shape(&self, source: SettingsError) -> FileError {
        FileError::NotSettings { path: self.path.clone(), source }
    }

    fn unwritten(&self, source: io::Error) -> FileError {
        FileError::Write { path: self.path.clone(), source }
    }
}

impl Change {
    /// Whether nothing would be different.
    pub(crate) fn is_nothing(&self) -> bool {
        self.before == self.after
    }

    /// The file that is changed.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The change, for people: a unified diff.
    pub(crate) fn diff(&self) -> String {
        let before = self.before.as_deref().unwrap_or_default();
        let after = self.after.as_deref().unwrap_or_default();
        let shown = self.path().display().to_string();
        let name = |text: &Option<String>| match text {
            Some(_) => shown.clone(),
            None => "/dev/null".to_owned(),
        };
        TextDiff::from_lines(before, after)
            .unified_diff()
            .header(&name(&self.before), &name(&self.after))
            .to_string()
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// [`FileError`]: the settings are as they were.
    pub(crate) fn make(&self) -> Result<(), FileError> {
        let file = &self.file;
        if text_of(&file.path)? != self.before {
            return Err(FileError::Changed { path: file.path.clone() });
        }
        // What was there before is kept before it is changed, and forgotten after it is back.
        if let Some(record) = &self.record {
            replace(&file.record_path(), record)?;
        }
        match &self.after {
            Some(after) if Some(after) != self.before.as_ref() => replace(&file.path, after)?,
            Some(_) => {}
            None => remove(&file.path)?,
        }
        if self.record.is_none() { remove(&file.record_path()) } else { Ok(()) }
    }
}

/// The text of a regular file; nothing if there is none.
fn text_of(path: &Path) -> Result<Option<String>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(failed)?,
    };
    if !found.is_file() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    fs::read_to_string(path).map(Some).map_err(failed)
}

fn parsed<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, FileError> {
    serde_json::from_str(text).map_err(|source| FileError::NotJson {
        path: path.to_owned(),
        line: source.line(),
        source,
    })
}

/// Replaces a file by one that is complete on disk, with the same mode and owner.
fn replace(path: &Path, text: &str) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    let old = fs::symlink_metadata(path).ok();
    let mode = old.as_ref().map_or(NEW_MODE, |old| old.mode() & 0o7777);

    let mut new = NamedTempFile::new_in(folder).map_err(failed)?;
    new.write_all(text.as_bytes()).map_err(failed)?;
    if let Some(old) = old {
        let made = new.as_file().metadata().map_err(failed)?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
            chown(new.path(), Some(old.uid()), Some(old.gid())).map_err(failed)?;
        }
    }
    new.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    new.as_file().sync_all().map_err(failed)?;
    new.persist(path).map_err(|error| failed(error.error))?;
    let folder = fs::File::open(folder).map_err(failed)?;
    folder.sync_all().map_err(failed)
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FileError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
        path::Path,
    };

    use super::{FileError, SettingsFile};
    use crate::claude::Hooks;

    fn hooks() -> Hooks {
        Hooks::new(Path::new("/opt/provost"), None, None).unwrap()
    }

    #[test]
    fn in_and_out_again_leaves_the_folder_as_it_was() {
        let text = "{\n  \"z\": 1.50,\n  \"a\": [\n    2\n  ]\n}\n";
        for before in [None, Some(text), Some("{}\n")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("settings.json");
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            }
            for _ in 0..2 {
                let change = SettingsFile::new(path.clone()).putting_in(&hooks()).unwrap();
                change.make().unwrap();
            }
            let again = SettingsFile::new(path.clone()).putting_in(&hooks()).unwrap();
            assert!(again.is_nothing(), "{}", again.diff());
            let mode = fs::metadata(&path).unwrap().mode() & 0o777;
            assert_eq!(mode, if before.is_some() { 0o600 } else { 0o644 });
            let (out, is_known) = SettingsFile::new(path.clone()).taking_out().unwrap();
            assert!(is_known && out.diff().contains("-    \"PreToolUse\""), "{}", out.diff());
            out.make().unwrap();
            let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
            assert_eq!(left.len(), usize::from(before.is_some()), "{left:?}");
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            let after = fs::read_to_string(&path).ok();
            assert_eq!(after.as_deref().map(value), before.map(value));
        }
    }

    #[test]
    fn what_is_not_settings_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        for (text, want) in [
            ("{\n  \"a\": 1,\n}\n", "settings.json, line 3: not valid JSON"),
            ("", "settings.json, line 1: not valid JSON"),
            ("[]", "settings.json is not a file of settings"),
        ] {
            fs::write(&path, text).unwrap();
            let refused = SettingsFile::new(path.clone()).putting_in(&hooks()).unwrap_err();
            assert!(refused.to_string().contains(want), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let link = folder.path().join("link.json");
        symlink(&path, &link).unwrap();
        for path in [link, folder.path().to_owned()] {
            let refused = SettingsFile::new(path).putting_in(&hooks()).unwrap_err();
            assert!(matches!(refused, FileError::NotAFile { .. }), "{refused}");
        }
    }

    #[test]
    fn what_was_changed_after_it_was_shown_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, "{}").unwrap();
        let change = SettingsFile::new(path.clone()).putting_in(&hooks()).unwrap();
        fs::write(&path, "{\"model\": \"opus\"}").unwrap();
        let refused = change.make().unwrap_err();
        assert!(matches!(refused, FileError::Changed { .. }), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"model\": \"opus\"}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half done");
    }
}
