//! kill -9, again and again under load: what was sent was intended, and every intent is closed.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use provost_ledger::{Event, Record};
use provost_scripted::Script;
use provost_store::{FileJournal, Journal};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    raw::message,
    world::{MODEL, World, eventually},
};

const KILLS: u64 = 50;
const CLIENTS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_leave_no_call_without_an_intent_and_no_intent_open() {
    let mut world = World::install(Script::default().seen_max(1_000_000)).await;
    let numbers = Arc::new(AtomicU64::new(0));
    let mut token = None;
    for kill in 0..KILLS {
        world.serve().await;
        if token.is_none() {
            token = Some(world.session().await.1);
        }
        let before = world.upstream.request_count("/v1/messages");
        let stop = Arc::new(AtomicBool::new(false));
        let load: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let work = hammer(
                    world.server().gateway,
                    token.clone().unwrap(),
                    Arc::clone(&numbers),
                    Arc::clone(&stop),
                );
                #[expect(clippy::disallowed_methods, reason = "the test awaits its own tasks")]
                tokio::spawn(work)
            })
            .collect();
        let wanted = before + 1 + kill % 17;
        eventually("the upstream is under load", async || {
            (world.upstream.request_count("/v1/messages") >= wanted).then_some(())
        })
        .await;
        world.end("KILL").await;
        stop.store(true, Ordering::SeqCst);
        for client in load {
            client.await.unwrap();
        }
    }
    // What a crash leaves is no fault, before and after the restart that closes it.
    let after_the_crash = world.run(&["audit", "verify"]).await;
    let text = String::from_utf8_lossy(&after_the_crash.stdout);
    let faults = text.lines().filter(|line| line.starts_with("FAULT"));
    let torn = |line: &&str| line.contains("torn") || line.contains("half-written");
    assert_eq!(faults.filter(|line| !torn(line)).count(), 0, "{text}");
    world.serve().await;
    assert!(world.end("TERM").await.success());
    let verified = world.done(&["audit", "verify"]).await;
    check(&world, &verified).await;
}

async fn check(world: &World, verified: &str) {
    let journal = Journal::File(FileJournal::open(&world.data().join("ledger")).unwrap());
    let mut intended = HashSet::new();
    let mut open = HashMap::new();
    let mut unknown = 0;
    let mut position = 0;
    while position < journal.size() {
        for entry in journal.read(position, 1_000).await.unwrap() {
            let event = Event::decode(&entry).unwrap();
            let action = event.subject.action;
            match event.record {
                Record::Intent(intent) => {
                    intended.insert(intent.correlation.client_request.unwrap());
                    open.insert(action, position);
                }
                Record::Outcome(outcome) => {
                    assert!(open.remove(&action).is_some(), "an outcome without an intent");
                    unknown += u64::from(outcome.status.as_str() == "unknown");
                }
                Record::Refusal(_)
                | Record::Admin(_)
                | Record::Session(_)
                | Record::Server(_)
                | Record::Witness(_)
                | Record::Alert(_)
                | Record::Approval(_) => {}
            }
            position += 1;
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    let mut sent = 0;
    for seen in world.upstream.requests() {
        let id = seen.headers.get("x-client-request-id").unwrap().to_str().unwrap();
        assert!(intended.contains(id), "{id} was sent without a durable intent");
        sent += 1;
    }
    assert!(sent >= KILLS, "{sent} calls");
    println!("{KILLS} kills, {sent} calls, {unknown} outcomes unknown; {}", verified.trim());
}

/// Asks for ever, each request with a number of its own, until told to stop.
async fn hammer(
    gateway: SocketAddr,
    token: String,
    numbers: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) {
    let body = message(MODEL).to_string();
    while !stop.load(Ordering::SeqCst) {
        let number = numbers.fetch_add(1, Ordering::SeqCst);
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: {gateway}\r\nauthorization: Bearer {token}\r\n\
             x-client-request-id: req-{number}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let Ok(mut stream) = TcpStream::connect(gateway).await else { return };
        if stream.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        let mut answer = Vec::new();
        if stream.read_to_end(&mut answer).await.is_err() {
            return;
        }
    }
}
