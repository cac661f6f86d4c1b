//! Requests of both eras, to the server and back.

use http::StatusCode;
use provost_scripted::Play;
use serde_json::json;

use crate::{
    fake::{Fake, Form},
    world::{ALL, CAREFUL, KEY, World, bare, modern, post},
};

#[tokio::test]
async fn a_session_from_its_beginning_to_its_end() {
    for form in [Form::Json, Form::Stream] {
        let world = World::open(Fake::new(form).script(|_, _| None), ALL).await;
        let session = world.initialize().await;
        assert_eq!(session, "up-1");
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let got = world.ask(post(&told, Some(&session))).await;
        assert_eq!((got.status(), got.text()), (StatusCode::ACCEPTED, ""));
        let got = world.request(&session, "tools/list", json!({})).await;
        assert_eq!(got.tools(), ["read", "push"]);
        assert_eq!(got.message()["result"]["nextCursor"], "2");
        let call = json!({"name": "read", "arguments": {"repo": "acme/site"}});
        let got = world.request(&session, "tools/call", call).await;
        assert_eq!(got.message()["result"]["content"][0]["text"], "done", "{form:?}");
        assert!(got.header("x-provost-action").is_some());
        let got = world.ask(bare("DELETE", &session)).await;
        assert!(got.status().is_success());
        let got = world.request(&session, "ping", json!({})).await;
        assert_eq!(got.status(), StatusCode::NOT_FOUND, "the session is over");

        let want =
            ["initialize", "notifications/initialized", "tools/list", "tools/call", "DELETE"];
        assert_eq!(world.seen(), want);
        let want = [
            "open fake",
            "= succeeded",
            "open fake",
            "= succeeded",
            "list fake",
            "mcp.tool-pinned tool/fake/read",
            "mcp.tool-pinned tool/fake/push",
            "= succeeded",
            "call fake/read",
            "= succeeded",
            "open fake",
            "= succeeded",
            "open fake",
        ];
        let recorded = world.recorded().await;
        assert_eq!(recorded[..want.len()], want, "{form:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn the_server_gets_the_agents_bytes_under_provosts_credential() {
    let world = World::open(Fake::new(Form::Json).script(|_, _| None), ALL).await;
    let session = world.initialize().await;
    let mut request = post(&json!(null), Some(&session));
    let body = "{ \"jsonrpc\":\"2.0\",\n \"id\":\"\\u0061\", \"method\":\"ping\",\"x\":1.50 }";
    *request.body_mut() = body.into();
    let got = world.ask(request).await;
    assert_eq!(got.message()["id"], "a");
    let seen = world.upstream.requests().pop().unwrap();
    assert_eq!((seen.body, seen.path.as_str()), (body.into(), "/the/mcp"));
    assert_eq!(seen.headers.get("authorization").unwrap(), &format!("Bearer {KEY}"));
    assert_eq!(seen.headers.get("mcp-session-id").unwrap(), session.as_str());
    assert!(!seen.headers.contains_key("cookie"));
    assert!(!format!("{:?}", seen.headers).contains("pvs_"));
    world.close().await;
}

#[tokio::test]
async fn the_era_without_sessions() {
    let world = World::open(Fake::new(Form::Stream).script(|_, _| None), CAREFUL).await;
    let got = world.ask(modern("server/discover", None, &json!({}))).await;
    assert_eq!(got.message()["id"], 7);
    let got = world.ask(modern("tools/list", None, &json!({}))).await;
    assert_eq!(got.tools(), ["read"]);
    let call = json!({"name": "read", "arguments": {}});
    let got = world.ask(modern("tools/call", Some("read"), &call)).await;
    assert_eq!(got.message()["result"]["content"][0]["text"], "done");

    // Who routes by headers must not see another call than who reads the body.
    let got = world.ask(modern("tools/call", Some("push"), &call)).await;
    assert_eq!(got.status(), StatusCode::BAD_REQUEST);
    assert!(got.error().starts_with("null -32020 `mcp-name`"), "{}", got.error());
    let mut other = modern("tools/call", Some("read"), &json!({"name": "read"}));
    other.headers_mut().insert("mcp-param-repo", "evil/site".parse().unwrap());
    let got = world.ask(other).await;
    assert_eq!(got.status(), StatusCode::BAD_REQUEST);
    assert!(got.error().starts_with("7 -32020 `mcp-param-repo`"), "{}", got.error());
    let got = world.ask(modern("tools/evil", None, &json!({}))).await;
    assert_eq!(got.status(), StatusCode::NOT_FOUND);
    assert!(got.error().starts_with("7 -32601 "), "{}", got.error());
    assert_eq!(world.seen(), ["server/discover", "tools/list", "tools/call"]);
    world.close().await;
}

#[tokio::test]
async fn an_unknown_revision_is_the_servers_to_refuse() {
    let said = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32004,"message":"?"}}"#;
    let script = Fake::new(Form::Json).script(move |_, message| {
        (message["method"] == "server/discover")
            .then(|| Play::json(StatusCode::BAD_REQUEST, said))
    });
    let world = World::open(script, ALL).await;
    let got = world.ask(modern("server/discover", None, &json!({}))).await;
    assert_eq!((got.status(), got.text()), (StatusCode::BAD_REQUEST, said));
    world.close().await;
}

#[tokio::test]
async fn a_denied_call_is_an_error_that_the_model_can_read() {
    let world = World::open(Fake::new(Form::Json).script(|_, _| None), CAREFUL).await;
    let session = world.initialize().await;
    for (name, repo, want) in [
        ("push", "acme/site", "open a pull request"),
        ("read", "evil/site", "acme-only"),
        ("drop-all", "acme/site", "no-drop"),
    ] {
        let call = json!({"name": name, "arguments": {"repo": repo}});
        let got = world.request(&session, "tools/call", call).await;
        assert_eq!(got.status(), StatusCode::OK);
        let error = got.error();
        assert!(error.starts_with("7 isError ") && error.contains(want), "{error}");
        assert!(error.contains("provost audit show act_"), "{error}");
    }
    assert_eq!(world.seen(), ["initialize"]);
    world.close().await;
}

#[tokio::test]
async fn what_is_no_message_reaches_no_server() {
    let world = World::open(Fake::new(Form::Json).script(|_, _| None), ALL).await;
    for (body, want) in [
        ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", "null -32600 a batch"),
        ("{\"jsonrpc\":\"2.0\"", "null -32700 "),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", "null -32700 "),
        ("{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\"}", "null -32601 "),
    ] {
        let mut request = post(&json!(null), None);
        *request.body_mut() = body.into();
        let got = world.ask(request).await;
        assert_eq!(got.status(), StatusCode::BAD_REQUEST, "{body}");
        assert!(got.error().starts_with(want), "{body}: {}", got.error());
    }
    let mut elsewhere = post(&json!({}), None);
    *elsewhere.uri_mut() = "/mcp/nobody".parse().unwrap();
    assert_eq!(world.ask(elsewhere).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.seen(), [""; 0]);
    world.close().await;
}

#[tokio::test]
async fn a_killed_agent_is_told_by_status() {
    let world = World::open(Fake::new(Form::Json).script(|_, _| None), ALL).await;
    world.kill().await;
    let got =
        world.ask(post(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}), None)).await;
    assert_eq!(got.status(), StatusCode::FORBIDDEN);
    assert!(got.error().contains("it loops"), "{}", got.error());
    world.close().await;
}
