//! Scripted models that look at what came of their calls before they say more.

use provost_scripted::{Block, Message, Script};
use serde_json::{Value, json};

use crate::world::MODEL;

/// What a model looks at when it is its turn.
pub(crate) struct Turn<'a> {
    /// Which request it is, from 1.
    pub(crate) order: u64,
    /// The model that was asked for, whatever stands behind its name.
    pub(crate) model: &'a str,
    /// Whether it may call tools; where it may not, a title is wanted.
    pub(crate) is_offered: bool,
    /// The first result since it spoke last.
    pub(crate) result: Option<&'a Value>,
}

/// A model that says `blocks`, and waits for results if one of them is a call.
pub(crate) fn model(
    blocks: impl Fn(&Turn<'_>) -> Vec<Block> + Send + Sync + 'static,
) -> Script {
    Script::new(move |seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let new = messages.iter().rev().take_while(|message| message["role"] != "assistant");
        let mut new = new.filter_map(|message| message["content"].as_array()).flatten();
        let blocks = blocks(&Turn {
            order: seen.order,
            model: body["model"].as_str().unwrap_or_default(),
            is_offered: body["tools"].as_array().is_some_and(|tools| !tools.is_empty()),
            result: new.find(|block| block["type"] == "tool_result"),
        });
        let waits = blocks.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        let stop_reason = if waits { "tool_use" } else { "end_turn" };
        // Claude Code takes messages of one id for one message.
        let id = format!("msg_{}", seen.order);
        let message = Message { id, blocks, stop_reason, ..Message::text(MODEL, "") };
        message.play(body["stream"] == true)
    })
}

pub(crate) fn text(text: &str) -> Block {
    Block::Text { text: text.to_owned() }
}

/// A call of `Bash`.
pub(crate) fn bash(id: &str, command: &str) -> Block {
    let input = json!({"command": command, "description": "as asked"});
    call(id, "Bash", input)
}

pub(crate) fn call(id: &str, name: &str, input: Value) -> Block {
    Block::ToolUse { id: id.to_owned(), name: name.to_owned(), input }
}
