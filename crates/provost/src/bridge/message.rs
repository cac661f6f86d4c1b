//! What is read of a message to pass it on: whether it wants an answer, and of what revision
//! of the protocol it is. Whether it is sound, the gateway decides. Pure.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Under which key of `_meta` a message names its revision. Source: MCP 2026-07-28, "_meta".
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// JSON-RPC's own codes. Source: JSON-RPC 2.0, §5.1.
pub(super) const PARSE_ERROR: i32 = -32_700;
/// Likewise.
pub(super) const INVALID_REQUEST: i32 = -32_600;
/// There is no answer, or none that can be passed on; as the gateway's own.
pub(super) const NO_ANSWER: i32 = -32_011;

/// A request's id: the JSON of a string or a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(String);

impl Id {
    fn read(raw: &RawValue) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
        if value.is_string() {
            // However its letters were escaped.
            return Some(Self(value.to_string()));
        }
        value.is_number().then(|| Self(raw.get().to_owned()))
    }
}

/// A message of the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// The revision that the message itself names.
    pub(super) version: Option<String>,
    /// What `Mcp-Name` repeats of it.
    pub(super) name: Option<String>,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Wants an answer.
    Request { id: Id, method: String },
    /// Wants none. It may be about a request.
    Notification { method: String, about: Option<Id> },
    /// Is one.
    Answer,
}

/// A line that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    /// Not JSON.
    #[error("the message is not JSON in UTF-8, or has a member twice")]
    Json,
    /// JSON, but not one message.
    #[error("a line is one JSON-RPC message: an object, and no batch")]
    NotOne,
}

impl MessageError {
    /// Its code in JSON-RPC.
    pub(super) const fn code(self) -> i32 {
        match self {
            Self::Json => PARSE_ERROR,
            Self::NotOne => INVALID_REQUEST,
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Of parameters, what headers repeat. Any of it may be of another type than it should.
#[derive(Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestId")]
    request: Option<&'a RawValue>,
}

impl Message {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// [`MessageError`].
    pub(super) fn read(line: &[u8]) -> Result<Self, MessageError> {
        if serde_json::from_slice::<&RawValue>(line).is_err() {
            return Err(MessageError::Json);
        }
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err(MessageError::NotOne);
        }
        let envelope: Envelope<'_> =
            serde_json::from_slice(line).map_err(|_| MessageError::Json)?;
        let params = envelope.params.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let params: Params<'_> = params.unwrap_or_default();
        let id = envelope.id.and_then(Id::read);
        let name = match envelope.method.as_deref() {
            Some("tools/call" | "prompts/get") => params.name.and_then(text),
            Some("resources/read") => params.uri.and_then(text),
            Some(_) | None => None,
        };
        let about = params.request.and_then(Id::read);
        let kind = match (envelope.method, id) {
            (Some(method), Some(id)) => Kind::Request { id, method },
            (Some(method), None) => Kind::Notification { method, about },
            (None, _) => Kind::Answer,
        };
        Ok(Self { kind, version: params.meta.and_then(version), name })
    }

    /// The method, unless it is an answer.
    pub(super) fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method, .. } => Some(method),
            Kind::Answer => None,
        }
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn version(meta: &RawValue) -> Option<String> {
    let meta: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(meta.get()).ok()?;
    Some(meta.get(META_VERSION)?.as_str()?.to_owned())
}

/// What came back for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back<'a> {
    /// Its answer.
    Answer,
    /// An error that does not say what it is of.
    ErrorOfNone(&'a str),
    /// Something else.
    Other,
}

/// Says what a message is to the request with this id.
pub(super) fn back<'a>(id: &Id, message: &'a [u8]) -> Back<'a> {
    let Ok(envelope) = serde_json::from_slice::<Envelope<'a>>(message) else {
        return Back::Other;
    };
    let is_answer = envelope.jsonrpc.as_deref() == Some("2.0")
        && envelope.method.is_none()
        && envelope.result.is_some() != envelope.error.is_some();
    match (envelope.id.and_then(Id::read), envelope.error) {
        (Some(of), _) if is_answer && of == *id => Back::Answer,
        // What refused it did not read it so far, or is a server that makes ids up.
        (_, Some(error)) if is_answer => Back::ErrorOfNone(error.get()),
        _ => Back::Other,
    }
}

/// The sentence of an error, if that is what a message is.
pub(super) fn sentence(message: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    let answer: Answer = serde_json::from_slice(message).ok()?;
    Some(answer.error.message)
}

/// The revision that the answer to an `initialize` settles.
pub(super) fn settled(message: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        result: Settled,
    }
    #[derive(Deserialize)]
    struct Settled {
        #[serde(rename = "protocolVersion")]
        version: String,
    }
    let answer: Answer = serde_json::from_slice(message).ok()?;
    Some(answer.result.version)
}

/// An error of our own, as a line.
pub(super) fn error(id: Option<&Id>, code: i32, message: &str) -> Bytes {
    let error = serde_json::json!({ "code": code, "message": message });
    with_id(id, &error.to_string())
}

/// An error with the id of what it is of, as a line; `error` is one line of JSON.
pub(super) fn with_id(id: Option<&Id>, error: &str) -> Bytes {
    let id = id.map_or("null", |id| &id.0);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n").into()
}

#[cfg(test)]
mod tests {
    use super::{Back, Id, Kind, Message, MessageError, back, error, settled};

    fn id(json: &str) -> Id {
        Id(json.to_owned())
    }

    #[test]
    fn a_line_is_a_request_a_notification_or_an_answer() {
        let request = |json: &str| Kind::Request { id: id(json), method: "ping".to_owned() };
        let about = |about: Option<&str>| Kind::Notification {
            method: "ping".to_owned(),
            about: about.map(id),
        };
        for (line, want) in [
            (r#"{"id":1,"method":"ping"}"#, Ok(request("1"))),
            (r#"{"method":"ping","id":"a\u0062","x":[]}"#, Ok(request("\"ab\""))),
            (r#"{"id":9007199254740993,"method":"ping"}"#, Ok(request("9007199254740993"))),
            (r#"{"method":"ping"}"#, Ok(about(None))),
            (r#"{"id":null,"method":"ping","params":[1]}"#, Ok(about(None))),
            (r#"{"method":"ping","params":{"requestId":7}}"#, Ok(about(Some("7")))),
            (r#"{"id":1,"result":{}}"#, Ok(Kind::Answer)),
            (r#"{"id":1,"error":{"code":1,"message":""}}"#, Ok(Kind::Answer)),
            (r#"[{"id":1,"method":"ping"}]"#, Err(MessageError::NotOne)),
            ("7", Err(MessageError::NotOne)),
            (r#"{"id":1,"id":2,"method":"ping"}"#, Err(MessageError::Json)),
            (r#"{"id":1,"method":7}"#, Err(MessageError::Json)),
            (r#"{"id":1"#, Err(MessageError::Json)),
            (r#"{} {}"#, Err(MessageError::Json)),
        ] {
            let got = Message::read(line.as_bytes()).map(|message| message.kind);
            assert_eq!(got, want, "line = {line}");
        }
    }

    #[test]
    fn headers_repeat_what_the_message_says() {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let (now, none) = (Some("2026-07-28"), None);
        for (method, params, want) in [
            ("tools/call", format!(r#"{{"name":"push",{meta}}}"#), (now, Some("push"))),
            ("prompts/get", r#"{"name":"é"}"#.to_owned(), (none, Some("é"))),
            (
                "resources/read",
                r#"{"uri":"file:///x","name":"y"}"#.to_owned(),
                (none, Some("file:///x")),
            ),
            ("tools/list", format!(r#"{{"name":"push",{meta}}}"#), (now, None)),
            ("tools/call", r#"{"name":7,"_meta":[]}"#.to_owned(), (none, None)),
            ("tools/call", "[]".to_owned(), (none, None)),
        ] {
            let line = format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#);
            let message = Message::read(line.as_bytes()).unwrap();
            let got = (message.version.as_deref(), message.name.as_deref());
            assert_eq!(got, want, "line = {line}");
        }
    }

    #[test]
    fn only_an_answer_to_the_request_is_its_answer() {
        for (members, want) in [
            (r#""id":"a","result":{}"#, Back::Answer),
            (r#""id":"\u0061","error":{"code":1}"#, Back::Answer),
            (r#""id":"b","result":{}"#, Back::Other), // somebody else's
            (r#""id":null,"error":{"code":1}"#, Back::ErrorOfNone(r#"{"code":1}"#)),
            (r#""error":{"code":1}"#, Back::ErrorOfNone(r#"{"code":1}"#)),
            (r#""id":"server-error","error":{}"#, Back::ErrorOfNone("{}")),
            (r#""id":"a","method":"ping""#, Back::Other),
            (r#""id":"a","result":{},"error":{}"#, Back::Other), // two readers
            (r#""method":"notifications/progress""#, Back::Other),
        ] {
            let message = format!(r#"{{"jsonrpc":"2.0",{members}}}"#);
            assert_eq!(back(&id("\"a\""), message.as_bytes()), want, "message = {message}");
        }
        for message in
            [r#"{"id":"a","result":{}}"#, r#"{"type":"error","error":{"message":"x"}}"#, "[]"]
        {
            let got = back(&id("\"a\""), message.as_bytes());
            assert_eq!(got, Back::Other, "no JSON-RPC: {message}");
        }
    }

    #[test]
    fn what_an_initialize_settles() {
        for (message, want) in [
            (r#"{"id":1,"result":{"protocolVersion":"2025-11-25"}}"#, Some("2025-11-25")),
            (r#"{"id":1,"error":{"code":1}}"#, None),
            (r#"{"id":1,"result":{"protocolVersion":1}}"#, None),
        ] {
            assert_eq!(settled(message.as_bytes()).as_deref(), want, "message = {message}");
        }
    }

    #[test]
    fn errors_are_lines_with_the_requests_id() {
        let line = error(Some(&id("\"a\"")), -32_011, "no \"answer\"\n");
        let want =
            r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32011,"message":"no \"answer\"\n"}}"#;
        assert_eq!(line, format!("{want}\n"));
        assert!(error(None, -32_700, "x").starts_with(br#"{"jsonrpc":"2.0","id":null,"#));
    }
}
