//! OAuth grants at rest: what a login at an authorization server gave, sealed like a secret.
//!
//! Apart from secrets, so that nothing sends a refresh token where a secret was meant, and
//! nobody sets one by hand.

use std::{fmt, io, str::FromStr};

use provost_pipeline::Permit;
use provost_store::UnsealError;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{VALUE_BYTES_MAX, Vault};

/// Longest name. Unit: bytes. As long as an MCP server's, which it is.
const NAME_BYTES_MAX: usize = 64;

/// Whose grant it is: the name of an upstream that agents reach with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// INVARIANT: 1 to 64 of `a-z`, `0-9` and `-`; never a path.
pub struct GrantName(String);

/// A text that is not such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a grant is 1 to 64 lower-case letters, digits and `-`")]
pub struct GrantNameError;

/// A grant that cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There is none.
    #[error("nobody logged in there yet")]
    NoSuch,
    /// It does not open with this installation's master key.
    #[error("the stored login cannot be opened with this master key")]
    Sealed(#[from] UnsealError),
    /// It is larger than any.
    #[error("it is longer than {VALUE_BYTES_MAX} bytes")]
    TooLong,
    /// Another one was kept meanwhile.
    #[error("somebody logged in anew meanwhile")]
    Replaced,
    /// The file cannot be read or written.
    #[error("the stored login cannot be read or written")]
    Io(#[from] io::Error),
}

impl GrantName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its file. No secret's: names of secrets have no dot.
    fn file(&self) -> String {
        format!("grant.{}.age", self.0)
    }
}

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GrantName {
    type Err = GrantNameError;

    fn from_str(text: &str) -> Result<Self, GrantNameError> {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(GrantNameError) }
    }
}

impl Vault {
    /// Lends the grant of `name` to the action of `permit`. Read anew each time: a login or a
    /// renewal is in force at once.
    ///
    /// # Errors
    ///
    /// [`GrantError`].
    pub fn lease_grant(
        &self,
        permit: &Permit,
        name: &GrantName,
    ) -> Result<SecretString, GrantError> {
        let grant = self.grant(name)?;
        tracing::debug!(action = %permit.action(), grant = %name, "grant leased");
        Ok(grant)
    }

    /// Keeps what a login gave; what was there before is replaced.
    ///
    /// Blocks on the disk until the grant would survive a power cut.
    ///
    /// # Errors
    ///
    /// [`GrantError::TooLong`], [`GrantError::Io`]; the grant before, if any, then stays.
    pub fn keep_grant(&self, name: &GrantName, grant: &SecretString) -> Result<(), GrantError> {
        let _one_at_a_time = self.keeping_grants();
        self.write_grant(name, grant)
    }

    /// Keeps what `was` became when it was renewed. Blocks likewise.
    ///
    /// # Errors
    ///
    /// [`GrantError`]; [`GrantError::Replaced`] if it is `was` no more: a new login counts more
    /// than the renewal of an old one.
    pub fn renew_grant(
        &self,
        name: &GrantName,
        was: &SecretString,
        grant: &SecretString,
    ) -> Result<(), GrantError> {
        let _one_at_a_time = self.keeping_grants();
        if self.grant(name)?.expose_secret() != was.expose_secret() {
            return Err(GrantError::Replaced);
        }
        self.write_grant(name, grant)
    }

    /// Deletes the grant of `name`; actions that need it fail from then on.
    ///
    /// # Errors
    ///
    /// [`GrantError::NoSuch`], [`GrantError::Io`].
    pub fn remove_grant(&self, name: &GrantName) -> Result<(), GrantError> {
        let _one_at_a_time = self.keeping_grants();
        self.delete(&name.file()).map_err(absent)
    }

    fn grant(&self, name: &GrantName) -> Result<SecretString, GrantError> {
        let sealed = self.sealed(&name.file()).map_err(absent)?;
        Ok(self.unsealed(&sealed)?)
    }

    fn write_grant(&self, name: &GrantName, grant: &SecretString) -> Result<(), GrantError> {
        if grant.expose_secret().len() > VALUE_BYTES_MAX {
            return Err(GrantError::TooLong);
        }
        Ok(self.write(&name.file(), grant)?)
    }
}

fn absent(error: io::Error) -> GrantError {
    let is_absent = error.kind() == io::ErrorKind::NotFound;
    if is_absent { GrantError::NoSuch } else { GrantError::Io(error) }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use provost_store::MasterKey;
    use secrecy::{ExposeSecret as _, SecretString};

    use super::{GrantError, GrantName};
    use crate::Vault;

    fn vault(dir: &std::path::Path) -> Vault {
        Vault::open(dir, Arc::new(MasterKey::generate())).unwrap()
    }

    #[test]
    fn a_renewal_never_replaces_a_newer_login() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, name) = (vault(dir.path()), "github".parse::<GrantName>().unwrap());
        let [old, renewed, anew] = ["old", "renewed", "anew"].map(SecretString::from);
        let renew = |was| vault.renew_grant(&name, was, &renewed);
        assert!(matches!(renew(&old), Err(GrantError::NoSuch)));
        vault.keep_grant(&name, &old).unwrap();
        vault.keep_grant(&name, &anew).unwrap();
        assert!(matches!(renew(&old), Err(GrantError::Replaced)));
        assert_eq!(vault.grant(&name).unwrap().expose_secret(), "anew");
        renew(&anew).unwrap();
        assert_eq!(vault.grant(&name).unwrap().expose_secret(), "renewed");
        vault.remove_grant(&name).unwrap();
        assert!(matches!(vault.remove_grant(&name), Err(GrantError::NoSuch)));
    }

    #[test]
    fn a_grant_is_sealed_and_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, name) = (vault(dir.path()), "github".parse::<GrantName>().unwrap());
        vault.keep_grant(&name, &"a refresh token".into()).unwrap();
        assert!(vault.names().unwrap().is_empty());
        assert!(!vault.holds(&"github".parse().unwrap()));
        let file = fs::read(dir.path().join("grant.github.age")).unwrap();
        assert!(!file.windows(7).any(|window| window == b"refresh"));
        let other = self::vault(dir.path());
        assert!(matches!(other.grant(&name), Err(GrantError::Sealed(_))));
        let long = SecretString::from("x".repeat(crate::VALUE_BYTES_MAX + 1));
        assert!(matches!(vault.keep_grant(&name, &long), Err(GrantError::TooLong)));
    }

    #[test]
    fn names_are_never_paths() {
        for (text, want) in [("github", true), ("2-a", true), ("", false), ("a/b", false)] {
            assert_eq!(text.parse::<GrantName>().is_ok(), want, "{text}");
        }
        assert!("..".parse::<GrantName>().is_err());
    }
}
