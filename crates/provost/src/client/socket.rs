//! The way through the socket in the data directory: whoever owns it is the administrator.

use std::{io, path::PathBuf};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, task::JoinSet};

use super::collected;

/// A server's socket.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    path: PathBuf,
}

impl Socket {
    /// The socket at a path, which may not be there.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The socket, for people.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// `NotFound` or `ConnectionRefused` if no server listens there.
    pub(crate) async fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.path).await
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Errors
    ///
    /// The connection could not be made, or broke.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Bytes>> {
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("provost"));
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        collected(answer).await
    }
}
