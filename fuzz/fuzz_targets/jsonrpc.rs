//! One JSON-RPC message: whatever the bytes, an answer; what a client says has one meaning,
//! and it is the one that an ordinary reader of JSON finds.

#![no_main]

#[expect(dead_code, reason = "the crate uses all of it, this target only some")]
#[path = "../../crates/provost-mcp/src/wire/json.rs"]
mod json;
#[expect(dead_code, reason = "the crate uses all of it, this target only some")]
#[path = "../../crates/provost-mcp/src/wire/jsonrpc.rs"]
mod jsonrpc;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

use jsonrpc::{Answer, Id, Message, Params};

/// The fields of parameters that are decided on.
const FIELDS: &[&str] = &["name", "uri", "arguments", "ref", "_meta"];

fuzz_target!(|bytes: &[u8]| {
    let told = jsonrpc::read_told(bytes);
    if let Ok(asked) = jsonrpc::read_asked(bytes) {
        assert_eq!(told.as_ref(), Ok(&asked));
        let value: Value = serde_json::from_slice(bytes).expect("what is read is JSON");
        check_read(&asked, &value);
        check_folded(&value, &["jsonrpc", "id", "method", "params", "result", "error"]);
        check_folded(&value["params"], FIELDS);
    }
    if let Ok(message) = &told {
        check_printed(message);
    }
    check_canonical(bytes);
});

/// An ordinary reader gets the same.
fn check_read(message: &Message, value: &Value) {
    assert_eq!(value["jsonrpc"], "2.0");
    match message {
        Message::Request { id, method, params } => {
            assert!(is_same_id(Some(id), &value["id"]));
            check_method(method, params, value);
        }
        Message::Notification { method, params } => {
            assert!(value.get("id").is_none_or(Value::is_null));
            check_method(method, params, value);
        }
        Message::Answer { id, answer } => {
            assert!(is_same_id(id.as_ref(), &value["id"]));
            let (field, text) = match answer {
                Answer::Result(text) => ("result", text),
                Answer::Error(text) => ("error", text),
            };
            let read: Value = serde_json::from_str(text).expect("part of JSON is JSON");
            assert_eq!(read, value[field]);
        }
    }
}

fn check_method(method: &str, params: &Params, value: &Value) {
    assert_eq!(value["method"], method);
    assert!(value.get("params").is_none_or(Value::is_object));
    for field in FIELDS {
        let there = &value["params"][field];
        assert_eq!(params.string(field).as_deref(), there.as_str());
        assert_eq!(params.raw(field).is_some(), value["params"].get(field).is_some());
        assert_eq!(params.string_in(field, "name").as_deref(), there["name"].as_str());
    }
}

fn is_same_id(id: Option<&Id>, value: &Value) -> bool {
    match id {
        None => value.is_null(),
        Some(Id::Number(number)) => value.as_i64() == Some(*number),
        Some(Id::Text(text)) => value.as_str() == Some(text),
    }
}

/// No field is there that a reader without regard to case takes for one we decide on.
fn check_folded(object: &Value, known: &[&str]) {
    for key in object.as_object().into_iter().flat_map(|members| members.keys()) {
        for fold in [key.to_lowercase(), key.to_uppercase().to_lowercase()] {
            assert!(!known.contains(&fold.as_str()) || fold == *key, "{key:?} folds to {fold}");
        }
    }
}

/// What we print of our own, we read back.
fn check_printed(message: &Message) {
    let id = match message {
        Message::Request { id, .. } => Some(id),
        Message::Answer { id, .. } => id.as_ref(),
        Message::Notification { .. } => None,
    };
    let error = jsonrpc::error(id, -32_600, "\"no\"\n");
    assert!(matches!(
        jsonrpc::read_asked(&error),
        Ok(Message::Answer { id: again, answer: Answer::Error(_) }) if again.as_ref() == id
    ));
    if let Some(id) = id {
        let request = jsonrpc::request(id, "tools/list", r#"{"name":"x"}"#);
        let read = jsonrpc::read_asked(&request).expect("our own words");
        let Message::Request { id: again, method, params } = read else {
            panic!("a request is a request")
        };
        assert_eq!((&again, method.as_str()), (id, "tools/list"));
        assert_eq!(params.string("name").as_deref(), Some("x"));
    }
}

/// The canonical form of the canonical form is itself. Numbers that are no 64-bit integers are
/// left out: reading and writing such is not exact.
fn check_canonical(bytes: &[u8]) {
    let Some(once) = std::str::from_utf8(bytes).ok().and_then(json::canonical) else { return };
    let text = std::str::from_utf8(&once).expect("JSON is UTF-8");
    if !serde_json::from_str(text).is_ok_and(|value| has_fraction(&value)) {
        assert_eq!(json::canonical(text).as_deref(), Some(once.as_slice()));
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}
