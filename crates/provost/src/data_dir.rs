//! Where things are in the data directory. The one place that spells these names.

use std::path::{Path, PathBuf};

/// The folder that holds everything one installation keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// The data directory at this path, which may not exist yet.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration, unless another file is named.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.0.join("provost.toml")
    }

    /// Policy files.
    pub(crate) fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    /// Keys.
    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The master key, unless the configuration names another file.
    pub(crate) fn master_key(&self) -> PathBuf {
        self.keys().join("master.age")
    }

    /// The sealed key that signs checkpoints.
    pub(crate) fn ledger_key(&self) -> PathBuf {
        self.keys().join("ledger.age")
    }

    /// The public key that checks them.
    pub(crate) fn ledger_verifier(&self) -> PathBuf {
        self.keys().join("ledger.vkey")
    }

    /// Sealed upstream credentials.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.0.join("secrets")
    }

    /// The SQLite database, unless the configuration names another.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("provost.db")
    }

    /// The ledger: journal, tiles and checkpoint.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    /// Sealed bodies.
    pub(crate) fn bodies(&self) -> PathBuf {
        self.0.join("bodies")
    }

    /// Where a running server listens for the local administrator.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// The addresses a running server is bound to.
    pub(crate) fn run_file(&self) -> PathBuf {
        self.0.join("run.json")
    }
}
