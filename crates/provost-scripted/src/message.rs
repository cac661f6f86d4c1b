//! Messages API replies in wire form: one message as JSON or as server-sent events.
//!
//! Field order follows the real API (`type` first in events), since readers take shortcuts.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::{Play, Step};

/// What one reply used. Unit: tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Input at full price.
    #[serde(rename = "input_tokens")]
    pub input: u64,
    /// Input written to the prompt cache.
    #[serde(rename = "cache_creation_input_tokens")]
    pub cache_write: u64,
    /// Input read from the prompt cache.
    #[serde(rename = "cache_read_input_tokens")]
    pub cache_read: u64,
    /// Output.
    #[serde(rename = "output_tokens")]
    pub output: u64,
}

/// One content block of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// `text`
    Text {
        /// The words.
        text: String,
    },
    /// `tool_use`
    ToolUse {
        /// `toolu_…`
        id: String,
        /// The tool's name.
        name: String,
        /// The tool's arguments.
        input: Value,
    },
}

/// One reply of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `msg_…`
    pub id: String,
    /// The model that is said to have answered.
    pub model: String,
    /// What it says.
    pub blocks: Vec<Block>,
    /// `end_turn`, `tool_use`, …
    pub stop_reason: &'static str,
    /// What it used; left out of the wire form if absent.
    pub tokens: Option<Tokens>,
}

impl Message {
    /// A reply that says `text` and ends the turn.
    pub fn text(model: &str, text: impl Into<String>) -> Self {
        Self::of(model, "end_turn", Block::Text { text: text.into() })
    }

    /// A reply that calls one tool.
    pub fn tool_use(model: &str, id: &str, name: &str, input: Value) -> Self {
        let (id, name) = (id.to_owned(), name.to_owned());
        Self::of(model, "tool_use", Block::ToolUse { id, name, input })
    }

    fn of(model: &str, stop_reason: &'static str, block: Block) -> Self {
        let tokens = Tokens { input: 25, cache_write: 0, cache_read: 0, output: 12 };
        Self {
            id: "msg_01Scripted0000000000001".to_owned(),
            model: model.to_owned(),
            blocks: vec![block],
            stop_reason,
            tokens: Some(tokens),
        }
    }

    /// The reply in the form that was asked for, without any fault.
    pub fn play(&self, stream: bool) -> Play {
        if stream {
            Play::stream(self.events().into_iter().map(Step::Send))
        } else {
            Play::json(StatusCode::OK, self.json())
        }
    }

    /// The `application/json` form.
    pub fn json(&self) -> Bytes {
        wire(&self.envelope(&self.blocks, Some(self.stop_reason), self.tokens))
    }

    /// The `text/event-stream` form, one item per event.
    pub fn events(&self) -> Vec<Bytes> {
        let first = self.tokens.map(|tokens| Tokens { output: 1, ..tokens });
        let message = self.envelope(&[], None, first);
        let mut events = vec![Event::MessageStart { message }.frame()];
        for (index, block) in self.blocks.iter().enumerate() {
            let (content_block, deltas) = block.in_deltas();
            events.push(Event::ContentBlockStart { index, content_block }.frame());
            if index == 0 {
                events.push(Event::Ping.frame());
            }
            let deltas = deltas.iter().map(|delta| Event::ContentBlockDelta { index, delta });
            events.extend(deltas.map(|event| event.frame()));
            events.push(Event::ContentBlockStop { index }.frame());
        }
        let delta = Ending { stop_reason: Some(self.stop_reason), stop_sequence: () };
        events.push(Event::MessageDelta { delta, usage: self.tokens }.frame());
        events.push(Event::MessageStop.frame());
        events
    }

    fn envelope<'a>(
        &'a self,
        content: &'a [Block],
        stop_reason: Option<&'static str>,
        usage: Option<Tokens>,
    ) -> Envelope<'a> {
        Envelope {
            model: &self.model,
            id: &self.id,
            kind: "message",
            role: "assistant",
            content,
            ending: Ending { stop_reason, stop_sequence: () },
            usage,
        }
    }
}

impl Block {
    /// The block as it starts, empty, and the pieces that fill it.
    fn in_deltas(&self) -> (Self, Vec<Delta>) {
        match self {
            Self::Text { text } => {
                let words = text.split_inclusive(' ');
                let deltas = words.map(|word| Delta::TextDelta { text: word.to_owned() });
                (Self::Text { text: String::new() }, deltas.collect())
            }
            Self::ToolUse { id, name, input } => {
                let json: Vec<char> = input.to_string().chars().collect();
                let pieces = json.chunks(12).map(String::from_iter);
                let deltas = pieces.map(|partial_json| Delta::InputJsonDelta { partial_json });
                let input = Value::Object(serde_json::Map::new());
                let empty = Self::ToolUse { id: id.clone(), name: name.clone(), input };
                (empty, deltas.collect())
            }
        }
    }
}

/// One text delta event of block 0.
pub(crate) fn text_delta(text: &str) -> Bytes {
    let delta = Delta::TextDelta { text: text.to_owned() };
    Event::ContentBlockDelta { index: 0, delta: &delta }.frame()
}

/// An error reply's body; `type` follows from the status.
pub fn error_body(status: StatusCode, message: &str) -> Bytes {
    wire(&ErrorEnvelope::new(error_kind(status), message))
}

/// An `event: error`, as sent when a stream fails after its head.
pub fn error_event(status: StatusCode, message: &str) -> Bytes {
    frame("error", &wire(&ErrorEnvelope::new(error_kind(status), message)))
}

/// Source: the Messages API's error table (platform.claude.com, "Errors"), November 2026.
fn error_kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    model: &'a str,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    content: &'a [Block],
    #[serde(flatten)]
    ending: Ending,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Serialize)]
struct Ending {
    stop_reason: Option<&'static str>,
    stop_sequence: (), // JSON null
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    TextDelta { text: String },
    InputJsonDelta { partial_json: String },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart {
        message: Envelope<'a>,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    Ping,
    ContentBlockDelta {
        index: usize,
        delta: &'a Delta,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: Ending,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Tokens>,
    },
    MessageStop,
}

impl Event<'_> {
    fn frame(&self) -> Bytes {
        let name = match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::Ping => "ping",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        };
        frame(name, &wire(self))
    }
}

#[derive(Serialize)]
struct ErrorEnvelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl<'a> ErrorEnvelope<'a> {
    fn new(kind: &'static str, message: &'a str) -> Self {
        Self { kind: "error", error: ErrorDetail { kind, message } }
    }
}

fn frame(name: &str, json: &[u8]) -> Bytes {
    [b"event: ", name.as_bytes(), b"\ndata: ", json, b"\n\n"].concat().into()
}

/// Our own structures hold nothing that JSON cannot.
fn wire(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
