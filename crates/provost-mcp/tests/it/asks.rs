//! What servers ask of clients.

use provost_scripted::{Play, Script, Step};
use serde_json::{Value, json};

use crate::{
    fake::{Fake, Form, event},
    world::{ALL, CAREFUL, World, bare, modern, post},
};

const SAMPLING: &str = "sampling/createMessage";

/// A server that asks for `method` before it answers a call.
fn asking(method: &'static str) -> Script {
    Fake::new(Form::Stream).script(move |seen, message| {
        let ask = json!({"jsonrpc": "2.0", "id": "q1", "method": method, "params": {}});
        let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
        let note = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}});
        if seen.method == "GET" {
            return Some(Play::stream([Step::Send(event(&ask)), Step::Send(event(&note))]));
        }
        let asks = format!("id: 5\n{}", String::from_utf8_lossy(&event(&ask)));
        (message["method"] == "tools/call").then(|| {
            let steps = [asks.into(), event(&note), event(&answer)];
            Play::stream(steps.into_iter().map(Step::Send))
        })
    })
}

#[tokio::test]
async fn what_is_denied_is_never_seen_and_the_server_is_told() {
    let world = World::open(asking(SAMPLING), CAREFUL).await;
    let session = world.initialize().await;
    let got = world.request(&session, "tools/call", json!({"name": "read"})).await;
    assert!(!got.text().contains(SAMPLING), "{}", got.text());
    assert!(got.text().starts_with("id: 5\nevent: message\n\n"), "{}", got.text());
    assert!(got.text().contains("notifications/progress"));
    assert!(got.message()["result"].is_object());
    let told = world.upstream.requests().pop().unwrap();
    assert_eq!(told.headers.get("mcp-session-id").unwrap(), session.as_str());
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!("q1"), &json!(-32010)));
    let recorded = world.recorded().await;
    assert!(recorded.contains(&"! denied ask fake".to_owned()), "{recorded:?}");

    let got = world.ask(bare("GET", &session)).await;
    assert!(!got.text().contains(SAMPLING) && got.text().contains("progress"));
    world.close().await;
}

#[tokio::test]
async fn what_is_allowed_passes_and_so_does_its_answer() {
    let world = World::open(asking("elicitation/create"), CAREFUL).await;
    let session = world.initialize().await;
    let got = world.request(&session, "tools/call", json!({"name": "read"})).await;
    assert!(got.text().contains("elicitation/create"), "{}", got.text());
    let answer = json!({"jsonrpc": "2.0", "id": "q1", "result": {"action": "accept"}});
    let got = world.ask(post(&answer, Some(&session))).await;
    assert_eq!(got.status(), http::StatusCode::ACCEPTED);
    let recorded = world.recorded().await;
    let want = ["ask fake", "= succeeded", "= succeeded", "answer fake", "= succeeded"];
    assert_eq!(recorded[recorded.len() - 5..], want, "{recorded:?}");
    world.close().await;
}

#[tokio::test]
async fn what_a_result_asks_for_is_decided_as_well() {
    for form in [Form::Json, Form::Stream] {
        for (method, want) in [(SAMPLING, false), ("elicitation/create", true)] {
            let fake = Fake::new(form);
            let script = fake.clone().script(move |_, message| {
                let asks = message["method"] == "tools/call"
                    && message["params"].get("inputResponses").is_none();
                let result = json!({"resultType": "input_required", "requestState": "s",
                    "inputRequests": {"k": {"method": method, "params": {}}}});
                asks.then(|| fake.answer(&message["id"], &result))
            });
            let world = World::open(script, CAREFUL).await;
            let meta = json!({"claudecode/toolUseId": "toolu_1"});
            let call = json!({"name": "read", "arguments": {}, "_meta": meta});
            let got = world.ask(modern("tools/call", Some("read"), &call)).await;
            if want {
                assert_eq!(got.message()["result"]["requestState"], "s", "{form:?}");
                let again = json!({"name": "read", "arguments": {}, "_meta": meta,
                    "inputResponses": {"k": {"action": "accept"}}, "requestState": "s"});
                let got = world.ask(modern("tools/call", Some("read"), &again)).await;
                assert_eq!(got.message()["result"]["content"][0]["text"], "done");
                let recorded = world.recorded().await;
                let alerts = recorded.iter().filter(|line| line.starts_with("alert"));
                assert_eq!(alerts.count(), 0, "one call, made in two rounds: {recorded:?}");
            } else {
                let error = got.error();
                assert!(error.starts_with("7 -32010 ") && error.contains(method), "{error}");
                assert!(!got.text().contains("requestState"));
            }
            world.close().await;
        }
    }
}

#[tokio::test]
async fn who_may_not_listen_is_told_what_a_server_without_a_stream_says() {
    let policy =
        format!("{ALL} forbid (principal, action == Mcp::Action::\"listen\", resource);");
    let world = World::open(asking(SAMPLING), &policy).await;
    let session = world.initialize().await;
    let got = world.ask(bare("GET", &session)).await;
    assert_eq!(got.status(), http::StatusCode::METHOD_NOT_ALLOWED);
    world.close().await;
}
