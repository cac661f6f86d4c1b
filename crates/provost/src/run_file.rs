//! `run.json`: the addresses a running server is really bound to.
//!
//! Written when the listeners are up, removed when they go down; with port 0 in the
//! configuration it is the only place that knows the ports.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What a running server says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Where agents connect.
    pub(crate) gateway: SocketAddr,
    /// Where people's tools connect.
    pub(crate) control: SocketAddr,
    /// Whether both speak TLS.
    pub(crate) tls: bool,
    /// The server's process id.
    pub(crate) pid: u32,
}

/// A run file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub(crate) struct RunFileError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl RunFile {
    /// Reads the file; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`RunFileError`] if it is there and cannot be read or understood.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, RunFileError> {
        let failed = |source| RunFileError { path: path.to_owned(), source };
        match fs::read(path) {
            Ok(bytes) => {
                Ok(Some(serde_json::from_slice(&bytes).map_err(|e| failed(e.into()))?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes the file so that a reader sees all of it or none.
    ///
    /// # Errors
    ///
    /// [`RunFileError`] if it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), RunFileError> {
        let failed = |source| RunFileError { path: path.to_owned(), source };
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        let fresh = path.with_extension("json.new");
        fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path)).map_err(failed)
    }

    /// The base URL that agents are given.
    pub(crate) fn gateway_url(&self) -> String {
        self.url(self.gateway)
    }

    /// The base URL that people's tools are given.
    pub(crate) fn control_url(&self) -> String {
        self.url(self.control)
    }

    /// A server on every address is reached through the loopback one.
    fn url(&self, mut address: SocketAddr) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("{scheme}://{address}")
    }
}

#[cfg(test)]
mod tests {
    use super::RunFile;

    #[test]
    fn agents_are_given_an_address_they_can_reach() {
        for (gateway, tls, want) in [
            ("127.0.0.1:8484", false, "http://127.0.0.1:8484"),
            ("0.0.0.0:8484", true, "https://127.0.0.1:8484"),
            ("[::]:8484", false, "http://[::1]:8484"),
            ("10.0.0.7:1", true, "https://10.0.0.7:1"),
        ] {
            let control = "127.0.0.1:8485".parse().unwrap();
            let run = RunFile { gateway: gateway.parse().unwrap(), control, tls, pid: 1 };
            assert_eq!(run.gateway_url(), want);
        }
    }

    #[test]
    fn what_is_written_is_read_and_absence_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        assert_eq!(RunFile::read(&path).unwrap(), None);
        let address = "127.0.0.1:1".parse().unwrap();
        let run = RunFile { gateway: address, control: address, tls: false, pid: 7 };
        run.write(&path).unwrap();
        assert_eq!(RunFile::read(&path).unwrap(), Some(run));
        std::fs::write(&path, "{").unwrap();
        assert!(RunFile::read(&path).is_err());
    }
}
