//! Every key of `provost.toml`: its name, shape, default and meaning, in one table.
//!
//! The loader, the commented file that `provost init` writes and the reference page are all
//! made from this table; a key that is not here does not exist.

use std::ops::RangeInclusive;

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `ip:port`.
    Address,
    /// `true` or `false`.
    Switch,
    /// A whole number in a range; the unit is the end of the key's name.
    Number(RangeInclusive<u64>),
    /// A file; relative to the data directory unless absolute.
    File,
    /// An `http` or `https` URL without credentials in it.
    Url,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text that is not empty.
    Text,
    /// A list of such texts.
    Texts,
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// `section.key`.
    pub(crate) path: &'static str,
    /// What its value may be.
    pub(crate) shape: Shape,
    /// The value that holds when none is given, if one does.
    pub(crate) default: Option<&'static str>,
    /// What it does, in sentences.
    pub(crate) meaning: &'static str,
}

/// A section with its one-line meaning.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    ("listen", "Where the server listens."),
    ("tls", "TLS of both listeners. Without it they speak plain HTTP, on loopback only."),
    ("store", "Where state is kept."),
    ("keys", "Where keys are kept."),
    ("llm", "The model API that agents reach through the gateway."),
    ("session", "How long sessions may last. A session may ask for less, not for more."),
    ("approvals", "How long held actions wait for people. A gate may say otherwise."),
    ("limits", "What one client may ask of the gateway."),
    (
        "oauth",
        "Whose access tokens count at `/mcp/NAME` beside Provost's own credentials. Without an \
         issuer nobody's.",
    ),
    ("bodies", "What is kept of requests and answers beside their digests."),
    ("telemetry", "What the server tells about itself."),
];

macro_rules! keys {
    ($($name:ident = $path:literal, $shape:expr, $default:expr, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $name: Key =
                Key { path: $path, shape: $shape, default: $default, meaning: $meaning };
        )*

        /// Every key, section by section.
        pub(crate) const ALL: &[Key] = &[$($name),*];
    };
}

keys! {
    LISTEN_GATEWAY = "listen.gateway", Shape::Address, Some("127.0.0.1:8484"),
        "Where agents connect. Port 0 takes a free one, which `run.json` then names.";
    LISTEN_CONTROL = "listen.control", Shape::Address, Some("127.0.0.1:8485"),
        "Where people's tools connect: the control API, health and metrics. Port 0 as above.";
    LISTEN_PLAIN = "listen.plain_http_beyond_loopback", Shape::Switch, Some("false"),
        "Allows addresses other machines can reach without TLS. Only for a network that \
         encrypts by itself: credentials would cross it in the clear.";

    TLS_CERT = "tls.cert", Shape::File, None,
        "Certificate chain, PEM. Read again when the file changes.";
    TLS_KEY = "tls.key", Shape::File, None,
        "Private key of the certificate, PEM. Read again when the file changes.";

    STORE_URL = "store.url", Shape::Text, None,
        "Database: `sqlite:///path` or `postgres://…`. By default the SQLite file \
         `provost.db` in the data directory.";
    STORE_JOURNAL = "store.journal", Shape::Word(&["file", "sql"]), Some("file"),
        "Where a record is made durable first: `file`, an append-only file in the data \
         directory, or `sql`, the database.";

    KEYS_MASTER = "keys.master_file", Shape::File, None,
        "The one key that is in the clear; everything else secret is sealed to it. By default \
         `keys/master.age` in the data directory. Only its owner may be able to read it.";

    LLM_UPSTREAM = "llm.upstream", Shape::Url, Some("https://api.anthropic.com"),
        "Base URL of the Anthropic API, or of what speaks like it.";
    LLM_SECRET = "llm.secret", Shape::Text, Some("anthropic"),
        "Name of the stored credential it is called with; see `provost secret set`.";
    LLM_CONNECT = "llm.connect_timeout_s", Shape::Number(1..=60), Some("10"),
        "Longest wait for a connection to it.";
    LLM_HEAD = "llm.head_timeout_s", Shape::Number(1..=3600), Some("600"),
        "Longest wait for the first byte of its answer.";
    LLM_CA = "llm.ca_file", Shape::File, None,
        "Certificates to trust for it beside the public ones, PEM.";

    SESSION_IDLE = "session.idle_max_s", Shape::Number(1..=31_536_000), Some("1800"),
        "Longest silence before a session ends.";
    SESSION_LIFETIME = "session.lifetime_max_s", Shape::Number(1..=31_536_000), Some("28800"),
        "Longest life of a session.";

    APPROVALS_WAIT = "approvals.wait_s", Shape::Number(0..=3600), Some("300"),
        "How long a held action waits for its answer with the connection open. Then the agent \
         is told the approval's id, and may ask again once somebody answered.";
    APPROVALS_EXPIRES = "approvals.expires_s", Shape::Number(1..=2_592_000), Some("86400"),
        "How long an approval that nobody answers can still be answered. Then it is denied.";

    LIMITS_CONNECTIONS = "limits.connections_max", Shape::Number(1..=1_000_000), Some("4096"),
        "Connections open at once, on each listener.";
    LIMITS_HEADER_BYTES = "limits.header_bytes_max", Shape::Number(8192..=1_048_576),
        Some("65536"), "Size of all headers of a request together.";
    LIMITS_HEADERS = "limits.headers_max", Shape::Number(16..=1000), Some("100"),
        "Headers of a request.";
    LIMITS_HEADER_TIME = "limits.header_timeout_s", Shape::Number(1..=300), Some("10"),
        "Longest time for the headers of a request to arrive.";
    LIMITS_IDLE = "limits.idle_timeout_s", Shape::Number(1..=3600), Some("300"),
        "Longest rest of a connection between two requests.";
    LIMITS_BODY_BYTES = "limits.body_bytes_max", Shape::Number(1024..=1_073_741_824),
        Some("33554432"), "Size of a request's body.";
    LIMITS_BODY_IDLE = "limits.body_idle_timeout_s", Shape::Number(1..=300), Some("30"),
        "Longest silence within a request's body.";
    LIMITS_BODY_TIME = "limits.body_timeout_s", Shape::Number(1..=3600), Some("300"),
        "Longest time for a whole request body to arrive.";
    LIMITS_BODIES_BYTES = "limits.bodies_bytes_max", Shape::Number(1024..=1_099_511_627_776),
        Some("536870912"), "Size of all request bodies held at once; more have to wait.";
    LIMITS_WRITE_IDLE = "limits.write_idle_timeout_s", Shape::Number(1..=3600), Some("120"),
        "Longest time a client may take nothing of an answer that waits for it.";
    LIMITS_IN_FLIGHT = "limits.in_flight_max", Shape::Number(1..=1_000_000), Some("4096"),
        "Actions in flight at once; more are refused as busy.";
    LIMITS_DRAIN = "limits.drain_s", Shape::Number(0..=3600), Some("30"),
        "How long requests in flight may go on when the server is told to stop.";

    OAUTH_ISSUER = "oauth.issuer", Shape::Url, None,
        "The authorization server: `iss` of its tokens, to the letter.";
    OAUTH_JWKS = "oauth.jwks_url", Shape::Url, None,
        "Where its keys are. By default where its metadata says.";
    OAUTH_CA = "oauth.ca_file", Shape::File, None,
        "Certificates to trust for it beside the public ones, PEM.";
    OAUTH_PUBLIC = "oauth.public_url", Shape::Url, None,
        "The gateway's address as clients know it, without a path. Tokens have to be for it, \
         with `/mcp/NAME` behind. By default the address it listens on.";
    OAUTH_CLAIM = "oauth.claim", Shape::Word(&["sub", "client_id"]), Some("sub"),
        "Which claim `[oauth.agents]` names agents by.";
    OAUTH_ALGORITHMS = "oauth.algorithms", Shape::Text, Some("ES256 ES384 EdDSA PS256 RS256"),
        "How tokens may be signed: some of these words.";
    OAUTH_SCOPES = "oauth.scopes", Shape::Text, None,
        "What clients are told to ask for, as words. Provost does not look at it: policies \
         decide. By default nothing.";

    BODIES_MODE = "bodies.mode", Shape::Word(&["none", "digests", "full"]), Some("digests"),
        "What new projects keep: `none`, `digests`, or `full`, encrypted. `provost project \
         create --bodies` chooses for one project.";
    BODIES_RETENTION = "bodies.retention_days", Shape::Number(1..=36_500), Some("30"),
        "How long full bodies are kept. Digests stay with their records.";

    TELEMETRY_LOG = "telemetry.log", Shape::Text, Some("info"),
        "What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives such as \
         `info,provost_llm=debug`. Never bodies, never secrets.";
    TELEMETRY_FORMAT = "telemetry.log_format", Shape::Word(&["text", "json"]), Some("text"),
        "The form of log lines on standard error.";
    TELEMETRY_OTLP = "telemetry.otlp_endpoint", Shape::Url, None,
        "Where traces are sent as OTLP over HTTP, such as `http://localhost:4318`. By default \
         nowhere.";
}

impl Key {
    /// The section's name and the key's own.
    pub(crate) fn parts(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or(("", self.path))
    }

    /// The environment variable that overrides it: `PROVOST_LISTEN_GATEWAY`.
    pub(crate) fn variable(&self) -> String {
        format!("PROVOST_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

impl Shape {
    /// What a value has to be, to follow "has to be".
    pub(crate) fn wanted(&self) -> String {
        match self {
            Self::Address => "an address such as \"127.0.0.1:8484\"".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Number(range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::File => "the path of a file".to_owned(),
            Self::Url => "an http or https URL without a user or password in it".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Text => "a text that is not empty".to_owned(),
            Self::Texts => "a list of texts that are not empty".to_owned(),
        }
    }

    /// Whether a value, as text, is what it has to be.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Address => value.parse::<std::net::SocketAddr>().is_ok(),
            Self::Switch => matches!(value, "true" | "false"),
            Self::Number(range) => value.parse().is_ok_and(|number| range.contains(&number)),
            Self::File | Self::Text | Self::Texts => !value.trim().is_empty(),
            Self::Url => is_plain_url(value),
            Self::Word(words) => words.contains(&value),
        }
    }
}

fn is_plain_url(value: &str) -> bool {
    let Ok(uri) = value.parse::<http::Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && uri.query().is_none()
}
