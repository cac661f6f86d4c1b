//! A scripted MCP server: of an era with sessions, and of one without.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::StatusCode;
use provost_scripted::{Answer, Content, Play, Script, Seen, Step};
use serde_json::{Value, json};

/// How the server answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Stream,
}

/// A server whose tools may change.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) tools: Arc<Mutex<Value>>,
    form: Form,
}

impl Fake {
    pub(crate) fn new(form: Form) -> Self {
        Self { tools: Arc::new(Mutex::new(tools())), form }
    }

    /// The server, unless `first` has something else to say.
    pub(crate) fn script(
        &self,
        first: impl Fn(&Seen, &Value) -> Option<Play> + Send + Sync + 'static,
    ) -> Script {
        let (fake, count) = (self.clone(), AtomicU64::new(1));
        Script::new(move |seen| {
            let message = serde_json::from_slice(&seen.body).unwrap_or(Value::Null);
            first(seen, &message).unwrap_or_else(|| fake.play(&message, &count))
        })
    }

    fn play(&self, message: &Value, count: &AtomicU64) -> Play {
        let Some(method) = message["method"].as_str() else {
            // A `GET`, a `DELETE`, or an answer.
            return nothing(StatusCode::ACCEPTED);
        };
        if message.get("id").is_none() {
            return nothing(StatusCode::ACCEPTED);
        }
        let result = match method {
            "initialize" => json!({"protocolVersion": "2025-11-25", "capabilities": {}}),
            "tools/list" => self.page(&message["params"]["cursor"]),
            "tools/call" => json!({"content": [{"type": "text", "text": "done"}]}),
            _ => json!({}),
        };
        let play = self.answer(&message["id"], &result);
        match method {
            "initialize" => {
                let id = count.fetch_add(1, Ordering::Relaxed).to_string();
                play.with_header("mcp-session-id", &format!("up-{id}"))
            }
            _ => play,
        }
    }

    /// Two tools on each page.
    fn page(&self, cursor: &Value) -> Value {
        let tools = self.tools.lock().unwrap();
        let tools = tools.as_array().unwrap();
        let start = cursor.as_str().map_or(0, |cursor| cursor.parse::<usize>().unwrap());
        let end = tools.len().min(start.saturating_add(2));
        let page = &tools[start..end];
        let mut result = json!({"tools": page});
        if end < tools.len() {
            result["nextCursor"] = end.to_string().into();
        }
        result
    }

    pub(crate) fn answer(&self, id: &Value, result: &Value) -> Play {
        let message = json!({"jsonrpc": "2.0", "id": id, "result": result});
        match self.form {
            Form::Json => Play::json(StatusCode::OK, message.to_string()),
            Form::Stream => Play::stream([Step::Send(event(&message))]),
        }
    }
}

/// What the server has at first.
pub(crate) fn tools() -> Value {
    let tool = |name: &str| {
        json!({"name": name, "description": format!("does {name}"), "inputSchema": {
            "type": "object", "properties": {"repo": {"type": "string"}, "n": {"type": "integer"}},
        }})
    };
    json!([tool("read"), tool("push"), tool("search"), tool("drop")])
}

/// An event with one message.
pub(crate) fn event(message: &Value) -> Bytes {
    format!("event: message\ndata: {message}\n\n").into()
}

/// A status and no body.
pub(crate) fn nothing(status: StatusCode) -> Play {
    Play::Answer(Answer::new(status, "text/plain", Content::Whole(Bytes::new())))
}
