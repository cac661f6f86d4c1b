//! Pausing and killing, and who may undo them.

use insta::assert_snapshot;

use super::harness::{Caller, Server};

#[tokio::test]
async fn an_operator_stops_and_only_an_admin_resumes() {
    let server = Server::start().await;
    let (admin, operator) = (server.human("admin").await, server.human("operator").await);
    let says = async |caller, body| server.says(caller, "PUT", "/v1/run-state", body).await;
    let pause = r#"{"scope":"agent/invoice-bot","state":"paused","reason":"it loops"}"#;
    let resume = r#"{"scope":"agent/invoice-bot","state":"running","reason":"mended"}"#;
    assert_snapshot!(says(&operator, pause).await, @r#"
        200 {
          "scope": "agent/invoice-bot",
          "state": "paused",
          "reason": "it loops",
          "by": "human/operator",
          "at": "2026-11-25T00:00:00.000000Z"
        }
        "#);
    assert_snapshot!(server.says(&operator, "GET", "/v1/run-state", "").await, @r#"
        200 {
          "items": [
            {
              "scope": "agent/invoice-bot",
              "state": "paused",
              "reason": "it loops",
              "by": "human/operator",
              "at": "2026-11-25T00:00:00.000000Z"
            }
          ]
        }
        "#);
    let open = r#"{"agent":"invoice-bot"}"#;
    assert_snapshot!(server.says(&operator, "POST", "/v1/sessions", open).await, @r#"409 {"code":"stopped","message":"Provost paused agent invoice-bot (human/operator: it loops). Stop now; a person has to undo this."}"#);
    assert_snapshot!(says(&operator, resume).await, @r#"403 {"code":"forbidden","message":"only an admin may set a scope back to running"}"#);
    assert_snapshot!(says(&admin, resume).await, @r#"
        200 {
          "scope": "agent/invoice-bot",
          "state": "running",
          "reason": "mended",
          "by": "human/admin",
          "at": "2026-11-25T00:00:00.000000Z"
        }
        "#);
    assert_snapshot!(server.says(&operator, "GET", "/v1/run-state", "").await, @r#"
        200 {
          "items": []
        }
        "#);
}

#[tokio::test]
async fn a_stop_needs_a_scope_a_state_and_a_reason() {
    let server = Server::start().await;
    let says = async |body| server.says(&Caller::Local, "PUT", "/v1/run-state", body).await;
    assert_snapshot!(says(r#"{"scope":"all","state":"killed"}"#).await, @r#"400 {"code":"invalid","message":"reason: say why, in one sentence"}"#);
    assert_snapshot!(says(r#"{"scope":"all","state":"killed","reason":" "}"#).await, @r#"400 {"code":"invalid","message":"reason: say why, in one sentence"}"#);
    assert_snapshot!(says(r#"{"scope":"all","state":"dead","reason":"a"}"#).await, @r#"400 {"code":"malformed","message":"`dead` is not understood: a scope is `all`, `project/NAME`, `agent/NAME` or `session/ID`; a state is `running`, `paused` or `killed`"}"#);
    assert_snapshot!(says(r#"{"scope":"everything","state":"killed","reason":"a"}"#).await, @r#"400 {"code":"malformed","message":"`everything` is not understood: a scope is `all`, `project/NAME`, `agent/NAME` or `session/ID`; a state is `running`, `paused` or `killed`"}"#);
    assert_snapshot!(says(r#"{"scope":"agent/x","state":"killed","reason":"a"}"#).await, @r#"404 {"code":"no-such","message":"there is no live agent/x"}"#);
}

#[tokio::test]
async fn a_kill_that_cannot_be_recorded_is_in_force_and_says_so() {
    let server = Server::start().await;
    let says = async |method, path, body| server.says(&Caller::Local, method, path, body).await;
    server.app.ledger.journal.close().await.unwrap();
    let kill = r#"{"scope":"all","state":"killed","reason":"all of them went astray"}"#;
    assert_snapshot!(says("PUT", "/v1/run-state", kill).await, @r#"503 {"code":"in-force-only","message":"in force, but not recorded: say it again before the next restart"}"#);
    assert_snapshot!(says("GET", "/v1/run-state", "").await, @r#"
        200 {
          "items": [
            {
              "scope": "all",
              "state": "killed",
              "reason": "all of them went astray",
              "by": "local/1000",
              "at": "2026-11-25T00:00:00.000000Z"
            }
          ]
        }
        "#);
    let run = r#"{"scope":"all","state":"running"}"#;
    assert_snapshot!(says("PUT", "/v1/run-state", run).await, @r#"503 {"code":"ledger-unavailable","message":"the ledger cannot be written; nothing was changed"}"#);
    assert_snapshot!(says("POST", "/v1/projects", r#"{"name":"ops"}"#).await, @r#"503 {"code":"ledger-unavailable","message":"the ledger cannot be written; nothing was changed"}"#);
}
