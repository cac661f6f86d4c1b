//! Heads, one row each.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Form, Head, Unfit, aside, back, check_body, judge, onward};
use crate::wire::jsonrpc::read_asked;

fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
    let entry =
        |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    list.iter().map(entry).collect()
}

fn list(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut list: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    list.sort_unstable();
    list
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"añb"}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const READ: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"x:y"}}"#;
const META: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":
    {"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

#[test]
fn a_head_says_what_the_body_says() {
    let modern = ("mcp-protocol-version", "2026-07-28");
    let call = ("mcp-method", "tools/call");
    for (given, body, want) in [
        (&[][..], CALL, None),
        (&[("mcp-protocol-version", "2025-11-25")], CALL, None),
        (&[call], CALL, None),
        (&[("mcp-method", "tools/list")], CALL, Some("`mcp-method` does not")),
        (&[("mcp-method", "Tools/call")], CALL, Some("`mcp-method` does not")),
        (&[call, ("mcp-name", "=?base64?YcOxYg==?=")], CALL, None),
        (&[call, ("mcp-name", "ab")], CALL, Some("`mcp-name` does not")),
        (&[call, ("mcp-name", "=?base64?!?=")], CALL, Some("`mcp-name` must be there once")),
        (&[("mcp-name", "ab")], LIST, Some("`mcp-name` does not")),
        (&[modern], LIST, Some("`mcp-method` must be there in")),
        (&[modern, ("mcp-method", "tools/list")], LIST, None),
        (&[modern, call], CALL, Some("`mcp-name` must be there in")),
        (&[modern, ("mcp-method", "resources/read"), ("mcp-name", "x:y")], READ, None),
        (&[modern, ("mcp-method", "ping")], META, None),
        (&[("mcp-protocol-version", "2025-11-25")], META, Some("`mcp-protocol-version` does")),
        (&[], META, Some("`mcp-protocol-version` does not")),
        (&[("mcp-session-id", "a"), ("mcp-session-id", "a")], LIST, Some("once")),
        (&[("mcp-session-id", "")], LIST, Some("once")),
        (&[("last-event-id", "a"), ("last-event-id", "b")], LIST, Some("once")),
        (&[("origin", "http://localhost:8080")], LIST, None),
        (&[("origin", "https://127.0.0.1")], LIST, None),
        (&[("origin", "http://[::1]:1")], LIST, None),
        (&[("origin", "http://evil.example.com")], LIST, Some("`origin` must name")),
        (&[("origin", "http://localhost.evil.example.com")], LIST, Some("`origin` must name")),
        (&[("origin", "http://localhost@evil.example.com")], LIST, Some("`origin` must name")),
        (&[("origin", "null")], LIST, Some("`origin` must name")),
    ] {
        let message = read_asked(body.as_bytes()).unwrap();
        let got = Head::read(&headers(given)).and_then(|head| head.check(&message));
        match (got, want) {
            (Ok(()), None) => {}
            (Err(error), Some(part)) => {
                assert!(error.to_string().contains(part), "{given:?}: {error}");
            }
            (got, want) => panic!("{given:?} {body}: {got:?}, not {want:?}"),
        }
    }
}

#[test]
fn only_plain_json_is_read() {
    for (given, want) in [
        (&[("content-type", "application/json")][..], true),
        (&[("content-type", "application/json; charset=utf-8")], true),
        (&[("content-type", "application/json"), ("content-encoding", "identity")], true),
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], false),
        (&[("content-type", "text/plain")], false),
        (&[], false),
    ] {
        assert_eq!(check_body(&headers(given)).is_ok(), want, "{given:?}");
    }
}

#[test]
fn what_is_listed_goes_on_under_our_own_credential() {
    let given = headers(&[
        ("host", "gateway"),
        ("authorization", "Bearer pvs_1"),
        ("cookie", "a=b"),
        ("x-api-key", "pvs_1"),
        ("user-agent", "claude-code"),
        ("accept", "application/json, text/event-stream"),
        ("accept-encoding", "gzip"),
        ("content-type", "application/json; charset=utf-16"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-session-id", "s"),
        ("last-event-id", "7"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "a"),
        ("mcp-param-region", "eu"),
        ("x-forwarded-for", "1.2.3.4"),
    ]);
    let key = "real".into();
    let got = onward(&given, Some(&key)).unwrap();
    assert!(got.get("authorization").unwrap().is_sensitive());
    let want = [
        ("accept", "application/json, text/event-stream"),
        ("accept-encoding", "identity"),
        ("authorization", "Bearer real"),
        ("content-type", "application/json"),
        ("last-event-id", "7"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "a"),
        ("mcp-param-region", "eu"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-session-id", "s"),
    ];
    assert_eq!(list(&got), want);
    assert!(onward(&given, None).unwrap().get("authorization").is_none());
    assert!(onward(&given, Some(&"a\nb".into())).is_none());

    let ours = aside(got, Some("tools/list"));
    assert_eq!(ours.get("mcp-method").unwrap(), "tools/list");
    for gone in ["mcp-name", "mcp-param-region", "last-event-id"] {
        assert!(!ours.contains_key(gone), "{gone}");
    }
    assert!(!aside(ours, None).contains_key("mcp-method"));
}

#[test]
fn what_is_listed_comes_back() {
    let given = headers(&[
        ("content-type", "text/event-stream"),
        ("mcp-session-id", "s"),
        ("set-cookie", "a=b"),
        ("content-length", "7"),
        ("www-authenticate", "Bearer"),
        ("retry-after", "5"),
        ("server", "x"),
    ]);
    let want = [
        ("content-type", "text/event-stream"),
        ("mcp-session-id", "s"),
        ("retry-after", "5"),
        ("x-accel-buffering", "no"),
    ];
    assert_eq!(list(&back(&given, Form::Stream)), want);
}

#[test]
fn answers_that_are_not_passed() {
    let json = ("content-type", "application/json");
    let secret = "github".parse().unwrap();
    for (status, given, secret, want) in [
        (200, &[json][..], Some(&secret), Ok(Form::Json)),
        (200, &[("content-type", "text/event-stream")], None, Ok(Form::Stream)),
        (202, &[], None, Ok(Form::Other)),
        (400, &[json], None, Ok(Form::Json)),
        (404, &[("content-type", "text/html")], None, Ok(Form::Other)),
        (401, &[json], Some(&secret), Err(Unfit::Credential("github".parse().unwrap()))),
        (401, &[json], None, Err(Unfit::NoCredential)),
        (403, &[json], None, Err(Unfit::Forbidden)),
        (307, &[], None, Err(Unfit::Redirect)),
        (101, &[], None, Err(Unfit::Redirect)),
        (200, &[json, ("content-encoding", "gzip")], None, Err(Unfit::Coding)),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(judge(status, &headers(given), secret), want, "{status} {given:?}");
    }
}
