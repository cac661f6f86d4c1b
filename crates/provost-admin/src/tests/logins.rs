//! Logins at MCP servers: what is recorded, what is kept, and what is told.

use axum::http::StatusCode;
use provost_api::{BeginMcpLogin, McpLogin, McpLoginBegun};
use provost_secrets::GrantName;
use secrecy::{ExposeSecret as _, SecretString};

use super::harness::{Caller, Server};
use crate::{LoginAnswer, LoginFailed, LoginFailure, LoginTaken, Logins};

/// Knows the server `github`, and takes one answer.
#[derive(Debug)]
pub(crate) struct Scripted;

impl Logins for Scripted {
    fn begin(&self, server: GrantName, asked: BeginMcpLogin) -> LoginAnswer<'_, McpLoginBegun> {
        Box::pin(async move {
            if server.as_str() != "github" {
                let kind = LoginFailure::NoSuchServer;
                return Err(LoginFailed { kind, sentence: "no such server".to_owned() });
            }
            Ok(McpLoginBegun {
                url: format!("https://as.example/authorize?to={}", asked.redirect),
                state: "s".to_owned(),
                issuer: "https://as.example".to_owned(),
                client: "provost".to_owned(),
                scopes: Vec::new(),
            })
        })
    }

    fn finish(
        &self,
        server: GrantName,
        redirected: SecretString,
    ) -> LoginAnswer<'_, LoginTaken> {
        Box::pin(async move {
            if redirected.expose_secret() != "http://127.0.0.1:1/?code=good" {
                let kind = LoginFailure::Refused;
                return Err(LoginFailed { kind, sentence: "it is over".to_owned() });
            }
            let login = McpLogin {
                server: server.to_string(),
                issuer: "https://as.example".to_owned(),
                scopes: vec!["repo".to_owned()],
                expires_at: None,
                renews: true,
            };
            Ok(LoginTaken { grant: "the grant".into(), login })
        })
    }
}

const LOGIN: &str = "/v1/mcp/servers/github/login";
const FINISH: &str = "/v1/mcp/servers/github/login/finish";

#[tokio::test]
async fn a_login_is_recorded_and_kept_and_never_told() {
    let server = Server::start().await;
    let local = Caller::Local;
    let begin = r#"{"redirect":"http://127.0.0.1:1/"}"#;
    let begun = server.ok(&local, "POST", LOGIN, begin).await;
    assert!(begun.contains("https://as.example/authorize"), "{begun}");
    let finish = r#"{"redirected":"http://127.0.0.1:1/?code=good"}"#;
    let told = server.ok(&local, "POST", FINISH, finish).await;
    assert!(told.contains("\"issuer\":\"https://as.example\""), "{told}");
    assert!(!told.contains("the grant"), "{told}");
    assert!(server.dir.path().join("secrets/grant.github.age").exists());

    server.ok(&local, "DELETE", LOGIN, "").await;
    let (status, body) = server.call(&local, "DELETE", LOGIN, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    let events = server.ok(&local, "GET", "/v1/events?kind=admin", "").await;
    for want in ["mcp.login", "mcp.logout", "mcp/github", "https://as.example"] {
        assert!(events.contains(want), "{want}: {events}");
    }
    assert!(!events.contains("code=good"), "{events}");
}

#[tokio::test]
async fn a_login_that_fails_says_why_and_keeps_nothing() {
    let server = Server::start().await;
    for (method, path, body, want) in [
        ("POST", "/v1/mcp/servers/other/login", r#"{"redirect":"x"}"#, StatusCode::NOT_FOUND),
        ("POST", FINISH, r#"{"redirected":"x"}"#, StatusCode::CONFLICT),
        ("POST", FINISH, "{}", StatusCode::BAD_REQUEST),
        ("POST", "/v1/mcp/servers/A/login", r#"{"redirect":"x"}"#, StatusCode::BAD_REQUEST),
    ] {
        let (status, told) = server.call(&Caller::Local, method, path, body).await;
        assert_eq!(status, want, "{path}: {told}");
    }
    assert!(!server.dir.path().join("secrets/grant.github.age").exists());
}
