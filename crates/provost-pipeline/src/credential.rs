//! The text form of credentials: `<prefix>_<id>_<secret><checksum>`.
//!
//! The secret has more than 160 bits, so its SHA-256 is stored without a slow hash. The
//! checksum catches typing errors and lets secret scanners match; it proves nothing.

use std::fmt;

use provost_types::CredentialId;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// The digits of base 62, in ASCII order.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of the random part. 27 digits of base 62 hold 160.8 bits.
const SECRET_DIGITS: usize = 27;

/// Length of the CRC-32 in base 62: 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;

/// Length of a credential id (a UUID) in base 62: 62^22 > 2^128.
const ID_DIGITS: usize = 22;

/// What kind of credential a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An agent's key: opens sessions, nothing else.
    AgentKey,
    /// A session's credential: what the planes accept.
    Session,
    /// A person's token for the control API.
    Human,
}

impl Kind {
    /// What the text starts with, before the underscore.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AgentKey => "agk",
            Self::Session => "pvs",
            Self::Human => "pvh",
        }
    }
}

/// A credential as presented: what it claims to be, and the digest it is looked up by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// What kind it says it is.
    pub kind: Kind,
    /// SHA-256 of the whole text.
    pub sha256: [u8; 32],
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A text that cannot be one of our credentials. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// It is somebody else's key.
    #[error(
        "this looks like a real provider key, not a Provost credential: take it out of the \
         agent's environment and start the agent with `provost run`"
    )]
    Foreign,
    /// It has no form of ours.
    #[error("this is not a Provost credential: start the agent with `provost run`")]
    Form,
    /// A digit is wrong or missing.
    #[error("the credential's checksum does not match: it was mistyped or cut short")]
    Checksum,
}

/// A new credential: its text, shown once, and what is stored of it.
#[derive(Debug)]
pub struct Fresh {
    /// Its id.
    pub id: CredentialId,
    /// The whole text.
    pub text: SecretString,
    /// SHA-256 of the whole text.
    pub sha256: [u8; 32],
}

/// The machine's random source failed.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness(#[from] getrandom::Error);

/// Makes a credential of `kind`.
///
/// # Errors
///
/// [`NoRandomness`]: nothing was made.
pub fn generate(kind: Kind) -> Result<Fresh, NoRandomness> {
    let id = CredentialId::generate();
    let mut text = format!("{}_{}_", kind.prefix(), base62(id.uuid().as_u128(), ID_DIGITS));
    push_random_digits(&mut text)?;
    let checksum = crc32fast::hash(text.as_bytes());
    text += &base62(u128::from(checksum), CHECKSUM_DIGITS);
    let sha256 = Sha256::digest(text.as_bytes()).into();
    Ok(Fresh { id, text: text.into(), sha256 })
}

/// Reads a presented text.
///
/// # Errors
///
/// [`CredentialError`] if it cannot be one of ours.
pub fn claim(text: &SecretString) -> Result<Claimed, CredentialError> {
    let text = text.expose_secret();
    let kind = [Kind::AgentKey, Kind::Session, Kind::Human]
        .into_iter()
        .find(|kind| text.split('_').next() == Some(kind.prefix()))
        .ok_or(if text.starts_with("sk-") || text.starts_with("AKIA") {
            CredentialError::Foreign
        } else {
            CredentialError::Form
        })?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(CredentialError::Form);
    }
    let body_digits = text.len().saturating_sub(CHECKSUM_DIGITS);
    let (body, checksum) =
        text.split_at_checked(body_digits).ok_or(CredentialError::Checksum)?;
    if base62(u128::from(crc32fast::hash(body.as_bytes())), CHECKSUM_DIGITS) != checksum {
        return Err(CredentialError::Checksum);
    }
    Ok(Claimed { kind, sha256: Sha256::digest(text.as_bytes()).into() })
}

fn push_random_digits(text: &mut String) -> Result<(), NoRandomness> {
    let mut wanted = SECRET_DIGITS;
    let mut pool = [0; 64];
    while wanted > 0 {
        getrandom::fill(&mut pool)?;
        // 248 is the largest multiple of 62 in a byte: above it, digits would be biased.
        for byte in pool.iter().filter(|byte| **byte < 248).take(wanted) {
            if let Some(digit) = DIGITS.get(usize::from(byte % 62)) {
                text.push(char::from(*digit));
                wanted = wanted.saturating_sub(1);
            }
        }
    }
    Ok(())
}

fn base62(mut number: u128, width: usize) -> String {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(number % 62).unwrap_or_default();
        *digit = DIGITS.get(index).copied().unwrap_or_default();
        number /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret as _, SecretString};

    use super::{CredentialError, Kind, claim, generate};

    #[test]
    fn a_fresh_credential_is_recognised() {
        for kind in [Kind::AgentKey, Kind::Session, Kind::Human] {
            let fresh = generate(kind).unwrap();
            let claimed = claim(&fresh.text).unwrap();
            assert_eq!((claimed.kind, claimed.sha256), (kind, fresh.sha256));
        }
    }

    #[test]
    fn every_single_character_change_is_noticed() {
        let fresh = generate(Kind::AgentKey).unwrap();
        let text = fresh.text.expose_secret();
        for position in 0..text.len() {
            let mut changed = text.to_owned().into_bytes();
            changed[position] = if changed[position] == b'x' { b'y' } else { b'x' };
            let changed: SecretString = String::from_utf8(changed).unwrap().into();
            assert!(claim(&changed).is_err(), "position = {position}");
        }
        for end in 0..text.len() {
            assert!(
                claim(&text.get(..end).unwrap().to_owned().into()).is_err(),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn foreign_and_formless_texts_are_told_apart() {
        for (text, want) in [
            ("sk-ant-api03-abc", CredentialError::Foreign),
            ("AKIAIOSFODNN7EXAMPLE", CredentialError::Foreign),
            ("", CredentialError::Form),
            ("hello", CredentialError::Form),
            ("agk_é", CredentialError::Form),
            ("agk_", CredentialError::Checksum),
            ("agk_0000000000000000000000_0", CredentialError::Checksum),
        ] {
            assert_eq!(claim(&text.to_owned().into()), Err(want), "text = {text:?}");
        }
    }

    #[test]
    fn a_credential_does_not_print() {
        let fresh = generate(Kind::Human).unwrap();
        let shown = format!("{fresh:?} {:?}", claim(&fresh.text).unwrap());
        assert!(!shown.contains(fresh.text.expose_secret()));
    }
}
