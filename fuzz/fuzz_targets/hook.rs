//! A hook's post: whatever the bytes, a post or a refusal, and of a post what an ordinary
//! reader of JSON finds.
//!
//! Takes the one file that reads posts, and stands in for the two crates that it names: with
//! them, the whole gateway would be built under sanitizers for this.

#![no_main]

extern crate self as provost_gateway;
extern crate self as provost_pipeline;

#[path = "../../crates/provost-hook/src/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, value::RawValue};

use wire::{About, Post};

/// As in provost-gateway.
pub const CORRELATION_BYTES_MAX: usize = 128;

/// As in provost-gateway.
pub fn printable(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// As in provost-pipeline.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// What is wrong.
    pub message: String,
    /// In what way.
    pub kind: MalformedKind,
}

/// As in provost-pipeline, as far as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedKind {
    /// It cannot be read.
    Syntax,
}

fuzz_target!(|bytes: &[u8]| {
    let post = match Post::read(bytes) {
        Ok(post) => post,
        Err(Malformed { message, kind: MalformedKind::Syntax }) => {
            assert!(!message.is_empty() && message.len() < 1024, "{message}");
            return;
        }
    };
    // What is not looked at is kept as it came, and may hold half of a surrogate pair.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    assert_eq!(value["hook_event_name"], *post.event);
    for (read, field) in [
        (&post.client_session, "session_id"),
        (&post.subagent, "agent_id"),
        (&post.tool_use, "tool_use_id"),
    ] {
        let there = value[field].as_str().filter(|id| printable(id, CORRELATION_BYTES_MAX));
        assert_eq!(read.as_deref(), there, "{field}");
    }
    match post.about {
        About::Call { id, name, input, folder } => {
            assert_eq!(post.event, "PreToolUse");
            assert_eq!(value["tool_use_id"], *id);
            assert_eq!(value["tool_name"], *name);
            assert_eq!(value["cwd"].as_str(), folder.as_deref());
            assert_eq!(value["tool_input"], read(&input));
        }
        About::Result { id, failed, result } => {
            let field = if failed { "error" } else { "tool_response" };
            assert_eq!(value["tool_use_id"], *id);
            assert_eq!(value[field], read(&result));
        }
        About::Other => {
            let told = ["PreToolUse", "PostToolUse", "PostToolUseFailure"];
            assert!(!told.contains(&post.event.as_str()), "{}", post.event);
        }
    }
});

fn read(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).expect("part of JSON is JSON")
}
