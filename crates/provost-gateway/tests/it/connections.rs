//! Connections: how many, how long, and how they end.

use std::time::Duration;

use provost_gateway::{HttpFrame, Limits};

use crate::server::{count, head, start, text};

const GET: &str = "GET / HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_end() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let mut server = start(limits, count).await;
    let mut one = server.client().await;
    one.send(GET).await;
    assert_eq!(server.told().await, "/ 0");
    let mut two = server.client().await;
    two.send("GET /2 HTTP/1.1\r\n\r\n").await;
    one.send("GET /1 HTTP/1.1\r\n\r\n").await;
    assert_eq!(server.told().await, "/1 0", "the first is served on, the second waits");
    drop(one);
    assert_eq!(server.told().await, "/2 0");
}

#[tokio::test]
async fn idle_connections_are_closed_and_not_noted() {
    let idle_timeout = Duration::from_millis(50);
    let mut server = start(Limits { idle_timeout, ..Limits::default() }, count).await;
    let mut client = server.client().await;
    client.send(GET).await;
    let (reply, clean) = client.read_to_end().await;
    assert!(clean && reply.ends_with("\r\n\r\n0"), "{reply}");
    assert_eq!(server.told().await, "/ 0");
    assert!(server.told_nothing());
    server.stop().await;
}

#[tokio::test]
async fn a_reply_longer_than_every_idle_limit_is_not_cut() {
    let soon = Duration::from_millis(20);
    let limits = Limits { idle_timeout: soon, header_read_timeout: soon, ..Limits::default() };
    let server = start(limits, move |_ask, mut reply, _| async move {
        reply.send(head()).await.unwrap();
        // The limits pass many times over; the connection is busy.
        tokio::time::sleep(soon * 10).await;
        reply.send(text("late")).await.unwrap();
        reply.send(HttpFrame::End).await.unwrap();
    })
    .await;
    let mut client = server.client().await;
    client.send(GET).await;
    drop(client.read_until("0\r\n\r\n").await);
    server.stop().await;
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_lets_replies_end() {
    let (finish, finished) = tokio::sync::watch::channel(());
    let mut server = start(Limits::default(), move |ask, mut reply, told| {
        let mut finished = finished.clone();
        async move {
            told.say(ask.parts.uri.path());
            if ask.parts.uri.path() == "/idle" {
                reply.send(HttpFrame::Whole(http::Response::default())).await.unwrap();
                return;
            }
            reply.send(head()).await.unwrap();
            finished.changed().await.unwrap();
            reply.send(text("done")).await.unwrap();
            reply.send(HttpFrame::End).await.unwrap();
        }
    })
    .await;
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    idle.send("GET /idle HTTP/1.1\r\n\r\n").await;
    drop(idle.read_until("\r\n\r\n").await);
    busy.send("GET /busy HTTP/1.1\r\n\r\n").await;
    drop(busy.read_until("\r\n\r\n").await);
    assert_eq!((server.told().await, server.told().await), ("/idle".into(), "/busy".into()));

    server.shutdown.cancel();
    assert_eq!(idle.read_to_end().await, (String::new(), true));
    finish.send(()).unwrap();
    let (reply, clean) = busy.read_to_end().await;
    assert!(clean && reply.ends_with("done\r\n0\r\n\r\n"), "{reply}");
    server.stop().await;
}
