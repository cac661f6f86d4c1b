//! Who may call what, said a second time, and every answer compared with it.

use axum::http::StatusCode;
use provost_types::{ApprovalId, CredentialId};

use super::harness::{Caller, Server};
use crate::routes::table;

/// Pairs of a route and a caller that nothing below tests. Stays empty.
const UNCOVERED: &str = include_str!("uncovered.txt");

/// Who gets through to each route. People: admin, operator, approver, auditor; then an agent's
/// key, the session that the path names, and another session.
#[rustfmt::skip] // a table
const WANTED: &[(&str, [bool; 7])] = {
    const Y: bool = true;
    const N: bool = false;
    //                               admin  oper  appr  audit   key   own  other
    &[
        ("GET /v1/me",                 [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/humans",             [Y,    N,    N,    Y,     N,    N,    N]),
        ("POST /v1/humans",            [Y,    N,    N,    N,     N,    N,    N]),
        ("DELETE /v1/humans/{name}",   [Y,    N,    N,    N,     N,    N,    N]),
        ("GET /v1/projects",           [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("POST /v1/projects",          [Y,    N,    N,    N,     N,    N,    N]),
        ("GET /v1/agents",             [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("POST /v1/agents",            [Y,    N,    N,    N,     N,    N,    N]),
        ("DELETE /v1/agents/{name}",   [Y,    N,    N,    N,     N,    N,    N]),
        ("GET /v1/agents/{name}/keys", [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("POST /v1/agents/{name}/keys",[Y,    N,    N,    N,     N,    N,    N]),
        ("POST /v1/keys/{id}/rotate",  [Y,    N,    N,    N,     N,    N,    N]),
        ("DELETE /v1/keys/{id}",       [Y,    N,    N,    N,     N,    N,    N]),
        ("GET /v1/sessions",           [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("POST /v1/sessions",          [Y,    Y,    N,    N,     Y,    N,    N]),
        ("GET /v1/sessions/{id}",      [Y,    Y,    Y,    Y,     N,    Y,    N]),
        ("POST /v1/sessions/{id}/end", [Y,    Y,    N,    N,     N,    Y,    N]),
        ("GET /v1/sessions/{id}/watch",[Y,    Y,    Y,    Y,     N,    Y,    N]),
        ("GET /v1/run-state",          [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("PUT /v1/run-state",          [Y,    Y,    N,    N,     N,    N,    N]),
        ("GET /v1/events",             [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/events/{index}/proof",[Y,   Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/actions/{id}",       [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/actions/{id}/bodies",[Y,    N,    N,    Y,     N,    N,    N]),
        ("GET /v1/checkpoint",         [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/policies",           [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("POST /v1/policies/explain",  [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/mcp/tools",          [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/mcp/tools/{server}/{name}", [Y, Y, Y,   Y,     N,    N,    N]),
        ("POST /v1/mcp/tools/{server}/{name}/accept", [Y, N, N, N, N,  N,    N]),
        ("POST /v1/mcp/servers/{name}/login", [Y, N, N,   N,     N,    N,    N]),
        ("POST /v1/mcp/servers/{name}/login/finish", [Y, N, N, N, N,   N,    N]),
        ("DELETE /v1/mcp/servers/{name}/login", [Y, N, N, N,     N,    N,    N]),
        ("GET /v1/approvals",          [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("GET /v1/approvals/{id}",     [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("POST /v1/approvals/{id}/answer", [Y, Y,   Y,    N,     N,    N,    N]),
        ("POST /v1/approvals/{id}/revoke", [Y, Y,   Y,    N,     N,    N,    N]),
        ("GET /v1/sessions/{id}/approvals/{approval}", [Y, Y, Y, Y, N, Y,    N]),
        ("GET /v1/secrets",            [Y,    Y,    Y,    Y,     N,    N,    N]),
        ("PUT /v1/secrets/{name}",     [Y,    N,    N,    N,     N,    N,    N]),
        ("DELETE /v1/secrets/{name}",  [Y,    N,    N,    N,     N,    N,    N]),
    ]
};

#[tokio::test]
async fn every_route_lets_in_exactly_whom_it_should() {
    let server = Server::start().await;
    let (own, other) = (server.open_session().await, server.open_session().await);
    let callers = [
        ("admin", server.human("admin").await),
        ("operator", server.human("operator").await),
        ("approver", server.human("approver").await),
        ("auditor", server.human("auditor").await),
        ("agent key", server.agent_key().await),
        ("own session", Caller::Token(own.credential.0)),
        ("other session", Caller::Token(other.credential.0)),
    ];
    let mut uncovered = String::new();
    for route in table() {
        let name = format!("{} {}", route.method, route.path);
        let id = if route.path.starts_with("/v1/sessions") {
            own.session.id.clone()
        } else {
            CredentialId::generate().to_string()
        };
        let path = route.path.replace("{id}", &id).replace("{name}", "nobody");
        let path = path.replace("{index}", "1000000").replace("{server}", "nowhere");
        let path = path.replace("{approval}", &ApprovalId::generate().to_string());
        let (status, _) = server.call(&Caller::Nobody, route.method, &path, "{}").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name} without a credential");
        let wanted = WANTED.iter().find(|(wanted, _)| *wanted == name);
        for (at, (kind, caller)) in callers.iter().enumerate() {
            let Some((_, wanted)) = wanted else {
                uncovered += &format!("{name} {kind}\n");
                continue;
            };
            let (status, body) = server.call(caller, route.method, &path, "{}").await;
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{name} as {kind}: {body}");
            let is_let_in = status != StatusCode::FORBIDDEN;
            assert_eq!(is_let_in, wanted[at], "{name} as {kind}: {status} {body}");
        }
    }
    assert_eq!(uncovered, UNCOVERED, "routes without an authorisation test");
}

#[tokio::test]
async fn a_credential_that_proves_nothing_is_turned_away_everywhere() {
    let server = Server::start().await;
    let removed = server.human("auditor").await;
    server.ok(&Caller::Local, "DELETE", "/v1/humans/auditor", "").await;
    for header in [
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer sk-ant-api03-abc",
        "Bearer pvh_0000000000000000000000_000000000000000000000000000000000",
        "bearer pvh_",
    ] {
        let (status, body) = server.call(&Caller::Header(header), "GET", "/v1/me", "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{header}: {body}");
        assert!(!body.contains("sk-ant"), "{header}: {body}");
    }
    let (status, body) = server.call(&removed, "GET", "/v1/me", "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "a removed person: {body}");
}

#[tokio::test]
async fn a_bad_credential_is_not_made_good_by_the_socket() {
    let server = Server::start().await;
    let mut request = Server::request("GET", "/v1/me", "");
    request.extensions_mut().insert(crate::LocalPeer { uid: 0 });
    let header = "Bearer pvh_nonsense".parse().unwrap();
    request.headers_mut().insert("authorization", header);
    let (status, _) = server.send(request).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn two_credentials_are_none() {
    let server = Server::start().await;
    let token = server.human("admin").await.token();
    let mut request = Server::request("GET", "/v1/me", "");
    for _ in 0..2 {
        let header = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().append("authorization", header);
    }
    let (status, _) = server.send(request).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn operations_need_no_credential() {
    let server = Server::start().await;
    for (path, want) in [("/healthz", "ok\n"), ("/readyz", "ready\n"), ("/metrics", "a 1\n")] {
        let (status, body) = server.call(&Caller::Nobody, "GET", path, "").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, want), "path = {path}");
    }
}
