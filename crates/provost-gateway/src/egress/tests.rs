//! An upstream that answers, refuses, hangs, resets and lies, as seen from here.

use std::{fs, time::Duration};

use bytes::Bytes;
use http::{Method, Request, header::HOST};
use http_body_util::BodyExt;
use provost_scripted::{Script, Scripted};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_util::task::TaskTracker;

use super::{EgressError, EgressLimits, EgressSetupError, Upstream};

fn upstream(base: &str, limits: EgressLimits) -> Upstream {
    Upstream::new(base.parse().unwrap(), None, limits).unwrap()
}

fn request(model: &str, stream: bool) -> Request<Bytes> {
    let body = format!(r#"{{"model":"{model}","stream":{stream},"messages":[]}}"#);
    let request = Request::builder().method(Method::POST).uri("/v1/messages?beta=true");
    request.header(HOST, "the-gateway").header("x-api-key", "sk").body(body.into()).unwrap()
}

/// What a failed request or answer failed with.
async fn failure(upstream: &Upstream, request: Request<Bytes>) -> EgressError {
    match upstream.send_unasked(request).await {
        Err(error) => error,
        Ok(answer) => answer.into_body().collect().await.unwrap_err(),
    }
}

/// Listens, and says `reply` to whoever comes.
async fn say(reply: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut space = [0; 4096];
            drop(stream.read(&mut space).await);
            drop(stream.write_all(reply).await);
        }
    });
    address.to_string()
}

#[tokio::test]
async fn requests_arrive_as_they_were_made_under_the_bases_path() {
    let scripted = Scripted::start(Script::default()).await.unwrap();
    let base = format!("{}/prefix/", scripted.base_url());
    let upstream = upstream(&base, EgressLimits::default());
    let sent = request("m", false);
    let body = sent.body().clone();
    let answer = upstream.send_unasked(sent).await.unwrap();
    assert_eq!(answer.status(), 404); // the prefix is none of the script's routes
    assert!(answer.headers().contains_key("request-id"));

    let seen = scripted.requests().remove(0);
    assert_eq!(
        (seen.path.as_str(), seen.query.as_deref()),
        ("/prefix/v1/messages", Some("beta=true"))
    );
    assert_eq!(seen.header("host"), Some(scripted.address().to_string().as_str()));
    assert_eq!(seen.header("x-api-key"), Some("sk"));
    assert_eq!(seen.header("content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(seen.header("transfer-encoding"), None);
    assert_eq!(seen.body, body);
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    let scripted = Scripted::start(Script::default()).await.unwrap();
    let soon = Duration::from_millis(50);
    let limits =
        EgressLimits { head_timeout: soon, body_idle_timeout: soon, ..EgressLimits::default() };
    let upstream = upstream(&scripted.base_url(), limits);
    for (scene, want) in [
        ("hang", "the upstream did not begin an answer within 50ms"),
        ("hang-mid-stream", "the upstream fell silent for 50ms in its answer"),
        ("hang-after-head", "the upstream fell silent for 50ms in its answer"),
        ("reset", "the upstream broke the connection"),
        ("reset-mid-stream", "the upstream broke the connection"),
        ("close-mid-stream", "the upstream broke the connection"),
    ] {
        let error = failure(&upstream, request(&format!("m+{scene}"), true)).await;
        assert_eq!(error.to_string(), want, "{scene}: {error:?}");
    }
    scripted.live_streams_are(0).await;
}

#[tokio::test]
async fn those_who_cannot_be_reached_are_told_apart() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ssh = say(b"SSH-2.0-x\r\n").await;
    let chunks = say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n").await;
    let short = say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
    for (base, want) in [
        (format!("http://{nobody}"), "the upstream refused the connection"),
        ("http://a..b".to_owned(), "the upstream's name cannot be resolved"),
        (format!("https://{ssh}"), "no secure connection to the upstream can be made"),
        (format!("http://{ssh}"), "the upstream's answer is not HTTP"),
        (format!("http://{chunks}"), "the upstream's answer is not HTTP"),
        (format!("http://{short}"), "the upstream broke the connection"),
    ] {
        let upstream = upstream(&base, EgressLimits::default());
        let error = failure(&upstream, request("m", false)).await;
        assert_eq!(error.to_string(), want, "{base}: {error:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_counts_as_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let connect_timeout = Duration::from_millis(50);
    let upstream = upstream(&base, EgressLimits { connect_timeout, ..EgressLimits::default() });
    let error = failure(&upstream, request("m", false)).await;
    assert!(matches!(error, EgressError::ConnectTimeout(_)), "{error:?}");
}

#[tokio::test]
async fn dropping_a_request_or_its_answer_stops_the_upstream() {
    let scripted = Scripted::start(Script::default()).await.unwrap();
    let upstream = upstream(&scripted.base_url(), EgressLimits::default());
    tokio::select! {
        biased;
        _ = upstream.send_unasked(request("m+hang", true)) => panic!("answered"),
        () = scripted.live_streams_are(1) => {}
    }
    scripted.live_streams_are(0).await;

    let mut answer = upstream.send_unasked(request("m+endless-0", true)).await.unwrap();
    assert!(answer.body_mut().frame().await.unwrap().is_ok());
    assert_eq!(scripted.live_streams(), 1);
    drop(answer);
    scripted.live_streams_are(0).await;
}

#[tokio::test]
async fn authorities_are_read_from_a_file_or_named_as_unusable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let base: super::BaseUrl = "https://localhost".parse().unwrap();
    let trust = || Upstream::new(base.clone(), Some(&path), EgressLimits::default());

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&path, made.cert.pem()).unwrap();
    assert!(trust().is_ok());
    for bad in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&path, bad).unwrap();
        let error = trust().unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{bad:?}: {error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(trust(), Err(EgressSetupError::Authorities { .. })));
}
