//! Names of upstream credentials: file names too, so that nothing can climb out of the vault.

use std::{fmt, str::FromStr, sync::Arc};

/// Longest name. Unit: bytes. As long as an agent's, for the same reason: one rule to remember.
const NAME_BYTES_MAX: usize = 63;

/// The name an upstream credential is stored under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// INVARIANT: matches `[a-z][a-z0-9-]{0,62}`; never a path.
pub struct SecretName(Arc<str>);

/// A text that is not such a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a name for a secret: use 1 to 63 lower-case letters, digits and hyphens, \
     starting with a letter"
)]
// The text is not repeated: it may be the secret itself, put in the wrong place.
pub struct SecretNameError;

impl SecretName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = text.len() <= NAME_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(inner);
        if is_name { Ok(Self(text.into())) } else { Err(SecretNameError) }
    }
}

#[cfg(test)]
mod tests {
    use super::SecretName;

    #[test]
    fn names() {
        for (text, want) in [
            ("anthropic", true),
            ("git-2", true),
            ("", false),
            ("2a", false),
            (".", false),
            ("..", false),
            ("a/b", false),             // a path
            ("a.age", false),           // another secret's file
            ("Anthropic", false),       // one file on some disks, two on others
            ("a\0", false),             // cut short by the system
            ("\u{430}nthropic", false), // a Cyrillic first letter
            (&"a".repeat(64), false),
        ] {
            assert_eq!(text.parse::<SecretName>().is_ok(), want, "text = {text:?}");
        }
    }
}
