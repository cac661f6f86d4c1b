//! A model's turn put together from its events, so that it can be asked to go on from it.

use serde_json::{Map, Value, json};

/// Most that is kept of a turn. Unit: bytes of text. Ours: what is longer is not gone on from.
const TURN_BYTES_MAX: usize = 4 << 20;

/// Blocks of one answer, in the form a request repeats them in.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    blocks: Vec<Value>,
    /// The arguments of the block that is not whole, if it is a call.
    input: String,
    /// Why each denied call was denied, by its id.
    denied: Vec<(String, String)>,
    bytes: usize,
}

impl Turn {
    /// A block begins, in an event of so many bytes.
    pub(crate) fn begin(&mut self, block: &Value, bytes: usize) {
        if self.count(bytes) {
            self.blocks.push(block.clone());
            self.input.clear();
        }
    }

    /// More of the block that began last, in an event of so many bytes.
    pub(crate) fn add(&mut self, delta: &Value, bytes: usize) {
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        if !self.count(bytes) {
            return;
        }
        let Some(block) = self.blocks.last_mut().and_then(Value::as_object_mut) else { return };
        match text("type") {
            "text_delta" => append(block, "text", text("text")),
            "thinking_delta" => append(block, "thinking", text("thinking")),
            "signature_delta" => append(block, "signature", text("signature")),
            "input_json_delta" => self.input.push_str(text("partial_json")),
            "citations_delta" => {
                let citations = block.entry("citations").or_insert_with(|| json!([]));
                if citations.is_null() {
                    *citations = json!([]);
                }
                if let (Some(list), Some(one)) =
                    (citations.as_array_mut(), delta.get("citation"))
                {
                    list.push(one.clone());
                }
            }
            _ => {}
        }
    }

    /// The block that began last is whole.
    pub(crate) fn end_block(&mut self) {
        let input = std::mem::take(&mut self.input);
        let block = self.blocks.last_mut().and_then(Value::as_object_mut);
        if let (Some(block), false) = (block, input.is_empty()) {
            // Arguments that are no JSON cannot be repeated, and mean nothing.
            let input = serde_json::from_str(&input).unwrap_or_else(|_| json!({}));
            block.insert("input".to_owned(), input);
        }
    }

    /// A call of this turn was denied.
    pub(crate) fn deny(&mut self, id: String, why: &str) {
        self.denied.push((id, why.to_owned()));
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The turn and its results, as two messages; `None` if it was too long to be kept.
    pub(crate) fn messages(&self) -> Option<[Value; 2]> {
        if self.bytes > TURN_BYTES_MAX {
            return None;
        }
        let is_said = |block: &&Value| block.get("text").and_then(Value::as_str) != Some("");
        let said: Vec<_> = self.blocks.iter().filter(is_said).cloned().collect();
        let result = |(id, why): &(String, String)| json!({"type": "tool_result", "tool_use_id": id, "is_error": true, "content": why});
        let results: Vec<_> = self.denied.iter().map(result).collect();
        Some([
            json!({"role": "assistant", "content": said}),
            json!({"role": "user", "content": results}),
        ])
    }

    fn count(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes <= TURN_BYTES_MAX
    }
}

/// What a model said, and why each of its calls was denied, by their ids: as two messages.
pub(super) fn messages(said: &[Value], denied: &[(String, String)]) -> [Value; 2] {
    let result = |(id, why): &(String, String)| json!({"type": "tool_result", "tool_use_id": id, "is_error": true, "content": why});
    let results: Vec<_> = denied.iter().map(result).collect();
    [json!({"role": "assistant", "content": said}), json!({"role": "user", "content": results})]
}

fn append(block: &mut Map<String, Value>, name: &str, more: &str) {
    match block.get_mut(name) {
        Some(Value::String(text)) => text.push_str(more),
        _ => {
            block.insert(name.to_owned(), json!(more));
        }
    }
}
