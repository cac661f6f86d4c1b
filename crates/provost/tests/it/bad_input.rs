//! What hostile or broken clients send, and that each gets a clear answer and a record.

use std::time::Duration;

use provost_scripted::Script;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    raw::{self, message},
    world::{AGENT, MODEL, World, eventually, told},
};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_refused_with_the_field_that_is_wrong() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    let bearer = bearer(&token);
    for (body, want) in [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "object"),
        ("{} trailing", "JSON"),
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":7}"#, "model"),
        (r#"{"model":"a","model":"b"}"#, "model"),
        (r#"{"model":"claude-sonnet-5","max_tokens":-1}"#, "max_tokens"),
        (r#"{"model":"claude-sonnet-5","max_tokens":1.5}"#, "max_tokens"),
        (r#"{"model":"claude-sonnet-5","max_tokens":99999999999999999999}"#, "max_tokens"),
        (r#"{"model":"claude-sonnet-5","stream":"yes"}"#, "stream"),
    ] {
        let answer = raw::post(gateway, &[("authorization", &bearer)], body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let (kind, text) = answer.error();
        assert_eq!(kind, "invalid_request_error");
        assert!(text.contains(want), "{body}: {text}");
    }
    assert_eq!(world.events("refusal").await.len(), 11);
    assert_eq!(world.upstream.request_count("/v1/messages"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_prove_nothing_are_refused_once_and_for_all() {
    let world = World::start(Script::default()).await;
    let (id, token) = world.session().await;
    let gateway = world.server().gateway;
    let key = world.json(&["agent", "key", "create", AGENT, "--label", "ci"]).await;
    let key = key["key"].as_str().unwrap();
    let body = message(MODEL).to_string();
    let good = bearer(&token);
    let mistyped = bearer(&format!("{}x", &token[..token.len() - 1]));
    for (headers, want) in [
        (vec![], "no credential"),
        (vec![("authorization", mistyped.as_str())], "checksum"),
        (vec![("x-api-key", "sk-ant-api03-foreign")], "not a Provost credential"),
        (vec![("x-api-key", key)], "only opens sessions"),
        (vec![("authorization", good.as_str()), ("x-api-key", key)], "disagree"),
        (vec![("authorization", "Basic YTpi")], "not a Provost credential"),
    ] {
        let answer = raw::post(gateway, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 401, "{headers:?}: {answer:?}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        let (kind, text) = answer.error();
        assert_eq!(kind, "authentication_error");
        assert!(text.contains(want), "{headers:?}: {text}");
    }
    // The same credential twice is one credential.
    let both = [("authorization", good.as_str()), ("x-api-key", token.as_str())];
    assert_eq!(raw::post(gateway, &both, body.as_bytes()).await.status, 200);

    world.done(&["session", "end", &id, "--reason", "over"]).await;
    let answer = raw::ask(gateway, &token, &message(MODEL)).await;
    assert_eq!((answer.status, answer.header("x-should-retry")), (401, Some("false")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_its_sessions() {
    let world = World::start(Script::default()).await;
    let key = world.json(&["agent", "key", "create", AGENT, "--label", "ci"]).await;
    let mut command = world.command(&["env", "--agent", AGENT, "--format", "json"]);
    command.env("PROVOST_AGENT_KEY", key["key"].as_str().unwrap());
    command.env("PROVOST_SERVER", format!("http://{}", world.server().control));
    command.env("PROVOST_GATEWAY", format!("http://{}", world.server().gateway));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let env: Value = serde_json::from_slice(&output.stdout).unwrap();
    let token = env["ANTHROPIC_AUTH_TOKEN"].as_str().unwrap();
    let gateway = world.server().gateway;
    assert_eq!(raw::ask(gateway, token, &message(MODEL)).await.status, 200);
    world.done(&["agent", "key", "revoke", key["credential"].as_str().unwrap()]).await;
    assert_eq!(raw::ask(gateway, token, &message(MODEL)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_200_megabytes_is_refused_without_being_read() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {gateway}\r\nauthorization: {}\r\n\
         content-length: 209715200\r\n\r\n",
        bearer(&token)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = raw::read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    // The same without a length, in chunks: refused once the limit is passed.
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {gateway}\r\nauthorization: {}\r\n\
         transfer-encoding: chunked\r\n\r\n",
        bearer(&token)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk =
        [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![b' '; 1 << 20], b"\r\n".to_vec()];
    let chunk = chunk.concat();
    let (mut read, mut write) = stream.into_split();
    let sending = async {
        for _ in 0..200 {
            if write.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    let mut answer = [0; 12];
    let (read, ()) = tokio::join!(read.read_exact(&mut answer), sending);
    if read.is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
    let refused = world.events("refusal").await;
    let too_large = |event: &&Value| event["record"]["refusal"]["code"] == "too-large";
    assert_eq!(refused.iter().filter(too_large).count(), 2, "{refused:?}");
    assert_eq!(world.upstream.request_count("/v1/messages"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn header_floods_and_nonsense_are_turned_away() {
    let world = World::start(Script::default()).await;
    let gateway = world.server().gateway;
    let flood = "x-flood: 1\r\n".repeat(5_000);
    for (request, want) in [
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{flood}\r\n"), "HTTP/1.1 431"),
        ("NONSENSE\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "HTTP/1.1 "),
    ] {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        let _sent = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with(want), "{answer}");
    }
    let (_, token) = world.session().await;
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200, "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_and_slow_bodies_are_cut_off() {
    let mut world = World::install(Script::default()).await;
    world.set("PROVOST_LIMITS_HEADER_TIMEOUT_S", "1");
    world.set("PROVOST_LIMITS_BODY_IDLE_TIMEOUT_S", "1");
    world.serve().await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    let started = format!("POST /v1/messages HTTP/1.1\r\nhost: {gateway}\r\n");
    let body =
        format!("{started}authorization: {}\r\ncontent-length: 100\r\n\r\n{{", bearer(&token));
    for request in [started, body] {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let _reset = tokio::time::timeout(Duration::from_secs(60), end).await.expect("cut off");
    }
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200, "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_the_upstream_with_it() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let body = raw::streamed(&format!("{MODEL}+endless-20"));
    let bearer = bearer(&token);
    let headers = [("authorization", bearer.as_str())];
    let mut stream =
        raw::open(world.server().gateway, &headers, body.to_string().as_bytes()).await;
    raw::read_until(&mut stream, "content_block_delta").await;
    drop(stream);
    eventually("the upstream is let go", async || {
        (world.upstream.live_streams() == 0).then_some(())
    })
    .await;
    let (_, outcomes) = world.concluded().await;
    let outcome = &outcomes[0]["record"]["outcome"];
    assert_eq!(outcome["status"], "aborted", "{outcome}");
    assert!(outcome["usage"]["input"].as_u64().unwrap() > 0, "what was spent: {outcome}");
}

/// A client that says no more cannot be told from one that has left, so it has left.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_socket_is_a_client_that_left_and_leaves_no_intent_open() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    let bearer = bearer(&token);
    let headers = [("authorization", bearer.as_str())];
    let body = raw::streamed(&format!("{MODEL}+endless-20")).to_string();
    let mut stream = raw::open(gateway, &headers, body.as_bytes()).await;
    raw::read_until(&mut stream, "content_block_delta").await;
    stream.shutdown().await.unwrap();
    let (_, outcomes) = world.concluded().await;
    assert_eq!(outcomes[0]["record"]["outcome"]["status"], "aborted", "{outcomes:?}");
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200, "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_and_methods_are_refused() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    for (line, want) in [
        ("GET /v1/messages", 405),
        ("POST /v1/complete", 404),
        ("POST /v1/messages/batches", 404),
        ("POST //v1/messages", 400),
        ("POST /v1/%6dessages", 400),
        ("POST /v1/messages/../messages", 400),
        ("HEAD /", 200),
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: {gateway}\r\nauthorization: {}\r\ncontent-length: 0\r\n\
             connection: close\r\n\r\n",
            bearer(&token)
        );
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = raw::read(&mut stream).await;
        assert_eq!(answer.status, want, "{line}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_and_listing_go_through_the_same_pipeline() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    let body = json!({"model": MODEL, "messages": []}).to_string();
    let length = body.len();
    for request in [
        format!("POST /v1/messages/count_tokens HTTP/1.1\r\ncontent-length: {length}\r\n"),
        "GET /v1/models?limit=1000 HTTP/1.1\r\ncontent-length: 0\r\n".to_owned(),
    ] {
        let request = format!(
            "{request}host: {gateway}\r\nauthorization: {}\r\nconnection: close\r\n\r\n{body}",
            bearer(&token)
        );
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = raw::read(&mut stream).await;
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
    }
    let (intents, _) = world.concluded().await;
    let verbs: Vec<_> =
        intents.iter().map(|event| &event["record"]["intent"]["verb"]).collect();
    assert_eq!(verbs, ["count_tokens", "list_models"]);
}
