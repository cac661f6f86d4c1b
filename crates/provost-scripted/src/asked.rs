//! What was asked: the request as it arrived, and the little of it that scripts look at.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::Value;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The how-many-th request of this endpoint it is, from 1.
    pub order: u64,
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark.
    pub query: Option<String>,
    /// The headers, in order within each name.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Seen {
    /// One header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as a Messages request, if it is one.
    pub fn asked(&self) -> Option<Asked> {
        serde_json::from_slice::<Wire>(&self.body).ok().map(Asked::from)
    }
}

/// What a script looks at in a Messages request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The model, scene suffix included.
    pub model: String,
    /// Whether the reply is to be streamed.
    pub stream: bool,
    /// Names of the tools on offer.
    pub tools: Vec<String>,
    /// What tools answered so far in this conversation, as text, oldest first.
    pub tool_results: Vec<String>,
}

#[derive(Deserialize)]
struct Wire {
    model: String,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(default)]
    messages: Vec<Value>,
}

impl From<Wire> for Asked {
    fn from(wire: Wire) -> Self {
        let names = wire.tools.iter().filter_map(|tool| tool.get("name")?.as_str());
        let blocks =
            wire.messages.iter().filter_map(|message| message.get("content")?.as_array());
        let results = blocks
            .flatten()
            .filter(|block| block.get("type").and_then(Value::as_str) == Some("tool_result"));
        Self {
            model: wire.model,
            stream: wire.stream,
            tools: names.map(str::to_owned).collect(),
            tool_results: results.map(|block| text_of(block.get("content"))).collect(),
        }
    }
}

/// Content is a string, or a list of blocks of which some are text.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            let texts = blocks.iter().filter_map(|block| block.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
