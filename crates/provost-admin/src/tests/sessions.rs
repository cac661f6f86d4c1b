//! Sessions: opening, showing, ending, watching.

use insta::assert_snapshot;
use provost_api::{List, Session};

use super::harness::{Caller, Server, steady};

#[tokio::test]
async fn a_key_opens_only_its_own_agents_sessions() {
    let server = Server::start().await;
    server
        .ok(&Caller::Local, "POST", "/v1/agents", r#"{"name":"b","project":"finance"}"#)
        .await;
    let key = server.agent_key().await;
    let says = async |caller, body| server.says(caller, "POST", "/v1/sessions", body).await;
    assert_snapshot!(says(&key, r#"{"agent":"b"}"#).await, @r#"403 {"code":"forbidden","message":"an agent's key opens sessions of its own agent only"}"#);
    assert_snapshot!(says(&key, r#"{"agent":"invoice-bot","idle_max_s":60}"#).await, @r#"
        201 {
          "session": {
            "id": "ses_*",
            "agent": "invoice-bot",
            "project": "finance",
            "opened_by": "agent/invoice-bot crd_*",
            "started_at": "2026-11-25T00:00:00.000000Z",
            "last_seen_at": "2026-11-25T00:00:00.000000Z",
            "idle_max_s": 60,
            "expires_at": "2026-11-26T00:00:00.000000Z",
            "ended_at": null,
            "end_reason": null
          },
          "credential": "pvs_*"
        }
        "#);
    assert_snapshot!(says(&key, r#"{"idle_max_s":0}"#).await, @r#"400 {"code":"invalid","message":"idle_max_s: use 1 to what the server's configuration allows"}"#);
    assert_snapshot!(says(&key, r#"{"lifetime_max_s":86401}"#).await, @r#"400 {"code":"invalid","message":"lifetime_max_s: use 1 to what the server's configuration allows"}"#);
    assert_snapshot!(says(&Caller::Local, "{}").await, @r#"400 {"code":"invalid","message":"agent: say whose session"}"#);
    assert_snapshot!(says(&Caller::Local, r#"{"agent":"nobody"}"#).await, @r#"404 {"code":"no-such","message":"there is no agent nobody"}"#);
}

#[tokio::test]
async fn a_session_sees_and_ends_itself() {
    let server = Server::start().await;
    let opened = server.open_session().await;
    let itself = Caller::Token(opened.credential.0);
    let path = format!("/v1/sessions/{}", opened.session.id);
    assert_snapshot!(server.says(&itself, "GET", &path, "").await, @r#"
        200 {
          "id": "ses_*",
          "agent": "invoice-bot",
          "project": "finance",
          "opened_by": "local/1000",
          "started_at": "2026-11-25T00:00:00.000000Z",
          "last_seen_at": "2026-11-25T00:00:00.000000Z",
          "idle_max_s": 3600,
          "expires_at": "2026-11-26T00:00:00.000000Z",
          "ended_at": null,
          "end_reason": null
        }
        "#);
    let end = format!("{path}/end");
    let done = r#"{"reason":"the work is done"}"#;
    assert_snapshot!(server.says(&itself, "POST", &end, done).await, @"204");
    assert_snapshot!(server.says(&itself, "POST", &end, done).await, @r#"404 {"code":"no-such","message":"there is no live session ses_*"}"#);
    assert_snapshot!(server.says(&itself, "GET", &format!("{path}/watch"), "").await, @r#"
        200 {
          "over": true,
          "reason": "session ses_* is over: the work is done (session/ses_*)"
        }
        "#);
    assert_snapshot!(server.says(&Caller::Local, "GET", &path, "").await, @r#"
        200 {
          "id": "ses_*",
          "agent": "invoice-bot",
          "project": "finance",
          "opened_by": "local/1000",
          "started_at": "2026-11-25T00:00:00.000000Z",
          "last_seen_at": "2026-11-25T00:00:00.000000Z",
          "idle_max_s": 3600,
          "expires_at": "2026-11-26T00:00:00.000000Z",
          "ended_at": "2026-11-25T00:00:00.000000Z",
          "end_reason": "the work is done (session/ses_*)"
        }
        "#);
}

#[tokio::test]
async fn a_watch_answers_when_the_session_is_killed() {
    let server = Server::start().await;
    let opened = server.open_session().await;
    let watch = format!("/v1/sessions/{}/watch", opened.session.id);
    let kill = format!(
        r#"{{"scope":"session/{}","state":"killed","reason":"it went astray"}}"#,
        opened.session.id
    );
    let (said, _) = tokio::join!(
        server.says(&Caller::Local, "GET", &watch, ""),
        server.ok(&Caller::Local, "PUT", "/v1/run-state", &kill),
    );
    assert_snapshot!(said, @r#"
        200 {
          "over": true,
          "reason": "Provost stopped session ses_* (local/1000: it went astray). Stop now; a person has to undo this."
        }
        "#);
}

#[tokio::test]
async fn a_watch_ends_with_the_server_and_says_that_the_session_goes_on() {
    let server = Server::start().await;
    let opened = server.open_session().await;
    let watch = format!("/v1/sessions/{}/watch", opened.session.id);
    server.app.stopping.cancel();
    assert_snapshot!(server.says(&Caller::Local, "GET", &watch, "").await, @r#"
        200 {
          "over": false,
          "reason": null
        }
        "#);
}

#[tokio::test]
async fn sessions_are_listed_newest_first_in_pages() {
    let server = Server::start().await;
    let mut opened = Vec::new();
    for _ in 0..3 {
        opened.push(server.open_session().await.session.id);
    }
    opened.reverse();
    let list = async |query: &str| -> Vec<String> {
        let path = format!("/v1/sessions?{query}");
        let body = server.ok(&Caller::Local, "GET", &path, "").await;
        let page: List<Session> = serde_json::from_str(&body).unwrap();
        page.items.into_iter().map(|session| session.id).collect()
    };
    assert_eq!(list("").await, opened);
    assert_eq!(list("limit=2").await, opened[..2]);
    assert_eq!(list(&format!("limit=2&before={}", opened[1])).await, opened[2..]);
    assert_eq!(list("agent=invoice-bot&project=finance").await, opened);
    assert!(list("agent=other").await.is_empty());
}

#[tokio::test]
async fn a_credential_is_only_in_the_answer_that_makes_it() {
    let server = Server::start().await;
    let opened = server.open_session().await;
    for path in ["/v1/sessions", "/v1/events?limit=1000"] {
        let body = server.ok(&Caller::Local, "GET", path, "").await;
        assert!(!body.contains(&opened.credential.0), "{path}: {}", steady(&body));
    }
}
