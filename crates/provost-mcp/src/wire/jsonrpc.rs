//! One JSON-RPC message: a request, a notification, a result or an error.
//!
//! A client's message is read whole before anything is decided; of a server's, the envelope.

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::json::{self, JsonError, Members};

/// Longest id. Unit: bytes. Ours: clients count, or send a UUID of 36.
pub(crate) const ID_BYTES_MAX: usize = 256;

/// Longest method. Unit: bytes. Ours: the longest there is has about 40.
const METHOD_BYTES_MAX: usize = 128;

/// What ties an answer to its request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Id {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Id {
    /// The id that this JSON is.
    pub(crate) fn of(json: &str) -> Option<Self> {
        Self::read(serde_json::from_str(json).ok()?)
    }

    fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        if text.starts_with('"') {
            return json::string(raw).filter(|id| id.len() <= ID_BYTES_MAX).map(Self::Text);
        }
        text.parse().ok().filter(|_| text != "-0").map(Self::Number)
    }
}

impl fmt::Display for Id {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => {
                f.write_str(&serde_json::Value::from(text.as_str()).to_string())
            }
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Asks for something and wants an answer.
    Request {
        /// What the answer will bear.
        id: Id,
        /// What is asked.
        method: String,
        /// With what.
        params: Params,
    },
    /// Tells something and wants no answer.
    Notification {
        /// What is told.
        method: String,
        /// With what.
        params: Params,
    },
    /// Answers a request.
    Answer {
        /// Which; an error may not know.
        id: Option<Id>,
        /// In what way.
        answer: Answer,
    },
}

/// An answer, as the JSON that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was done.
    Result(String),
    /// It was not.
    Error(String),
}

/// What a message comes with: nothing, or an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    raw: Option<String>,
}

impl Params {
    /// Those that this JSON holds.
    pub(crate) fn of(json: String) -> Self {
        Self { raw: Some(json) }
    }

    /// All of them, as the JSON that came.
    pub(crate) fn text(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// The member of this name, as the JSON that came.
    pub(crate) fn raw(&self, name: &str) -> Option<String> {
        let members = json::members(self.raw.as_deref()?).ok()?;
        json::member(&members, name).map(|raw| raw.get().to_owned())
    }

    /// The member of this name, if it is a string.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        let members = json::members(self.raw.as_deref()?).ok()?;
        json::member(&members, name).and_then(json::string)
    }

    /// A member of the member of this name, if it is a string.
    pub(crate) fn string_in(&self, outer: &str, name: &str) -> Option<String> {
        let outer = Self { raw: self.raw(outer) };
        outer.string(name)
    }
}

/// Why bytes are not one message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    /// Not JSON, or JSON with two meanings.
    #[error("the message cannot be read: {0}")]
    Json(#[from] JsonError),
    /// Several in one array.
    #[error("a batch is not possible: send one message in each request")]
    Batch,
    /// The wrong protocol, or none.
    #[error("`jsonrpc` must be \"2.0\"")]
    Version,
    /// An id that is none.
    #[error("`id` must be a whole number, or a text of at most {ID_BYTES_MAX} bytes")]
    Id,
    /// A method that is none.
    #[error("`method` must be 1 to {METHOD_BYTES_MAX} visible ASCII characters")]
    Method,
    /// Parameters that are none.
    #[error("`params` must be an object")]
    Params,
    /// A reader that folds case would take it for another field.
    #[error("a field differs from `{0}` in upper and lower case only: write `{0}`")]
    Case(&'static str),
    /// Neither a request nor an answer, or both.
    #[error(
        "the message is neither a request nor an answer: give either `method`, or `id` and one of `result` and `error`"
    )]
    Neither,
}

/// The members that envelopes have.
const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// The members of parameters that are decided on.
const DECIDED_ON: &[&str] =
    &["name", "arguments", "uri", "ref", "_meta", "task", "inputResponses", "requestState"];

/// Reads what a client sends: every reader gets the same out of it, or it is refused.
///
/// # Errors
///
/// [`MessageError`], which says what to put right.
pub(crate) fn read_asked(body: &[u8]) -> Result<Message, MessageError> {
    let text = json::one_meaning(body)?;
    let message = read(text)?;
    if let Message::Request { params, .. } | Message::Notification { params, .. } = &message
        && let Some(raw) = &params.raw
    {
        check_case(&json::members(raw)?, DECIDED_ON)?;
    }
    Ok(message)
}

/// Reads what a server sends. What a result holds is not looked at.
///
/// # Errors
///
/// [`MessageError`].
pub(crate) fn read_told(body: &[u8]) -> Result<Message, MessageError> {
    read(json::text_of(body)?)
}

fn read(text: &str) -> Result<Message, MessageError> {
    if text.trim_start().starts_with('[') {
        return Err(MessageError::Batch);
    }
    let members = json::members(text)?;
    check_case(&members, ENVELOPE)?;
    let member = |name| json::member(&members, name);
    if member("jsonrpc").and_then(json::string).as_deref() != Some("2.0") {
        return Err(MessageError::Version);
    }
    let id = match member("id") {
        Some(raw) if raw.get() != "null" => Some(Id::read(raw).ok_or(MessageError::Id)?),
        // An error may not know what it is an answer to.
        Some(_) if member("error").is_none() => return Err(MessageError::Id),
        _ => None,
    };
    match (member("method"), member("result"), member("error")) {
        (Some(method), None, None) => {
            let method = json::string(method).filter(|method| is_method(method));
            let method = method.ok_or(MessageError::Method)?;
            let params = params(member("params"))?;
            Ok(match id {
                Some(id) => Message::Request { id, method, params },
                None => Message::Notification { method, params },
            })
        }
        (None, Some(result), None) if id.is_some() => {
            Ok(Message::Answer { id, answer: Answer::Result(result.get().to_owned()) })
        }
        (None, None, Some(error)) => {
            Ok(Message::Answer { id, answer: Answer::Error(error.get().to_owned()) })
        }
        _ => Err(MessageError::Neither),
    }
}

fn is_method(method: &str) -> bool {
    (1..=METHOD_BYTES_MAX).contains(&method.len())
        && method.bytes().all(|byte| byte.is_ascii_graphic())
}

fn params(raw: Option<&RawValue>) -> Result<Params, MessageError> {
    match raw {
        None => Ok(Params::default()),
        Some(raw) if json::is_object(raw.get()) => {
            Ok(Params { raw: Some(raw.get().to_owned()) })
        }
        Some(_) => Err(MessageError::Params),
    }
}

/// Readers that fold case take `Name` for `name`, and then the last of both.
fn check_case(members: &Members<'_>, known: &[&'static str]) -> Result<(), MessageError> {
    for (key, _) in members {
        let alike = known.iter().find(|name| folds_to(key, name));
        if let Some(name) = alike.filter(|name| *name != key) {
            return Err(MessageError::Case(name));
        }
    }
    Ok(())
}

/// Whether a reader that folds case takes `key` for `name`, which is ASCII. Two letters beyond
/// ASCII fold into it. Source: Unicode CaseFolding.txt, U+017F and U+212A.
pub(crate) fn folds_to(key: &str, name: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

/// A request of our own.
pub(crate) fn request(id: &Id, method: &str, params: &str) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into()
}

/// A result, as an answer to a request.
pub(crate) fn result(id: Option<&Id>, result: &str) -> Bytes {
    let id = shown(id);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into()
}

/// The result of a call that was not made, in words for the model.
pub(crate) fn failed_call(id: &Id, message: &str, is_typed: bool) -> Bytes {
    let message = serde_json::Value::from(message);
    let kind = if is_typed { r#","resultType":"complete""# } else { "" };
    let content = format!(r#""content":[{{"type":"text","text":{message}}}]"#);
    result(Some(id), &format!(r#"{{{content},"isError":true{kind}}}"#))
}

/// An error, as an answer to a request, or to none that can be named.
pub(crate) fn error(id: Option<&Id>, code: i32, message: &str) -> Bytes {
    let (id, message) = (shown(id), serde_json::Value::from(message));
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#)
        .into()
}

fn shown(id: Option<&Id>) -> String {
    id.map_or_else(|| "null".to_owned(), Id::to_string)
}

#[cfg(test)]
mod tests;
