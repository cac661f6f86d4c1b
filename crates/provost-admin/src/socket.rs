//! The Unix socket in the data directory: whoever may open it is the local admin.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net,
    },
    path::{Path, PathBuf},
};

use axum::{Router, serve::Listener};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::{LocalPeer, serve::serve};

/// The control socket, bound.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

/// The control socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A server answers on it.
    #[error("a server answers on {} already", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is in its place, and is not ours to delete.
    #[error("{} is there and not a socket; move it away", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// It could not be made, or nobody can tell whether a server answers on it.
    #[error("cannot use {}; a socket's path may have at most 107 bytes", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

impl ControlSocket {
    /// Binds `path` (mode 0600), in place of a socket on which nobody answers any more.
    ///
    /// `owner` is the system's id of the user this process runs as: that user and root are
    /// let in, and nobody else. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// [`SocketError`], by its variants; what is at `path` then stays.
    pub fn bind(path: &Path, owner: u32) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { path: path.into(), source };
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(SocketError::NotASocket { path: path.into() });
            }
            Ok(_) if answers(path).map_err(failed)? => {
                return Err(SocketError::InUse { path: path.into() });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
        }
        let listener = bind_private(path).map_err(failed)?;
        Ok(Self { listener, path: path.into(), owner })
    }
}

/// Serves `router` to local processes until `shutdown`; then removes the socket.
pub async fn serve_unix(socket: ControlSocket, router: Router, shutdown: CancellationToken) {
    let path = socket.path.clone();
    serve(socket, router, |peer| Some(*peer), shutdown).await;
    if let Err(error) = fs::remove_file(&path) {
        tracing::warn!(%error, path = %path.display(), "control socket not removed");
    }
}

impl Listener for ControlSocket {
    type Io = UnixStream;
    type Addr = LocalPeer;

    /// Waits for a connection of the owner or root; others are closed at once.
    async fn accept(&mut self) -> (UnixStream, LocalPeer) {
        loop {
            let (stream, _address) = Listener::accept(&mut self.listener).await;
            match stream.peer_cred().map(|peer| peer.uid()) {
                Ok(uid) if is_let_in(uid, self.owner) => return (stream, LocalPeer { uid }),
                Ok(uid) => tracing::warn!(uid, "stranger turned away from the control socket"),
                Err(error) => tracing::warn!(%error, "control connection of an unknown peer"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<LocalPeer> {
        Ok(LocalPeer { uid: self.owner })
    }
}

fn is_let_in(uid: u32, owner: u32) -> bool {
    uid == owner || uid == 0
}

fn answers(path: &Path) -> io::Result<bool> {
    match net::UnixStream::connect(path) {
        Ok(_stream) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Binds beside `path` and renames over it, so that nobody finds it before it is private.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = net::UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
    fs::rename(&beside, path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

#[cfg(test)]
mod tests {
    use super::is_let_in;

    #[test]
    fn the_owner_and_root_are_let_in() {
        for (uid, owner, want) in [(1000, 1000, true), (0, 1000, true), (1001, 1000, false)] {
            assert_eq!(is_let_in(uid, owner), want, "uid = {uid}, owner = {owner}");
        }
    }
}
