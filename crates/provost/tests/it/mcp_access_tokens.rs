//! Clients of MCP that bring access tokens of an authorization server of their own.

use std::time::Duration;

use http::{StatusCode, header};
use provost_mcp_fixture::Fixture;
use provost_scripted::Script;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    authority::Authority,
    client,
    mcp::initialize,
    world::{AGENT, World, told},
};

const POLICY: &str = r#"
@id("everything")
permit (principal, action in Mcp::Action::"all", resource);
"#;

/// What a program with the SDK does that knows nothing but the server's address.
const CLIENT: &str = r#"
import asyncio, sys, httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from urllib.parse import parse_qs, urlparse

class Memory:
    tokens = client = None
    async def get_tokens(self): return self.tokens
    async def set_tokens(self, tokens): self.tokens = tokens
    async def get_client_info(self): return self.client
    async def set_client_info(self, client): self.client = client

back = {}
async def redirect(url):
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(url)
        back.update(parse_qs(urlparse(answer.headers["location"]).query))
async def callback():
    return AuthorizationCodeResult(
        code=back["code"][0], state=back["state"][0], iss=back.get("iss", [None])[0])

async def main():
    metadata = OAuthClientMetadata(
        client_name="a client", redirect_uris=["http://127.0.0.1:4711/callback"])
    memory = Memory()
    auth = OAuthClientProvider(sys.argv[1], metadata, memory, redirect, callback)
    async with httpx2.AsyncClient(auth=auth) as http:
        async with Client(streamable_http_client(sys.argv[1], http_client=http)) as client:
            tools = await client.list_tools()
            print("tools:", len(tools.tools))
            result = await client.call_tool("test_simple_text", {})
            print("said:", result.content[0].text)
    print("token:", memory.tokens.access_token)
asyncio.run(main())
"#;

/// An installation that takes an authority's tokens, in front of a server `fixture`.
struct Served {
    world: World,
    authority: Authority,
    _fixture: Fixture,
}

impl Served {
    async fn start() -> Self {
        let authority = Authority::start().await;
        let fixture = Fixture::start().await.unwrap();
        let mut world = World::install(Script::default()).await;
        world.set("PROVOST_OAUTH_ISSUER", &authority.issuer());
        world.set("PROVOST_OAUTH_SCOPES", "tools");
        world.configure(&format!(
            "[oauth.agents]\n\"ada\" = \"{AGENT}\"\n\"bob\" = \"nobody-bot\"\n\n\
             [mcp.servers.fixture]\nurl = \"{}\"\n",
            fixture.url()
        ));
        world.policy("mcp", POLICY);
        world.serve().await;
        Self { world, authority, _fixture: fixture }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.world.server().gateway)
    }

    /// A token for a path of the gateway, with some claims changed.
    fn token(&self, path: &str, changed: &Value) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.unwrap().as_secs();
        let mut claims = json!({"iss": self.authority.issuer(), "aud": self.url(path),
            "sub": "ada", "client_id": "c", "iat": now, "exp": now + 300, "jti": "j1"});
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.authority.sign(&claims)
    }

    async fn ask(&self, path: &str, token: &str) -> (StatusCode, String, String) {
        let answer = initialize(&self.url(path), token).await;
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE);
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), challenge.unwrap_or_default(), answer.into_body())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_finds_the_issuer_gets_a_token_and_calls() {
    let served = Served::start().await;
    let Some(python) = client::python_mcp() else { return };
    let mut command = Command::new(python);
    command.args(["-c", CLIENT, &served.url("/mcp/fixture")]).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = output.await.expect("the client ends").unwrap();
    let log = served.world.server_log();
    assert!(output.status.success(), "{}\n{log}", told(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("said: This is a simple text response for testing."), "{said}");
    assert_eq!(served.authority.state().faults, Vec::<String>::new());

    // One session, by the token, of the agent that the operator named.
    let sessions = served.world.json(&["session", "list"]).await;
    let sessions = sessions["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0]["agent"], AGENT);
    let by = format!("token/ada of {}", served.authority.issuer());
    let started = served.world.events("session").await;
    assert_eq!(started[0]["record"]["session"]["started"]["by"], by, "{started:?}");
    let token = said.lines().find_map(|line| line.strip_prefix("token: ")).unwrap();
    assert!(!served.world.server_log().contains(token));

    // A person ends the session: the token opens no other.
    let id = sessions[0]["id"].as_str().unwrap();
    served.world.done(&["session", "end", id]).await;
    let (status, _, body) = served.ask("/mcp/fixture", token).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");

    let mut world = served.world;
    world.concluded().await;
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_for_its_resource_and_its_agent_alone() {
    let served = Served::start().await;
    let path = "/mcp/fixture";
    let metadata = served.url("/.well-known/oauth-protected-resource/mcp/fixture");
    let good = served.token(path, &json!({}));
    let (status, _, body) = served.ask(path, &good).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for (name, at, token, want) in [
        ("another server's", "/mcp/other", good.clone(), "not for this resource"),
        ("over", path, served.token(path, &json!({"exp": 1, "jti": "j2"})), "has expired"),
        (
            "somebody else's",
            path,
            served.token(path, &json!({"iss": "http://127.0.0.1:1", "jti": "j3"})),
            "another issuer's",
        ),
        (
            "of nobody",
            path,
            served.token(path, &json!({"sub": "eve", "jti": "j4"})),
            "names no agent",
        ),
        (
            "of an agent that is not there",
            path,
            served.token(path, &json!({"sub": "bob", "jti": "j5"})),
            "names no agent",
        ),
        ("cut", path, good[..good.len() - 4].to_owned(), "signature"),
    ] {
        let (status, challenge, body) = served.ask(at, &token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {body}");
        assert!(challenge.contains("error=\"invalid_token\""), "{name}: {challenge}");
        assert!(body.contains(want), "{name}: {body}");
        if at == path {
            assert!(challenge.contains(&metadata), "{name}: {challenge}");
        }
    }
    // Elsewhere it is no credential at all.
    for (path, token) in [
        ("/v1/messages", served.token("/v1/messages", &json!({}))),
        ("/hook", served.token("/hook", &json!({}))),
        ("/mcp", served.token("/mcp", &json!({}))),
    ] {
        let (status, _, body) = served.ask(path, &token).await;
        // A hook's client reads its refusals in the body.
        assert!(status == StatusCode::UNAUTHORIZED || path == "/hook", "{path}: {status}");
        assert!(body.contains("not a Provost credential"), "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_stops_tokens_and_survives_a_restart() {
    let mut served = Served::start().await;
    let path = "/mcp/fixture";
    let token = served.token(path, &json!({}));
    assert_eq!(served.ask(path, &token).await.0, StatusCode::OK);
    let kill = ["agent", "kill", AGENT, "--reason", "it misbehaves"];
    served.world.done(&kill).await;
    let another = served.token(path, &json!({"jti": "j2"}));
    for token in [&token, &another] {
        let (status, _, body) = served.ask(path, token).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
        assert!(body.contains("it misbehaves"), "{body}");
    }
    assert!(served.world.end("TERM").await.success());
    served.world.serve().await;
    // The gateway has another port by now, and so the token is for another resource.
    let token = served.token(path, &json!({}));
    let (status, _, body) = served.ask(path, &token).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
}
