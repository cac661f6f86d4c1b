//! All servers as one: `fake` and `other`, both scripted, behind `/mcp`.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, StatusCode};
use provost_scripted::{Play, Script, Seen, Step};
use serde_json::{Value, json};

use crate::{
    fake::{Fake, Form, event, nothing},
    world::{ALL, CAREFUL, World, bare, modern, post},
};

/// Which server a request reached.
fn server(seen: &Seen) -> &'static str {
    if seen.path == "/other" { "other" } else { "fake" }
}

/// Both servers, unless `first` has something else to say.
fn both(
    form: Form,
    first: impl Fn(&Seen, &Value) -> Option<Play> + Send + Sync + 'static,
) -> Script {
    let fake = Fake::new(form);
    let own = fake.clone();
    fake.script(move |seen, message| {
        first(seen, message).or_else(|| {
            let result = match (message["method"].as_str()?, server(seen)) {
                ("initialize", server) => json!({
                    "protocolVersion": if server == "fake" { "2025-11-25" } else { "2025-06-18" },
                    "capabilities": {"tools": {}, "resources": {"subscribe": true}},
                    "instructions": format!("I am {server}"),
                }),
                ("server/discover", _) => json!({"resultType": "complete", "ttlMs": 9,
                    "cacheScope": "public", "supportedVersions": ["2026-07-28", "2025-11-25"],
                    "capabilities": {"tools": {"listChanged": true}}}),
                ("resources/list", server) => {
                    json!({"resources": [{"name": "r", "uri": format!("{server}:r")}]})
                }
                ("resources/read", _) => {
                    json!({"contents": [{"uri": message["params"]["uri"], "text": "t"}]})
                }
                _ => return None,
            };
            let play = own.answer(&message["id"], &result);
            Some(match message["method"].as_str() {
                Some("initialize") => {
                    play.with_header("mcp-session-id", &format!("up-{}", server(seen)))
                }
                _ => play,
            })
        })
    })
}

fn message(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn initialize() -> Request<bytes::Bytes> {
    post(&message("initialize", json!({"protocolVersion": "2025-11-25"})), None)
}

async fn begin(world: &World) -> String {
    let got = world.ask_all(initialize()).await;
    got.header("mcp-session-id").unwrap_or_else(|| panic!("{}", got.text())).to_owned()
}

/// The paths that requests with a method reached, in the order of their names.
fn reached(world: &World, method: &str) -> Vec<&'static str> {
    let requests = world.upstream.requests();
    let is_it = |seen: &&Seen| {
        let message: Value = serde_json::from_slice(&seen.body).unwrap_or(Value::Null);
        message["method"] == method
    };
    let mut reached: Vec<_> = requests.iter().filter(is_it).map(server).collect();
    reached.sort_unstable();
    reached
}

#[tokio::test]
async fn a_session_with_all_is_one_with_each() {
    for form in [Form::Json, Form::Stream] {
        let world = World::open(both(form, |_, _| None), CAREFUL).await;
        let got = world.ask_all(initialize()).await;
        let result = &got.message()["result"];
        assert_eq!(result["protocolVersion"], "2025-06-18", "what both speak");
        let capabilities = json!({"tools": {}, "resources": {"subscribe": true}});
        assert_eq!(result["capabilities"], capabilities);
        assert!(result["instructions"].as_str().unwrap().contains("`other__`:\nI am other"));
        let session = got.header("mcp-session-id").unwrap().to_owned();

        let ask = async |method: &str, params: Value| {
            world.ask_all(post(&message(method, params), Some(&session))).await
        };
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let got = world.ask_all(post(&initialized, Some(&session))).await;
        assert_eq!(got.status(), StatusCode::ACCEPTED);
        assert_eq!(reached(&world, "notifications/initialized"), ["fake", "other"]);

        // Both pages of both; what policy forbids is in neither.
        let got = ask("tools/list", json!({})).await;
        let mut want = vec!["fake__read", "fake__search"];
        want.extend(["other__read", "other__push", "other__search"]);
        assert_eq!(got.tools(), want, "{form:?}");
        assert_eq!(got.message()["id"], 7);
        let got = ask("resources/list", json!({})).await;
        let resources = &got.message()["result"]["resources"];
        assert_eq!(resources[1]["uri"], "provost+other:other:r", "{resources}");

        // Each in its own session, of its own revision.
        let call = json!({"name": "other__push", "arguments": {"repo": "acme/site"}});
        let got = ask("tools/call", call).await;
        assert_eq!(got.message()["result"]["content"][0]["text"], "done", "{}", got.text());
        let requests = world.upstream.requests();
        let called = requests.last().unwrap();
        assert_eq!(server(called), "other");
        assert_eq!(called.headers["mcp-session-id"], "up-other");
        assert_eq!(called.headers["mcp-protocol-version"], "2025-06-18");
        let body: Value = serde_json::from_slice(&called.body).unwrap();
        assert_eq!(body["params"]["name"], "push");
        let got = ask("resources/read", json!({"uri": "provost+fake:x:y"})).await;
        assert_eq!(got.message()["result"]["contents"][0]["uri"], "provost+fake:x:y");

        let got = world.ask_all(bare("DELETE", &session)).await;
        assert_eq!(got.status(), StatusCode::OK);
        let got = ask("tools/list", json!({})).await;
        assert_eq!(got.status(), StatusCode::NOT_FOUND, "{}", got.text());
        world.close().await;
    }
}

#[tokio::test]
async fn what_one_server_would_refuse_all_refuse_as_well() {
    let world = World::open(both(Form::Json, |_, _| None), CAREFUL).await;
    let session = begin(&world).await;
    let call = |name: &str, repo: &str| {
        let call = message("tools/call", json!({"name": name, "arguments": {"repo": repo}}));
        post(&call, Some(&session))
    };
    for (name, repo, want) in [
        ("fake__push", "acme/site", "open a pull request"),
        ("fake__drop", "acme/site", "no-drop"),
        ("other__drop", "acme/site", "no-drop"),
        ("fake__read", "evil/site", "acme-only"),
    ] {
        let got = world.ask_all(call(name, repo)).await;
        assert_eq!(got.status(), StatusCode::OK);
        let error = got.error();
        assert!(error.starts_with("7 isError ") && error.contains(want), "{name}: {error}");
    }
    for (name, want) in [
        ("read", "SERVER__NAME"),
        ("nobody__read", "no MCP server `nobody`"),
        ("__read", "SERVER__NAME"),
        ("Fake__read", "no MCP server `Fake`"),
    ] {
        let got = world.ask_all(call(name, "acme/site")).await;
        let error = got.error();
        assert!(error.starts_with("7 -32602 ") && error.contains(want), "{name}: {error}");
    }
    assert!(reached(&world, "tools/call").is_empty());
    let recorded = world.recorded().await;
    for want in ["! denied call fake/push", "! denied call other/drop", "! malformed"] {
        assert!(recorded.iter().any(|line| line == want), "{want}: {recorded:#?}");
    }
    world.close().await;
}

/// What is done with the answer of each server is on record as an action of its own.
#[tokio::test]
async fn each_server_is_decided_on_by_itself() {
    let policy = r#"
        permit (principal, action, resource);
        @id("not-other") forbid (principal, action, resource == Mcp::Server::"other");
    "#;
    let world = World::open(both(Form::Json, |_, _| None), policy).await;
    let session = begin(&world).await;
    let got = world.ask_all(post(&message("tools/list", json!({})), Some(&session))).await;
    assert!(got.tools().iter().all(|tool| tool.starts_with("fake__")), "{}", got.text());
    assert!(world.upstream.requests().iter().all(|seen| server(seen) == "fake"));
    let recorded = world.recorded().await;
    let recorded: Vec<_> = recorded.iter().filter(|line| !line.starts_with("mcp.")).collect();
    let want = ["open fake", "= succeeded", "list fake", "= succeeded", "list fake"];
    assert_eq!(recorded[..5], want, "each page is one, and what need not be asked is none");
    // Not to be had by its name either.
    let call = message("tools/call", json!({"name": "other__read", "arguments": {}}));
    let got = world.ask_all(post(&call, Some(&session))).await;
    assert!(got.error().starts_with("7 -32602 there is no MCP server `other`"));
    world.close().await;

    let world = World::open(both(Form::Json, |_, _| None), "").await;
    let got = world.ask_all(initialize()).await;
    assert!(got.error().starts_with("7 -32010 "), "{}", got.text());
    assert!(world.recorded().await[0].starts_with("! denied open "));
    world.close().await;
}

#[tokio::test]
async fn a_server_that_is_down_is_left_out() {
    let script = both(Form::Json, |seen, message| {
        let is_down = server(seen) == "other" && message["method"] == "tools/list";
        is_down.then(|| nothing(StatusCode::BAD_GATEWAY))
    });
    let world = World::open(script, ALL).await;
    let session = begin(&world).await;
    let list = |method| post(&message(method, json!({})), Some(&session));
    let got = world.ask_all(list("tools/list")).await;
    assert_eq!(got.tools().len(), 4, "{}", got.text());
    let got = world.ask_all(list("resources/list")).await;
    assert_eq!(got.message()["result"]["resources"].as_array().unwrap().len(), 2);
    let got = world.ask_all(list("prompts/list")).await;
    assert_eq!(got.message()["result"], json!({"prompts": []}));
    world.close().await;
}

#[tokio::test]
async fn a_server_that_ended_its_session_is_begun_with_again() {
    for method in ["tools/call", "tools/list", "resources/list"] {
        let has_ended = AtomicBool::new(false);
        let script = both(Form::Json, move |seen, message| {
            let ends = server(seen) == "other" && message["method"] == method;
            let ends = ends && !has_ended.swap(true, Ordering::Relaxed);
            ends.then(|| nothing(StatusCode::NOT_FOUND))
        });
        let world = World::open(script, ALL).await;
        let session = begin(&world).await;
        let params = json!({"name": "other__read", "arguments": {}});
        let got = world.ask_all(post(&message(method, params), Some(&session))).await;
        assert!(got.text().contains("other") || got.text().contains("done"), "{}", got.text());
        assert_eq!(reached(&world, "initialize"), ["fake", "other", "other"], "{method}");
        assert_eq!(reached(&world, "notifications/initialized"), ["other"]);
        world.close().await;
    }
}

#[tokio::test]
async fn strangers_and_other_agents_get_nothing() {
    let mut world = World::open(both(Form::Json, |_, _| None), ALL).await;
    let mut stranger = initialize();
    stranger.headers_mut().insert("authorization", "Bearer nobody".parse().unwrap());
    let got = world.ask_all(stranger).await;
    assert_eq!(got.status(), StatusCode::UNAUTHORIZED);
    assert!(world.upstream.requests().is_empty());

    let session = begin(&world).await;
    world.become_another().await;
    let list = || message("tools/list", json!({}));
    let got = world.ask_all(post(&list(), Some(&session))).await;
    assert_eq!(got.status(), StatusCode::NOT_FOUND, "{}", got.text());
    let got = world.ask_all(post(&list(), None)).await;
    assert_eq!(got.status(), StatusCode::BAD_REQUEST, "{}", got.text());
    let got = world.ask_all(bare("GET", &session)).await;
    assert_eq!(got.status(), StatusCode::NOT_FOUND, "{}", got.text());
    let got = world.ask_all(post(&json!([list()]), Some(&session))).await;
    assert_eq!(got.status(), StatusCode::BAD_REQUEST, "{}", got.text());
    world.kill().await;
    let got = world.ask_all(initialize()).await;
    assert_eq!(got.status(), StatusCode::FORBIDDEN, "{}", got.text());
    world.close().await;
}

#[tokio::test]
async fn without_sessions_each_request_finds_its_server() {
    for form in [Form::Json, Form::Stream] {
        let world = World::open(both(form, |_, _| None), CAREFUL).await;
        let got = world.ask_all(modern("server/discover", None, &json!({}))).await;
        let result = &got.message()["result"];
        assert_eq!(result["supportedVersions"], json!(["2026-07-28"]), "{}", got.text());
        assert_eq!(result["capabilities"], json!({"tools": {}}), "nobody tells of changes");
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(9), &json!("public")));
        let got = world.ask_all(modern("tools/list", None, &json!({}))).await;
        assert_eq!(got.tools().len(), 5);
        assert_eq!(got.message()["result"]["resultType"], "complete");

        let call = json!({"name": "other__read", "arguments": {}});
        let got = world.ask_all(modern("tools/call", Some("other__read"), &call)).await;
        assert!(got.message().get("result").is_some(), "{}", got.text());
        let requests = world.upstream.requests();
        assert_eq!(requests.last().unwrap().headers["mcp-name"], "read");
        let got = world.ask_all(modern("tools/call", Some("fake__read"), &call)).await;
        assert_eq!(got.status(), StatusCode::BAD_REQUEST);
        assert!(got.error().starts_with("null -32020 "), "{}", got.text());
        for method in ["tasks/get", "subscriptions/listen", "nobody/knows"] {
            let got = world.ask_all(modern(method, None, &json!({}))).await;
            assert_eq!(got.status(), StatusCode::NOT_FOUND, "{method}");
            assert!(got.error().starts_with("7 -32601 "), "{method}: {}", got.text());
        }
        world.close().await;
    }
}

#[tokio::test]
async fn clients_of_both_eras_begin_sessions_where_one_server_needs_them() {
    let script = both(Form::Json, |seen, message| {
        let is_old = server(seen) == "other" && message["method"] == "server/discover";
        is_old.then(|| nothing(StatusCode::BAD_REQUEST))
    });
    let world = World::open(script, ALL).await;
    let got = world.ask_all(modern("server/discover", None, &json!({}))).await;
    assert_eq!(got.status(), StatusCode::BAD_REQUEST);
    world.close().await;
}

#[tokio::test]
async fn what_servers_ask_is_answered_to_the_one_that_asked() {
    let script = both(Form::Stream, |_, message| {
        (message["method"] == "tools/call").then(|| {
            let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list",
                "params": {"_meta": {"progressToken": 3}}});
            let result = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [
                {"type": "resource_link", "uri": "x:y", "name": "y"}]}});
            Play::stream([
                Step::Send(event(&ask)),
                Step::Send(
                    format!("id: 5\n{}", str::from_utf8(&event(&result)).unwrap()).into(),
                ),
            ])
        })
    });
    let world = World::open(script, ALL).await;
    let session = begin(&world).await;
    let call = message("tools/call", json!({"name": "other__read", "arguments": {}}));
    let got = world.ask_all(post(&call, Some(&session))).await;
    let text = got.text();
    assert!(text.contains(r#""id":"other:1""#), "{text}");
    assert!(text.contains(r#""progressToken":"other:3""#), "{text}");
    assert!(text.contains("id: other:r:5\n"), "{text}");
    assert!(text.contains(r#""uri":"provost+other:x:y""#), "{text}");

    let answer = json!({"jsonrpc": "2.0", "id": "other:1", "result": {"roots": []}});
    let got = world.ask_all(post(&answer, Some(&session))).await;
    assert_eq!(got.status(), StatusCode::ACCEPTED, "{}", got.text());
    let requests = world.upstream.requests();
    let answered = requests.last().unwrap();
    let body: Value = serde_json::from_slice(&answered.body).unwrap();
    assert_eq!((server(answered), &body["id"]), ("other", &json!(1)));
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"roots": []}});
    let got = world.ask_all(post(&answer, Some(&session))).await;
    assert_eq!(got.status(), StatusCode::BAD_REQUEST, "{}", got.text());
    world.close().await;
}

#[tokio::test]
async fn one_stream_brings_what_all_servers_tell() {
    let script = both(Form::Json, |seen, _| {
        (seen.method == "GET").then(|| {
            let server = server(seen);
            let told = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated",
                "params": {"uri": format!("{server}:r")}});
            Play::stream([Step::Send(format!("id: 9\ndata: {told}\n\n").into())])
        })
    });
    let world = World::open(script, ALL).await;
    let session = begin(&world).await;
    let got = world.ask_all(bare("GET", &session)).await;
    assert!(got.header("content-type").unwrap().starts_with("text/event-stream"));
    for server in ["fake", "other"] {
        assert!(got.text().contains(&format!("id: {server}:l:9\n")), "{}", got.text());
        assert!(got.text().contains(&format!("provost+{server}:{server}:r")), "{}", got.text());
    }
    // An answer that broke off is one server's; the other is not listened to for it.
    let before = world.upstream.requests().len();
    let mut resumed = bare("GET", &session);
    resumed.headers_mut().insert("last-event-id", "other:r:9".parse().unwrap());
    world.ask_all(resumed).await;
    let requests = world.upstream.requests();
    assert_eq!(requests.len(), before + 1);
    assert_eq!(requests.last().unwrap().headers["last-event-id"], "9");
    let mut resumed = bare("GET", &session);
    resumed.headers_mut().insert("last-event-id", "9".parse().unwrap());
    let got = world.ask_all(resumed).await;
    assert_eq!(got.status(), StatusCode::BAD_REQUEST, "{}", got.text());
    world.close().await;

    let script = both(Form::Json, |seen, _| {
        (seen.method == "GET").then(|| nothing(StatusCode::METHOD_NOT_ALLOWED))
    });
    let world = World::open(script, ALL).await;
    let session = begin(&world).await;
    let got = world.ask_all(bare("GET", &session)).await;
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    world.close().await;
}
