//! The gateway as the bridge calls it: where it is, with what, and how it can fail.

use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::body::Incoming;
use provost_gateway::Form;
use provost_mcp::{
    ServerName,
    header::{LAST_EVENT, METHOD, NAME, SESSION, STATELESS, VERSION},
};
use secrecy::SecretString;

use super::message::Message;
use crate::client::{NotNamed, Remote, bearer, collected, innermost};

/// Which server, where its gateway is, and with what it is called.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The server, as the configuration calls it; without one, all of them as one.
    pub(crate) server: Option<ServerName>,
    /// Where the gateway has its servers.
    pub(crate) url: Option<String>,
    /// The session's credential.
    pub(crate) credential: Option<SecretString>,
    /// What to trust for the gateway instead of the public certificates.
    pub(crate) ca_file: Option<PathBuf>,
}

/// A bridge that cannot be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BridgeError {
    /// It is not said where the gateway is.
    #[error(
        "neither PROVOST_MCP_URL nor PROVOST_GATEWAY nor ANTHROPIC_BASE_URL is set: start the \
         client with `provost run`, and have it pass PROVOST_GATEWAY and PROVOST_CREDENTIAL on"
    )]
    NoUrl,
    /// What is said is no address.
    #[error(
        "the gateway's address is not a URL: correct PROVOST_MCP_URL, PROVOST_GATEWAY or \
         ANTHROPIC_BASE_URL"
    )]
    BadUrl,
    /// There is nothing to authenticate with.
    #[error(
        "neither PROVOST_CREDENTIAL nor ANTHROPIC_AUTH_TOKEN is set: start the client with \
         `provost run`, and have it pass PROVOST_CREDENTIAL on"
    )]
    NoCredential,
    /// The certificates cannot be read.
    #[error("the certificates of --ca-file cannot be used: correct it")]
    BadCertificates,
}

/// Why a message has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The connection was not made, or broke.
    #[error("Provost's gateway at {gateway} cannot be reached ({reason}): see that it runs")]
    Unreachable {
        /// What was called.
        gateway: String,
        /// The system's own words.
        reason: String,
    },
    /// It answered that it cannot.
    #[error("Provost's gateway answered HTTP {status}: {}", what_to_do(*status))]
    Status {
        /// With what.
        status: StatusCode,
    },
    /// What it answered is no answer to this.
    #[error("what answered is not Provost's gateway: see that its address is right")]
    NotUnderstood,
    /// The stream ended before the answer.
    #[error("the answer broke off; what was asked may have been done: look before you repeat")]
    BrokenOff,
    /// It did not answer in time.
    #[error("Provost's gateway did not answer in time: see that it is well")]
    TimedOut,
}

fn what_to_do(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "its credential is over; start a session with `provost run`"
        }
        StatusCode::FORBIDDEN => "it does not allow this; ask its operator",
        StatusCode::NOT_FOUND => {
            "it knows no such server, or not this connection any more; reconnect the MCP server"
        }
        StatusCode::PAYLOAD_TOO_LARGE => "make the message smaller",
        StatusCode::TOO_MANY_REQUESTS => "ask again later",
        _ => "see the gateway's log",
    }
}

/// What was settled with the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// The revision of the protocol.
    pub(super) version: Option<String>,
    /// The session, where there is one.
    pub(super) session: Option<HeaderValue>,
}

impl Settled {
    /// Whether it is a revision without sessions.
    pub(super) fn is_stateless(&self) -> bool {
        is_stateless(self.version.as_deref())
    }

    /// The headers of a message of the client's.
    pub(super) fn headers_of(&self, message: &Message) -> HeaderMap {
        let version = message.version.as_deref().or(self.version.as_deref());
        let mut headers = self.headers();
        // What cannot stand in a header is left out; the gateway then says what is missing.
        let mut set = |name: HeaderName, value: &str| {
            HeaderValue::try_from(value).map(|value| headers.insert(name, value)).is_ok()
        };
        if let Some(version) = version {
            set(VERSION, version);
        }
        if let (true, Some(method)) = (is_stateless(version), message.method()) {
            set(METHOD, method);
            if let Some(name) = &message.name {
                set(NAME, &coded(name));
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, both);
        headers
    }

    /// The headers with which a stream is opened, or gone on with.
    pub(super) fn headers_of_stream(&self, last_event: Option<&HeaderValue>) -> HeaderMap {
        let mut headers = self.headers();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(last_event) = last_event {
            headers.insert(LAST_EVENT, last_event.clone());
        }
        headers
    }

    /// The headers of everything.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let version = self.version.as_deref().and_then(|it| HeaderValue::try_from(it).ok());
        for (name, value) in [(VERSION, version), (SESSION, self.session.clone())] {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
        headers
    }
}

fn is_stateless(version: Option<&str>) -> bool {
    version.is_some_and(|version| version >= STATELESS)
}

/// A text as a header's value: in Base64 where it would not arrive as it is.
/// Source: MCP 2026-07-28, "Standard headers".
fn coded(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim() == text
        && !text.starts_with("=?base64?");
    if is_plain { text.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(text)) }
}

/// The session that an answer begins.
pub(super) fn begun(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(SESSION).cloned()
}

/// Whether an answer is a stream of events.
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    Form::of(headers) == Form::Stream
}

/// The gateway, and the credential it is called with.
#[derive(Debug)]
pub(super) struct Gateway {
    remote: Remote,
    path: Uri,
    bearer: HeaderValue,
    /// Whether it ever answered.
    was_reached: AtomicBool,
    /// Whether it ever did not.
    was_missed: AtomicBool,
}

impl Gateway {
    /// The gateway's place for one server, or for all of them.
    ///
    /// # Errors
    ///
    /// [`BridgeError`].
    pub(super) fn named(asked: &Asked) -> Result<Self, BridgeError> {
        let credential = asked.credential.as_ref().ok_or(BridgeError::NoCredential)?;
        let url = asked.url.as_deref().ok_or(BridgeError::NoUrl)?;
        let all = url.trim_end_matches('/');
        let url = asked.server.as_ref().map(|server| format!("{all}/{server}"));
        let url = url.unwrap_or_else(|| all.to_owned());
        let at = Remote::at(&url, asked.ca_file.as_deref());
        let (remote, path) = at.map_err(|why| match why {
            NotNamed::Url => BridgeError::BadUrl,
            NotNamed::Certificates => BridgeError::BadCertificates,
        })?;
        if path.query().is_some() {
            return Err(BridgeError::BadUrl);
        }
        let bearer = bearer(credential).map_err(|_| BridgeError::NoCredential)?;
        let (was_reached, was_missed) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { remote, path: Uri::from(path), bearer, was_reached, was_missed })
    }

    /// Sends a request; gives the answer's head, and its body as it comes.
    ///
    /// # Errors
    ///
    /// [`CallError::Unreachable`].
    pub(super) async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, CallError> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        let identity = HeaderValue::from_static("identity");
        request.headers_mut().insert(ACCEPT_ENCODING, identity);
        request.headers_mut().insert(AUTHORIZATION, self.bearer.clone());
        let answer = self.remote.open(request).await;
        let known = if answer.is_ok() { &self.was_reached } else { &self.was_missed };
        known.store(true, Ordering::Relaxed);
        answer.map_err(|error| self.unreachable(&error))
    }

    /// The whole body of an answer.
    ///
    /// # Errors
    ///
    /// [`CallError::BrokenOff`].
    pub(super) async fn whole(&self, answer: Response<Incoming>) -> Result<Bytes, CallError> {
        let answer = collected(answer).await.map_err(|_| CallError::BrokenOff)?;
        Ok(answer.into_body())
    }

    /// Whether it was called and never answered.
    pub(super) fn was_never_reached(&self) -> bool {
        self.was_missed.load(Ordering::Relaxed) && !self.was_reached.load(Ordering::Relaxed)
    }

    fn unreachable(&self, error: &io::Error) -> CallError {
        CallError::Unreachable { gateway: self.remote.name(), reason: innermost(error) }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{Asked, Gateway, Settled, coded, is_stream};
    use crate::bridge::message::Message;

    fn shown(headers: &HeaderMap) -> String {
        let mut lines: Vec<String> = headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("mcp-"))
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines.join(", ")
    }

    #[test]
    fn each_era_gets_its_headers() {
        let settled = |version: &str, session: &'static str| Settled {
            version: Some(version.to_owned()),
            session: Some(http::HeaderValue::from_static(session)),
        };
        let call = r#"{"id":1,"method":"tools/call","params":{"name":"push"}}"#;
        let now = r#"{"id":1,"method":"tools/call","params":{"name":"é",
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let broken = r#"{"id":1,"method":"a\nb","params":{
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28\r\nx: y"}}}"#;
        for (settled, line, want) in [
            (Settled::default(), call, ""),
            (
                settled("2025-11-25", "one"),
                call,
                "mcp-protocol-version: 2025-11-25, mcp-session-id: one",
            ),
            (
                Settled::default(),
                now,
                "mcp-method: tools/call, mcp-name: =?base64?w6k=?=, \
                 mcp-protocol-version: 2026-07-28",
            ),
            (
                Settled { version: Some("2026-07-28".to_owned()), session: None },
                r#"{"method":"notifications/x"}"#,
                "mcp-method: notifications/x, mcp-protocol-version: 2026-07-28",
            ),
            (Settled::default(), broken, ""), // no header, and above all no second one
            (
                settled("2025-11-25", "one"),
                r#"{"id":1,"result":{}}"#,
                "mcp-protocol-version: 2025-11-25, mcp-session-id: one",
            ),
        ] {
            let message = Message::read(line.as_bytes()).unwrap();
            assert_eq!(shown(&settled.headers_of(&message)), want, "line = {line}");
        }
    }

    #[test]
    fn names_arrive_as_they_are() {
        for (text, want) in [
            ("push", "push"),
            ("a b", "a b"),
            (" a", "=?base64?IGE=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="), // not what it looks like
        ] {
            assert_eq!(coded(text), want, "text = {text:?}");
        }
    }

    #[test]
    fn the_gateway_is_named_by_a_url_without_surprises() {
        for (url, want) in [
            (Some("http://127.0.0.1:8484/mcp"), Some("/mcp/github")),
            (Some("https://provost.example.com/mcp/"), Some("/mcp/github")),
            (Some("http://127.0.0.1:8484/mcp?x=1"), None),
            (Some("http://user:word@127.0.0.1/mcp"), None),
            (Some("ftp://127.0.0.1/mcp"), None),
            (Some("/mcp"), None),
            (Some(""), None),
            (None, None),
        ] {
            let asked = Asked {
                server: Some("github".parse().unwrap()),
                url: url.map(str::to_owned),
                credential: Some("pvs_1".into()),
                ca_file: None,
            };
            let got = Gateway::named(&asked).ok().map(|gateway| gateway.path.to_string());
            assert_eq!(got.as_deref(), want, "url = {url:?}");
            let asked = Asked { server: None, ..asked };
            let got = Gateway::named(&asked).ok().map(|gateway| gateway.path.to_string());
            assert_eq!(got.as_deref(), want.map(|_| "/mcp"), "url = {url:?}");
        }
    }

    #[test]
    fn only_one_form_of_answer_is_a_stream() {
        for (form, want) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("application/json", false),
            ("text/event-streams", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", form.parse().unwrap());
            assert_eq!(is_stream(&headers), want, "form = {form}");
        }
    }
}
