//! Heads of requests and answers: what is read of them, what goes on, what comes back.
//!
//! Both ways by a list of what may pass; a credential of the client's never does.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING,
        CONTENT_TYPE, ORIGIN, RETRY_AFTER,
    },
};
use provost_gateway::Form;
use provost_secrets::SecretName;
use secrecy::{ExposeSecret as _, SecretString};

use super::jsonrpc::{Message, Params};
use crate::header::{LAST_EVENT, METHOD, NAME, SESSION, STATELESS, VERSION};

/// Repeat arguments in the body that a server wants to route by.
const PARAM_PREFIX: &str = "mcp-param-";

/// Keeps a buffering proxy in front of us from holding a stream back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Longest value of a header that is read. Unit: bytes. Ours: some session ids are tokens.
const VALUE_BYTES_MAX: usize = 2048;

/// Under which key of `_meta` a body names its revision. Source: MCP 2026-07-28, "_meta".
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Whose web pages may ask: those of the machine that the browser runs on.
/// Source: MCP 2025-11-25, "Streamable HTTP", security warning.
const ORIGINS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What the head of a request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The client's session with the server.
    pub(crate) session: Option<String>,
    /// The revision of the protocol.
    version: Option<String>,
    method: Option<String>,
    name: Option<String>,
}

/// What is wrong with the head of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// A web page of another machine asks through a browser.
    #[error("`origin` must name this machine: web pages of other machines get no answers")]
    Origin,
    /// A header is there twice, or cannot be read.
    #[error("`{0}` must be there once, with 1 to {VALUE_BYTES_MAX} visible ASCII characters")]
    Value(HeaderName),
    /// The body is not JSON, or compressed.
    #[error("the body must be `content-type: application/json` without `content-encoding`")]
    Body,
    /// A header says something else than the body.
    #[error("`{0}` does not say what the body says")]
    Mismatch(HeaderName),
    /// A header that this revision needs is not there.
    #[error("`{0}` must be there in revision {STATELESS} of the protocol")]
    Missing(HeaderName),
}

impl Head {
    /// Reads a request's head.
    ///
    /// # Errors
    ///
    /// [`HeadError::Value`], [`HeadError::Origin`].
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, HeadError> {
        let text = |name: HeaderName| one(headers, &name).map_err(|()| HeadError::Value(name));
        text(LAST_EVENT)?;
        if text(ORIGIN)?.is_some_and(|origin| !is_local(&origin)) {
            return Err(HeadError::Origin);
        }
        let name = match text(NAME)? {
            Some(name) => Some(plain(&name).ok_or(HeadError::Value(NAME))?),
            None => None,
        };
        Ok(Self {
            session: text(SESSION)?,
            version: text(VERSION)?,
            method: text(METHOD)?,
            name,
        })
    }

    /// Checks that what stands in front of a message says what the message says.
    ///
    /// # Errors
    ///
    /// [`HeadError`].
    pub(crate) fn check(&self, message: &Message) -> Result<(), HeadError> {
        let (Message::Request { method, params, .. }
        | Message::Notification { method, params }) = message
        else {
            return Ok(());
        };
        let version = params.string_in("_meta", META_VERSION);
        if version.is_some() && version != self.version {
            return Err(HeadError::Mismatch(VERSION));
        }
        if self.method.as_ref().is_some_and(|told| told != method) {
            return Err(HeadError::Mismatch(METHOD));
        }
        let name = named(method, params);
        if self.name.is_some() && self.name != name {
            return Err(HeadError::Mismatch(NAME));
        }
        if self.is_stateless() && self.method.is_none() {
            return Err(HeadError::Missing(METHOD));
        }
        if self.is_stateless() && name.is_some() && self.name.is_none() {
            return Err(HeadError::Missing(NAME));
        }
        Ok(())
    }

    /// Whether the revision is one without sessions. Revisions are dates.
    pub(crate) fn is_stateless(&self) -> bool {
        self.version.as_deref().is_some_and(|version| version >= STATELESS)
    }
}

fn is_local(origin: &str) -> bool {
    let origin = origin.parse::<Uri>();
    origin.is_ok_and(|origin| origin.host().is_some_and(|host| ORIGINS.contains(&host)))
}

/// What the headers repeat of a call's arguments: names in lower case, and values.
///
/// # Errors
///
/// [`HeadError::Value`].
pub(crate) fn repeated(headers: &HeaderMap) -> Result<Vec<(String, String)>, HeadError> {
    let named = |name: &HeaderName| name.as_str().strip_prefix(PARAM_PREFIX).map(str::to_owned);
    headers
        .keys()
        .filter_map(|name| Some((name, named(name)?)))
        .map(|(name, short)| {
            let value = one(headers, name).ok().flatten().and_then(|value| plain(&value));
            Ok((short, value.ok_or_else(|| HeadError::Value(name.clone()))?))
        })
        .collect()
}

/// What `Mcp-Name` repeats of a message. Source: MCP 2026-07-28, "Standard headers".
fn named(method: &str, params: &Params) -> Option<String> {
    match method {
        "tools/call" | "prompts/get" => params.string("name"),
        "resources/read" => params.string("uri"),
        _ => None,
    }
}

/// The one value of a header.
fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| ())?;
    let fits = (1..=VALUE_BYTES_MAX).contains(&text.len());
    if values.next().is_some() || !fits || text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(());
    }
    Ok(Some(text.to_owned()))
}

/// A value that may be written in Base64, `=?base64?…?=`, where it is no plain ASCII.
fn plain(value: &str) -> Option<String> {
    let coded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    match coded {
        None => Some(value.to_owned()),
        Some(coded) => String::from_utf8(STANDARD.decode(coded).ok()?).ok(),
    }
}

/// A name or URI as the value of a header. The reverse of [`plain`].
pub(crate) fn coded(name: &str) -> Option<HeaderValue> {
    let is_visible = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_visible && name.trim() == name && !name.starts_with("=?base64?") {
        return HeaderValue::try_from(name).ok();
    }
    HeaderValue::try_from(format!("=?base64?{}?=", STANDARD.encode(name))).ok()
}

/// Whether a body can be read as it stands.
///
/// # Errors
///
/// [`HeadError::Body`].
pub(crate) fn check_body(headers: &HeaderMap) -> Result<(), HeadError> {
    match Form::of(headers) {
        Form::Json if !is_coded(headers) => Ok(()),
        Form::Json | Form::Stream | Form::Other => Err(HeadError::Body),
    }
}

fn is_coded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| value != "identity")
}

/// The headers of the request that goes upstream; `None` if the key cannot stand in a header.
pub(crate) fn onward(headers: &HeaderMap, key: Option<&SecretString>) -> Option<HeaderMap> {
    let mut onward = HeaderMap::new();
    for (name, value) in headers {
        let passes = [ACCEPT, VERSION, SESSION, LAST_EVENT, METHOD, NAME].contains(name);
        if passes || name.as_str().starts_with(PARAM_PREFIX) {
            onward.append(name, value.clone());
        }
    }
    if headers.contains_key(CONTENT_TYPE) {
        // The body was read as JSON in UTF-8; nobody shall read it as anything else.
        onward.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    onward.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(key) = key {
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).ok()?;
        bearer.set_sensitive(true);
        onward.insert(AUTHORIZATION, bearer);
    }
    Some(onward)
}

/// The headers of a message of our own in the client's session.
pub(crate) fn aside(mut headers: HeaderMap, method: Option<&'static str>) -> HeaderMap {
    let params: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PARAM_PREFIX))
        .cloned()
        .collect();
    for name in params.into_iter().chain([NAME, LAST_EVENT]) {
        headers.remove(name);
    }
    let both = HeaderValue::from_static("application/json, text/event-stream");
    headers.insert(ACCEPT, both);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match method {
        Some(method) if headers.contains_key(METHOD) => {
            headers.insert(METHOD, HeaderValue::from_static(method));
        }
        _ => drop(headers.remove(METHOD)),
    }
    headers
}

/// The headers of the answer that goes back to the client.
pub(crate) fn back(headers: &HeaderMap, form: Form) -> HeaderMap {
    let mut back = HeaderMap::new();
    for (name, value) in headers {
        if [CONTENT_TYPE, RETRY_AFTER, ALLOW, CACHE_CONTROL, SESSION].contains(name) {
            back.append(name, value.clone());
        }
    }
    if form == Form::Stream {
        back.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    back
}

/// An answer of a status alone.
pub(crate) fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// The headers of a stream of our own; its form, if a server gave it one.
pub(crate) fn of_stream(form: Option<HeaderValue>) -> HeaderMap {
    let form = form.unwrap_or_else(|| HeaderValue::from_static("text/event-stream"));
    let no_cache = HeaderValue::from_static("no-cache");
    HeaderMap::from_iter([(CONTENT_TYPE, form), (CACHE_CONTROL, no_cache)])
}

/// The session that an answer begins.
pub(crate) fn begun(headers: &HeaderMap) -> Option<String> {
    one(headers, &SESSION).ok().flatten()
}

/// An answer that must not reach the agent as it is. Its text is what the agent is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// 401: as it stands, the agent would think that its own credential is bad.
    #[error(
        "the MCP server refused Provost's own credential, not yours; \
         the operator must run `provost secret set {0}`"
    )]
    Credential(SecretName),
    /// 401 of a server that is asked without a credential.
    #[error(
        "the MCP server wants a credential and Provost has none for it; \
         the operator must set `secret` for it in provost.toml"
    )]
    NoCredential,
    /// 403: likewise.
    #[error(
        "the MCP server does not let Provost do this; \
         the operator must look at what its credential there is allowed"
    )]
    Forbidden,
    /// 3xx: clients follow, with their credential and the body, to where Provost is not.
    #[error("the MCP server sent a redirect, which Provost does not follow")]
    Redirect,
    /// An encoding that was not asked for.
    #[error("the MCP server compressed its answer though it was asked not to")]
    Coding,
}

/// Says what an answer's body is, if it is one to pass on. `secret` is the credential it was
/// asked for with.
///
/// # Errors
///
/// [`Unfit`], by its variants.
pub(crate) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    secret: Option<&SecretName>,
) -> Result<Form, Unfit> {
    match (status, secret) {
        (StatusCode::UNAUTHORIZED, Some(secret)) => Err(Unfit::Credential(secret.clone())),
        (StatusCode::UNAUTHORIZED, None) => Err(Unfit::NoCredential),
        (StatusCode::FORBIDDEN, _) => Err(Unfit::Forbidden),
        _ if status.is_redirection() || status.is_informational() => Err(Unfit::Redirect),
        _ if is_coded(headers) => Err(Unfit::Coding),
        _ => Ok(Form::of(headers)),
    }
}

#[cfg(test)]
mod tests;
