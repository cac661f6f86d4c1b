//! What an answer says about itself: model, usage, stop reason, tool calls, errors.
//!
//! Read beside the bytes as they pass, and lenient: an answer that cannot be read still
//! passes, and the record says that it was not read.

use http::StatusCode;
use provost_gateway::sse;
use provost_types::{Status, ToolUse, Usage};
use serde::Deserialize;

/// Largest JSON answer that is read. Unit: bytes. Ours: 128,000 tokens of text are below 1 MiB.
pub(crate) const WHOLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most tool calls recorded of one answer. Ours: real answers have a handful.
pub(crate) const TOOL_USES_MAX: usize = 128;

/// Longest text recorded of an answer. Unit: characters. Source: tool names are at most 128
/// (Messages API reference, `tools.name`).
pub(crate) const TEXT_CHARS_MAX: usize = 128;

/// Longest data of an event that is recorded from. Unit: bytes. Ours: `message_start` is below
/// 2 KiB; what is longer (a search result inside `content_block_start`) says nothing we record.
const DATA_BYTES_MAX: usize = 64 * 1024;

/// Events that say nothing we record. They are most of a stream.
const SKIPPED: [&str; 3] = ["content_block_delta", "content_block_stop", "ping"];

/// Largest count recorded. Unit: tokens. Source: integers of canonical JSON are exact below
/// 2^53 (RFC 8785 §3.2.2.3).
const TOKENS_MAX: u64 = (1 << 53) - 1;

/// What was seen in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) usage: Option<Usage>,
    pub(crate) model: Option<String>,
    pub(crate) stop_reason: Option<String>,
    pub(crate) tool_uses: Vec<ToolUse>,
    /// The type of the error the upstream reported.
    pub(crate) error: Option<String>,
    /// The message is complete: `message_stop`, or a JSON answer to its end.
    pub(crate) complete: bool,
    /// Why the answer, or a part of it, was not read.
    pub(crate) unread: Option<Unread>,
}

/// Why an answer was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// More than [`WHOLE_BYTES_MAX`].
    #[error("the answer is longer than 4 MiB")]
    TooLong,
    /// The decoder gave up.
    #[error("the answer's compression is broken or hides too much")]
    Compression,
    /// Not JSON, or cut short.
    #[error("the answer is not JSON")]
    NotJson,
    /// JSON, but a field is not what it should be.
    #[error("the answer has a form that Provost does not know")]
    Unlike,
}

/// A JSON answer, collected to be read.
#[derive(Debug, Default)]
pub(crate) struct Collected(Vec<u8>);

impl Collected {
    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// [`Unread::TooLong`]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        if self.0.len().saturating_add(bytes.len()) > WHOLE_BYTES_MAX {
            return Err(Unread::TooLong);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// All of it.
    pub(crate) fn json(self) -> Vec<u8> {
        self.0
    }
}

impl Seen {
    /// Whether a stream may end now: it is complete, or says why it is not.
    pub(crate) fn said_all(&self) -> bool {
        self.complete || self.error.is_some()
    }

    /// What was seen in two parts of one answer: what the later says counts, but for what both
    /// used and the calls of both.
    pub(crate) fn and(self, later: Self) -> Self {
        let mut both = Self { tool_uses: self.tool_uses, ..later };
        both.tool_uses.extend(later.tool_uses);
        both.tool_uses.truncate(TOOL_USES_MAX);
        both.usage = match (self.usage, later.usage) {
            (Some(one), Some(two)) => Some(Usage {
                input: one.input.saturating_add(two.input).min(TOKENS_MAX),
                output: one.output.saturating_add(two.output).min(TOKENS_MAX),
                cache_read: one.cache_read.saturating_add(two.cache_read).min(TOKENS_MAX),
                cache_write: one.cache_write.saturating_add(two.cache_write).min(TOKENS_MAX),
            }),
            (one, two) => two.or(one),
        };
        both
    }

    /// What became of an answer that was passed whole, and why it is no success.
    pub(crate) fn verdict(&self, status: StatusCode) -> (Status, Option<String>) {
        match (&self.error, self.unread) {
            (Some(error), _) => {
                (Status::Failed, Some(format!("the upstream reported {error}")))
            }
            _ if !status.is_success() => {
                (Status::Failed, Some(format!("the upstream answered {}", status.as_u16())))
            }
            (None, Some(Unread::NotJson)) => {
                (Status::Failed, Some(Unread::NotJson.to_string()))
            }
            (None, Some(why)) => {
                (Status::Succeeded, Some(format!("what it used is not known: {why}")))
            }
            (None, None) => (Status::Succeeded, None),
        }
    }

    /// Reads an answer that is one JSON value.
    pub(crate) fn take_whole(&mut self, json: &[u8]) {
        let message = match serde_json::from_slice::<Message>(json) {
            Ok(message) => message,
            Err(error) => {
                self.complete = error.is_data();
                self.unread =
                    Some(if error.is_data() { Unread::Unlike } else { Unread::NotJson });
                return;
            }
        };
        self.complete = true;
        match message.r#type.as_deref() {
            Some("message") => self.take_message(message),
            Some("error") => self.take_error(message.error),
            _ => {}
        }
    }

    /// Reads the next event of a stream.
    pub(crate) fn take(&mut self, event: &sse::Event) {
        let fits = |data: &&Vec<u8>| (1..=DATA_BYTES_MAX).contains(&data.len());
        let is_skipped = SKIPPED.contains(&event.name.as_str());
        let Some(json) = event.data.as_ref().filter(fits).filter(|_| !is_skipped) else {
            return;
        };
        let Ok(event) = serde_json::from_slice::<Event>(json) else {
            self.unread = Some(Unread::Unlike);
            return;
        };
        match event.r#type.as_str() {
            "message_start" => self.take_message(event.message.unwrap_or_default()),
            "message_delta" => {
                self.take_usage(event.usage);
                let delta = event.delta.unwrap_or_default();
                self.stop_reason =
                    delta.stop_reason.as_deref().map(text).or(self.stop_reason.take());
            }
            "content_block_start" => self.take_block(event.content_block.unwrap_or_default()),
            "message_stop" => self.complete = true,
            "error" => self.take_error(event.error),
            _ => {}
        }
    }

    fn take_message(&mut self, message: Message) {
        self.model = message.model.as_deref().map(text);
        self.stop_reason = message.stop_reason.as_deref().map(text);
        self.take_usage(message.usage);
        for block in message.content.unwrap_or_default() {
            self.take_block(block);
        }
    }

    fn take_block(&mut self, block: Block) {
        let is_call = block.r#type.is_some_and(|kind| kind.ends_with("tool_use"));
        if let (true, Some(id), Some(name)) = (is_call, block.id, block.name)
            && self.tool_uses.len() < TOOL_USES_MAX
        {
            self.tool_uses.push(ToolUse { id: text(&id), name: text(&name) });
        }
    }

    /// Counts are cumulative: what a later event says replaces what an earlier one said, and
    /// a count it leaves out, or resets, stands.
    fn take_usage(&mut self, usage: Option<Counts>) {
        let Some(counts) = usage else { return };
        let usage = self.usage.get_or_insert_default();
        for (kept, said) in [
            (&mut usage.input, counts.input_tokens),
            (&mut usage.output, counts.output_tokens),
            (&mut usage.cache_read, counts.cache_read_input_tokens),
            (&mut usage.cache_write, counts.cache_creation_input_tokens),
        ] {
            *kept = said.map_or(*kept, |said| said.min(TOKENS_MAX).max(*kept));
        }
    }

    fn take_error(&mut self, error: Option<Fault>) {
        let kind = error.and_then(|error| error.r#type);
        self.error = Some(kind.as_deref().map_or_else(|| "an error".to_owned(), text));
    }
}

/// A text of the upstream's, cut to [`TEXT_CHARS_MAX`] and freed of control characters.
fn text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    r#type: String,
    message: Option<Message>,
    delta: Option<Delta>,
    usage: Option<Counts>,
    content_block: Option<Block>,
    error: Option<Fault>,
}

#[derive(Default, Deserialize)]
struct Message {
    r#type: Option<String>,
    model: Option<String>,
    stop_reason: Option<String>,
    usage: Option<Counts>,
    content: Option<Vec<Block>>,
    error: Option<Fault>,
}

#[derive(Default, Deserialize)]
struct Delta {
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Block {
    r#type: Option<String>,
    id: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Fault {
    r#type: Option<String>,
}

#[cfg(test)]
mod tests;
