//! Tools of MCP servers: looked at, and accepted where they changed.

use insta::assert_snapshot;
use provost_store::ToolDefinition;

use super::harness::{Caller, Server};

/// A server whose `push` changed from `{"a":1}` to `{"a":2}`, and whose other tool is hostile.
async fn with_tools() -> Server {
    let server = Server::start().await;
    server.offer("github", &[("push", r#"{"a":1}"#), (HOSTILE, "{}")]).await;
    server.advance(60);
    server.offer("github", &[("push", r#"{"a":2}"#)]).await;
    server
}

const HOSTILE: &str = "../../secrets?a#é%2F";
const HOSTILE_ENCODED: &str = "..%2F..%2Fsecrets%3Fa%23%C3%A9%252F";

#[tokio::test]
async fn tools_are_listed_and_shown_with_both_definitions() {
    let server = with_tools().await;
    let says = async |path: &str| server.says(&Caller::Local, "GET", path, "").await;
    assert_snapshot!(says("/v1/mcp/tools?server=github").await, @r#"
        200 {
          "items": [
            {
              "server": "github",
              "tool": "../../secrets?a#é%2F",
              "state": "accepted",
              "digest": "sha256:*",
              "accepted_by": "provost",
              "accepted_at": "2026-11-25T00:00:00.000000Z",
              "waiting_digest": null,
              "waiting_since": null
            },
            {
              "server": "github",
              "tool": "push",
              "state": "held",
              "digest": "sha256:*",
              "accepted_by": "provost",
              "accepted_at": "2026-11-25T00:00:00.000000Z",
              "waiting_digest": "sha256:*",
              "waiting_since": "2026-11-25T00:01:00.000000Z"
            }
          ]
        }
        "#);
    assert_snapshot!(says("/v1/mcp/tools?server=other").await, @r#"
        200 {
          "items": []
        }
        "#);
    assert_snapshot!(says("/v1/mcp/tools?srv=github").await, @r#"400 {"code":"malformed","message":"Failed to deserialize query string: srv: unknown field `srv`, expected `server`"}"#);
    assert_snapshot!(says("/v1/mcp/tools/github/push").await, @r#"
        200 {
          "tool": {
            "server": "github",
            "tool": "push",
            "state": "held",
            "digest": "sha256:*",
            "accepted_by": "provost",
            "accepted_at": "2026-11-25T00:00:00.000000Z",
            "waiting_digest": "sha256:*",
            "waiting_since": "2026-11-25T00:01:00.000000Z"
          },
          "accepted": "{\"a\":1}",
          "waiting": "{\"a\":2}"
        }
        "#);
    assert_snapshot!(says(&format!("/v1/mcp/tools/github/{HOSTILE_ENCODED}")).await, @r#"
        200 {
          "tool": {
            "server": "github",
            "tool": "../../secrets?a#é%2F",
            "state": "accepted",
            "digest": "sha256:*",
            "accepted_by": "provost",
            "accepted_at": "2026-11-25T00:00:00.000000Z",
            "waiting_digest": null,
            "waiting_since": null
          },
          "accepted": "{}",
          "waiting": null
        }
        "#);
    assert_snapshot!(says("/v1/mcp/tools/github/pull").await, @r#"404 {"code":"no-such","message":"there is no tool pull of MCP server github"}"#);
}

#[tokio::test]
async fn a_person_accepts_what_waits_and_nothing_else() {
    let server = with_tools().await;
    let says = async |path, body: &str| server.says(&Caller::Local, "POST", path, body).await;
    let of = |definition: &str| {
        let digest = ToolDefinition::new(definition.as_bytes()).digest();
        format!(r#"{{"digest":"{digest}"}}"#)
    };
    let path = "/v1/mcp/tools/github/push/accept";
    assert_snapshot!(says(path, "").await, @r#"400 {"code":"malformed","message":"missing field `digest` at line 1 column 2"}"#);
    assert_snapshot!(says(path, r#"{"digest":"2"}"#).await, @r#"400 {"code":"malformed","message":"not a digest: expected `sha256:` and 64 lower-case hexadecimal digits"}"#);
    assert_snapshot!(says(path, &of(r#"{"a":3}"#)).await, @r#"409 {"code":"changed-again","message":"tool push of MCP server github changed again: look at the definition that waits now, sha256:*"}"#);
    assert_snapshot!(says(path, &of(r#"{"a":2}"#)).await, @r#"
        200 {
          "server": "github",
          "tool": "push",
          "state": "accepted",
          "digest": "sha256:*",
          "accepted_by": "local/1000",
          "accepted_at": "2026-11-25T00:01:00.000000Z",
          "waiting_digest": null,
          "waiting_since": null
        }
        "#);
    assert_snapshot!(says(path, &of(r#"{"a":2}"#)).await, @r#"409 {"code":"not-held","message":"tool push of MCP server github is not held: nothing waits to be accepted"}"#);
    assert_snapshot!(says("/v1/mcp/tools/github/pull/accept", &of("{}")).await, @r#"404 {"code":"no-such","message":"there is no tool pull of MCP server github"}"#);
    let events = server.ok(&Caller::Local, "GET", "/v1/events?kind=admin", "").await;
    let accepted = events.matches("mcp.tool-accepted").count();
    assert_eq!(accepted, 1, "{events}");
    assert!(events.contains(r#""by":"local/1000""#), "{events}");
}
