//! The gate in an answer that comes whole: the same as in a stream, on one JSON value.

use serde_json::{Value, json};

use super::{gate::Call, turn};

/// A message that asks for tool calls.
#[derive(Debug)]
pub(crate) struct Whole {
    message: Value,
    /// The blocks as the model said them.
    said: Vec<Value>,
    denied: Vec<(String, String)>,
    allowed: usize,
}

impl Whole {
    /// The message in `json`; `None` if it asks for no calls, and may pass as it is.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let message: Value = serde_json::from_slice(json).ok()?;
        let said = message.get("content")?.as_array()?.clone();
        let this = Self { message, said, denied: Vec::new(), allowed: 0 };
        (!this.calls().is_empty()).then_some(this)
    }

    /// Its calls, with the places of their blocks.
    pub(crate) fn calls(&self) -> Vec<(usize, Call)> {
        let call = |(place, block): (usize, &Value)| {
            let text = |name| block.get(name).and_then(Value::as_str).unwrap_or_default();
            let input = block.get("input").map(Value::to_string).unwrap_or_default();
            let call = Call { id: text("id").to_owned(), name: text("name").to_owned(), input };
            (text("type") == "tool_use").then_some((place, call))
        };
        self.said.iter().enumerate().filter_map(call).collect()
    }

    /// The call may leave.
    pub(crate) fn allow(&mut self) {
        self.allowed = self.allowed.saturating_add(1);
    }

    /// The call at `place` may not leave: `why`, as a text in its place.
    pub(crate) fn deny(&mut self, place: usize, id: String, why: &str) {
        self.denied.push((id, why.to_owned()));
        if let Some(block) = self.message.pointer_mut(&format!("/content/{place}")) {
            *block = json!({"type": "text", "text": why});
        }
    }

    /// Whether the message is as it came.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.denied.is_empty()
    }

    /// Whether the model waits for results of calls none of which may leave.
    pub(crate) fn is_stuck(&self) -> bool {
        let reason = self.message.get("stop_reason").and_then(Value::as_str);
        self.allowed == 0 && !self.denied.is_empty() && reason == Some("tool_use")
    }

    /// The turn and its results, as two messages.
    pub(crate) fn messages(&self) -> [Value; 2] {
        turn::messages(&self.said, &self.denied)
    }

    /// Ends the turn as if the model had.
    pub(crate) fn close(&mut self) {
        if let Some(reason) = self.message.get_mut("stop_reason") {
            *reason = json!("end_turn");
        }
    }

    /// The message as it may leave.
    pub(crate) fn json(&self) -> Vec<u8> {
        self.message.to_string().into_bytes()
    }

    /// What may leave of this message before what `next` says; `next` is JSON.
    pub(crate) fn before(&self, next: &[u8]) -> Option<Vec<u8>> {
        let mut next: Value = serde_json::from_slice(next).ok()?;
        let mut content = self.message.get("content")?.as_array()?.clone();
        content.extend(next.get("content")?.as_array()?.iter().cloned());
        *next.get_mut("content")? = Value::Array(content);
        let spent = |message: &Value| message.pointer("/usage/output_tokens")?.as_u64();
        let both = spent(&self.message)
            .unwrap_or_default()
            .saturating_add(spent(&next).unwrap_or_default());
        if let Some(count) = next.pointer_mut("/usage/output_tokens") {
            *count = json!(both);
        }
        Some(next.to_string().into_bytes())
    }
}
