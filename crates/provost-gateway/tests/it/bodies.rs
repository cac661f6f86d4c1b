//! Request bodies: whole, huge, slow, broken off, too many at once.

use std::time::Duration;

use provost_gateway::{HttpFrame, Limits};
use tokio::io::AsyncWriteExt;

use crate::server::{count, start};

const MIB: usize = 1024 * 1024;

fn small() -> Limits {
    Limits { body_bytes_max: MIB, ..Limits::default() }
}

#[tokio::test]
async fn bodies_arrive_whole_however_they_are_framed() {
    let mut server = start(small(), count).await;
    let mut client = server.client().await;
    let large = "x".repeat(MIB);
    for (framing, body, want) in [
        ("", "", 0),
        ("content-length: 0\r\n", "", 0),
        ("content-length: 3\r\n", "abc", 3),
        ("transfer-encoding: chunked\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 5),
        ("transfer-encoding: chunked\r\n", "0\r\ntrailer: x\r\n\r\n", 0),
        ("content-length: 1048576\r\n", &large, MIB),
    ] {
        client.send(&format!("POST /b HTTP/1.1\r\n{framing}\r\n{body}")).await;
        drop(client.read_until(&format!("\r\n\r\n{want}")).await);
        assert_eq!(server.told().await, format!("/b {want}"));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_announced_200_mb_are_refused_without_a_byte_of_them() {
    let mut server = start(small(), count).await;
    for expect in ["", "expect: 100-continue\r\n"] {
        let mut client = server.client().await;
        let head = format!("POST /huge HTTP/1.1\r\n{expect}content-length: 200000000\r\n\r\n");
        client.send(&head).await;
        let reply = client.read_until("\r\n\r\nno").await;
        assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
        assert!(reply.contains("connection: close"), "{reply}");
        client.0.shutdown().await.unwrap();
        assert_eq!(client.read_to_end().await, (String::new(), true));
        let told = server.told().await;
        assert_eq!(told, "refused /huge: the request body is larger than 1048576 bytes");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unannounced_200_mb_are_refused_at_the_limit() {
    let mut server = start(small(), count).await;
    let mut client = server.client().await;
    client.send("POST /huge HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut sent = 0;
    while sent < 200_000_000 && client.0.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
    }
    // The limit, what is read on in politeness, and the buffers of two sockets.
    assert!(sent < 64 * MIB, "{sent} bytes were taken");
    let (reply, _) = client.read_to_end().await;
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    let told = server.told().await;
    assert_eq!(told, "refused /huge: the request body is larger than 1048576 bytes");
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_stops_trickles_or_breaks_off_is_refused() {
    let soon = Duration::from_millis(50);
    let silent = Limits { body_idle_timeout: soon, ..small() };
    let slow = Limits { body_read_timeout: soon, ..small() };
    for (limits, want) in [
        (silent, "refused /s: the request body stopped arriving in the middle"),
        (slow, "refused /s: the request body took too long to arrive"),
    ] {
        let mut server = start(limits, count).await;
        let mut client = server.client().await;
        client.send("POST /s HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc").await;
        let reply = client.read_until("\r\n\r\nno").await;
        assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}"); // the closure's only status
        assert_eq!(server.told().await, want);
    }
    let mut server = start(small(), count).await;
    let mut client = server.client().await;
    client.send("POST /s HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc").await;
    drop(client);
    let told = server.told().await;
    assert_eq!(told, "refused /s: the request body broke off in the middle");
}

#[tokio::test]
async fn bodies_wait_for_room_among_all_bodies() {
    let limits = Limits { bodies_bytes_max: 2 * MIB, body_bytes_max: 2 * MIB, ..small() };
    let (release, released) = tokio::sync::watch::channel(());
    let mut server = start(limits, move |ask, mut reply, told| {
        let mut released = released.clone();
        async move {
            told.say(format!("{} {}", ask.parts.uri, ask.body.len()));
            released.changed().await.unwrap();
            drop(ask);
            reply.send(HttpFrame::Whole(http::Response::default())).await.unwrap();
        }
    })
    .await;
    let request = |path| {
        let body = "x".repeat(3 * MIB / 2);
        format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.send(&request("/1")).await;
    assert_eq!(server.told().await, "/1 1572864");
    let second = request("/2");
    tokio::join!(two.send(&second), async {
        // A small one passes while the second waits.
        let mut three = server.client().await;
        three.send("POST /3 HTTP/1.1\r\ncontent-length: 1\r\n\r\nx").await;
        assert_eq!(server.told().await, "/3 1");
        assert!(server.told_nothing());
        release.send(()).unwrap();
        drop(three.read_until("\r\n\r\n").await);
        drop(one.read_until("\r\n\r\n").await);
        assert_eq!(server.told().await, "/2 1572864");
        release.send(()).unwrap();
    });
    drop(two.read_until("\r\n\r\n").await);
    server.stop().await;
}
