//! Reading events back, waiting for them, proving them.

use axum::http::StatusCode;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use insta::assert_snapshot;
use provost_api::{Event, EventPage, Proof};
use provost_ledger::{
    Checkpoint, Event as Recorded, Hash, Record, leaf_hash, verify_inclusion,
};

use super::harness::{Caller, Server};

async fn page(server: &Server, query: &str) -> EventPage {
    let path = format!("/v1/events?{query}");
    serde_json::from_str(&server.ok(&Caller::Local, "GET", &path, "").await).unwrap()
}

fn indices(page: &EventPage) -> Vec<u64> {
    page.events.iter().map(|event| event.index).collect()
}

#[tokio::test]
async fn an_event_is_its_entry_with_its_place_time_and_kind() {
    let server = Server::start().await;
    let path = "/v1/events?kind=admin&newest=true&limit=1";
    assert_snapshot!(server.says(&Caller::Local, "GET", path, "").await, @r#"
        200 {
          "events": [
            {
              "index": 4,
              "at": "2026-11-25T00:00:00.000000Z",
              "kind": "admin",
              "at_us": 1795564800000000,
              "boot": "bot_*",
              "elapsed_us": 1795564800000000,
              "record": {
                "admin": {
                  "by": "provost",
                  "detail": {
                    "version": "sha256:*"
                  },
                  "subject": "policies",
                  "verb": "policy.load"
                }
              },
              "subject": {},
              "v": 1
            }
          ],
          "after": 4,
          "size": 5
        }
        "#);
}

#[tokio::test]
async fn pages_join_up_with_and_without_the_index() {
    let server = Server::start().await;
    server.open_session().await;
    for is_indexed in [false, true] {
        if is_indexed {
            server.index().await;
        }
        for query in [
            "",
            "kind=admin",
            "kind=session",
            "agent=invoice-bot",
            "project=finance",
            "resource=AGENT/",
            "since=2026-11-25T01:00:00%2b01:00",
        ] {
            let whole = page(&server, &format!("{query}&limit=1000")).await;
            assert_eq!(whole.after, Some(whole.size - 1), "query = {query:?}");
            let (mut joined, mut after) = (Vec::new(), None);
            loop {
                let from = after.map_or_else(String::new, |after| format!("&after={after}"));
                let next = page(&server, &format!("{query}&limit=1{from}")).await;
                if next.events.is_empty() {
                    break;
                }
                joined.extend(indices(&next));
                after = next.after;
            }
            assert!(!joined.is_empty(), "query = {query:?}");
            assert_eq!(joined, indices(&whole), "query = {query:?}, indexed = {is_indexed}");
            let newest = page(&server, &format!("{query}&limit=2&newest=true")).await;
            let want = joined.len().saturating_sub(2);
            assert_eq!(indices(&newest), joined[want..], "query = {query:?}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_for_is_found_with_and_without_the_index() {
    let server = Server::start().await;
    let denied = server.act("claude-forbidden-1").await;
    server.advance(60);
    server.act("claude-sonnet-5").await;
    let all = page(&server, "limit=1000").await;
    let of = |fits: &dyn Fn(&Event) -> bool| -> Vec<u64> {
        all.events.iter().filter(|event| fits(event)).map(|event| event.index).collect()
    };
    let record = |event: &Event, pointer: &str| -> String {
        let found = event.entry["record"].pointer(pointer);
        found.and_then(|found| found.as_str()).unwrap_or_default().to_owned()
    };
    let late = of(&|event| event.at.as_str() >= "2026-11-25T00:01:00");
    let early = of(&|event| event.at.as_str() < "2026-11-25T00:01:00");
    assert!(!late.is_empty() && !early.is_empty());
    let action = format!("action={denied}");
    for (query, want) in [
        (action.as_str(), of(&|event| event.entry["subject"]["action"] == denied.as_str())),
        ("result=denied", of(&|event| record(event, "/refusal/code") == "denied")),
        ("result=allow", of(&|event| event.kind == "intent")),
        ("result=succeeded", of(&|event| event.kind == "outcome")),
        ("result=deny", Vec::new()),
        ("plane=llm", of(&|event| matches!(event.kind.as_str(), "intent" | "refusal"))),
        ("resource=FORBIDDEN", of(&|event| event.kind == "refusal")),
        ("since=2026-11-25T00:01:00Z", late.clone()),
        ("until=2026-11-25T00:01:00Z", early.clone()),
        ("since=2026-11-25T00:01:00Z&until=2026-11-25T00:01:00.000001Z", late),
        ("until=2026-11-25T02:01:00%2b02:00&text=%7b", early),
        ("text=Claude-FORBIDDEN", of(&|event| event.kind == "refusal")),
        ("text=Claude&kind=intent", of(&|event| event.kind == "intent")),
        ("text=nothing+like+it", Vec::new()),
    ] {
        for is_indexed in [false, true] {
            if is_indexed {
                server.index().await;
            } else {
                server.app.ledger.store.clear_index().await.unwrap();
            }
            let found = page(&server, query).await;
            assert_eq!(indices(&found), want, "query = {query}, indexed = {is_indexed}");
            assert_eq!(found.after, Some(found.size - 1), "query = {query}");
        }
    }
}

async fn drained(tasks: tokio::task::JoinSet<u64>) -> tokio::task::JoinSet<u64> {
    tasks.join_all().await;
    tokio::task::JoinSet::new()
}

/// More entries than one call reads, with what is looked for at both ends.
#[tokio::test]
async fn a_search_that_ends_early_says_where_to_go_on() {
    const COUNT: u64 = 20_100;
    let server = Server::start().await;
    let journal = &server.app.ledger.journal;
    let first = journal.size();
    let newest = journal.read(first - 1, 1).await.unwrap().remove(0);
    let plain = Recorded::decode(&newest).unwrap();
    let mut rare = plain.clone();
    let Record::Admin(admin) = &mut rare.record else { panic!("{rare:?}") };
    admin.subject = "the-needle".to_owned();
    let last = first + COUNT - 1;
    journal.append(rare.encode()).await.unwrap();
    let mut appending = tokio::task::JoinSet::new();
    for _ in first + 1..last {
        let (journal, entry) = (journal.clone(), plain.encode());
        appending.spawn(async move { journal.append(entry).await.unwrap() });
        if appending.len() == 500 {
            appending = drained(appending).await;
        }
    }
    drained(appending).await;
    journal.append(rare.encode()).await.unwrap();
    for is_indexed in [false, true] {
        if is_indexed {
            server.index().await;
        }
        for query in ["text=NEEDLE", "text=needle&kind=admin", "resource=Needle&kind=admin"] {
            let (mut found, mut after, mut calls) = (Vec::new(), None, 0);
            loop {
                let from = after.map_or_else(String::new, |after| format!("&after={after}"));
                let next = page(&server, &format!("{query}{from}")).await;
                found.extend(indices(&next));
                assert!(next.after > after, "query = {query}, after = {after:?}");
                (after, calls) = (next.after, calls + 1);
                if next.after == Some(next.size - 1) {
                    break;
                }
            }
            assert_eq!(found, [first, last], "query = {query}, indexed = {is_indexed}");
            let is_answered_by_rows = is_indexed && query.starts_with("resource");
            assert_eq!(calls > 1, !is_answered_by_rows, "query = {query}, calls = {calls}");
        }
    }
}

#[tokio::test]
async fn a_waiting_reader_gets_the_next_event_that_fits() {
    let server = Server::start().await;
    let size = page(&server, "").await.size;
    let query = format!("after={}&kind=session&wait=30", size - 1);
    let (found, opened) = tokio::join!(page(&server, &query), server.open_session());
    assert_eq!(found.events.len(), 1);
    assert_eq!(found.events[0].entry["subject"]["session"], opened.session.id);
}

#[tokio::test]
async fn a_waiting_reader_is_let_go_when_the_server_stops() {
    let server = Server::start().await;
    let size = page(&server, "").await.size;
    server.app.stopping.cancel();
    let found = page(&server, &format!("after={}&wait=30", size - 1)).await;
    assert!(found.events.is_empty());
}

#[tokio::test]
async fn an_action_has_all_its_events() {
    let server = Server::start().await;
    let action = server.act("claude-forbidden-1").await;
    for is_indexed in [false, true] {
        if is_indexed {
            server.index().await;
        }
        let path = format!("/v1/actions/{action}");
        let body = server.ok(&Caller::Local, "GET", &path, "").await;
        let found: provost_api::ActionEvents = serde_json::from_str(&body).unwrap();
        assert_eq!(found.events.len(), 1, "{body}");
        assert_eq!(found.events[0].entry["subject"]["action"], action);
    }
}

#[tokio::test]
async fn every_event_is_proven_offline() {
    let server = Server::start().await;
    server.open_session().await;
    for index in 0..page(&server, "").await.size {
        let path = format!("/v1/events/{index}/proof");
        let proof = server.ok(&Caller::Local, "GET", &path, "").await;
        let proof: Proof = serde_json::from_str(&proof).unwrap();
        let head = Checkpoint::open(&proof.checkpoint, &server.verifier).unwrap();
        let entry = BASE64_STANDARD.decode(&proof.entry).unwrap();
        let hashes: Vec<Hash> = proof
            .hashes
            .iter()
            .map(|hash| BASE64_STANDARD.decode(hash).unwrap().try_into().unwrap())
            .collect();
        verify_inclusion(&hashes, index, &leaf_hash(&entry), &head).unwrap();
    }
    let (status, _) = server.call(&Caller::Local, "GET", "/v1/events/999/proof", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.ok(&Caller::Local, "GET", "/v1/checkpoint", "").await;
}
