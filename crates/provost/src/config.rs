//! The configuration: from `provost.toml` and the environment to values that are right.
//!
//! [`keys`] is the table of what there is, [`settings`] reads texts and says what is wrong with
//! them, and this file makes the types the rest of the program takes.

mod keys;
mod mcp;
mod oauth;
mod pages;
mod settings;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use provost_pipeline::Terms;
use secrecy::SecretString;

#[cfg(test)]
pub(crate) use mcp::McpOAuth;
pub(crate) use mcp::{McpServer, McpWay};
pub(crate) use oauth::OAuth;
pub(crate) use pages::{commented_file, reference};
pub(crate) use settings::Fault;

use crate::data_dir::DataDir;
use keys::Key;
use settings::{Origin, Problem, Settings};

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where the server listens.
    pub(crate) listen: Listen,
    /// TLS of both listeners.
    pub(crate) tls: Option<Tls>,
    /// Where state is kept.
    pub(crate) store: Store,
    /// The master key's file.
    pub(crate) master_file: PathBuf,
    /// The model API.
    pub(crate) llm: Llm,
    /// The MCP servers.
    pub(crate) mcp: Vec<McpServer>,
    /// Whose access tokens count.
    pub(crate) oauth: Option<OAuth>,
    /// How long sessions may last.
    pub(crate) session: Terms,
    /// How long held actions wait for people.
    pub(crate) approvals: Approvals,
    /// What one client may ask of the gateway.
    pub(crate) limits: Limits,
    /// What is kept of bodies.
    pub(crate) bodies: Bodies,
    /// What the server tells about itself.
    pub(crate) telemetry: Telemetry,
}

/// `[listen]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// Where agents connect.
    pub(crate) gateway: SocketAddr,
    /// Where people's tools connect.
    pub(crate) control: SocketAddr,
}

/// `[tls]`, when it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Certificate chain, PEM.
    pub(crate) cert: PathBuf,
    /// Private key, PEM.
    pub(crate) key: PathBuf,
}

/// `[store]`
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// Database URL; may hold a password.
    pub(crate) url: SecretString,
    /// What a record is made durable in first.
    pub(crate) journal: JournalKind,
}

/// What a record is made durable in first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalKind {
    /// An append-only file in the data directory.
    File,
    /// The database.
    Sql,
}

/// `[llm]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Llm {
    /// Base URL.
    pub(crate) upstream: String,
    /// Name of the stored credential.
    pub(crate) secret: String,
    /// Longest wait for a connection.
    pub(crate) connect_timeout: Duration,
    /// Longest wait for the first byte of an answer.
    pub(crate) head_timeout: Duration,
    /// Certificates to trust instead of the public ones.
    pub(crate) ca_file: Option<PathBuf>,
}

/// `[approvals]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Approvals {
    /// How long a held action waits with the connection open.
    pub(crate) wait_max: Duration,
    /// How long an approval that nobody answers counts.
    pub(crate) expires: Duration,
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections open at once, on each listener.
    pub(crate) connections_max: usize,
    /// Size of all headers of a request together. Unit: bytes.
    pub(crate) header_bytes_max: usize,
    /// Headers of a request.
    pub(crate) headers_max: usize,
    /// Longest time for headers to arrive.
    pub(crate) header_timeout: Duration,
    /// Size of a request's body. Unit: bytes.
    pub(crate) body_bytes_max: usize,
    /// Longest silence within a body.
    pub(crate) body_idle_timeout: Duration,
    /// Longest rest of a connection between two requests.
    pub(crate) idle_timeout: Duration,
    /// Longest time for a whole body to arrive.
    pub(crate) body_timeout: Duration,
    /// Size of all bodies held at once. Unit: bytes.
    pub(crate) bodies_bytes_max: usize,
    /// Longest time a client may take nothing of an answer.
    pub(crate) write_idle_timeout: Duration,
    /// Actions in flight at once.
    pub(crate) in_flight_max: usize,
    /// How long requests in flight may go on at the end.
    pub(crate) drain: Duration,
}

/// `[bodies]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bodies {
    /// What new projects keep: `none`, `digests` or `full`.
    pub(crate) mode: String,
    /// How long full bodies are kept. Unit: days.
    pub(crate) retention_days: u64,
}

/// `[telemetry]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telemetry {
    /// Directives of what is logged.
    pub(crate) log: String,
    /// The form of log lines.
    pub(crate) format: LogFormat,
    /// Where traces are sent.
    pub(crate) otlp_endpoint: Option<String>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// A configuration that was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file or the environment has faults.
    #[error("the configuration has faults:\n{}", listed(.0))]
    Faults(Vec<Fault>),
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
}

impl Config {
    /// Loads the named file, or the data directory's own if there is one, and the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every fault there is.
    pub(crate) fn load(data: &DataDir, named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.map_or_else(|| data.config_file(), Path::to_owned);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                String::new()
            }
            Err(source) => return Err(ConfigError::File { path, source }),
        };
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_parts(data, &path, &text, environment)
    }

    fn from_parts(
        data: &DataDir,
        path: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let mut settings = Settings::default();
        settings.read_file(path, text, &mut faults);
        settings.read_environment(environment, &mut faults);
        if !faults.is_empty() {
            return Err(ConfigError::Faults(faults));
        }
        let reader = Reader { settings: &settings, data };
        reader.config().map_err(|problem| {
            let origin = Origin::Whole(path.to_owned());
            ConfigError::Faults(vec![Fault { origin, problem }])
        })
    }
}

/// Reads settings as the types they stand for.
struct Reader<'a> {
    settings: &'a Settings,
    data: &'a DataDir,
}

impl Reader<'_> {
    fn config(&self) -> Result<Config, Problem> {
        let (tls, listen) = (self.tls()?, self.listen()?);
        let session = Terms {
            idle_max: self.seconds(&keys::SESSION_IDLE)?,
            lifetime_max: self.seconds(&keys::SESSION_LIFETIME)?,
        };
        if session.idle_max > session.lifetime_max {
            return Err(Problem::Together(
                "`session.idle_max_s` has to be at most `session.lifetime_max_s`",
            ));
        }
        let open = [listen.gateway, listen.control].iter().any(|one| !one.ip().is_loopback());
        if open && tls.is_none() && !self.parsed::<bool>(&keys::LISTEN_PLAIN)? {
            return Err(Problem::Together(
                "an address other machines can reach needs `tls.cert` and `tls.key`, or \
                 `listen.plain_http_beyond_loopback = true`",
            ));
        }
        let master = self.file(&keys::KEYS_MASTER);
        Ok(Config {
            listen,
            tls,
            store: self.store()?,
            master_file: master.unwrap_or_else(|| self.data.master_key()),
            llm: self.llm()?,
            mcp: self.mcp(),
            oauth: self.oauth()?,
            session,
            approvals: Approvals {
                wait_max: self.seconds(&keys::APPROVALS_WAIT)?,
                expires: self.seconds(&keys::APPROVALS_EXPIRES)?,
            },
            limits: self.limits()?,
            bodies: Bodies {
                mode: self.text(&keys::BODIES_MODE)?,
                retention_days: self.parsed(&keys::BODIES_RETENTION)?,
            },
            telemetry: self.telemetry()?,
        })
    }

    fn listen(&self) -> Result<Listen, Problem> {
        Ok(Listen {
            gateway: self.parsed(&keys::LISTEN_GATEWAY)?,
            control: self.parsed(&keys::LISTEN_CONTROL)?,
        })
    }

    fn tls(&self) -> Result<Option<Tls>, Problem> {
        match (self.file(&keys::TLS_CERT), self.file(&keys::TLS_KEY)) {
            (Some(cert), Some(key)) => Ok(Some(Tls { cert, key })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => {
                Err(Problem::Together("`tls.cert` and `tls.key` go together"))
            }
        }
    }

    fn store(&self) -> Result<Store, Problem> {
        let url = match self.settings.text(&keys::STORE_URL) {
            Some(url) => url.to_owned(),
            None => provost_store::sqlite_url(&self.data.database()),
        };
        let journal = match self.text(&keys::STORE_JOURNAL)?.as_str() {
            "sql" => JournalKind::Sql,
            _ => JournalKind::File,
        };
        Ok(Store { url: SecretString::from(url), journal })
    }

    fn llm(&self) -> Result<Llm, Problem> {
        Ok(Llm {
            upstream: self.text(&keys::LLM_UPSTREAM)?,
            secret: self.text(&keys::LLM_SECRET)?,
            connect_timeout: self.seconds(&keys::LLM_CONNECT)?,
            head_timeout: self.seconds(&keys::LLM_HEAD)?,
            ca_file: self.file(&keys::LLM_CA),
        })
    }

    fn mcp(&self) -> Vec<McpServer> {
        let within = |path: &mut PathBuf| *path = self.data.path().join(&*path);
        let server = |server: &McpServer| {
            let mut server = server.clone();
            match &mut server.way {
                McpWay::Http { ca_file, .. } => ca_file.iter_mut().for_each(within),
                McpWay::Program { home, folder, .. } => {
                    [home, folder].into_iter().for_each(within)
                }
            }
            server
        };
        self.settings.mcp.iter().map(server).collect()
    }

    fn limits(&self) -> Result<Limits, Problem> {
        Ok(Limits {
            connections_max: self.parsed(&keys::LIMITS_CONNECTIONS)?,
            header_bytes_max: self.parsed(&keys::LIMITS_HEADER_BYTES)?,
            headers_max: self.parsed(&keys::LIMITS_HEADERS)?,
            header_timeout: self.seconds(&keys::LIMITS_HEADER_TIME)?,
            body_bytes_max: self.parsed(&keys::LIMITS_BODY_BYTES)?,
            body_idle_timeout: self.seconds(&keys::LIMITS_BODY_IDLE)?,
            idle_timeout: self.seconds(&keys::LIMITS_IDLE)?,
            body_timeout: self.seconds(&keys::LIMITS_BODY_TIME)?,
            bodies_bytes_max: self.parsed(&keys::LIMITS_BODIES_BYTES)?,
            write_idle_timeout: self.seconds(&keys::LIMITS_WRITE_IDLE)?,
            in_flight_max: self.parsed(&keys::LIMITS_IN_FLIGHT)?,
            drain: self.seconds(&keys::LIMITS_DRAIN)?,
        })
    }

    fn telemetry(&self) -> Result<Telemetry, Problem> {
        let format = match self.text(&keys::TELEMETRY_FORMAT)?.as_str() {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        };
        Ok(Telemetry {
            log: self.text(&keys::TELEMETRY_LOG)?,
            format,
            otlp_endpoint: self.settings.text(&keys::TELEMETRY_OTLP).map(str::to_owned),
        })
    }

    /// A value that has a default.
    fn text(&self, key: &Key) -> Result<String, Problem> {
        self.settings.text(key).map(str::to_owned).ok_or_else(|| refused(key))
    }

    fn parsed<T: std::str::FromStr>(&self, key: &Key) -> Result<T, Problem> {
        self.text(key)?.parse().map_err(|_| refused(key))
    }

    fn seconds(&self, key: &Key) -> Result<Duration, Problem> {
        self.parsed(key).map(Duration::from_secs)
    }

    fn file(&self, key: &Key) -> Option<PathBuf> {
        self.settings.text(key).map(|path| self.data.path().join(path))
    }
}

fn refused(key: &Key) -> Problem {
    Problem::Value { key: key.path, shape: key.shape.clone() }
}

#[cfg(test)]
mod tests;
