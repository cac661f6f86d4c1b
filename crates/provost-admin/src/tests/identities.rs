//! Projects, agents, keys and people.

use axum::http::StatusCode;
use insta::assert_snapshot;
use provost_api::{IssuedKey, Key, List};

use super::harness::{Caller, Server, pretty};

#[tokio::test]
async fn projects_and_agents() {
    let server = Server::start().await;
    let says = async |method, path, body| server.says(&Caller::Local, method, path, body).await;
    let finance = r#"{"name":"finance"}"#;
    assert_snapshot!(says("POST", "/v1/projects", finance).await, @r#"409 {"code":"taken","message":"project finance exists already; names are never used again"}"#);
    assert_snapshot!(says("POST", "/v1/projects", r#"{"name":"ops","bodies":"full"}"#).await, @r#"
        201 {
          "name": "ops",
          "bodies": "full",
          "created_at": "2026-11-25T00:00:00.000000Z"
        }
        "#);
    assert_snapshot!(says("POST", "/v1/projects", r#"{"name":"x","bodies":"some"}"#).await, @r#"400 {"code":"malformed","message":"`some` is not a body mode: use none, digests or full"}"#);
    assert_snapshot!(says("GET", "/v1/projects", "").await, @r#"
        200 {
          "items": [
            {
              "name": "finance",
              "bodies": "digests",
              "created_at": "2026-11-25T00:00:00.000000Z"
            },
            {
              "name": "ops",
              "bodies": "full",
              "created_at": "2026-11-25T00:00:00.000000Z"
            }
          ]
        }
        "#);
    let bot = r#"{"name":"bot","project":"ops"}"#;
    assert_snapshot!(says("POST", "/v1/agents", r#"{"name":"bot","project":"none"}"#).await, @r#"404 {"code":"no-such","message":"there is no project none"}"#);
    assert_snapshot!(says("POST", "/v1/agents", bot).await, @r#"
        201 {
          "name": "bot",
          "project": "ops",
          "created_at": "2026-11-25T00:00:00.000000Z",
          "retired_at": null
        }
        "#);
    assert_snapshot!(says("POST", "/v1/agents", bot).await, @r#"409 {"code":"taken","message":"agent bot exists already; names are never used again"}"#);
    assert_snapshot!(says("DELETE", "/v1/agents/bot", "").await, @"204");
    assert_snapshot!(says("DELETE", "/v1/agents/bot", "").await, @r#"409 {"code":"over","message":"agent bot is over"}"#);
    assert_snapshot!(says("POST", "/v1/agents", bot).await, @r#"409 {"code":"taken","message":"agent bot exists already; names are never used again"}"#);
    assert_snapshot!(says("DELETE", "/v1/agents/nobody", "").await, @r#"404 {"code":"no-such","message":"there is no agent nobody"}"#);
}

#[tokio::test]
async fn a_key_is_shown_once_and_stops_when_revoked() {
    let server = Server::start().await;
    let keys = "/v1/agents/invoice-bot/keys";
    let body = server.ok(&Caller::Local, "POST", keys, r#"{"label":"laptop"}"#).await;
    assert_snapshot!(pretty(&body), @r#"
        {
          "credential": "crd_*",
          "key": "agk_*"
        }
        "#);
    let made: IssuedKey = serde_json::from_str(&body).unwrap();
    let caller = Caller::Token(made.key.0.clone());
    server.ok(&caller, "POST", "/v1/sessions", "{}").await;
    let listed = server.ok(&Caller::Local, "GET", keys, "").await;
    assert!(!listed.contains(&made.key.0));
    assert_snapshot!(pretty(&listed), @r#"
        {
          "items": [
            {
              "credential": "crd_*",
              "label": "laptop",
              "created_at": "2026-11-25T00:00:00.000000Z",
              "expires_at": null,
              "last_used_at": "2026-11-25T00:00:00.000000Z",
              "revoked_at": null
            }
          ]
        }
        "#);
    let key = format!("/v1/keys/{}", made.credential);
    server.ok(&Caller::Local, "DELETE", &key, "").await;
    assert_snapshot!(server.says(&caller, "POST", "/v1/sessions", "{}").await, @r#"401 {"code":"unauthenticated","message":"this credential was revoked"}"#);
    let says = async |method, path, body| server.says(&Caller::Local, method, path, body).await;
    assert_snapshot!(says("POST", keys, r#"{"label":""}"#).await, @r#"400 {"code":"invalid","message":"label: use 1 to 80 bytes without control characters"}"#);
    assert_snapshot!(says("POST", keys, r#"{"label":"a","expires_in_s":0}"#).await, @r#"400 {"code":"invalid","message":"expires_at: lies in the past"}"#);
    assert_snapshot!(says("GET", "/v1/agents/nobody/keys", "").await, @r#"404 {"code":"no-such","message":"there is no agent nobody"}"#);
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_its_grace() {
    let server = Server::start().await;
    let old = server.agent_key().await.token();
    let keys = server.ok(&Caller::Local, "GET", "/v1/agents/invoice-bot/keys", "").await;
    let keys: List<Key> = serde_json::from_str(&keys).unwrap();
    let path = format!("/v1/keys/{}/rotate", keys.items[0].credential);
    let new = server.ok(&Caller::Local, "POST", &path, r#"{"grace_s":60}"#).await;
    let new: IssuedKey = serde_json::from_str(&new).unwrap();
    for (key, seconds, want) in [
        (&old, 0, StatusCode::CREATED),
        (&new.key.0, 59, StatusCode::CREATED),
        (&old, 0, StatusCode::CREATED),
        (&old, 1, StatusCode::UNAUTHORIZED),
        (&new.key.0, 0, StatusCode::CREATED),
    ] {
        server.advance(seconds);
        let caller = Caller::Token(key.clone());
        let (status, body) = server.call(&caller, "POST", "/v1/sessions", "{}").await;
        assert_eq!(status, want, "{body}");
    }
}

#[tokio::test]
async fn people() {
    let server = Server::start().await;
    let says = async |method, path, body| server.says(&Caller::Local, method, path, body).await;
    let ada = r#"{"name":"ada","role":"operator"}"#;
    let body = server.ok(&Caller::Local, "POST", "/v1/humans", ada).await;
    assert_snapshot!(pretty(&body), @r#"
        {
          "human": {
            "id": "hum_*",
            "name": "ada",
            "role": "operator",
            "created_at": "2026-11-25T00:00:00.000000Z",
            "removed_at": null
          },
          "token": "pvh_*"
        }
        "#);
    assert_snapshot!(says("POST", "/v1/humans", ada).await, @r#"409 {"code":"taken","message":"human ada exists already; names are never used again"}"#);
    assert_snapshot!(says("POST", "/v1/humans", r#"{"name":"b","role":"root"}"#).await, @r#"400 {"code":"malformed","message":"`root` is not a role: use admin, operator, approver or auditor"}"#);
    assert_snapshot!(says("GET", "/v1/me", "").await, @r#"
        200 {
          "name": "local/1000",
          "role": "admin"
        }
        "#);
    let made: provost_api::IssuedToken = serde_json::from_str(&body).unwrap();
    let ada = Caller::Token(made.token.0);
    assert_snapshot!(server.says(&ada, "GET", "/v1/me", "").await, @r#"
        200 {
          "name": "human/ada",
          "role": "operator"
        }
        "#);
    assert_snapshot!(server.says(&ada, "GET", "/v1/humans", "").await, @r#"403 {"code":"forbidden","message":"this takes admin or auditor"}"#);
    assert_snapshot!(says("DELETE", "/v1/humans/ada", "").await, @"204");
    assert_snapshot!(server.says(&ada, "GET", "/v1/me", "").await, @r#"401 {"code":"unauthenticated","message":"this credential was revoked"}"#);
    assert_snapshot!(says("DELETE", "/v1/humans/ada", "").await, @r#"404 {"code":"no-such","message":"there is no human ada"}"#);
    assert_snapshot!(says("GET", "/v1/humans", "").await, @r#"
        200 {
          "items": [
            {
              "id": "hum_*",
              "name": "ada",
              "role": "operator",
              "created_at": "2026-11-25T00:00:00.000000Z",
              "removed_at": "2026-11-25T00:00:00.000000Z"
            }
          ]
        }
        "#);
}

#[tokio::test]
async fn changes_are_in_the_ledger_under_who_made_them() {
    let server = Server::start().await;
    let admin = server.human("admin").await;
    server.ok(&admin, "POST", "/v1/projects", r#"{"name":"ops"}"#).await;
    let path = "/v1/events?kind=admin&newest=true&limit=1";
    let events = server.ok(&Caller::Local, "GET", path, "").await;
    assert!(events.contains(r#""by":"human/admin""#), "{events}");
    assert!(events.contains("project.create"), "{events}");
}
