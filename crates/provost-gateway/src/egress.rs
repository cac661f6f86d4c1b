//! The one way out: requests to an upstream, against a permit.
//!
//! Connections are pooled, HTTP/1.1, `TCP_NODELAY`. Not HTTP/2: all streams would share one
//! connection, and those beyond the upstream's stream limit would wait in it unseen.
//! Redirects are not followed and proxies of the environment not used.

mod base;
mod body;
mod connect;
mod errand;
mod error;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Version, header::HOST};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioTimer},
};
use provost_pipeline::Permit;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};
use tower::util::MapErr;

pub use self::{
    base::{BaseUrl, BaseUrlError},
    body::UpstreamBody,
    errand::{ErrandError, Errands, is_loopback},
    error::EgressError,
};
use self::{connect::Timed, error::Unresolved};

/// Largest buffer for reading an answer: bounds what one slow client makes us hold.
/// Unit: bytes.
const READ_BUFFER_MAX: usize = 64 * 1024;

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// To resolve its name, accept a connection and finish a TLS handshake.
    pub connect_timeout: Duration,
    /// From the whole request to the head of the answer. Models think before they answer.
    pub head_timeout: Duration,
    /// Between two pieces of an answer.
    pub body_idle_timeout: Duration,
    /// Most connections kept without use.
    pub idle_connections_max: usize,
    /// How long one is kept.
    pub idle_connection_timeout: Duration,
}

impl Default for EgressLimits {
    /// The head's time is what Anthropic's clients wait for (`X-Stainless-Timeout: 600`).
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(600),
            body_idle_timeout: Duration::from_secs(300),
            idle_connections_max: 256,
            idle_connection_timeout: Duration::from_secs(60),
        }
    }
}

/// An upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// The file of further certificate authorities cannot be used.
    #[error("no certificate authorities can be read from {}", path.display())]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// It holds a certificate that cannot be an authority's.
    #[error("{} holds a certificate that cannot be an authority's", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// No protocol version is left to speak.
    #[error("TLS cannot be set up")]
    Versions(#[source] rustls::Error),
}

type Resolver = MapErr<GaiResolver, fn(std::io::Error) -> Unresolved>;
type Connector = Timed<HttpsConnector<HttpConnector<Resolver>>>;
type Connections = Client<Connector, Full<Bytes>>;

/// One upstream and the connections to it. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Upstream {
    base: BaseUrl,
    client: Connections,
    limits: EgressLimits,
}

impl Upstream {
    /// Trusts the public web's certificate authorities, and those in the PEM file
    /// `authorities` besides. Dials nothing yet.
    ///
    /// # Errors
    ///
    /// [`EgressSetupError`] if `authorities` cannot be used.
    pub fn new(
        base: BaseUrl,
        authorities: Option<&Path>,
        limits: EgressLimits,
    ) -> Result<Self, EgressSetupError> {
        Ok(Self { base, client: client(authorities, &limits)?, limits })
    }

    /// Where it is.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Sends `request` and waits for the head of the answer. Of its target only path and query
    /// count: they follow the base URL's path. Dropping the future, or later the answer, closes
    /// the connection, which tells the upstream to stop.
    ///
    /// # Errors
    ///
    /// [`EgressError`] if there is no head; every status is an answer.
    pub async fn send(
        &self,
        _permit: &Permit,
        request: Request<Bytes>,
    ) -> Result<Response<UpstreamBody>, EgressError> {
        self.send_unasked(request).await
    }

    /// [`Self::send`] without the proof; private, for it is the permit that admits.
    async fn send_unasked(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<UpstreamBody>, EgressError> {
        let (mut head, body) = request.into_parts();
        head.uri = self.base.join(head.uri.path_and_query())?;
        head.version = Version::HTTP_11;
        head.headers.remove(HOST); // the client's names us, not the upstream
        let answer = self.client.request(Request::from_parts(head, Full::new(body)));
        let after = self.limits.head_timeout;
        let answer = tokio::time::timeout(after, answer)
            .await
            .map_err(|_| EgressError::HeadTimeout { after })?
            .map_err(EgressError::of_request)?;
        Ok(answer.map(|body| UpstreamBody::new(body, self.limits.body_idle_timeout)))
    }
}

fn client(
    authorities: Option<&Path>,
    limits: &EgressLimits,
) -> Result<Connections, EgressSetupError> {
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits.idle_connection_timeout)
        .pool_max_idle_per_host(limits.idle_connections_max)
        .http1_max_buf_size(READ_BUFFER_MAX)
        .build(connector(trust(authorities)?, limits)))
}

fn connector(trust: ClientConfig, limits: &EgressLimits) -> Connector {
    let resolver = MapErr::new(GaiResolver::new(), Unresolved as fn(_) -> _);
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    let tls = HttpsConnectorBuilder::new()
        .with_tls_config(trust)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Timed { connector: tls, within: limits.connect_timeout }
}

fn trust(authorities: Option<&Path>) -> Result<ClientConfig, EgressSetupError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = authorities {
        let unreadable =
            |source| EgressSetupError::Authorities { path: path.to_owned(), source };
        let found = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(unreadable)?;
        if found.is_empty() {
            return Err(unreadable(pem::Error::NoItemsFound));
        }
        for authority in found {
            roots.add(authority).map_err(|source| EgressSetupError::Authority {
                path: path.to_owned(),
                source,
            })?;
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(EgressSetupError::Versions)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests;
