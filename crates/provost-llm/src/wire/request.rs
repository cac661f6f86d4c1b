//! The few fields of a request body that are decided on, found in one pass over its bytes.
//!
//! The body itself goes upstream unchanged, so this reader must not see another request than
//! the upstream will: a field we decide on that is given twice, or in another case, is refused,
//! and so is anything before or after the one JSON object. All else is left alone, unread.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};

use provost_gateway::{CORRELATION_BYTES_MAX, printable};

/// Longest model name. Unit: bytes. Ours: the longest in use is below 80.
pub(crate) const MODEL_BYTES_MAX: usize = 256;

/// Largest `max_tokens` that can be recorded. Unit: tokens. Source: integers of canonical JSON
/// are exact below 2^53 (RFC 8785 §3.2.2.3).
pub(crate) const MAX_TOKENS_MAX: i64 = (1 << 53) - 1;

/// What a request asks for, as far as we decide on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The model asked for.
    pub(crate) model: String,
    /// Whether the answer is to be an event stream.
    pub(crate) stream: bool,
    /// The bound on the answer. Unit: tokens.
    pub(crate) max_tokens: Option<i64>,
    /// How many tools are offered to the model.
    pub(crate) tools: usize,
    /// The client's own session id, from `metadata.user_id`.
    pub(crate) client_session: Option<String>,
}

/// Why a body is not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// Some byte is not UTF-8.
    #[error("the body is not UTF-8 at byte {at}: send JSON in UTF-8")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A byte order mark comes first.
    #[error("the body begins with a byte order mark: leave it out")]
    ByteOrderMark,
    /// The first thing in the body is not `{`.
    #[error("the body is not a JSON object: send one object with `model` and `messages`")]
    NotAnObject,
    /// The JSON is broken, cut short, or followed by something.
    #[error("the body is not one JSON object: it breaks at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1. Unit: bytes.
        column: usize,
    },
    /// Two readers may disagree on which one counts.
    #[error("`{0}` is given twice: give it once")]
    Twice(Field),
    /// A reader that folds case would take it for the field.
    #[error("a field differs from `{0}` in upper and lower case only: write `{0}`")]
    Case(Field),
    /// A field we decide on has a value we cannot decide on.
    #[error("{}", .0.fix())]
    Value(Field),
}

/// A field that is decided on or recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Model,
    Stream,
    MaxTokens,
    Tools,
    Metadata,
}

impl Field {
    const ALL: [Self; 5] =
        [Self::Model, Self::Stream, Self::MaxTokens, Self::Tools, Self::Metadata];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::MaxTokens => "max_tokens",
            Self::Tools => "tools",
            Self::Metadata => "metadata",
        }
    }

    const fn fix(self) -> &'static str {
        match self {
            Self::Model => "`model` must name a model: 1 to 256 visible ASCII characters",
            Self::Stream => "`stream` must be true or false",
            Self::MaxTokens => {
                "`max_tokens` must be a whole number from 0 to 9007199254740991, without a \
                 fraction or an exponent"
            }
            Self::Tools => "`tools` must be an array",
            Self::Metadata => "`metadata` must be JSON",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the body of a Messages request.
///
/// # Errors
///
/// [`RequestError`], which names what is wrong and how to put it right.
pub(crate) fn read(body: &[u8]) -> Result<Request, RequestError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| RequestError::NotUtf8 { at: error.valid_up_to() })?;
    if text.starts_with('\u{feff}') {
        return Err(RequestError::ByteOrderMark);
    }
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(RequestError::NotAnObject);
    }
    let mut found = Found::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(Reader(&mut found)).and_then(|()| json.end());
    match read {
        Ok(()) => found.check(),
        Err(error) => Err(found.error(&error)),
    }
}

/// The fields as they were found, and where reading stands.
#[derive(Default)]
struct Found<'a> {
    model: Option<Option<String>>,
    stream: Option<Option<bool>>,
    max_tokens: Option<Option<i64>>,
    // `IgnoredAny` has no size: the vector counts and holds nothing.
    tools: Option<Option<Vec<IgnoredAny>>>,
    metadata: Option<&'a RawValue>,
    reading: Option<Field>,
    refused: Option<RequestError>,
}

impl Found<'_> {
    fn check(self) -> Result<Request, RequestError> {
        let model = self.model.flatten().unwrap_or_default();
        if !printable(&model, MODEL_BYTES_MAX) {
            return Err(RequestError::Value(Field::Model));
        }
        let max_tokens = self.max_tokens.flatten();
        if max_tokens.is_some_and(|tokens| !(0..=MAX_TOKENS_MAX).contains(&tokens)) {
            return Err(RequestError::Value(Field::MaxTokens));
        }
        Ok(Request {
            model,
            stream: self.stream.flatten().unwrap_or_default(),
            max_tokens,
            tools: self.tools.flatten().map_or(0, |tools| tools.len()),
            client_session: self.metadata.and_then(client_session),
        })
    }

    fn error(&self, error: &serde_json::Error) -> RequestError {
        match (self.refused, error.classify(), self.reading) {
            (Some(refused), _, _) => refused,
            (None, Category::Data, Some(field)) => RequestError::Value(field),
            _ => RequestError::NotJson { line: error.line(), column: error.column() },
        }
    }
}

struct Reader<'a, 'de>(&'a mut Found<'de>);

impl<'de> Visitor<'de> for Reader<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(found) = self;
        while let Some(key) = map.next_key()? {
            let field = match key {
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                Key::Miscased(field) => {
                    found.refused = Some(RequestError::Case(field));
                    return Err(A::Error::custom("refused"));
                }
                Key::Field(field) => field,
            };
            found.reading = Some(field);
            let twice = match field {
                Field::Model => found.model.replace(map.next_value()?).is_some(),
                Field::Stream => found.stream.replace(map.next_value()?).is_some(),
                Field::MaxTokens => found.max_tokens.replace(map.next_value()?).is_some(),
                Field::Tools => found.tools.replace(map.next_value()?).is_some(),
                Field::Metadata => found.metadata.replace(map.next_value()?).is_some(),
            };
            found.reading = None;
            if twice {
                found.refused = Some(RequestError::Twice(field));
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// A key of the outermost object.
enum Key {
    Field(Field),
    Miscased(Field),
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyReader)
    }
}

struct KeyReader;

impl Visitor<'_> for KeyReader {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
        let alike = Field::ALL.into_iter().find(|f| f.as_str().eq_ignore_ascii_case(text));
        Ok(match alike {
            Some(field) if field.as_str() == text => Key::Field(field),
            Some(field) => Key::Miscased(field),
            None => Key::Other,
        })
    }
}

/// The session id inside `metadata.user_id`, which is itself a JSON text.
///
/// Anything else there is the client's business: it is kept nowhere and refuses nothing.
fn client_session(metadata: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        user_id: String,
    }
    #[derive(Deserialize)]
    struct UserId {
        session_id: String,
    }
    let metadata: Metadata = serde_json::from_str(metadata.get()).ok()?;
    let user_id: UserId = serde_json::from_str(&metadata.user_id).ok()?;
    printable(&user_id.session_id, CORRELATION_BYTES_MAX).then_some(user_id.session_id)
}

#[cfg(test)]
mod tests;
