//! Each scene, as the client at the other end of the socket experiences it.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use provost_scripted::{Scene, Script, Scripted};

use crate::client::{ask, question, send};

async fn start() -> Scripted {
    Scripted::start(Script::default()).await.unwrap()
}

#[tokio::test]
async fn broken_replies_break_where_they_say() {
    let scripted = start().await;
    for stream in [false, true] {
        for (scene, whole) in [
            ("reset-mid-stream", false),
            ("close-mid-stream", false),
            ("eof-mid-stream", true),
            ("garbage", true),
        ] {
            let reply = ask(&scripted, question(&format!("m+{scene}"), stream)).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.whole, whole, "{scene}, stream {stream}");
            assert!(!reply.body.is_empty(), "{scene}: what came before the cut is delivered");
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(!text.contains("message_stop"), "{scene}: {text}");
        }
    }
    let reply = ask(&scripted, question("m+error-mid-stream", true)).await;
    assert_eq!(reply.events().last().map(String::as_str), Some("error"));
    scripted.live_streams_are(0).await;
}

#[tokio::test]
async fn a_reset_gives_no_reply_at_all() {
    let scripted = start().await;
    let body = question("m+reset", true).to_string();
    let error = send(scripted.address(), Method::POST, "/v1/messages", body).await.unwrap_err();
    assert!(!error.is_parse(), "{error}");
}

#[tokio::test]
async fn encoded_replies_decode_to_the_plain_one() {
    let scripted = start().await;
    for stream in [false, true] {
        let plain = ask(&scripted, question("m", stream)).await.body.len();
        for scene in ["gzip", "deflate", "br", "zstd", "bytewise"] {
            let model = format!("m+{scene}");
            let reply = ask(&scripted, question(&model, stream)).await;
            assert!(reply.whole);
            assert_eq!(reply.text().len(), plain + scene.len() + 1, "{scene}"); // model's name
        }
    }
}

#[tokio::test]
async fn odd_replies_are_as_asked() {
    let scripted = start().await;
    let reply = ask(&scripted, question("m+status-429", true)).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["retry-after"]),
        (429, &"20".parse().unwrap())
    );
    assert_eq!(reply.json()["error"]["type"], "rate_limit_error");

    let reply = ask(&scripted, question("m+html", false)).await;
    assert_eq!(reply.headers["content-type"], "text/html");

    for stream in [false, true] {
        assert!(ask(&scripted, question("m", stream)).await.text().contains("usage"));
        assert!(
            !ask(&scripted, question("m+no-usage", stream)).await.text().contains("\"usage")
        );
        let huge = ask(&scripted, question("m+huge-3000000", stream)).await;
        assert!(huge.whole && huge.body.len() > 3_000_000, "{}", huge.body.len());
    }
    let slow = ask(&scripted, question("m+slow-5x1", true)).await.events();
    assert_eq!(slow.iter().filter(|name| *name == "content_block_delta").count(), 5);
}

#[tokio::test]
async fn what_never_ends_is_live_until_the_client_leaves() {
    let scripted = start().await;
    for scene in ["endless-0", "endless-1", "hang-after-head", "hang-mid-stream"] {
        let body = question(&format!("m+{scene}"), true).to_string();
        let mut response =
            send(scripted.address(), Method::POST, "/v1/messages", body).await.unwrap();
        if scene != "hang-after-head" {
            assert!(response.body_mut().frame().await.unwrap().is_ok(), "{scene}");
        }
        assert_eq!(scripted.live_streams(), 1, "{scene}");
        drop(response);
        scripted.live_streams_are(0).await;
    }
}

#[tokio::test]
async fn a_hang_before_the_head_ends_with_its_client_or_its_endpoint() {
    let scripted = start().await;
    let body = question("m+hang", true).to_string();
    let asking = send(scripted.address(), Method::POST, "/v1/messages", body.clone());
    tokio::select! {
        biased;
        _ = asking => panic!("answered"),
        () = scripted.live_streams_are(1) => {}
    }
    scripted.live_streams_are(0).await;

    let asking = send(scripted.address(), Method::POST, "/v1/messages", body);
    let stopping = async {
        scripted.live_streams_are(1).await;
        scripted.stop().await;
    };
    let (reply, ()) = tokio::join!(asking, stopping);
    assert!(reply.is_err());
}

#[test]
fn scenes_are_read_strictly() {
    for (text, want) in [
        ("hang", true),
        ("slow-50x20", true),
        ("status-529", true),
        ("", false),
        ("Hang", false),
        ("slow-50", false),
        ("endless", false),
        ("status-9999", false),
        ("huge-x", false),
    ] {
        assert_eq!(text.parse::<Scene>().is_ok(), want, "text = {text:?}");
    }
}
