//! Each reason, for each kind of request.

use http::Request;
use provost_pipeline::{Refusal, RefusalCode};
use provost_types::ActionId;

use super::refuse;
use crate::{
    classify::{Asked, AskedError},
    wire::head::HeadError,
};

const CALL: &str = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"t"}}"#;
const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;

fn asked(method: &str, version: &str, body: &str) -> Result<Asked, AskedError> {
    let request = Request::builder()
        .method(method)
        .uri("/mcp/s")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", version)
        .header("mcp-method", "tools/call")
        .header("mcp-name", "t");
    Asked::read(&request.body(()).unwrap().into_parts().0, body.as_bytes())
}

fn told(code: RefusalCode, asked: Option<&Result<Asked, AskedError>>) -> String {
    let refusal =
        Refusal { code, message: "not \"this\"".to_owned(), action: ActionId::generate() };
    let response = refuse(&refusal, asked);
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    let result = &body["result"];
    let message = match result["isError"] == true {
        true => result["content"][0]["text"].as_str().unwrap(),
        false => body["error"]["message"].as_str().unwrap(),
    };
    let action = refusal.action;
    assert_eq!(message, format!("not \"this\" [Provost: `provost audit show {action}`]"));
    let what = match (&body["error"]["code"], &result["resultType"]) {
        (code, _) if code.is_number() => code.to_string(),
        (_, kind) => format!("isError {kind}"),
    };
    let told = format!("{} {} {what}", response.status().as_u16(), body["id"]);
    assert_eq!(response.headers()["x-provost-action"], action.to_string());
    let extra = ["www-authenticate", "allow", "retry-after"].into_iter().filter_map(|name| {
        Some(format!(" {name}={}", response.headers().get(name)?.to_str().unwrap()))
    });
    told + &extra.collect::<String>()
}

#[test]
fn a_request_is_told_no_in_its_answer() {
    let call = asked("POST", "2025-11-25", CALL);
    for (code, want) in [
        (RefusalCode::Unauthenticated, "401 \"x\" -32012 www-authenticate=Bearer"),
        (RefusalCode::SessionOver, "403 \"x\" -32012"),
        (RefusalCode::Paused, "403 \"x\" -32012"),
        (RefusalCode::Killed, "403 \"x\" -32012"),
        (RefusalCode::Denied, "200 \"x\" isError null"),
        (RefusalCode::Held, "200 \"x\" isError null"),
        (RefusalCode::Malformed, "200 \"x\" -32602"),
        (RefusalCode::TooLarge, "413 \"x\" -32600"),
        (RefusalCode::NotFound, "200 \"x\" -32601"),
        (RefusalCode::Method, "405 \"x\" -32600 allow=POST"),
        (RefusalCode::Busy, "429 \"x\" -32013 retry-after=1"),
        (RefusalCode::Unavailable, "503 \"x\" -32013"),
        (RefusalCode::Stopping, "503 \"x\" -32013"),
    ] {
        assert_eq!(told(code, Some(&call)), want, "{code:?}");
    }
    let modern = asked("POST", "2026-07-28", CALL);
    assert_eq!(told(RefusalCode::NotFound, Some(&modern)), "404 \"x\" -32601");
    let complete = "200 \"x\" isError \"complete\"";
    assert_eq!(told(RefusalCode::Denied, Some(&modern)), complete);
}

#[test]
fn the_rest_is_told_by_status() {
    let post = |body| Some(asked("POST", "2025-11-25", body));
    let broken = |mut body: String| {
        body.truncate(20);
        Some(asked("POST", "2025-11-25", &body))
    };
    let other = CALL.replace("tools/call", "tools/list");
    let page = Err(AskedError::Head(HeadError::Origin));
    for (asked, code, want) in [
        (asked("POST", "x", NOTE).err().map(Err), RefusalCode::Malformed, "400 null -32020"),
        (Some(asked("GET", "x", "")), RefusalCode::Denied, "405 null -32010 allow=POST"),
        (Some(asked("DELETE", "x", "")), RefusalCode::Denied, "405 null -32010 allow=POST"),
        (post(&other), RefusalCode::Malformed, "400 null -32020"),
        (post("[]"), RefusalCode::Malformed, "400 null -32600"),
        (broken(CALL.to_owned()), RefusalCode::Malformed, "400 null -32700"),
        (Some(page), RefusalCode::Malformed, "403 null -32600"),
        (None, RefusalCode::NotFound, "404 null -32601"),
        (None, RefusalCode::Killed, "403 null -32012"),
        (None, RefusalCode::Unauthenticated, "401 null -32012 www-authenticate=Bearer"),
    ] {
        assert_eq!(told(code, asked.as_ref()), want, "{asked:?}");
    }
}
