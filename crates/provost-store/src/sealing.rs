//! Keys at rest: the master key in its file, and the keys each project's records depend on.
//!
//! Everything secret is age-encrypted (age-encryption.org/v1, X25519) to the master key, whose
//! file is the only secret kept in the clear. Destroying a project's sealed keys makes its
//! bodies unreadable and its digests unlinkable, while the ledger that holds them still proves.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use age::x25519;
pub use age::x25519::{Identity as BodyIdentity, Recipient as BodyRecipient};
use secrecy::{ExposeSecret, SecretBox, SecretSlice, zeroize::Zeroizing};

/// Longest master key file read. Unit: bytes. An identity is 74 bytes; the rest is comments.
const MASTER_FILE_LEN_MAX: u64 = 4096;

/// First line of a project's sealed keys, so that a later form can be told apart.
const PROJECT_KEYS_HEADER: &str = "provost project keys v1";

/// The key all other secrets are sealed to.
pub struct MasterKey {
    identity: x25519::Identity,
    recipient: x25519::Recipient,
}

/// The master key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// There is a key already, and another would make what was sealed to it unreadable.
    #[error("{} exists already; a master key is never overwritten", path.display())]
    Exists {
        /// Where the key was to be written.
        path: PathBuf,
    },
    /// Others on this machine can read the key.
    #[error(
        "{path} can be read by others (mode {mode:04o}); run: chmod 600 '{path}'",
        path = path.display()
    )]
    ReadableByOthers {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} does not hold one age X25519 identity (AGE-SECRET-KEY-1…)", path.display())]
    NotAnIdentity {
        /// The key file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

/// Sealed bytes that this key does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Sealed to another master key, cut short, or altered.
    #[error("not sealed to this master key, or damaged since")]
    NotOurs,
    /// Opened, but the bytes inside are not of the form they should be.
    #[error("sealed to this master key, but not in a form this version understands")]
    Form,
}

impl MasterKey {
    /// A fresh key that is kept nowhere.
    pub fn generate() -> Self {
        Self::from_identity(x25519::Identity::generate())
    }

    /// Makes a key and writes it to `path` (mode 0600), with its parent folder (mode 0700).
    ///
    /// # Errors
    ///
    /// [`MasterKeyError::Exists`] if there is anything at `path`: it is never overwritten.
    /// [`MasterKeyError::Io`] if it cannot be written; then nothing is left behind.
    pub fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let key = Self::generate();
        match key.write(path) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(MasterKeyError::Exists { path: path.into() })
            }
            Err(source) => Err(MasterKeyError::Io { path: path.into(), source }),
        }
    }

    /// Reads the key at `path`: the form `age-keygen` writes, comments included.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError::ReadableByOthers`] if group or world may read it; the other variants
    /// as their names say.
    pub fn open(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::Io { path: path.into(), source };
        let file = fs::File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::ReadableByOthers { path: path.into(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(
            usize::try_from(MASTER_FILE_LEN_MAX).unwrap_or_default(),
        ));
        file.take(MASTER_FILE_LEN_MAX).read_to_string(&mut text).map_err(failed)?;
        let mut lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (lines.next().map(str::parse), lines.next()) {
            (Some(Ok(identity)), None) => Ok(Self::from_identity(identity)),
            _ => Err(MasterKeyError::NotAnIdentity { path: path.into() }),
        }
    }

    /// Encrypts `plain` to this key. The same bytes never seal to the same bytes twice.
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "one recipient, no labels, written to memory")]
        age::encrypt(&self.recipient, plain).expect("sealing in memory cannot fail")
    }

    /// Decrypts what [`MasterKey::seal`] gave.
    ///
    /// # Errors
    ///
    /// [`UnsealError::NotOurs`] if it was sealed to another key, cut short, or altered.
    pub fn unseal(&self, sealed: &[u8]) -> Result<SecretSlice<u8>, UnsealError> {
        // The plain text is shorter than the sealed one: the buffer never moves, so no copy of
        // it is left on the heap.
        let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
        age::Decryptor::new_buffered(sealed)
            .and_then(|decryptor| decryptor.decrypt(std::iter::once(&self.identity as _)))
            .map_err(|_| UnsealError::NotOurs)?
            .read_to_end(&mut plain)
            .map_err(|_| UnsealError::NotOurs)?;
        Ok(SecretSlice::from(plain.to_vec()))
    }

    /// The public half: what others may seal to, and what an operator may write down.
    pub fn recipient(&self) -> String {
        self.recipient.to_string()
    }

    fn from_identity(identity: x25519::Identity) -> Self {
        let recipient = identity.to_public();
        Self { identity, recipient }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let parent = parent.unwrap_or_else(|| Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Err(error) = self.write_into(&mut file) {
            fs::remove_file(path)?; // ours since `create_new`
            return Err(error);
        }
        fs::File::open(parent)?.sync_all()
    }

    fn write_into(&self, file: &mut fs::File) -> io::Result<()> {
        let public = &self.recipient;
        let identity = self.identity.to_string();
        let text = Zeroizing::new(format!(
            "# Provost master key. Whoever reads this file can read every secret of this \
             installation.\n# public key: {public}\n{}\n",
            identity.expose_secret()
        ));
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.recipient)
    }
}

/// What one project's records depend on: the key of its digests, and the one of its bodies.
pub struct ProjectKeys {
    digest_key: SecretBox<[u8; 32]>,
    identity: BodyIdentity,
    recipient: BodyRecipient,
}

impl ProjectKeys {
    /// Fresh keys, from the system's random source.
    pub fn generate() -> Self {
        let digest_key = SecretBox::init_with_mut(|key: &mut [u8; 32]| {
            #[expect(
                clippy::expect_used,
                reason = "without randomness there is no safe way on"
            )]
            getrandom::fill(key).expect("the system has random bytes");
        });
        Self::new(digest_key, BodyIdentity::generate())
    }

    /// The keys, encrypted to `master`: the only form in which they are stored.
    pub fn seal(&self, master: &MasterKey) -> Vec<u8> {
        let digest_key = Zeroizing::new(hex::encode(self.digest_key.expose_secret()));
        let identity = self.identity.to_string();
        let text = Zeroizing::new(format!(
            "{PROJECT_KEYS_HEADER}\n{}\n{}\n",
            digest_key.as_str(),
            identity.expose_secret()
        ));
        master.seal(text.as_bytes())
    }

    /// Reads what [`ProjectKeys::seal`] gave.
    ///
    /// # Errors
    ///
    /// [`UnsealError`], by its variants.
    pub fn open(sealed: &[u8], master: &MasterKey) -> Result<Self, UnsealError> {
        let plain = master.unseal(sealed)?;
        let text = std::str::from_utf8(plain.expose_secret()).map_err(|_| UnsealError::Form)?;
        Self::parse(text).ok_or(UnsealError::Form)
    }

    /// The key of this project's HMAC-SHA-256 digests.
    pub fn digest_key(&self) -> &[u8; 32] {
        self.digest_key.expose_secret()
    }

    /// What this project's bodies are encrypted to.
    pub fn body_recipient(&self) -> &BodyRecipient {
        &self.recipient
    }

    /// What reads this project's bodies back.
    pub fn body_identity(&self) -> &BodyIdentity {
        &self.identity
    }

    fn new(digest_key: SecretBox<[u8; 32]>, identity: BodyIdentity) -> Self {
        let recipient = identity.to_public();
        Self { digest_key, identity, recipient }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix(PROJECT_KEYS_HEADER)?.strip_prefix('\n')?.lines();
        let (digits, identity) = (lines.next()?, lines.next()?.parse().ok()?);
        if lines.next().is_some() {
            return None;
        }
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut *key).ok()?;
        Some(Self::new(SecretBox::new(Box::new(*key)), identity))
    }
}

impl fmt::Debug for ProjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectKeys({})", self.recipient)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use secrecy::ExposeSecret;

    use super::{MasterKey, MasterKeyError, ProjectKeys, UnsealError};

    #[test]
    fn a_created_key_opens_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/master.age");
        let made = MasterKey::create(&path).unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.as_path()), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let opened = MasterKey::open(&path).unwrap();
        let plain = opened.unseal(&made.seal(b"sk-ant-1")).unwrap();
        assert_eq!(plain.expose_secret(), b"sk-ant-1");
        assert!(!format!("{made:?}").contains("SECRET"));
    }

    #[test]
    fn nothing_is_overwritten_not_even_a_dangling_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.age");
        symlink(dir.path().join("nowhere"), &path).unwrap();
        assert!(matches!(MasterKey::create(&path), Err(MasterKeyError::Exists { .. })));
        fs::remove_file(&path).unwrap();
        MasterKey::create(&path).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(MasterKey::create(&path), Err(MasterKeyError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_key_others_can_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.age");
        MasterKey::create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = MasterKey::open(&path).unwrap_err().to_string();
            let command = format!("chmod 600 '{}'", path.display());
            assert!(error.contains(&command), "mode = {mode:o}, error = {error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        MasterKey::open(&path).unwrap();
    }

    #[test]
    fn a_file_without_exactly_one_identity_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.age");
        MasterKey::create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (content, want) in [
            (text.clone(), true),
            (format!("\n\n{text}\n"), true),
            (String::new(), false),
            ("# only a comment\n".into(), false),
            (format!("{text}{text}"), false), // which one?
            (text.replace("AGE-SECRET-KEY-", "AGE-SECRET-KEY-X"), false), // wrong checksum
        ] {
            fs::write(&path, &content).unwrap();
            assert_eq!(MasterKey::open(&path).is_ok(), want, "content = {content:?}");
        }
    }

    #[test]
    fn what_is_damaged_or_anothers_does_not_unseal() {
        let (ours, other) = (MasterKey::generate(), MasterKey::generate());
        let sealed = ours.seal(b"secret");
        assert_eq!(other.unseal(&sealed).unwrap_err(), UnsealError::NotOurs);
        for cut in 0..sealed.len() {
            assert_eq!(ours.unseal(&sealed[..cut]).unwrap_err(), UnsealError::NotOurs);
            let mut altered = sealed.clone();
            altered[cut] ^= 1;
            assert_eq!(ours.unseal(&altered).unwrap_err(), UnsealError::NotOurs);
        }
    }

    #[test]
    fn project_keys_survive_sealing() {
        let (master, keys) = (MasterKey::generate(), ProjectKeys::generate());
        assert_ne!(keys.digest_key(), &[0; 32]);
        let opened = ProjectKeys::open(&keys.seal(&master), &master).unwrap();
        assert_eq!(opened.digest_key(), keys.digest_key());
        assert_eq!(opened.body_recipient(), keys.body_recipient());
        assert_eq!(&opened.body_identity().to_public(), keys.body_recipient());
        let other = MasterKey::generate();
        let error = ProjectKeys::open(&keys.seal(&master), &other).unwrap_err();
        assert_eq!(error, UnsealError::NotOurs);
        let error = ProjectKeys::open(&master.seal(b"something else"), &master).unwrap_err();
        assert_eq!(error, UnsealError::Form);
    }
}
