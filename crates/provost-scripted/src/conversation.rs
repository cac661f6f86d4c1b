//! The default script: leads an agent through shell commands to a closing answer.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::{Asked, Message, Play, Scene, Seen};

/// The tool that commands are asked of, by Claude Code's name for it.
const SHELL_TOOL: &str = "Bash";

/// Longest quotation of a command's output. Unit: characters.
const QUOTED_MAX: usize = 200;

/// Answers every route of the API; asks for one command after the other of an agent that has
/// a shell, and closes with what the last one printed.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) commands: Vec<String>,
}

impl Conversation {
    pub(crate) fn play(&self, seen: &Seen) -> Play {
        match (&seen.method, seen.path.as_str()) {
            (&Method::HEAD, "/") => Play::json(StatusCode::OK, Bytes::new()),
            (&Method::GET, "/v1/models") => Play::json(StatusCode::OK, models()),
            (&Method::POST, "/v1/messages/count_tokens") => count(seen),
            (&Method::POST, "/v1/messages") => self.message(seen),
            _ => Play::error(StatusCode::NOT_FOUND, "no such route"),
        }
    }

    fn message(&self, seen: &Seen) -> Play {
        let Some(asked) = seen.asked() else {
            return Play::error(StatusCode::BAD_REQUEST, "not a Messages request");
        };
        let mut message = self.next(&asked);
        message.id = format!("msg_01Scripted{:016}", seen.order);
        match asked.model.split_once('+').map(|(_, scene)| scene.parse::<Scene>()) {
            None => message.play(asked.stream),
            Some(Ok(scene)) => scene.play(&asked, message),
            Some(Err(error)) => Play::error(StatusCode::NOT_FOUND, &error.to_string()),
        }
    }

    fn next(&self, asked: &Asked) -> Message {
        let turn = asked.tool_results.len();
        let has_shell = asked.tools.iter().any(|tool| tool == SHELL_TOOL);
        if let Some(command) = self.commands.get(turn).filter(|_| has_shell) {
            let id = format!("toolu_01Scripted{turn:014}");
            let input = json!({ "command": command, "description": "Run a scripted command" });
            return Message::tool_use(&asked.model, &id, SHELL_TOOL, input);
        }
        let text = asked.tool_results.last().map_or_else(
            || "This is the scripted model.".to_owned(),
            |output| {
                let quoted: String = output.chars().take(QUOTED_MAX).collect();
                format!("The command printed: {quoted}")
            },
        );
        Message::text(&asked.model, text)
    }
}

/// A count in the right order of magnitude: four bytes a token.
fn count(seen: &Seen) -> Play {
    let tokens = (seen.body.len() / 4).max(1);
    Play::json(StatusCode::OK, json!({ "input_tokens": tokens }).to_string())
}

fn models() -> String {
    let ids = ["claude-opus-5-5", "claude-sonnet-5", "claude-haiku-5"];
    let model = |id| {
        json!({
            "type": "model",
            "id": id,
            "display_name": id,
            "created_at": "2026-01-01T00:00:00Z",
        })
    };
    json!({
        "data": ids.map(model),
        "has_more": false,
        "first_id": ids.first(),
        "last_id": ids.last(),
    })
    .to_string()
}
