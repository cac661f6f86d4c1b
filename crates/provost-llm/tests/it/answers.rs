//! Answers that pass: the bytes, and what is recorded of them.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use provost_scripted::{Block, Message, Play, Script, Step};
use provost_types::Status;

use crate::world::{Ending, Form, KEY, World, message, post, tell};

const MODEL: &str = "claude-opus-5-5";

#[tokio::test]
async fn bytes_pass_unchanged_both_ways() {
    // White space, order, unknown fields and escapes that no printer would keep.
    const BODY: &str = "{ \"stream\" :true,\"model\":\"claude-opus-5-5\",\n\"messages\": \
                        [{\"role\":\"system\",\"content\":\"\\u0061\"}],\"new_field\":1e2}\n";
    // Line ends, comments and events that we know nothing of, cut in odd places.
    const ANSWER: [&str; 3] = [
        ": hi\r\nevent: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"mod",
        "el\":\"claude-opus-5-5\"}}\r\n\r\nevent: new\nid: 7\ndata: ?\n\nevent: message_stop\n",
        "data: {\"type\":\"message_stop\"}\n\n: bye",
    ];
    let pieces = ANSWER.map(|piece| Step::Send(Bytes::from_static(piece.as_bytes())));
    let world = World::with(Script::new(move |_| Play::stream(pieces.clone()))).await;
    let mut request = post("/v1/messages?beta=true&x=%2F", BODY);
    let headers = request.headers_mut();
    headers.insert("anthropic-beta", "b, a".parse().unwrap());
    headers.insert("x-new-header", "1".parse().unwrap());
    headers.insert("cookie", "a=b".parse().unwrap());
    let (got, outcome) = world.ask(request).await;

    assert_eq!((got.status(), got.ending), (StatusCode::OK, Ending::End));
    assert_eq!(got.text(), ANSWER.concat());
    assert_eq!(got.header("x-accel-buffering"), Some("no"));
    assert!(got.header("x-provost-action").unwrap().starts_with("act_"));
    assert!(got.header("request-id").unwrap().starts_with("req_"));

    let seen = world.upstream.requests().pop().unwrap();
    assert_eq!((seen.method, &*seen.path), (Method::POST, "/v1/messages"));
    assert_eq!(seen.query.as_deref(), Some("beta=true&x=%2F"));
    assert_eq!(seen.body, BODY);
    let mut headers: Vec<_> = seen
        .headers
        .iter()
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            "accept-encoding: identity".to_owned(),
            "anthropic-beta: b, a".to_owned(),
            format!("content-length: {}", BODY.len()),
            "content-type: application/json".to_owned(),
            format!("x-api-key: {KEY}"),
            "x-new-header: 1".to_owned(),
        ]
    );
    let outcome = outcome.unwrap();
    assert_eq!(outcome.result_bytes, u64::try_from(got.body.len()).unwrap());
    assert!(outcome.result.is_some());
    assert_eq!(outcome.upstream_request.as_deref(), got.header("request-id"));
    assert_eq!(outcome.model.as_deref(), Some(MODEL));
    world.close().await;
}

#[tokio::test]
async fn usage_and_tool_calls_are_recorded_from_either_form() {
    let script = Script::new(|seen| {
        let input = serde_json::json!({"command": "ls"});
        let message = Message::tool_use(MODEL, "toolu_1", "Bash", input);
        message.play(seen.body.windows(13).any(|window| window == br#""stream":true"#))
    });
    for form in [Form::Json, Form::Stream] {
        let world = World::with(script.clone()).await;
        let (_, outcome) = world.message(MODEL, form).await;
        let want = "succeeded 200 in=25 out=12 Bash(toolu_1) tool_use";
        assert_eq!(tell(outcome.as_ref()), want, "{form:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn however_the_upstream_cuts_or_encodes_it_the_answer_is_the_same() {
    let world = World::open().await;
    for form in [Form::Json, Form::Stream] {
        let (plain, outcome) = world.message(MODEL, form).await;
        let want = tell(outcome.as_ref());
        assert!(want.starts_with("succeeded 200 in=25 out=12"), "{want}");
        let (bytewise, outcome) = world.message("claude-opus-5-5+bytewise", form).await;
        assert_eq!(tell(outcome.as_ref()), want);
        assert_eq!(bytewise.text().replace("+bytewise", "").len(), plain.body.len());
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let (got, outcome) =
                world.message(&format!("claude-opus-5-5+{coding}"), form).await;
            assert_eq!((got.status(), got.ending), (StatusCode::OK, Ending::End), "{coding}");
            // What is checked for tool calls is what is sent.
            assert_eq!(got.header("content-encoding"), None);
            assert_eq!(got.text().replace(&format!("+{coding}"), "").len(), plain.body.len());
            assert_eq!(tell(outcome.as_ref()), want, "{coding}");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn the_other_routes_pass_as_well() {
    let world = World::open().await;
    let count = post("/v1/messages/count_tokens?beta=true", r#"{"model":"claude-opus-5-5"}"#);
    let (got, outcome) = world.ask(count).await;
    assert!(got.text().contains("input_tokens"), "{}", got.text());
    assert_eq!(tell(outcome.as_ref()), "succeeded 200");
    let list = Request::builder().uri("/v1/models?limit=1000").body(Bytes::new()).unwrap();
    let (got, outcome) = world.ask(list).await;
    assert_eq!(got.status(), StatusCode::OK);
    assert_eq!(tell(outcome.as_ref()), "succeeded 200");
    assert_eq!(world.upstream.requests().pop().unwrap().query.as_deref(), Some("limit=1000"));
    world.close().await;
}

#[tokio::test]
async fn an_answer_too_long_to_be_checked_is_withheld_unless_it_streams() {
    let world = World::open().await;
    let (got, outcome) = world.message("claude-opus-5-5+huge-5000000", Form::Json).await;
    assert_eq!(got.status(), StatusCode::BAD_GATEWAY);
    assert!(got.text().contains("too long to be checked"), "{}", got.text());
    assert_eq!(outcome.unwrap().status, Status::Failed);
    let (got, outcome) = world.message("claude-opus-5-5+huge-5000000", Form::Stream).await;
    assert!(got.body.len() > 5_000_000);
    assert!(tell(outcome.as_ref()).starts_with("succeeded 200 in=25"));
    world.close().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_slows_the_upstream() {
    let world = World::open().await;
    let mut exchange = world.send(message("claude-opus-5-5+endless-0", Form::Stream), 1);
    let taken = exchange.until(|text| text.len() > 100_000).await;
    // An endless upstream and a client that stopped reading: only the buffers fill.
    assert!(taken.len() > 2);
    exchange.leave().await;
    let outcome = tell(world.outcome().await.as_ref());
    assert_eq!(outcome, "aborted 200 in=25 out=1: the client left");
    world.upstream.live_streams_are(0).await;
    world.close().await;
}

#[tokio::test]
async fn every_block_of_a_long_answer_counts_once() {
    let blocks = (0..3).map(|n| Block::ToolUse {
        id: format!("toolu_{n}"),
        name: "Read".to_owned(),
        input: serde_json::json!({}),
    });
    let message = Message { blocks: blocks.collect(), ..Message::text(MODEL, "") };
    let script = Script::new(move |_| Play::json(StatusCode::OK, message.json()));
    let world = World::with(script).await;
    let (_, outcome) = world.message(MODEL, Form::Json).await;
    let want = "succeeded 200 in=25 out=12 Read(toolu_0) Read(toolu_1) Read(toolu_2) end_turn";
    assert_eq!(tell(outcome.as_ref()), want);
    world.close().await;
}
