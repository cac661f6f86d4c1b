//! Upstreams that fail: what the client is told, and what is recorded.

use http::{StatusCode, header::LOCATION};
use provost_scripted::{Answer, Content, Play, Script};

use crate::world::{Ending, Form, World, tell};

const RESET: &str = "the upstream broke the connection";

#[tokio::test]
async fn half_a_stream_never_ends_as_if_it_were_whole() {
    let world = World::open().await;
    for (scene, why) in [
        ("reset-mid-stream", RESET),
        ("close-mid-stream", RESET),
        ("eof-mid-stream", "the upstream ended its stream in the middle of a message"),
    ] {
        let (got, outcome) =
            world.message(&format!("claude-opus-5-5+{scene}"), Form::Stream).await;
        assert_eq!((got.status(), got.ending), (StatusCode::OK, Ending::End), "{scene}");
        assert_eq!(got.error(), "api_error", "{scene}");
        let (_, last) = got.text().trim_end().rsplit_once("\n\n").unwrap();
        assert!(last.starts_with("event: error\ndata: {"), "{scene}: {last}");
        let want = format!("failed 200 in=25 out=1: {why}");
        assert_eq!(tell(outcome.as_ref()), want, "{scene}");
    }
    world.close().await;
}

#[tokio::test]
async fn half_a_json_answer_is_withheld() {
    let world = World::open().await;
    for scene in ["reset-mid-stream", "close-mid-stream"] {
        let (got, outcome) =
            world.message(&format!("claude-opus-5-5+{scene}"), Form::Json).await;
        assert_eq!(got.status(), StatusCode::BAD_GATEWAY, "{scene}");
        assert_eq!(got.error(), "api_error", "{scene}");
        let want = format!("failed 200: {RESET}");
        assert_eq!(tell(outcome.as_ref()), want, "{scene}");
    }
    let (got, outcome) = world.message("claude-opus-5-5+eof-mid-stream", Form::Json).await;
    assert_eq!(got.ending, Ending::End, "nothing shows that it is half");
    assert_eq!(tell(outcome.as_ref()), "failed 200: the answer is not JSON");
    world.close().await;
}

#[tokio::test]
async fn what_the_upstream_says_of_itself_passes() {
    let world = World::open().await;
    let (got, outcome) = world.message("claude-opus-5-5+error-mid-stream", Form::Stream).await;
    assert_eq!((got.error(), got.ending), ("overloaded_error".to_owned(), Ending::End));
    assert_eq!(got.text().matches("event: error").count(), 1);
    let want = "failed 200 in=25 out=1: the upstream reported overloaded_error";
    assert_eq!(tell(outcome.as_ref()), want);
    for (status, kind) in [
        (400, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ] {
        let model = format!("claude-opus-5-5+status-{status}");
        let (got, outcome) = world.message(&model, Form::Stream).await;
        assert_eq!((got.status().as_u16(), got.error()), (status, kind.to_owned()));
        assert_eq!(got.header("retry-after"), (status == 429).then_some("20"));
        assert!(got.header("x-should-retry").is_none());
        let want = format!("failed {status}: the upstream reported {kind}");
        assert_eq!(tell(outcome.as_ref()), want);
    }
    world.close().await;
}

#[tokio::test]
async fn a_refused_key_of_ours_does_not_look_like_the_agents() {
    let world = World::open().await;
    for (status, words) in [(401, "provost secret set anthropic"), (403, "does not let")] {
        let model = format!("claude-opus-5-5+status-{status}");
        let (got, outcome) = world.message(&model, Form::Json).await;
        assert_eq!((got.status(), got.ending), (StatusCode::BAD_GATEWAY, Ending::Whole));
        assert_eq!(got.error(), "api_error");
        assert_eq!(got.header("x-should-retry"), Some("false"));
        assert!(got.text().contains(words), "{}", got.text());
        let outcome = outcome.unwrap();
        assert_eq!(outcome.code, Some(status));
        assert!(outcome.upstream_request.unwrap().starts_with("req_"));
    }
    world.close().await;
}

#[tokio::test]
async fn what_is_no_answer_is_not_passed_as_one() {
    let redirect = |_: &provost_scripted::Seen| {
        let body = Content::Whole("".into());
        let mut answer = Answer::new(StatusCode::TEMPORARY_REDIRECT, "text/plain", body);
        answer.headers.insert(LOCATION, "https://elsewhere.example/".parse().unwrap());
        Play::Answer(answer)
    };
    let world = World::with(Script::new(redirect)).await;
    let (got, _) = world.message("claude-opus-5-5", Form::Json).await;
    assert_eq!((got.status(), got.error()), (StatusCode::BAD_GATEWAY, "api_error".into()));
    assert!(got.header("location").is_none());
    world.close().await;

    let world = World::open().await;
    for form in [Form::Json, Form::Stream] {
        let (got, outcome) = world.message("claude-opus-5-5+html", form).await;
        assert_eq!((got.status(), got.ending), (StatusCode::BAD_GATEWAY, Ending::Whole));
        assert!(tell(outcome.as_ref()).starts_with("failed 200: The upstream answered with"));
    }
    let (got, outcome) = world.message("claude-opus-5-5+garbage", Form::Stream).await;
    assert!(String::from_utf8_lossy(&got.body).contains("event: error\ndata: {\"type\":"));
    assert!(tell(outcome.as_ref()).starts_with("failed 200: the upstream ended"));
    world.close().await;
}

#[tokio::test]
async fn an_upstream_out_of_reach_is_told_in_our_words() {
    let world = World::open().await;
    let (got, outcome) = world.message("claude-opus-5-5+reset", Form::Stream).await;
    assert_eq!((got.status(), got.ending), (StatusCode::BAD_GATEWAY, Ending::Whole));
    assert_eq!(got.error(), "api_error");
    assert_eq!(tell(outcome.as_ref()), format!("failed: {RESET}"));
    assert_eq!(got.header("x-should-retry"), None, "it may pass");
    world.close().await;
}

#[tokio::test]
async fn without_a_key_nothing_is_asked() {
    let world = World::open().await;
    world.vault.remove(&"anthropic".parse().unwrap()).unwrap();
    let (got, outcome) = world.message("claude-opus-5-5", Form::Json).await;
    assert_eq!((got.status(), got.error()), (StatusCode::BAD_GATEWAY, "api_error".into()));
    assert_eq!(got.header("x-should-retry"), Some("false"));
    assert!(got.text().contains("provost secret set anthropic"), "{}", got.text());
    assert!(tell(outcome.as_ref()).starts_with("failed: Provost cannot ask the upstream"));
    assert_eq!(world.upstream.requests().len(), 0);
    world.close().await;
}
