//! OAuth towards MCP servers: a person logs in once, and agents call with what came of it.

use std::{process::Stdio, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use provost_scripted::Script;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    authority::{Authority, Guarded},
    client,
    mcp::initialize,
    world::{World, told},
};

const POLICY: &str = r#"
@id("everything")
permit (principal, action in Mcp::Action::"all", resource);
"#;

/// Longest wait for something that has to happen. Never an assertion about speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// An installation in front of a server that wants OAuth, as `guarded`.
struct Served {
    world: World,
    authority: Authority,
    guarded: Guarded,
}

impl Served {
    async fn start(settings: &str) -> Self {
        let authority = Authority::start().await;
        let guarded = Guarded::start(&authority).await;
        let mut world = World::install(Script::default()).await;
        let url = guarded.url();
        world.configure(&format!(
            "[mcp.servers.guarded]\nurl = \"{url}\"\noauth = true\n{settings}\n"
        ));
        world.policy("mcp", POLICY);
        world.serve().await;
        Self { world, authority, guarded }
    }

    /// `provost mcp login`, until it says what to open.
    async fn login(&self, arguments: &[&str], input: &str) -> (Child, String) {
        let mut command = self.world.command(&["mcp", "login", "guarded"]);
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(input.as_bytes()).await.unwrap();
        if !input.is_empty() {
            drop(child.stdin.take());
        }
        let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
        let mut said = String::new();
        let opened = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.trim().strip_prefix("http") {
                    return format!("http{url}");
                }
                said += &line;
            }
            panic!("it says nothing to open: {said}");
        };
        let url = tokio::time::timeout(PATIENCE, opened).await.expect("it says what to open");
        (child, url)
    }

    /// Logs in as a person with a browser would.
    async fn logged_in(&self) {
        let (child, url) = self.login(&[], "").await;
        let back = redirected(&url).await;
        let (status, page) = get(&back).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{}\n{}", told(&output), self.world.server_log());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("logged in at http://127.0.0.1"), "{said}");
    }

    /// What a program with the Python SDK hears when it calls a tool.
    async fn call(&self, token: &str) -> Option<String> {
        let python = client::python_mcp()?;
        let url = format!("http://{}/mcp/guarded", self.world.server().gateway);
        let mut command = Command::new(python);
        command.args(["-c", CALL, &url, token]).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output());
        let output = output.await.expect("the client ends").unwrap();
        assert!(output.status.success(), "{}\n{}", told(&output), self.world.server_log());
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// What an agent is told when it asks without an SDK.
    async fn ask(&self, token: &str) -> (StatusCode, String) {
        let url = format!("http://{}/mcp/guarded", self.world.server().gateway);
        let answer = initialize(&url, token).await;
        (answer.status(), answer.into_body())
    }

    /// Nothing that was given is anywhere in the clear.
    fn leaks_nothing(&self, agents: &str) {
        let access: Vec<String> = self.authority.state().access.iter().cloned().collect();
        let mut files = vec![self.world.data().to_owned()];
        let mut looked_at = 0;
        while let Some(path) = files.pop() {
            if path.is_dir() {
                let inside = std::fs::read_dir(&path).unwrap();
                files.extend(inside.map(|entry| entry.unwrap().path()));
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else { continue };
            looked_at += 1;
            let text = String::from_utf8_lossy(&bytes);
            for token in access.iter().map(String::as_str).chain(["refresh-", "code-"]) {
                assert!(!text.contains(token), "{} holds {token}", path.display());
            }
        }
        assert!(looked_at > 5);
        let log = self.world.server_log();
        assert!(!log.contains("refresh-") && !access.iter().any(|one| log.contains(one)));
        assert!(!self.guarded.shown().iter().any(|shown| shown.contains(agents)));
    }
}

const CALL: &str = r#"
import asyncio, sys, httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
async def main():
    headers = {"Authorization": f"Bearer {sys.argv[2]}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        async with Client(streamable_http_client(sys.argv[1], http_client=http)) as client:
            tools = await client.list_tools()
            print("tools:", len(tools.tools))
            result = await client.call_tool("test_simple_text", {})
            print("said:", result.content[0].text)
asyncio.run(main())
"#;

async fn get(url: &str) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let (head, body) = client.get(url.parse().unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8_lossy(&body).into_owned())
}

/// Where the authorization server sends a browser that opens `url`.
async fn redirected(url: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(url.parse().unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND, "{url}");
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_once_and_agents_call_with_what_came_of_it() {
    let served = Served::start("").await;
    let (_, token) = served.world.session().await;
    let (_, told_before) = served.ask(&token).await;
    assert!(told_before.contains("`provost mcp login guarded`"), "{told_before}");

    served.logged_in().await;
    let Some(said) = served.call(&token).await else { return };
    assert!(said.contains("said: This is a simple text response for testing."), "{said}");
    assert_eq!(served.authority.state().refreshed, 0);

    // The access token stops counting before its time: it is renewed, and nobody notices.
    served.authority.state().access.clear();
    let Some(said) = served.call(&token).await else { return };
    assert!(said.contains("said: "), "{said}");
    assert_eq!(served.authority.state().refreshed, 1);

    // Tokens that live shorter than a request may take are renewed before each.
    served.authority.state().lives_s = 5;
    served.authority.state().access.clear();
    let Some(said) = served.call(&token).await else { return };
    assert!(said.contains("said: "), "{said}");
    assert!(served.authority.state().refreshed > 2);

    assert_eq!(served.authority.state().faults, Vec::<String>::new());
    served.leaks_nothing(&token);
    let logins = served.world.events("admin").await;
    let is_login = |event: &&Value| event["record"]["admin"]["verb"] == "mcp.login";
    let login = logins.iter().find(is_login).unwrap();
    assert_eq!(login["record"]["admin"]["subject"], "mcp/guarded");
    assert_eq!(login["record"]["admin"]["detail"]["issuer"], served.authority.issuer());
    let mut world = served.world;
    world.concluded().await;
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_agents_at_once_use_a_refresh_token_once() {
    let served = Served::start("").await;
    served.logged_in().await;
    let (_, token) = served.world.session().await;
    served.authority.state().access.clear();
    let asks = (0..24).map(|_| served.ask(&token));
    for (status, body) in join_all(asks).await {
        assert_eq!(status, StatusCode::OK, "{body}");
        assert!(body.contains("\"result\""), "{body}");
    }
    assert_eq!(served.authority.state().refreshed, 1);
    assert_eq!(served.authority.state().faults, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_taken_back_says_what_to_do() {
    let served = Served::start("").await;
    served.logged_in().await;
    let (_, token) = served.world.session().await;
    served.authority.state().access.clear();

    // An authorization server that is down is asked again; the agent is not sent to anybody.
    served.authority.state().unwilling = Some((503, "temporarily_unavailable"));
    let (_, told) = served.ask(&token).await;
    assert!(told.contains("cannot renew its login at the MCP server now"), "{told}");

    served.logged_in().await;
    served.authority.state().access.clear();
    served.authority.state().unwilling = Some((400, "invalid_grant"));
    for _ in 0..3 {
        let (status, told) = served.ask(&token).await;
        assert_eq!(status, StatusCode::OK);
        assert!(told.contains("is over or was taken back"), "{told}");
        assert!(told.contains("`provost mcp login guarded`"), "{told}");
    }
    let log = served.world.server_log();
    let tried = log.matches("login over; run: provost mcp login guarded").count();
    assert_eq!(tried, 1, "a login that is over is not tried again and again: {log}");

    served.authority.state().unwilling = None;
    served.logged_in().await;
    let (_, told) = served.ask(&token).await;
    assert!(told.contains("\"result\""), "{told}");
    served.guarded.want("admin:everything");
    let (_, told) = served.ask(&token).await;
    assert!(told.contains("lacks the scope `admin:everything`"), "{told}");

    served.world.done(&["mcp", "logout", "guarded"]).await;
    let (_, told) = served.ask(&token).await;
    assert!(told.contains("Provost is not logged in at the MCP server"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_a_restart_and_a_person_may_paste() {
    let mut served = Served::start("").await;
    assert!(served.world.end("TERM").await.success());

    // No server runs: the command opens the data directory itself. The browser is elsewhere.
    let (mut child, url) = served.login(&["--paste"], "").await;
    let back = redirected(&url).await;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{back}\n").as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", told(&output));

    served.world.serve().await;
    let (_, token) = served.world.session().await;
    let (_, said) = served.ask(&token).await;
    assert!(said.contains("\"result\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_be_registered_by_hand_or_by_a_document() {
    let served = Served::start("oauth_client = \"by-hand\"\noauth_scopes = [\"tools\"]").await;
    served.authority.state().closed = true;
    let secret = "the client's own";
    served.authority.state().secrets.insert("by-hand".to_owned(), secret.to_owned());
    let (child, url) = served.login(&["--client-secret"], secret).await;
    let url = oauth2::url::Url::parse(&url).unwrap();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!((query["client_id"].as_str(), query["scope"].as_str()), ("by-hand", "tools"));
    served.authority.register("by-hand", &query["redirect_uri"]);
    get(&redirected(url.as_str()).await).await;
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let (_, token) = served.world.session().await;
    served.authority.state().access.clear();
    let (_, said) = served.ask(&token).await;
    assert!(said.contains("\"result\""), "renewed with the secret: {said}");
    assert_eq!(served.authority.state().faults, Vec::<String>::new());

    let document = "https://provost.example/oauth/client.json";
    let served = Served::start(&format!("oauth_client = \"{document}\"")).await;
    served.authority.state().documents = true;
    let (_child, url) = served.login(&[], "").await;
    assert!(url.contains("client_id=https%3A%2F%2Fprovost.example%2Foauth%2Fclient.json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_somebody_else_answers_is_refused() {
    let served = Served::start("").await;
    served.authority.state().lies = true;
    let (child, url) = served.login(&[], "").await;
    get(&redirected(&url).await).await;
    let output = child.wait_with_output().await.unwrap();
    assert!(!output.status.success());
    assert!(told(&output).contains("another issuer's than the one that was asked"));

    // A stranger's request does not end the login, and the code is good once.
    served.authority.state().lies = false;
    let (child, url) = served.login(&[], "").await;
    let back = redirected(&url).await;
    let stranger = back.split('?').next().unwrap().to_owned() + "?code=x&state=other";
    assert_eq!(get(&stranger).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&back).await.0, StatusCode::OK);
    assert!(child.wait_with_output().await.unwrap().status.success());
}
