//! Servers that hang, break, lie, or never end.

use bytes::Bytes;
use http::StatusCode;
use provost_scripted::{Answer, Content, Play, Script, Step};
use serde_json::json;

use crate::{
    fake::{Fake, Form, event},
    world::{ALL, World, bare, post},
};

/// A server that answers calls in its own way.
fn server(play: impl Fn() -> Play + Send + Sync + 'static) -> Script {
    Fake::new(Form::Json)
        .script(move |_, message| (message["method"] == "tools/call").then(&play))
}

async fn call(script: Script) -> (World, crate::world::Got) {
    let world = World::open(script, ALL).await;
    let session = world.initialize().await;
    let got = world.request(&session, "tools/call", json!({"name": "read"})).await;
    (world, got)
}

#[tokio::test]
async fn what_cannot_be_passed_is_an_error_and_the_reason_is_recorded() {
    type Case = (fn() -> Play, &'static str);
    let cases: [Case; 11] = [
        (|| Play::json(StatusCode::OK, r#"{"jsonrpc":"2.0","id":8,"result":{}}"#), "not asked"),
        (
            || Play::json(StatusCode::OK, r#"{"jsonrpc":"2.0","id":"7","result":{}}"#),
            "not asked",
        ),
        (
            || Play::json(StatusCode::OK, r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#),
            "not asked",
        ),
        (
            || Play::json(StatusCode::OK, r#"{"jsonrpc":"2.0","id":7,"id":8,"result":{}}"#),
            "twice",
        ),
        (|| Play::json(StatusCode::OK, "[]"), "no message"),
        (|| Play::json(StatusCode::OK, "<p>"), "no message"),
        (
            || {
                let page = Content::Whole(Bytes::from_static(b"<p>"));
                Play::Answer(Answer::new(StatusCode::OK, "text/html", page))
            },
            "a form that does not fit",
        ),
        (|| Play::json(StatusCode::UNAUTHORIZED, "{}"), "provost secret set fake"),
        (|| Play::json(StatusCode::FORBIDDEN, "{}"), "does not let Provost"),
        (|| Play::json(StatusCode::TEMPORARY_REDIRECT, "{}"), "redirect"),
        (|| Play::Reset, "broke the connection"),
    ];
    for (play, want) in cases {
        let (world, got) = call(server(play)).await;
        assert_eq!(got.status(), StatusCode::OK);
        let error = got.error();
        assert!(error.starts_with("7 -32011 There is no answer: "), "{error}");
        assert!(error.contains(want), "{error}");
        let recorded = world.recorded().await;
        let last = recorded.last().unwrap();
        assert!(last.starts_with("= failed") && last.contains(want), "{last}");
        world.close().await;
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_passes() {
    for status in [400, 404, 405, 429, 500, 503] {
        let play = move || Play::json(StatusCode::from_u16(status).unwrap(), "{\"a\":1}");
        let (world, got) = call(server(play)).await;
        assert_eq!((got.status().as_u16(), got.text()), (status, "{\"a\":1}"));
        world.close().await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_for_the_request() {
    let note =
        || event(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}));
    let wrong = || event(&json!({"jsonrpc": "2.0", "id": 8, "result": {"secret": 1}}));
    type Case = (Vec<Step>, &'static str);
    let cases: [Case; 6] = [
        (vec![Step::Send(note())], "ended its stream before"),
        (vec![Step::Send(note()), Step::Close], "ended its stream before"),
        (vec![Step::Send(note()), Step::Reset], "ended its stream before"),
        (vec![Step::Send(note()), Step::Send("data: {\"js".into()), Step::Close], "ended its"),
        (vec![Step::Send(note()), Step::Send(wrong())], "was not asked"),
        (vec![Step::Send(note()), Step::Send("data: <p>\n\n".into())], "no message"),
    ];
    for (steps, want) in cases {
        let (world, got) = call(server(move || Play::stream(steps.clone()))).await;
        assert!(got.text().starts_with("event: message\ndata: "), "{}", got.text());
        assert!(!got.text().contains("secret"), "{}", got.text());
        let error = got.error();
        assert!(error.starts_with("7 -32011 ") && error.contains(want), "{error}");
        assert!(world.recorded().await.last().unwrap().starts_with("= failed"));
        world.close().await;
    }
}

#[tokio::test]
async fn an_answer_of_a_hundred_megabytes_is_refused() {
    let piece = || Bytes::from(vec![b'a'; 1 << 20]);
    let endless = move || {
        let steps = std::iter::repeat_with(move || Step::Send(piece())).take(100);
        let steps =
            std::iter::once(Step::Send("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"".into()))
                .chain(steps);
        Play::Answer(Answer::new(
            StatusCode::OK,
            "application/json",
            Content::Steps(Box::new(steps)),
        ))
    };
    let (world, got) = call(server(endless)).await;
    assert!(got.error().contains("larger than 16777216 bytes"), "{}", got.error());
    world.close().await;

    let streamed = move || {
        let steps = std::iter::repeat_with(move || Step::Send(piece())).take(100);
        Play::stream(std::iter::once(Step::Send("data: ".into())).chain(steps))
    };
    let (world, got) = call(server(streamed)).await;
    assert!(got.error().contains("longer than 16777216 bytes"), "{}", got.error());
    world.close().await;
}

#[tokio::test]
async fn a_kill_ends_a_call_that_hangs() {
    let note = event(&json!({"jsonrpc": "2.0", "method": "notifications/progress"}));
    for play in [None, Some(note)] {
        let steps = play.clone();
        let world = World::open(
            server(move || match steps.clone() {
                None => Play::Hang,
                Some(note) => Play::stream([Step::Send(note), Step::Hang]),
            }),
            ALL,
        )
        .await;
        let session = world.initialize().await;
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": "read"}});
        let mut exchange = world.send(crate::world::post(&message, Some(&session)), 4);
        let frames = match play {
            None => {
                world.upstream.requests_reach(4).await;
                Vec::new()
            }
            Some(_) => exchange.until("progress").await,
        };
        world.kill().await;
        let got = exchange.rest(frames).await;
        assert!(got.error().starts_with("7 -32012 ") && got.error().contains("it loops"));
        assert!(world.recorded().await.last().unwrap().starts_with("= aborted: "));
        world.close().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_call() {
    let world = World::open(server(|| Play::Hang), ALL).await;
    let session = world.initialize().await;
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "read"}});
    let exchange = world.send(crate::world::post(&message, Some(&session)), 4);
    world.upstream.requests_reach(4).await;
    exchange.leave().await;
    assert_eq!(world.recorded().await.last().unwrap(), "= aborted: the client left");
    world.close().await;
}

#[tokio::test]
async fn a_tool_that_fails_is_recorded_as_failed() {
    let text = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":true}}"#;
    let (world, got) = call(server(move || Play::json(StatusCode::OK, text))).await;
    assert_eq!(got.text(), text);
    assert_eq!(world.recorded().await.last().unwrap(), "= failed: the tool reported an error");
    world.close().await;
}

#[tokio::test]
async fn a_listener_hears_the_end_of_its_stream() {
    let script = Fake::new(Form::Json).script(|seen, _| {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        (seen.method == "GET").then(|| Play::stream([Step::Send(event(&note))]))
    });
    let world = World::open(script, ALL).await;
    let session = world.initialize().await;
    let got = world.ask(bare("GET", &session)).await;
    assert!(got.text().contains("list_changed") && !got.aborted);
    assert_eq!(world.recorded().await.last().unwrap(), "= succeeded");
    world.close().await;
}

#[tokio::test]
async fn what_only_listens_ends_when_the_server_is_about_to_stop() {
    let script = Fake::new(Form::Json).script(|seen, message| {
        let note = event(&json!({"jsonrpc": "2.0", "method": "notifications/message"}));
        let listens = seen.method == "GET" || message["method"] == "subscriptions/listen";
        listens.then(|| Play::stream([Step::Send(note), Step::Hang]))
    });
    for is_request in [false, true] {
        let world = World::open(script.clone(), ALL).await;
        let session = world.initialize().await;
        let listen = json!({"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen"});
        let request = match is_request {
            true => post(&listen, Some(&session)),
            false => bare("GET", &session),
        };
        let mut exchange = world.send(request, 4);
        let before = exchange.until("notifications/message").await;
        world.stopping.cancel();
        let got = exchange.rest(before).await;
        assert!(!got.aborted);
        assert_eq!(got.text().contains("-32013"), is_request, "{}", got.text());
        let recorded = world.recorded().await;
        let last = recorded.last().unwrap();
        assert!(last.starts_with("= aborted: Provost is shutting down"), "{last}");
        world.close().await;
    }
}
