//! Actions that are cut short: killed, ended, or left by their client.

use std::time::Duration;

use http::StatusCode;

use crate::world::{Ending, Form, World, message, tell};

const HANGS: &str = "claude-opus-5-5+hang-mid-stream";

#[tokio::test]
async fn a_kill_ends_a_stream_between_two_events_with_our_words() {
    let world = World::open().await;
    let mut exchange = world.send(message(HANGS, Form::Stream), 4);
    let frames = exchange.until(|text| text.contains("content_block_start")).await;
    world.kill().await;
    let got = exchange.rest(frames).await;
    world.upstream.live_streams_are(0).await;

    assert_eq!((got.status(), got.ending), (StatusCode::OK, Ending::End));
    assert_eq!(got.error(), "permission_error");
    let (before, last) = got.text().split_once("event: error\ndata: ").unwrap();
    assert!(before.ends_with("\n\n"), "{before}");
    assert!(last.contains("it loops") && last.ends_with("}\n\n"), "{last}");
    let outcome = world.outcome().await.unwrap();
    assert!(tell(Some(&outcome)).starts_with("aborted 200 in=25 out=1: "), "{outcome:?}");
    assert_eq!(outcome.result_bytes, u64::try_from(got.body.len()).unwrap());

    // The client asks again at once, without streaming: that is refused.
    let (got, _) = world.message(HANGS, Form::Json).await;
    assert_eq!((got.status(), got.error()), (StatusCode::FORBIDDEN, "permission_error".into()));
    assert_eq!(got.header("x-should-retry"), Some("false"));
    world.close().await;
}

#[tokio::test]
async fn a_kill_before_the_answer_is_a_refusal() {
    let world = World::open().await;
    for (scene, form) in [("hang", Form::Stream), ("hang", Form::Json)] {
        let model = format!("claude-opus-5-5+{scene}");
        let exchange = world.send(message(&model, form), 4);
        world.upstream.live_streams_are(1).await;
        world.kill().await;
        let got = exchange.rest(Vec::new()).await;
        assert_eq!((got.status(), got.ending), (StatusCode::FORBIDDEN, Ending::Whole));
        assert_eq!(got.header("x-should-retry"), Some("false"));
        assert!(got.text().contains("it loops"), "{}", got.text());
        world.upstream.live_streams_are(0).await;
        world.undo().await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_kill_answers_for_a_json_answer_that_is_not_whole() {
    let world = World::open().await;
    let exchange = world.send(message(HANGS, Form::Json), 4);
    world.upstream.live_streams_are(1).await;
    world.kill().await;
    let got = exchange.rest(Vec::new()).await;
    assert_eq!((got.status(), got.error()), (StatusCode::FORBIDDEN, "permission_error".into()));
    assert!(tell(world.outcome().await.as_ref()).starts_with("aborted"));
    world.upstream.live_streams_are(0).await;
    world.close().await;
}

#[tokio::test]
async fn a_kill_does_not_wait_for_a_client_that_reads_nothing() {
    let world = World::open().await;
    let mut exchange = world.send(message("claude-opus-5-5+endless-0", Form::Stream), 1);
    exchange.until(|text| text.contains("message_start")).await;
    world.kill().await;
    world.upstream.live_streams_are(0).await;
    exchange.recorded().await;
    assert!(tell(world.outcome().await.as_ref()).starts_with("aborted 200 in=25 out=1: "));
    world.close().await;
}

#[tokio::test]
async fn an_ended_session_and_a_shutdown_say_so() {
    let world = World::open().await;
    let mut exchange = world.send(message(HANGS, Form::Stream), 4);
    let frames = exchange.until(|text| text.contains("content_block_start")).await;
    world.end_session().await;
    let got = exchange.rest(frames).await;
    assert_eq!(got.error(), "authentication_error");
    assert!(got.text().contains("work is done"), "{}", got.text());
    world.close().await;

    let world = World::open().await;
    let mut exchange = world.send(message(HANGS, Form::Stream), 4);
    let frames = exchange.until(|text| text.contains("content_block_start")).await;
    assert_eq!(world.pipeline.drain(Duration::ZERO).await, 1);
    let got = exchange.rest(frames).await;
    assert_eq!(got.error(), "api_error");
    assert!(got.text().contains("shutting down"), "{}", got.text());
    world.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream_and_is_recorded() {
    let world = World::open().await;
    let mut exchange = world.send(message(HANGS, Form::Stream), 4);
    let _frames = exchange.until(|text| text.contains("content_block_start")).await;
    exchange.leave().await;
    world.upstream.live_streams_are(0).await;
    let outcome = tell(world.outcome().await.as_ref());
    assert_eq!(outcome, "aborted 200 in=25 out=1: the client left");

    let exchange = world.send(message("claude-opus-5-5+hang", Form::Stream), 4);
    world.upstream.live_streams_are(1).await;
    exchange.leave().await;
    world.upstream.live_streams_are(0).await;
    assert_eq!(tell(world.outcome().await.as_ref()), "aborted: the client left");
    world.close().await;
}
