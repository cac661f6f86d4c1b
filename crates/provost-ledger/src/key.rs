//! The key that signs checkpoints, and the one that checks them.
//!
//! Source: C2SP signed-note, Ed25519 only. Keys are named by the ledger's origin.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Signature type of Ed25519 over the note's text. Source: C2SP signed-note.
const ED25519: u8 = 1;

/// Signs checkpoints. Wiped from memory when dropped.
pub struct LedgerKey {
    verifier: LedgerVerifier,
    key: SigningKey,
}

/// Checks the signatures of one [`LedgerKey`].
///
/// Its text form is a signed-note verifier key: `NAME+KEYID+BASE64`.
#[derive(Clone, PartialEq, Eq)]
// INVARIANT: `name` is a key name, `id` is the id of `name` and `key`.
pub struct LedgerVerifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// A text that cannot name a key: empty, or with a space, a control character or a `+`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` cannot name a ledger: use a host name and path such as `example.com/provost`"
)]
pub struct KeyNameError {
    /// What was given, cut to 80 characters.
    pub given: String,
}

/// A text that is not a verifier key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 verifier key of the form `NAME+KEYID+BASE64`")]
pub struct VerifierKeyError;

impl LedgerKey {
    /// The key called `name` made from `seed`.
    ///
    /// # Errors
    ///
    /// [`KeyNameError`] if `name` is empty or has white space, control characters or a `+`.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyNameError> {
        if !is_key_name(name) {
            return Err(KeyNameError { given: name.chars().take(80).collect() });
        }
        let key = SigningKey::from_bytes(seed);
        Ok(Self { verifier: LedgerVerifier::new(name, key.verifying_key()), key })
    }

    /// What checks this key's signatures.
    pub fn verifier(&self) -> &LedgerVerifier {
        &self.verifier
    }

    /// The signature line for a note's `text`, with its newline.
    pub(crate) fn signature_line(&self, text: &str) -> String {
        let LedgerVerifier { name, id, .. } = &self.verifier;
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        format!("— {name} {}\n", BASE64_STANDARD.encode([id.as_slice(), &signature].concat()))
    }
}

impl fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerKey({})", self.verifier.name)
    }
}

impl LedgerVerifier {
    fn new(name: &str, key: VerifyingKey) -> Self {
        let typed_key = [&[ED25519], key.as_bytes().as_slice()].concat();
        let digest =
            Sha256::new().chain_update(name).chain_update("\n").chain_update(typed_key);
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest.finalize());
        Self { name: name.into(), id: [a, b, c, d], key }
    }

    /// The key's name, which is the origin of the ledger it signs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the signature made by key `id` of the name `name` would be this key's.
    pub(crate) fn is_called(&self, name: &str, id: &[u8]) -> bool {
        self.name == name && self.id == id
    }

    /// Whether `signature` is this key's signature of `text`.
    pub(crate) fn accepts(&self, text: &str, signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|it| self.key.verify_strict(text.as_bytes(), &it).is_ok())
    }
}

impl fmt::Display for LedgerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64_STANDARD.encode([&[ED25519], self.key.as_bytes().as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

impl fmt::Debug for LedgerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LedgerVerifier {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let mut parts = text.splitn(3, '+');
        let name = parts.next().filter(|name| is_key_name(name)).ok_or(VerifierKeyError)?;
        let key = parts.nth(1).and_then(|key| BASE64_STANDARD.decode(key).ok());
        let key = key.ok_or(VerifierKeyError)?;
        let key = key.strip_prefix(&[ED25519]).and_then(|key| key.try_into().ok());
        let key = key.and_then(|key| VerifyingKey::from_bytes(key).ok());
        let verifier = Self::new(name, key.ok_or(VerifierKeyError)?);
        // Also checks the id, which must follow from the name and the key.
        if verifier.to_string() == text { Ok(verifier) } else { Err(VerifierKeyError) }
    }
}

fn is_key_name(name: &str) -> bool {
    let stray = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    !name.is_empty() && !name.contains(stray)
}
