//! The folder of sealed credentials, and the leases on what is in it.
//!
//! One file per credential, `NAME.age`, replaced whole. Every lease looks whether the file is
//! still the one that was read, so a new value is in force at the next action, whoever wrote
//! it: this process, the command line, or a restored backup.

use std::{
    collections::HashMap,
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use provost_pipeline::Permit;
use provost_store::{MasterKey, UnsealError};
use provost_types::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::{LeaseError, SecretName, SetError, VaultError};

/// Longest value. Unit: bytes. Far above any API key or token, far below a pasted file.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Longest sealed file read: a value and the age header around it. Unit: bytes.
const SEALED_BYTES_MAX: u64 = 2 * VALUE_BYTES_MAX as u64;

/// Upstream credentials at rest, sealed to the master key.
pub struct Vault {
    dir: PathBuf,
    master: Arc<MasterKey>,
    opened: RwLock<HashMap<SecretName, Opened>>,
    keeping_grants: Mutex<()>,
}

/// What is told of a stored credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its name.
    pub name: SecretName,
    /// When its value was last set.
    pub set_at: Timestamp,
}

/// The value of one credential, lent to one admitted action.
pub struct Lease {
    name: SecretName,
    value: Arc<SecretString>,
}

/// A value that was read, and the file it was read from.
struct Opened {
    file: FileMark,
    value: Arc<SecretString>,
}

/// Tells a replaced file from the one before it: a rename brings a new inode, and a write in
/// place a new change time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileMark {
    inode: u64,
    changed: (i64, i64),
    length: u64,
}

impl Vault {
    /// The vault in `dir`, which is made (mode 0700) if it is not there.
    ///
    /// # Errors
    ///
    /// [`VaultError::Io`] if it cannot be made.
    pub fn open(dir: &Path, master: Arc<MasterKey>) -> Result<Self, VaultError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| VaultError::Io { path: dir.into(), source })?;
        let (opened, keeping_grants) = (RwLock::default(), Mutex::default());
        Ok(Self { dir: dir.into(), master, opened, keeping_grants })
    }

    /// Stores `value` under `name`; in force from the next lease on. One trailing line break
    /// is dropped, as it belongs to the terminal or the file the value came from.
    ///
    /// Blocks on the disk until the value would survive a power cut.
    ///
    /// # Errors
    ///
    /// [`SetError`], by its variants; the value before, if any, then stays.
    pub fn set(&self, name: &SecretName, value: &SecretString) -> Result<(), SetError> {
        let value = checked(value.expose_secret())?;
        let path = self.path(name);
        let replaced = self.replace(&path, &self.master.seal(value.as_bytes()));
        self.forget(name);
        replaced.map_err(|source| SetError::Io { path, source })
    }

    /// Whether [`Vault::set`] would take `value`, without storing it.
    ///
    /// # Errors
    ///
    /// [`SetError`], but for its `Io`.
    pub fn check(value: &SecretString) -> Result<(), SetError> {
        checked(value.expose_secret()).map(|_value| ())
    }

    /// Whether there is anything under `name`.
    pub fn holds(&self, name: &SecretName) -> bool {
        self.path(name).exists()
    }

    /// What is stored, by name.
    ///
    /// # Errors
    ///
    /// [`VaultError::Io`] if the folder cannot be read.
    pub fn names(&self) -> Result<Vec<StoredSecret>, VaultError> {
        let mut stored =
            self.list().map_err(|source| VaultError::Io { path: self.dir.clone(), source })?;
        stored.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(stored)
    }

    /// Deletes what is stored under `name`; the next lease of it fails.
    ///
    /// # Errors
    ///
    /// [`VaultError`], by its variants.
    pub fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        let path = self.path(name);
        let removed = fs::remove_file(&path).and_then(|()| sync_dir(&self.dir));
        self.forget(name);
        match removed {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(VaultError::NoSuch { name: name.clone() })
            }
            Err(source) => Err(VaultError::Io { path, source }),
        }
    }

    /// Lends the value stored under `name` to the action of `permit`.
    ///
    /// # Errors
    ///
    /// [`LeaseError`], by its variants. A file that cannot be read or opened is never replaced
    /// by the value it held before: a credential that was taken away stays away.
    pub fn lease(&self, permit: &Permit, name: &SecretName) -> Result<Lease, LeaseError> {
        let value = self.current(name)?;
        tracing::debug!(action = %permit.action(), secret = %name, "secret leased");
        Ok(Lease { name: name.clone(), value })
    }

    fn current(&self, name: &SecretName) -> Result<Arc<SecretString>, LeaseError> {
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::NotFound {
                LeaseError::NoSuch { name: name.clone() }
            } else {
                LeaseError::Io { name: name.clone(), source }
            }
        };
        let path = self.path(name);
        let mark = FileMark::of(&fs::metadata(&path).map_err(failed)?);
        if let Some(value) = self.opened_from(name, mark) {
            return Ok(value);
        }
        let file = fs::File::open(&path).map_err(failed)?;
        let mark = FileMark::of(&file.metadata().map_err(failed)?);
        let mut sealed = Vec::new();
        file.take(SEALED_BYTES_MAX).read_to_end(&mut sealed).map_err(failed)?;
        let value = self
            .unseal(&sealed)
            .map_err(|source| LeaseError::Sealed { name: name.clone(), source })?;
        let opened = Opened { file: mark, value: Arc::clone(&value) };
        self.opened
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), opened);
        Ok(value)
    }

    fn opened_from(&self, name: &SecretName, mark: FileMark) -> Option<Arc<SecretString>> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.get(name).filter(|held| held.file == mark).map(|held| Arc::clone(&held.value))
    }

    fn forget(&self, name: &SecretName) {
        self.opened.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn unseal(&self, sealed: &[u8]) -> Result<Arc<SecretString>, UnsealError> {
        let plain = self.master.unseal(sealed)?;
        let text = std::str::from_utf8(plain.expose_secret()).map_err(|_| UnsealError::Form)?;
        Ok(Arc::new(SecretString::from(text)))
    }

    fn list(&self) -> io::Result<Vec<StoredSecret>> {
        let mut stored = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let stem = file_name.to_str().and_then(|name| name.strip_suffix(".age"));
            if let Some(name) = stem.and_then(|stem| stem.parse().ok()) {
                stored.push(StoredSecret { name, set_at: written_at(&entry.metadata()?) });
            }
        }
        Ok(stored)
    }

    /// Writes beside the file and renames over it: a reader sees the old bytes or the new.
    fn replace(&self, path: &Path, sealed: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?; // mode 0600
        file.write_all(sealed)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        sync_dir(&self.dir)
    }

    fn path(&self, name: &SecretName) -> PathBuf {
        self.dir.join(format!("{name}.age"))
    }
}

/// What grants need, which are files of the same folder.
impl Vault {
    pub(crate) fn keeping_grants(&self) -> MutexGuard<'_, ()> {
        self.keeping_grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sealed(&self, file: &str) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::new();
        fs::File::open(self.dir.join(file))?.take(SEALED_BYTES_MAX).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    pub(crate) fn unsealed(&self, sealed: &[u8]) -> Result<SecretString, UnsealError> {
        Ok(SecretString::clone(&*self.unseal(sealed)?))
    }

    pub(crate) fn write(&self, file: &str, value: &SecretString) -> io::Result<()> {
        let sealed = self.master.seal(value.expose_secret().as_bytes());
        self.replace(&self.dir.join(file), &sealed)
    }

    pub(crate) fn delete(&self, file: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(file)).and_then(|()| sync_dir(&self.dir))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.dir.display())
    }
}

impl Lease {
    /// The value itself.
    pub fn expose(&self) -> &SecretString {
        &self.value
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.name)
    }
}

impl FileMark {
    fn of(file: &fs::Metadata) -> Self {
        Self {
            inode: file.ino(),
            changed: (file.ctime(), file.ctime_nsec()),
            length: file.len(),
        }
    }
}

fn checked(value: &str) -> Result<&str, SetError> {
    let value = value.strip_suffix('\n').unwrap_or(value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.trim().is_empty() {
        Err(SetError::Blank)
    } else if value.len() > VALUE_BYTES_MAX {
        Err(SetError::TooLong)
    } else if value.chars().any(char::is_control) {
        Err(SetError::NotOneLine)
    } else {
        Ok(value)
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

fn written_at(file: &fs::Metadata) -> Timestamp {
    let since_epoch =
        file.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Timestamp::default().plus(since_epoch.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

    use provost_store::MasterKey;
    use secrecy::ExposeSecret;

    use super::{VALUE_BYTES_MAX, Vault, checked};
    use crate::{LeaseError, SecretName, SetError, VaultError};

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    fn vault(dir: &Path) -> Vault {
        Vault::open(dir, Arc::new(MasterKey::generate())).unwrap()
    }

    /// The value the next lease would lend.
    fn value(vault: &Vault, text: &str) -> Result<String, LeaseError> {
        vault.current(&name(text)).map(|value| value.expose_secret().to_owned())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_one_line_of_text_is_a_value() {
        for (given, want) in [
            ("", Err("blank")),
            ("\n", Err("blank")),
            (" \t\r\n", Err("blank")),
            ("\u{a0}", Err("blank")), // a no-break space
            ("a\nb", Err("not one line")),
            ("a\n\n", Err("not one line")),
            ("a\rb", Err("not one line")),
            ("a\0", Err("not one line")),
            ("a\u{85}b", Err("not one line")), // a line break elsewhere
            ("sk-ant-1", Ok("sk-ant-1")),
            ("sk-ant-1\n", Ok("sk-ant-1")),
            ("sk-ant-1\r\n", Ok("sk-ant-1")),
            (&"a".repeat(VALUE_BYTES_MAX + 1), Err("too long")),
        ] {
            let got = checked(given).map_err(|error| match error {
                SetError::Blank => "blank",
                SetError::NotOneLine => "not one line",
                SetError::TooLong => "too long",
                SetError::Io { .. } => "io",
            });
            assert_eq!(got, want, "given = {given:?}");
        }
    }

    #[test]
    fn a_refused_value_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(dir.path());
        vault.set(&name("a"), &"one".into()).unwrap();
        vault.set(&name("a"), &" ".into()).unwrap_err();
        assert_eq!(value(&vault, "a").unwrap(), "one");
    }

    #[test]
    fn what_is_stored_is_sealed_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("data/secrets");
        let vault = vault(&dir);
        vault.set(&name("anthropic"), &"sk-ant-1".into()).unwrap();
        let file = dir.join("anthropic.age");
        assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
        let sealed = fs::read(&file).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"sk-ant"));
        assert!(!format!("{vault:?}").contains("sk-ant"));
    }

    #[test]
    fn a_new_value_is_lent_at_once_whoever_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let (here, master) = (dir.path(), Arc::new(MasterKey::generate()));
        let ours = Vault::open(here, Arc::clone(&master)).unwrap();
        let theirs = Vault::open(here, master).unwrap();
        for round in 0..100 {
            let (one, two) = (format!("{round:03} ours"), format!("{round:03} them"));
            ours.set(&name("a"), &one.as_str().into()).unwrap();
            assert_eq!(value(&ours, "a").unwrap(), one);
            assert_eq!(value(&theirs, "a").unwrap(), one);
            theirs.set(&name("a"), &two.as_str().into()).unwrap();
            assert_eq!(value(&ours, "a").unwrap(), two);
        }
    }

    #[test]
    fn a_value_taken_away_or_damaged_is_not_lent() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(dir.path());
        let file = dir.path().join("a.age");
        assert!(matches!(value(&vault, "a"), Err(LeaseError::NoSuch { .. })));
        vault.set(&name("a"), &"one".into()).unwrap();
        assert_eq!(value(&vault, "a").unwrap(), "one");
        let mut sealed = fs::read(&file).unwrap();
        *sealed.last_mut().unwrap() ^= 1;
        sealed.push(0);
        fs::write(&file, sealed).unwrap();
        assert!(matches!(value(&vault, "a"), Err(LeaseError::Sealed { .. })));
        fs::remove_file(&file).unwrap();
        assert!(matches!(value(&vault, "a"), Err(LeaseError::NoSuch { .. })));
    }

    #[test]
    fn another_installations_file_is_not_lent() {
        let dir = tempfile::tempdir().unwrap();
        vault(dir.path()).set(&name("a"), &"one".into()).unwrap();
        assert!(matches!(value(&vault(dir.path()), "a"), Err(LeaseError::Sealed { .. })));
    }

    #[test]
    fn names_are_listed_without_strangers_and_gone_when_removed() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(dir.path());
        for text in ["b", "a"] {
            vault.set(&name(text), &"one".into()).unwrap();
        }
        fs::write(dir.path().join("README"), "").unwrap();
        fs::write(dir.path().join("Not-ours.age"), "").unwrap();
        let names = || -> Vec<_> {
            vault.names().unwrap().into_iter().map(|stored| stored.name.to_string()).collect()
        };
        assert_eq!(names(), ["a", "b"]);
        vault.remove(&name("a")).unwrap();
        assert_eq!(names(), ["b"]);
        assert!(matches!(vault.remove(&name("a")), Err(VaultError::NoSuch { .. })));
    }
}
