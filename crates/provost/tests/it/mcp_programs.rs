//! MCP servers that are programs: started for a session, asked over HTTP, ended with it.

use provost_scripted::Script;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    raw::{self, Answer},
    world::{World, eventually},
};

const POLICY: &str = r#"
permit (principal, action in Mcp::Action::"all", resource);
forbid (principal, action == Mcp::Action::"call", resource == Mcp::Tool::"files/secret")
unless { principal == Provost::Agent::"invoice-bot" };
"#;

/// A client's session with the program.
struct Client<'a> {
    world: &'a World,
    token: String,
    session: Option<String>,
}

async fn start() -> World {
    start_with("").await
}

/// With more of the program's settings.
async fn start_with(settings: &str) -> World {
    let mut world = World::install(Script::default()).await;
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp_program.py");
    world.configure(&format!(
        "[mcp.servers.files]\ncommand = [\"python3\", \"{program}\"]\n\
         env = [\"LEVEL=high\"]\nsecret_env = [\"TOKEN=files\"]\n{settings}\n"
    ));
    world.policy("mcp", POLICY);
    assert!(world.say(&["secret", "set", "files"], "the-real-token").await.status.success());
    world.set("UNRELATED", "must not reach the program");
    world.serve().await;
    world
}

impl<'a> Client<'a> {
    async fn new(world: &'a World) -> Self {
        let (_, token) = world.session().await;
        Self { world, token, session: None }
    }

    async fn begin(world: &'a World) -> Self {
        let mut client = Self::new(world).await;
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
                            "clientInfo": {"name": "test", "version": "1"}});
        let answer = client.ask("initialize", params).await;
        assert_eq!(answer.json()["result"]["serverInfo"]["name"], "program", "{answer:?}");
        client.session = Some(answer.header("mcp-session-id").unwrap().to_owned());
        client
    }

    /// Begins as soon as the program may be started again.
    async fn begin_at_last(world: &'a World) -> Self {
        eventually("it is started again", async || {
            let mut client = Self::new(world).await;
            let params = json!({"protocolVersion": "2025-11-25"});
            let answer = client.ask("initialize", params).await;
            client.session = answer.header("mcp-session-id").map(str::to_owned);
            client.session.is_some().then_some(client)
        })
        .await
    }

    async fn ask(&self, method: &str, params: Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": "one", "method": method, "params": params});
        self.send("POST", &body.to_string()).await
    }

    /// What a tool says, or the error's message.
    async fn call(&self, tool: &str) -> String {
        let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": 7}});
        let answer = self.ask("tools/call", params).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let json = text.lines().find_map(|line| {
            let line = line.strip_prefix("data: ").unwrap_or(line);
            let message: Value = serde_json::from_str(line).ok()?;
            (message["id"] == "one").then_some(message)
        });
        let json = json.unwrap_or_else(|| panic!("no answer: {text}"));
        let said = json["result"]["content"][0]["text"].as_str();
        said.or(json["error"]["message"].as_str()).unwrap_or_default().to_owned()
    }

    async fn send(&self, method: &str, body: &str) -> Answer {
        let to = self.world.server().gateway;
        let mut head = format!(
            "{method} /mcp/files HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\
             authorization: Bearer {}\r\naccept: application/json, text/event-stream\r\n",
            self.token
        );
        if let Some(session) = &self.session {
            head.push_str(&format!("mcp-session-id: {session}\r\n"));
        }
        if method == "POST" {
            let length = body.len();
            head.push_str("content-type: application/json\r\n");
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        raw::read(&mut stream).await
    }
}

fn is_alive(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_asked_over_http_in_an_environment_of_its_own() {
    let mut world = start().await;
    let client = Client::begin(&world).await;
    let tools = client.ask("tools/list", json!({})).await.json();
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(8), "{tools}");
    assert_eq!(client.call("environment").await, "HOME LANG LEVEL PATH TOKEN");
    assert_eq!(client.call("secret").await, "the-real-token");
    assert_eq!(client.call("progress").await, "done");
    let unknown = client.ask("tools/conquer", json!({})).await;
    assert_eq!(unknown.json()["error"]["code"], -32601, "{unknown:?}");

    // Another client has a process of its own, and cannot use this one's.
    let mut other = Client::begin(&world).await;
    let (one, two) = (client.call("pid").await, other.call("pid").await);
    assert_ne!(one, two);
    let own = other.session.take();
    other.session.clone_from(&client.session);
    let stranger = other.ask("tools/list", json!({})).await;
    assert_eq!(stranger.status, 404, "{stranger:?}");
    other.session = own;

    // The end of a client's session is the end of its process.
    assert_eq!(other.send("DELETE", "").await.status, 200);
    eventually("its process ends", async || (!is_alive(&two)).then_some(())).await;
    assert!(is_alive(&one));
    assert!(world.end("TERM").await.success());
    assert!(!is_alive(&one), "the server leaves no program behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_dies_is_told_of_and_a_killed_session_ends_its_program() {
    let world = start().await;
    let client = Client::begin(&world).await;
    assert_eq!(client.ask("tools/list", json!({})).await.status, 200);
    let died = client.call("die").await;
    assert!(died.contains("ended before its answer"), "{died}");
    assert_eq!(client.ask("tools/list", json!({})).await.status, 404, "its session is over");

    // It ended too soon to be started again at once; then it is.
    let client = Client::begin_at_last(&world).await;
    assert_eq!(client.ask("tools/list", json!({})).await.status, 200);
    let pid = client.call("pid").await;
    let sessions = world.json(&["session", "list", "--limit", "1"]).await;
    let id = sessions["items"][0]["id"].as_str().unwrap();
    let (hangs, killed) = tokio::join!(client.call("hang"), async {
        eventually("the call is in flight", async || {
            let intents = world.events("intent").await;
            let hangs =
                |event: &Value| event["record"]["intent"]["resource_id"] == "files/hang";
            intents.iter().any(hangs).then_some(())
        })
        .await;
        world.done(&["session", "kill", id, "--reason", "drill"]).await
    });
    assert!(hangs.contains("drill"), "{hangs} {killed}");
    eventually("its program ends", async || (!is_alive(&pid)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_takes_too_much_ends_and_its_client_is_told() {
    let world = start_with("memory_bytes_max = 268435456\nfile_bytes_max = 5000").await;
    for (tool, want) in [("memory", "MemoryError"), ("file", "File too large")] {
        let client = Client::begin_at_last(&world).await;
        assert_eq!(client.ask("tools/list", json!({})).await.status, 200);
        let told = client.call(tool).await;
        assert!(told.contains("ended before its answer"), "{tool}: {told}");
        // What it complained of is in the log, for its operator.
        eventually("it is logged", async || world.server_log().contains(want).then_some(()))
            .await;
    }
    let file = world.data().join("mcp/files/large");
    assert_eq!(std::fs::metadata(file).unwrap().len(), 5000);
}
