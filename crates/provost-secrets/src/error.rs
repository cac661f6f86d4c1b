//! What can go wrong with a stored credential. No message ever holds a value.

use std::{io, path::PathBuf};

use provost_store::UnsealError;

use crate::{SecretName, vault::VALUE_BYTES_MAX};

/// The vault's folder could not be used, or what was asked for is not in it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Nothing is stored under this name.
    #[error("there is no secret `{name}`")]
    NoSuch {
        /// The name asked for.
        name: SecretName,
    },
    /// The folder or file could not be read or changed.
    #[error("cannot use {}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

/// A value was not stored; what was stored before, if anything, still is.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Nothing, or nothing but white space.
    #[error("the value is blank; give the credential itself")]
    Blank,
    /// A line break, tab or other control character inside.
    #[error("the value is not one line of plain text; give the credential alone")]
    NotOneLine,
    /// More than any credential needs.
    #[error("the value is longer than {VALUE_BYTES_MAX} bytes; give the credential alone")]
    TooLong,
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

/// A credential could not be leased: the action cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Nothing is stored under this name.
    #[error("there is no secret `{name}`; store it with: provost secret set {name}")]
    NoSuch {
        /// The name asked for.
        name: SecretName,
    },
    /// The file does not open with this installation's master key, or holds no text.
    #[error("the secret `{name}` cannot be opened; store it again: provost secret set {name}")]
    Sealed {
        /// The name asked for.
        name: SecretName,
        /// Why it does not open.
        #[source]
        source: UnsealError,
    },
    /// The file could not be read.
    #[error("the secret `{name}` cannot be read")]
    Io {
        /// The name asked for.
        name: SecretName,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}
