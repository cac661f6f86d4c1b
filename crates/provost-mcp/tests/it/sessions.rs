//! Whose a session is, and what may be in flight in it.

use http::StatusCode;
use provost_scripted::{Play, Step};
use serde_json::json;

use crate::{
    fake::{Fake, Form, event},
    world::{ALL, CAREFUL, World, bare, post},
};

#[tokio::test]
async fn nobody_uses_another_agents_session() {
    let mut world = World::open(Fake::new(Form::Json).script(|_, _| None), ALL).await;
    let session = world.initialize().await;
    world.become_another().await;
    for session in [session.as_str(), "made-up"] {
        let got = world.request(session, "tools/list", json!({})).await;
        assert_eq!(got.status(), StatusCode::NOT_FOUND);
        assert!(got.error().contains("initialize a new one"), "{}", got.error());
        for method in ["GET", "DELETE"] {
            assert_eq!(world.ask(bare(method, session)).await.status(), StatusCode::NOT_FOUND);
        }
    }
    assert_eq!(world.seen(), ["initialize"]);
    world.close().await;
}

#[tokio::test]
async fn an_id_is_in_flight_once() {
    let script = Fake::new(Form::Json)
        .script(|_, message| (message["method"] == "ping").then_some(Play::Hang));
    let world = World::open(script, ALL).await;
    let session = world.initialize().await;
    let ping = post(&json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}), Some(&session));
    let first = world.send(ping, 4);
    world.upstream.requests_reach(2).await;
    let got = world.request(&session, "tools/list", json!({})).await;
    assert!(got.error().starts_with("7 -32600 a request with this `id`"), "{}", got.error());
    first.leave().await;
    let got = world.request(&session, "tools/list", json!({})).await;
    assert_eq!(got.tools(), ["read", "push"]);
    world.close().await;
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_forgotten() {
    let script = Fake::new(Form::Json).script(|_, message| {
        (message["method"] == "ping").then(|| Play::json(StatusCode::NOT_FOUND, "{}"))
    });
    let world = World::open(script, ALL).await;
    let session = world.initialize().await;
    let got = world.request(&session, "ping", json!({})).await;
    assert_eq!((got.status(), got.text()), (StatusCode::NOT_FOUND, "{}"));
    let got = world.request(&session, "tools/list", json!({})).await;
    assert_eq!(got.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.seen(), ["initialize", "ping"]);
    world.close().await;
}

#[tokio::test]
async fn a_late_answer_comes_in_another_stream_and_is_filtered_there() {
    let fake = Fake::new(Form::Stream);
    let tools = fake.tools.clone();
    let script = fake.script(move |seen, message| {
        let first = Step::Send("id: 1\ndata: \n\n".into());
        if message["method"] == "tools/list" {
            return Some(Play::stream([first]));
        }
        (seen.method == "GET").then(|| {
            let result = json!({"tools": tools.lock().unwrap().clone()});
            let answer = json!({"jsonrpc": "2.0", "id": 7, "result": result});
            Play::stream([Step::Send(event(&answer)), Step::Send(event(&answer))])
        })
    });
    let world = World::open(script, CAREFUL).await;
    let session = world.initialize().await;
    let got = world.request(&session, "tools/list", json!({})).await;
    assert_eq!((got.text(), got.aborted), ("id: 1\ndata: \n\n", false));
    let got = world.ask(bare("GET", &session)).await;
    assert_eq!(got.tools(), ["read", "search"]);
    let recorded = world.recorded().await;
    let second = "= failed: the MCP server answered something that was not asked";
    assert_eq!(recorded.last().unwrap(), second, "one answer for one request");
    world.close().await;
}
