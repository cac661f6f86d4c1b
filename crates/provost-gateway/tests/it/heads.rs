//! Request heads: slow, huge, broken.

use std::time::Duration;

use provost_gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Server, count, start};

async fn impatient() -> Server {
    let header_read_timeout = Duration::from_millis(50);
    let limits =
        Limits { header_read_timeout, header_bytes_max: 1024 * 1024, ..Limits::default() };
    start(limits, count).await
}

#[tokio::test]
async fn a_head_that_stops_is_cut_and_noted() {
    let mut server = impatient().await;
    for head in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut client = server.client().await;
        client.send(head).await;
        assert_eq!(client.read_to_end().await, (String::new(), true), "{head:?}");
        assert_eq!(server.told().await, "headless: the request head took too long to arrive");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_at_the_same_time() {
    let mut server = impatient().await;
    let mut client = server.client().await;
    client.send("GET / HTTP/1.1\r\nx: ").await;
    while client.0.write_all(b"y").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.told().await, "headless: the request head took too long to arrive");
}

#[tokio::test]
async fn a_connection_without_a_request_is_cut_and_not_noted() {
    let mut server = impatient().await;
    let mut client = server.client().await;
    assert_eq!(client.read_to_end().await, (String::new(), true));
    assert!(server.told_nothing());
}

#[tokio::test]
async fn a_second_head_has_its_time_from_its_first_byte() {
    let mut server = impatient().await;
    let mut client = server.client().await;
    client.send("GET /one HTTP/1.1\r\n\r\n").await;
    drop(client.read_until("\r\n\r\n0").await);
    assert_eq!(server.told().await, "/one 0");
    client.send("GET /two HTTP/1.1\r\n").await;
    assert_eq!(client.read_to_end().await, (String::new(), true));
    assert_eq!(server.told().await, "headless: the request head took too long to arrive");
}

#[tokio::test]
async fn floods_of_headers_are_answered_431_and_noted() {
    let limits = Limits { header_bytes_max: 8192, headers_max: 20, ..Limits::default() };
    let mut server = start(limits, count).await;
    let many = "a: b\r\n".repeat(21);
    let large = format!("a: {}\r\n", "b".repeat(9000));
    let endless = format!("a: {}", "b".repeat(1_000_000));
    for flood in [&many, &large, &endless] {
        let mut client = server.client().await;
        let head = format!("GET / HTTP/1.1\r\n{flood}\r\n");
        // The reply may come, and the connection end, before all is sent.
        drop(client.0.write_all(head.as_bytes()).await);
        let (reply, _) = client.read_to_end().await;
        drop(client);
        assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
        let noted = server.told().await;
        assert_eq!(noted, "headless: the request head is larger than 8192 bytes or 20 fields");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_a_head_is_answered_400_and_noted() {
    let mut server = start(Limits::default(), count).await;
    for garbage in
        ["\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "HELO there\r\n\r\n"]
    {
        let mut client = server.client().await;
        client.send(garbage).await;
        let (reply, _) = client.read_to_end().await;
        drop(client);
        assert!(reply.starts_with("HTTP/1.1 400 "), "{garbage:?}: {reply}");
        assert_eq!(server.told().await, "headless: that is not an HTTP/1.1 request head");
    }
}

#[tokio::test]
async fn a_head_that_breaks_off_is_noted() {
    let mut server = start(Limits::default(), count).await;
    let mut client = server.client().await;
    client.send("GET / HTTP/1.1\r\nhost").await;
    drop(client);
    assert_eq!(server.told().await, "headless: the request head broke off in the middle");
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_in_order() {
    let mut server = start(Limits::default(), count).await;
    let mut client = server.client().await;
    client.send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    let mut reply = String::new();
    client.0.read_to_string(&mut reply).await.unwrap();
    assert_eq!(reply.matches("HTTP/1.1 200 OK").count(), 2);
    assert_eq!((server.told().await, server.told().await), ("/1 0".into(), "/2 0".into()));
}
