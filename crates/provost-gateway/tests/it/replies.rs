//! Replies: whole, streamed, broken, and to clients that leave or do not read.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use provost_gateway::{HttpFrame, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{count, head, parts, start, text};

const MIB: usize = 1024 * 1024;
const GET: &str = "GET / HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn replies_that_end_are_framed_as_announced_and_their_senders_know() {
    for (method, status, length, want) in [
        ("GET", 200, None, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        ("GET", 200, Some(11), "\r\n\r\nhello world"),
        ("HEAD", 200, Some(11), "content-length: 11\r\n"),
        ("GET", 204, None, "\r\n\r\n"),
    ] {
        let mut server = start(Limits::default(), move |_ask, mut reply, told| async move {
            let head = HttpFrame::Head(parts(status, length));
            for frame in [head, text("hello"), text(" world"), HttpFrame::End] {
                reply.send(frame).await.unwrap();
            }
            told.say("all sent");
        })
        .await;
        let mut client = server.client().await;
        for _ in 0..3 {
            client.send(&format!("{method} / HTTP/1.1\r\n\r\n")).await;
            drop(client.read_until(want).await);
            assert_eq!(server.told().await, "all sent", "{method} {status} {length:?}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_reply_without_an_end_resets_the_connection_after_what_there_was() {
    for (length, abort) in [(None, true), (None, false), (Some(10), true), (Some(5), false)] {
        let server = start(Limits::default(), move |_ask, mut reply, _| async move {
            reply.send(HttpFrame::Head(parts(200, length))).await.unwrap();
            reply.send(text("hello")).await.unwrap();
            if abort {
                reply.send(HttpFrame::Abort).await.unwrap();
            }
        })
        .await;
        let mut client = server.client().await;
        client.send(GET).await;
        let (reply, clean) = client.read_to_end().await;
        assert!(!clean && !reply.contains("\r\n0\r\n"), "{length:?} {abort}: {reply}");
        // A last piece is kept back until the end is certain.
        assert_eq!(reply.contains("hello"), length != Some(5), "{length:?} {abort}: {reply}");
    }
}

#[tokio::test]
async fn a_request_that_dies_without_a_word_resets_the_connection() {
    let server = start(Limits::default(), |_ask, _reply, _| async {}).await;
    let mut client = server.client().await;
    client.send(GET).await;
    assert_eq!(client.read_to_end().await, (String::new(), false));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_before_the_head_and_in_the_stream() {
    for streaming in [false, true] {
        for closing in [false, true] {
            let mut server =
                start(Limits::default(), move |_ask, mut reply, told| async move {
                    if streaming {
                        reply.send(head()).await.unwrap();
                        reply.send(text("hello")).await.unwrap();
                    }
                    told.say("waiting");
                    reply.gone().await;
                    told.say("gone");
                })
                .await;
            let mut client = server.client().await;
            client.send(GET).await;
            assert_eq!(server.told().await, "waiting");
            if streaming {
                drop(client.read_until("hello").await);
            }
            if closing {
                drop(client);
            } else {
                client.0.shutdown().await.unwrap(); // half-closed
                drop(client.read_to_end().await);
            }
            assert_eq!(server.told().await, "gone", "{streaming} {closing}");
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_sender_and_little_memory() {
    let limits = Limits { frames_max: 4, ..Limits::default() };
    let piece = Bytes::from(vec![b'x'; MIB / 4]);
    let mut server = start(limits, move |_ask, mut reply, told| {
        let piece = piece.clone();
        async move {
            reply.send(head()).await.unwrap();
            let mut sent: usize = 0;
            let blocked = Duration::from_millis(200);
            while tokio::time::timeout(blocked, reply.send(HttpFrame::Data(piece.clone())))
                .await
                .is_ok()
            {
                sent += piece.len();
            }
            told.say(sent.to_string());
            reply.send(HttpFrame::End).await.unwrap();
        }
    })
    .await;
    let mut client = server.client().await;
    client.send("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    let sent: usize = server.told().await.parse().unwrap();
    // Four frames, one buffer, and the buffers of two sockets; a loopback socket's grow.
    assert!(sent < 32 * MIB, "{sent} bytes were taken");
    let mut read = Vec::new();
    client.0.read_to_end(&mut read).await.unwrap();
    assert!(read.len() > sent && read.ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_reads_nothing_for_too_long_is_cut() {
    let write_idle_timeout = Duration::from_millis(50);
    let limits = Limits { write_idle_timeout, ..Limits::default() };
    let piece = Bytes::from(vec![b'x'; MIB]);
    let mut server = start(limits, move |_ask, mut reply, told| {
        let piece = piece.clone();
        async move {
            reply.send(head()).await.unwrap();
            while reply.send(HttpFrame::Data(piece.clone())).await.is_ok() {}
            told.say("gone");
        }
    })
    .await;
    let mut client = server.client().await;
    client.send(GET).await;
    assert_eq!(server.told().await, "gone");
    server.stop().await;
}

#[tokio::test]
async fn a_whole_reply_has_its_length_and_keeps_the_connection() {
    let server = start(Limits::default(), |_ask, mut reply, _| async move {
        let response = Response::builder().status(402).header("x-should-retry", "false");
        let response = response.body(Bytes::from("stop")).unwrap();
        reply.send(HttpFrame::Whole(response)).await.unwrap();
    })
    .await;
    let mut client = server.client().await;
    for _ in 0..2 {
        client.send(GET).await;
        let reply = client.read_until("stop").await;
        assert!(reply.starts_with("HTTP/1.1 402 Payment Required\r\n"), "{reply}");
        assert!(reply.contains("content-length: 4\r\n"), "{reply}");
    }
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let (next, nexts) = tokio::sync::watch::channel(());
    let server = start(Limits::default(), move |_ask, mut reply, _| {
        let mut nexts = nexts.clone();
        async move {
            reply.send(head()).await.unwrap();
            for event in ["one", "two", "three"] {
                reply.send(text(event)).await.unwrap();
                nexts.changed().await.unwrap();
            }
            reply.send(HttpFrame::End).await.unwrap();
        }
    })
    .await;
    let mut client = server.client().await;
    client.send(GET).await;
    for event in ["one", "two", "three"] {
        drop(client.read_until(event).await);
        next.send(()).unwrap();
    }
    drop(client.read_until("0\r\n\r\n").await);
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_twice() {
    let mut server = start(Limits::default(), count).await;
    let mut client = server.client().await;
    client.send("GET /once HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    drop(client.read_to_end().await);
    assert_eq!(server.told().await, "/once 0");
    assert!(server.told_nothing());
}
