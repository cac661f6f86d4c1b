//! The way over the network to a server that was named.

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri, header::InvalidHeaderValue, uri::PathAndQuery,
};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use provost_gateway::is_loopback;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{ClientError, collected};

/// Longest wait for a connection. Unit: seconds.
const CONNECT_WAIT_S_MAX: u64 = 10;
/// How soon a silent connection is asked whether it still stands. Unit: seconds. Ours: an
/// answer may be long in coming, but a server that is gone shall not be waited for.
const ALIVE_EVERY_S: u64 = 60;

/// A server named by its URL.
#[derive(Debug)]
pub(crate) struct Remote {
    base: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A URL that names no place that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotNamed {
    /// It is not one of a server.
    Url,
    /// The certificates to trust for it cannot be read.
    Certificates,
}

impl Remote {
    /// The server of a URL, and what is asked for there; certificates as in [`Self::new`].
    ///
    /// # Errors
    ///
    /// [`NotNamed`], by its variants.
    pub(crate) fn at(
        url: &str,
        ca_file: Option<&Path>,
    ) -> Result<(Self, PathAndQuery), NotNamed> {
        let mut parts = url.parse::<Uri>().map_err(|_| NotNamed::Url)?.into_parts();
        let (Some(scheme), Some(authority), Some(path)) =
            (parts.scheme.take(), parts.authority.take(), parts.path_and_query.take())
        else {
            return Err(NotNamed::Url);
        };
        let remote = Self::new(&format!("{scheme}://{authority}"), ca_file);
        let remote = remote.map_err(|error| match error {
            ClientError::Unreachable { .. } => NotNamed::Certificates,
            ClientError::BadServer { .. }
            | ClientError::PlainToken { .. }
            | ClientError::Refused(_)
            | ClientError::Answered(_)
            | ClientError::Garbled { .. } => NotNamed::Url,
        })?;
        Ok((remote, path))
    }

    /// The server at a URL; its certificate is checked against `ca_file`, or the public ones.
    ///
    /// # Errors
    ///
    /// [`ClientError::BadServer`] if the URL is not one of a server, and
    /// [`ClientError::Unreachable`] if the certificates cannot be read.
    pub(crate) fn new(server: &str, ca_file: Option<&Path>) -> Result<Self, ClientError> {
        let bad = || ClientError::BadServer { server: server.to_owned() };
        let base: Uri = server.parse().map_err(|_| bad())?;
        let named = matches!(base.scheme_str(), Some("http" | "https"))
            && base.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && base.path().trim_end_matches('/').is_empty()
            && base.query().is_none();
        if !named {
            return Err(bad());
        }
        let tls = tls(ca_file)
            .map_err(|source| ClientError::Unreachable { server: server.to_owned(), source })?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(CONNECT_WAIT_S_MAX)));
        tcp.set_keepalive(Some(Duration::from_secs(ALIVE_EVERY_S)));
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Self { base, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// The server, for people.
    pub(crate) fn name(&self) -> String {
        self.base.to_string().trim_end_matches('/').to_owned()
    }

    /// Whether nobody on the way can read along.
    pub(crate) fn keeps_secrets(&self) -> bool {
        self.base.scheme_str() == Some("https") || self.base.host().is_some_and(is_loopback)
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// The server could not be reached, or the connection broke.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Bytes>> {
        collected(self.open(request).await?).await
    }

    /// Sends a request; gives the answer's head, and its body as it comes.
    ///
    /// # Errors
    ///
    /// The server could not be reached, or the connection broke.
    pub(crate) async fn open(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Incoming>> {
        let mut target = self.base.clone().into_parts();
        target.path_and_query = Some(
            request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")),
        );
        *request.uri_mut() = Uri::from_parts(target).map_err(io::Error::other)?;
        self.client.request(request).await.map_err(io::Error::other)
    }
}

/// The header that shows a credential, which no log shows.
///
/// # Errors
///
/// The credential does not fit into a header, so it is none.
pub(crate) fn bearer(credential: &SecretString) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", credential.expose_secret()))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// The last cause of an error: the first ones only say that there was one.
pub(crate) fn innermost(error: &io::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// TLS that trusts the certificates of `ca_file`, or else the public ones.
fn tls(ca_file: Option<&Path>) -> io::Result<HttpsConnectorBuilder<WantsSchemes>> {
    let provider = aws_lc_rs::default_provider();
    let Some(path) = ca_file else {
        return HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map_err(io::Error::other);
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(io::Error::other)? {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config))
}

#[cfg(test)]
mod tests {
    use super::Remote;

    #[test]
    fn servers_and_who_can_read_along() {
        for (server, want) in [
            ("http://127.0.0.1:8485", Some(true)),
            ("http://[::1]:8485/", Some(true)),
            ("http://localhost:8485", Some(true)),
            ("http://localhost.example.com", Some(false)), // a name anyone can register
            ("http://10.0.0.7:8485", Some(false)),
            ("https://provost.example.com", Some(true)),
            ("https://user:password@provost.example.com", None),
            ("https://provost.example.com/base", None),
            ("provost.example.com:8485", None),
            ("unix:/run/provost.sock", None),
            ("", None),
        ] {
            let keeps = Remote::new(server, None).ok().map(|remote| remote.keeps_secrets());
            assert_eq!(keeps, want, "server = {server:?}");
        }
    }
}
