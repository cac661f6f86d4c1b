//! The policies in force, and explanations.

use insta::assert_snapshot;

use super::harness::{Caller, Server};

#[tokio::test]
async fn the_set_in_force_and_the_one_that_was_refused() {
    let server = Server::start().await;
    let says = async || server.says(&Caller::Local, "GET", "/v1/policies", "").await;
    assert_snapshot!(says().await, @r##"
    200 {
      "version": "sha256:*",
      "count": 10,
      "files": [
        {
          "name": "approvers.toml"
        },
        {
          "name": "base.cedar"
        },
        {
          "name": "project-finance.cedar"
        }
      ],
      "loaded_at": "2026-11-25T00:00:00.000000Z",
      "refused": null
    }
    "##);
    server.write_policy("broken.cedar", "permit (principal");
    server.app.pipeline.reload_policies().await.unwrap();
    assert_snapshot!(says().await, @r#"
        200 {
          "version": "sha256:*",
          "count": 10,
          "files": [
            {
              "name": "approvers.toml"
            },
            {
              "name": "base.cedar"
            },
            {
              "name": "project-finance.cedar"
            }
          ],
          "loaded_at": "2026-11-25T00:00:00.000000Z",
          "refused": {
            "at": "2026-11-25T00:00:00.000000Z",
            "findings": [
              "broken.cedar:1:18: error[syntax]: unexpected end of input; expected `!=`, `)`, `,`, `:`, `<`, `<=`, `==`, `>`, `>=`, `in`, or `is`"
            ]
          }
        }
        "#);
}

#[tokio::test]
async fn a_recorded_action_is_explained_under_the_set_in_force() {
    let server = Server::start().await;
    let action = server.act("claude-forbidden-1").await;
    let body = format!(r#"{{"action":"{action}"}}"#);
    let explained = server.ok(&Caller::Local, "POST", "/v1/policies/explain", &body).await;
    let explained: provost_api::Explanation = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained.action, action);
    assert_eq!((&*explained.recorded.verdict, &*explained.now.verdict), ("deny", "deny"));
    assert_eq!(explained.recorded, explained.now);
    assert!(explained.text.starts_with("DENY"), "{}", explained.text);
    assert!(!explained.changes.is_empty());
}

#[tokio::test]
async fn what_was_never_decided_is_not_explained() {
    let server = Server::start().await;
    let says =
        async |body| server.says(&Caller::Local, "POST", "/v1/policies/explain", body).await;
    let unknown = r#"{"action":"act_019a0000000070008000000000000000"}"#;
    assert_snapshot!(says(unknown).await, @r#"404 {"code":"no-such","message":"there is no decision about act_*"}"#);
    assert_snapshot!(says(r#"{"action":"ses_1"}"#).await, @r#"400 {"code":"malformed","message":"`ses_1` is not an id of the form `act_<32 hexadecimal digits>`"}"#);
}
