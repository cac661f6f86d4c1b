//! Every code as the client sees it.

use bytes::Bytes;
use http::Response;
use provost_pipeline::{Refusal, RefusalCode, Stop};
use provost_types::ActionId;

use super::{Told, refuse};

fn action() -> ActionId {
    "act_00000000000000000000000000000007".parse().unwrap()
}

/// Status, retry headers and error type, on one line.
fn line(response: &Response<Bytes>) -> String {
    let header = |name: &str| {
        response.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned()
    };
    let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    format!(
        "{} {} retry={} after={}",
        response.status().as_u16(),
        json["error"]["type"].as_str().unwrap(),
        header("x-should-retry"),
        header("retry-after"),
    )
}

#[test]
fn every_code_has_its_form() {
    use RefusalCode as Code;
    let lines: Vec<_> = [
        Code::Unauthenticated,
        Code::SessionOver,
        Code::Paused,
        Code::Killed,
        Code::Malformed,
        Code::TooLarge,
        Code::NotFound,
        Code::Method,
        Code::Denied,
        Code::Held,
        Code::Busy,
        Code::Unavailable,
        Code::Stopping,
    ]
    .into_iter()
    .map(|code| {
        let response = refuse(&Refusal { code, message: "no".into(), action: action() });
        format!("{:<16} {}", code.as_str(), line(&response))
    })
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    unauthenticated  401 authentication_error retry=false after=-
    session-over     401 authentication_error retry=false after=-
    paused           423 permission_error retry=false after=-
    killed           403 permission_error retry=false after=-
    malformed        400 invalid_request_error retry=- after=-
    too-large        413 request_too_large retry=- after=-
    not-found        404 not_found_error retry=- after=-
    method           405 invalid_request_error retry=false after=-
    denied           403 permission_error retry=false after=-
    held             403 permission_error retry=false after=-
    busy             429 rate_limit_error retry=- after=5
    unavailable      503 api_error retry=false after=-
    stopping         503 api_error retry=- after=2
    ");
}

/// `text` with the action's id as a word.
fn shown(text: &str) -> String {
    text.replace(&action().to_string(), "ACTION")
}

#[test]
fn a_refusal_says_why_and_where_to_look() {
    let message = "Policy \"models\" forbids it.\nAsk.".to_owned();
    let response = refuse(&Refusal { code: RefusalCode::Denied, message, action: action() });
    insta::assert_snapshot!(shown(&format!("{:#?}", response.headers())), @r#"
    {
        "content-type": "application/json",
        "x-provost-action": "ACTION",
        "request-id": "ACTION",
        "x-should-retry": "false",
    }
    "#);
    let body = str::from_utf8(response.body()).unwrap().replace(",\"", ",\n\"");
    insta::assert_snapshot!(shown(&body), @r#"
    {"type":"error",
    "error":{"type":"permission_error",
    "message":"Policy \"models\" forbids it.\nAsk. [Provost: `provost audit show ACTION`]"},
    "request_id":"ACTION"}
    "#);
}

#[test]
fn a_stop_ends_a_stream_in_one_event() {
    for (stop, kind) in [
        (Stop::Killed("Ada stopped you.\n\nNow.".into()), "permission_error"),
        (Stop::Ended("The session is over.".into()), "authentication_error"),
        (Stop::ShuttingDown, "api_error"),
    ] {
        let event = Told::stop(&stop, action()).event();
        let json = event.strip_prefix("event: error\ndata: ").unwrap();
        let json = json.strip_suffix("\n\n").unwrap();
        assert!(!json.contains('\n'), "event = {event}");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["error"]["type"], kind);
        assert!(json["error"]["message"].as_str().unwrap().starts_with(stop.sentence()));
    }
}
