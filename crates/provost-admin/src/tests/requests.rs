//! What a malformed request is answered.

use std::{fs, future::Future as _, pin::pin, task};

use axum::http::StatusCode;
use insta::assert_snapshot;

use super::harness::{Caller, Server};

#[tokio::test]
async fn malformed_requests_say_what_is_wrong() {
    let server = Server::start().await;
    let says = async |method, path, body| server.says(&Caller::Local, method, path, body).await;
    assert_snapshot!(says("GET", "/v1/nothing", "").await, @r#"404 {"code":"no-such-route","message":"there is no such route"}"#);
    assert_snapshot!(says("PATCH", "/v1/agents", "").await, @r#"405 {"code":"method-not-allowed","message":"this route does not have this method"}"#);
    assert_snapshot!(says("POST", "/v1/agents", "").await, @r#"400 {"code":"malformed","message":"missing field `name` at line 1 column 2"}"#);
    assert_snapshot!(says("POST", "/v1/agents", "{").await, @r#"400 {"code":"malformed","message":"EOF while parsing an object at line 1 column 1"}"#);
    assert_snapshot!(says("POST", "/v1/agents", r#"{"name":"a","name":"b","project":"c"}"#).await, @r#"400 {"code":"malformed","message":"duplicate field `name` at line 1 column 18"}"#);
    assert_snapshot!(says("POST", "/v1/agents", r#"{"name":"a","projct":"finance"}"#).await, @r#"400 {"code":"malformed","message":"unknown field `projct`, expected `name` or `project` at line 1 column 20"}"#);
    assert_snapshot!(says("POST", "/v1/agents", r#"{"name":"A b","project":"finance"}"#).await, @r#"400 {"code":"malformed","message":"`A b` is not a name: use 1 to 63 lower-case letters, digits and inner hyphens, starting with a letter"}"#);
    assert_snapshot!(says("GET", "/v1/sessions/1", "").await, @r#"400 {"code":"malformed","message":"in the path: `1` is not an id of the form `ses_<32 hexadecimal digits>`"}"#);
    assert_snapshot!(says("GET", "/v1/sessions/%ff", "").await, @r#"400 {"code":"malformed","message":"Invalid URL: Invalid UTF-8 in `id`"}"#);
    assert_snapshot!(says("GET", "/v1/sessions?limit=0", "").await, @r#"400 {"code":"invalid","message":"limit: use 1 to 1,000"}"#);
    assert_snapshot!(says("GET", "/v1/sessions?agnt=x", "").await, @r#"400 {"code":"malformed","message":"Failed to deserialize query string: agnt: unknown field `agnt`, expected one of `agent`, `project`, `before`, `limit`"}"#);
    assert_snapshot!(says("GET", "/v1/events?kind=none", "").await, @r##"
    400 {"code":"invalid","message":"kind: use intent, outcome, refusal, admin, session, server, witness, alert or approval"}
    "##);
    assert_snapshot!(says("GET", "/v1/events?since=14:00", "").await, @r#"400 {"code":"invalid","message":"since: use an RFC 3339 time from 1970 on, such as 2026-11-25T14:00:00Z"}"#);
    assert_snapshot!(says("GET", "/v1/events?since=2026-11-25T14:00:00Z&until=2026-11-25T15:00:00%2b01:00", "").await, @r#"400 {"code":"invalid","message":"until: use a time after that of `since`"}"#);
    assert_snapshot!(says("GET", "/v1/events?action=act_1", "").await, @r#"400 {"code":"malformed","message":"action: `act_1` is not an id of the form `act_<32 hexadecimal digits>`"}"#);
    assert_snapshot!(says("GET", "/v1/events?result=not%20one", "").await, @r#"400 {"code":"invalid","message":"result: use one word of up to 64 letters, digits and hyphens"}"#);
    assert_snapshot!(says("GET", "/v1/events?resource=", "").await, @r#"400 {"code":"invalid","message":"resource: use 1 to 200 characters"}"#);
    assert_snapshot!(says("GET", "/v1/events?text=a&newest=true", "").await, @r#"400 {"code":"invalid","message":"newest: cannot be combined with `text`: leave one of them out"}"#);
    assert_snapshot!(says("GET", "/v1/events?wait=31", "").await, @r#"400 {"code":"invalid","message":"wait: use 0 to 30 seconds"}"#);
    assert_snapshot!(says("GET", "/v1/events/-1/proof", "").await, @r#"400 {"code":"malformed","message":"in the path: invalid digit found in string"}"#);
    assert_snapshot!(says("GET", "/v1/actions/act_1", "").await, @r#"400 {"code":"malformed","message":"in the path: `act_1` is not an id of the form `act_<32 hexadecimal digits>`"}"#);
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let server = Server::start().await;
    let body = " ".repeat((1 << 20) + 1);
    let (status, body) = server.call(&Caller::Local, "POST", "/v1/agents", &body).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
}

#[tokio::test]
async fn internal_causes_stay_inside() {
    let server = Server::start().await;
    fs::remove_dir_all(server.dir.path().join("secrets")).unwrap();
    let says = server.says(&Caller::Local, "GET", "/v1/secrets", "").await;
    assert_snapshot!(says, @r#"500 {"code":"internal","message":"internal error; its cause is in the server's log"}"#);
}

#[tokio::test]
async fn a_change_is_made_to_its_end_though_the_caller_leaves() {
    let server = Server::start().await;
    {
        let ops = r#"{"name":"ops"}"#;
        let mut call = pin!(server.call(&Caller::Local, "POST", "/v1/projects", ops));
        let mut context = task::Context::from_waker(task::Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    server.app.changes.close();
    server.app.changes.wait().await;
    let projects = server.ok(&Caller::Local, "GET", "/v1/projects", "").await;
    assert!(projects.contains("ops"), "{projects}");
}
