//! A hook's post: the JSON that a command hook gets on its standard input. No I/O.
//!
//! Lenient where nothing depends on it: events and fields nobody knows yet pass. Strict where
//! something is decided: a field given twice, or a tool call without its parts, is malformed.

use provost_gateway::{CORRELATION_BYTES_MAX, printable};
use provost_pipeline::{Malformed, MalformedKind};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest name of an event. Unit: bytes. Ours: the longest in use has 19.
const EVENT_BYTES_MAX: usize = 64;

/// How much is told of why a body cannot be read. Unit: characters. Ours: it repeats the body.
const WHY_CHARS_MAX: usize = 200;

/// What was posted.
#[derive(Debug)]
pub(crate) struct Post {
    /// The event's name, such as `PreToolUse`.
    pub(crate) event: String,
    /// The client's own session.
    pub(crate) client_session: Option<String>,
    /// The subagent it speaks for.
    pub(crate) subagent: Option<String>,
    /// The call's id, where there is one.
    pub(crate) tool_use: Option<String>,
    pub(crate) about: About,
}

/// What it is about, as far as something follows from it.
#[derive(Debug)]
pub(crate) enum About {
    /// A tool call that is about to be made.
    Call { id: String, name: String, input: Box<RawValue>, folder: Option<String> },
    /// What came of one.
    Result { id: String, failed: bool, result: Box<RawValue> },
    /// Something else.
    Other,
}

#[derive(Deserialize)]
struct Fields {
    hook_event_name: String,
    session_id: Option<Box<RawValue>>,
    agent_id: Option<Box<RawValue>>,
    cwd: Option<Box<RawValue>>,
    tool_name: Option<Box<RawValue>>,
    tool_use_id: Option<Box<RawValue>>,
    tool_input: Option<Box<RawValue>>,
    tool_response: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

impl Post {
    /// Reads a post.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the field and how to put it right.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let fields: Fields = serde_json::from_slice(body).map_err(|error| {
            let why: String = error.to_string().chars().take(WHY_CHARS_MAX).collect();
            malformed(&format!("the body is no hook's JSON: {why}"))
        })?;
        if !printable(&fields.hook_event_name, EVENT_BYTES_MAX) {
            return Err(malformed("`hook_event_name` must be a name of at most 64 letters"));
        }
        let id = |id: &Option<Box<RawValue>>| {
            text(id.as_deref()).filter(|id| printable(id, CORRELATION_BYTES_MAX))
        };
        Ok(Self {
            client_session: id(&fields.session_id),
            subagent: id(&fields.agent_id),
            tool_use: id(&fields.tool_use_id),
            event: fields.hook_event_name.clone(),
            about: About::of(fields)?,
        })
    }
}

impl About {
    fn of(fields: Fields) -> Result<Self, Malformed> {
        let event = fields.hook_event_name;
        let missing = |field: &str| malformed(&format!("{event} needs `{field}`"));
        let id = || {
            let id =
                text(fields.tool_use_id.as_deref()).ok_or_else(|| missing("tool_use_id"))?;
            match printable(&id, CORRELATION_BYTES_MAX) {
                true => Ok(id),
                false => Err(malformed("`tool_use_id` must be an id of at most 128 letters")),
            }
        };
        match event.as_str() {
            "PreToolUse" => Ok(Self::Call {
                id: id()?,
                name: text(fields.tool_name.as_deref()).ok_or_else(|| missing("tool_name"))?,
                input: fields.tool_input.ok_or_else(|| missing("tool_input"))?,
                folder: text(fields.cwd.as_deref()),
            }),
            "PostToolUse" => {
                let result = fields.tool_response.ok_or_else(|| missing("tool_response"))?;
                Ok(Self::Result { id: id()?, failed: false, result })
            }
            "PostToolUseFailure" => {
                let result = fields.error.ok_or_else(|| missing("error"))?;
                Ok(Self::Result { id: id()?, failed: true, result })
            }
            _ => Ok(Self::Other),
        }
    }
}

/// The text that `raw` is, if it is one.
fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

fn malformed(message: &str) -> Malformed {
    Malformed { message: message.to_owned(), kind: MalformedKind::Syntax }
}

#[cfg(test)]
mod tests;
