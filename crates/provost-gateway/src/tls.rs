//! TLS of a listener: certificate and key from files, read again when they change.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

/// Where a listener's certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, then those up to a root, the root left out.
    pub certificates: PathBuf,
    /// PEM: the private key, PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Certificate and key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("{} does not hold what it should in PEM", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// The key is of no known kind, or is not the certificate's.
    #[error("the key and the certificate do not go together")]
    Mismatch(#[source] rustls::Error),
    /// No protocol version is left to speak.
    #[error("TLS cannot be set up")]
    Versions(#[source] rustls::Error),
}

/// What a look at the files led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They are as they were.
    Unchanged,
    /// They changed and are in force.
    Reloaded,
}

/// A listener's side of TLS 1.2 and 1.3.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    /// The files as they were when last looked at, whether they could be used or not.
    seen: ArcSwap<[Option<Stamp>; 2]>,
}

/// Tells one version of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if they cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let seen = files.stamps();
        let certified = files.read(&provider)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(certified)));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { files, current, config: Arc::new(config), seen: ArcSwap::from_pointee(seen) })
    }

    /// Looks at the files; if they changed, new connections get what they hold now.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if they changed into something that cannot be used: the last good
    /// certificate stays in force, and the error is given once for each change.
    pub fn reload(&self) -> Result<Reload, TlsError> {
        let stamps = self.files.stamps();
        if **self.seen.load() == stamps {
            return Ok(Reload::Unchanged);
        }
        self.seen.store(Arc::new(stamps));
        let certified = self.files.read(self.config.crypto_provider())?;
        self.current.0.store(Arc::new(certified));
        Ok(Reload::Reloaded)
    }

    /// Looks at the files again and again, until `shutdown`.
    pub async fn watch(self: Arc<Self>, every: Duration, shutdown: CancellationToken) {
        let look = async {
            loop {
                tokio::time::sleep(every).await;
                let certificates = self.files.certificates.display();
                match self.reload() {
                    Ok(Reload::Unchanged) => {}
                    Ok(Reload::Reloaded) => {
                        tracing::info!(%certificates, "certificate reloaded")
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, %certificates, "old certificate kept");
                    }
                }
            }
        };
        shutdown.run_until_cancelled(look).await;
    }

    pub(crate) async fn accept<I>(&self, io: I) -> io::Result<TlsStream<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(io).await
    }
}

impl TlsFiles {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [&self.certificates, &self.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len() })
        })
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let chain = read(&self.certificates)?;
        let chain =
            CertificateDer::pem_slice_iter(&chain)
                .collect::<Result<Vec<_>, _>>()
                .and_then(|chain| {
                    if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) }
                })
                .map_err(|source| TlsError::Pem { path: self.certificates.clone(), source })?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|source| TlsError::Pem { path: self.key.clone(), source })?;
        CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Mismatch)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}
