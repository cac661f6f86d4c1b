//! MCP through the gateway: the Python SDK as server and as client, and stock Claude Code.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use provost_scripted::Script;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    claude_code::{ended, result},
    client,
    turn::{self, call, text},
    world::{AGENT, MODEL, World, told},
};

/// What agents of the project may do with the server, and what not.
const POLICY: &str = r#"
@id("finance.fake")
permit (principal in Provost::Project::"finance", action in Mcp::Action::"all", resource)
when { resource == Mcp::Server::"fake" || (resource has server && resource.server == "fake") };

@id("finance.fake-tools")
permit (
    principal in Provost::Project::"finance",
    action == Tool::Action::"call",
    resource is Tool::Tool
)
when { resource.name like "mcp__fake__*" };

@id("no-push") @reason("open a pull request instead")
forbid (principal, action == Mcp::Action::"call", resource == Mcp::Tool::"fake/push")
when { context.arguments.hasTag("repo") };

@id("no-drop")
forbid (principal, action == Mcp::Action::"call", resource == Mcp::Tool::"fake/drop");

@id("acme-only")
forbid (principal, action == Mcp::Action::"call", resource)
when {
    context.arguments.hasTag("repo") && !(context.arguments.getTag("repo") like "acme/*")
};
"#;

/// How the server answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Json,
    Stream,
}

/// What the server speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Era {
    Both,
    /// Only revisions that have sessions.
    Sessions,
}

/// A server made with the SDK, behind an installation that knows it as `fake`.
pub(crate) struct Served {
    pub(crate) world: World,
    _server: Child,
    notes: PathBuf,
}

impl Served {
    /// A server of both eras.
    pub(crate) async fn start(script: Script, form: Form) -> Option<Self> {
        Self::of_era(script, form, Era::Both).await
    }

    async fn of_era(script: Script, form: Form, era: Era) -> Option<Self> {
        let python = client::python_mcp()?;
        let mut world = World::install(script).await;
        let notes = world.folder().join("notes");
        let (server, port) = served(&python, (form, era), &notes).await;
        world.configure(&server_table("fake", &port));
        world.policy("mcp", POLICY);
        world.serve().await;
        Some(Self { world, _server: server, notes })
    }

    /// The only server there is.
    fn url(&self) -> String {
        format!("http://{}/mcp/fake", self.world.server().gateway)
    }

    /// What tools were really run.
    pub(crate) fn notes(&self) -> String {
        std::fs::read_to_string(&self.notes).unwrap_or_default()
    }
}

/// What is said to `initialize`, asked without an SDK.
pub(crate) async fn initialize(url: &str, token: &str) -> Response<String> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}});
    let request = Request::post(url)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(body.to_string()))
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

/// The configuration of a server on `port`.
pub(crate) fn server_table(name: &str, port: &str) -> String {
    format!(
        "[mcp.servers.{name}]\nurl = \"http://127.0.0.1:{port}/mcp\"\n\
         arguments = [\"repo\"]\n"
    )
}

/// A server made with the SDK, and its port; it notes what was really run.
pub(crate) async fn served(
    python: &Path,
    (form, era): (Form, Era),
    notes: &Path,
) -> (Child, String) {
    let form = match form {
        Form::Json => "json",
        Form::Stream => "stream",
    };
    let era = match era {
        Era::Both => "both",
        Era::Sessions => "sessions",
    };
    let mut server = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp_server.py"))
        .args([form, era])
        .arg(notes)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = tokio::time::timeout(Duration::from_secs(60), lines.next_line());
    let port = port.await.expect("the server listens").unwrap().expect("a port");
    (server, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_calls_what_policy_lets_it_in_both_eras() {
    for form in [Form::Json, Form::Stream] {
        let Some(served) = Served::start(Script::default(), form).await else {
            return;
        };
        let (_, token) = served.world.session().await;
        for mode in ["legacy", "auto", "2026-07-28"] {
            let mut client = Command::new(client::python_mcp().unwrap());
            client
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp_client.py"))
                .args([&served.url(), &token, mode])
                .kill_on_drop(true);
            let output = tokio::time::timeout(Duration::from_secs(100), client.output());
            let output = output.await.expect("the client ends").unwrap();
            assert!(output.status.success(), "{form:?} {mode}: {}", told(&output));
            let said = String::from_utf8(output.stdout).unwrap();
            for want in [
                // `drop` could not be called in any way; `push` could, without `repo`.
                "tools: push read slow\n",
                "read: acme/site holds a page\n",
                "slow: done at last\n",
                "push: error: ",
                "open a pull request instead",
                "acme-only",
                "The tool \"read\" does not take these arguments: at `/`, ",
                "[Provost: `provost audit show act_",
                "done\n",
            ] {
                assert!(said.contains(want), "{form:?} {mode}: no {want:?} in\n{said}");
            }
            if matches!(form, Form::Stream) {
                assert!(said.contains("slow: progress 1.0"), "{said}");
            }
        }
        assert_eq!(served.notes(), "read acme/site\nslow acme/site\n".repeat(3), "{form:?}");
        let mut world = served.world;
        world.concluded().await;
        assert!(world.end("TERM").await.success());
        world.done(&["audit", "verify"]).await;
    }
}

/// A model that pushes over MCP, reads when it may not, and says what it read.
pub(crate) fn wants_to_push() -> Script {
    let of_site = |id, name| vec![call(id, name, json!({"repo": "acme/site"}))];
    turn::model(move |turn| match turn.result {
        _ if !turn.is_offered => vec![text("A title")],
        None => of_site("toolu_push", "mcp__fake__push"),
        Some(result) if result["tool_use_id"] == "toolu_push" => {
            of_site("toolu_read", "mcp__fake__read")
        }
        Some(_) => vec![text("I have read it.")],
    })
}

/// Claude Code under `provost run`, with `server` as `fake` in its configuration.
pub(crate) fn claude(served: &Served, server: &Value) -> Option<Command> {
    claude_with(&served.world, ("fake", server), "mcp__fake__push,mcp__fake__read")
}

/// Claude Code under `provost run`, with a server in its configuration, and with what of its
/// tools it may use.
pub(crate) fn claude_with(
    world: &World,
    (name, server): (&str, &Value),
    allowed: &str,
) -> Option<Command> {
    let program = client::claude()?;
    let home = world.folder().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let config = json!({"mcpServers": {name: server}});
    let file = home.join("mcp.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let run = ["run", "--agent", AGENT, "--", program.to_str().unwrap()];
    let mut command = world.command(&run);
    command
        .args(["-p", "Push it.", "--model", MODEL, "--output-format", "json"])
        .args(["--strict-mcp-config", "--mcp-config", file.to_str().unwrap()])
        .args(["--allowedTools", allowed])
        .env("HOME", &home)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .current_dir(&home)
        .kill_on_drop(true);
    Some(command)
}

/// The results of tools that the model read.
pub(crate) fn told_to_model(world: &World) -> Vec<String> {
    let body_of = |seen: &provost_scripted::Seen| -> Value {
        serde_json::from_slice(&seen.body).unwrap_or_default()
    };
    let results_in = |body: Value| {
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        let blocks =
            messages.iter().filter_map(|message| message["content"].as_array()).flatten();
        let results = blocks.filter(|block| block["type"] == "tool_result");
        results.map(ToString::to_string).collect::<Vec<_>>()
    };
    let results =
        world.upstream.requests().iter().map(body_of).map(results_in).collect::<Vec<_>>();
    results.into_iter().max_by_key(Vec::len).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_reads_why_a_call_is_denied_and_goes_on() {
    for (form, era) in [
        (Form::Json, Era::Both),
        (Form::Stream, Era::Both),
        (Form::Json, Era::Sessions),
        (Form::Stream, Era::Sessions),
    ] {
        let Some(served) = Served::of_era(wants_to_push(), form, era).await else { return };
        let server = json!({"type": "http", "url": "${PROVOST_GATEWAY}/mcp/fake",
            "headers": {"Authorization": "Bearer ${PROVOST_CREDENTIAL}"}});
        let Some(command) = claude(&served, &server) else { return };
        let output = ended(command).await;
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(result(&output)["result"], "I have read it.", "{}", told(&output));
        let told = told_to_model(&served.world);
        assert_eq!(served.notes(), "read acme/site\n", "{form:?} {era:?}: {told:#?}");

        // The model read our words, and what the other tool gave.
        assert!(told[0].contains("open a pull request instead"), "{told:#?}");
        assert!(told[1].contains("acme/site holds a page"), "{told:#?}");

        let refusals = served.world.events("refusal").await;
        let refused = refusals
            .iter()
            .map(|event| &event["record"]["refusal"])
            .find(|refused| refused["intent"]["plane"] == "mcp")
            .unwrap();
        assert_eq!(refused["intent"]["resource_id"], "fake/push", "{refused}");
        assert_eq!(refused["intent"]["correlation"]["tool_use"], "toolu_push");
        assert_eq!(refused["intent"]["decision"]["policies"], json!(["no-push"]));

        let intents = served.world.events("intent").await;
        // With sessions a client listens by GET, which has no body; without, by a request.
        let gets = |event: &Value| {
            let intent = &event["record"]["intent"];
            intent["verb"] == "listen" && intent["argument_bytes"] == 0
        };
        let may_get = matches!(era, Era::Sessions);
        assert!(may_get || !intents.iter().any(gets), "{form:?} {era:?}: {intents:?}");

        // The call on the wire is the one that the model asked for.
        let witnesses = served.world.events("witness").await;
        let on_the_wire = |event: &Value| event["record"]["witness"]["plane"] == "mcp";
        assert!(witnesses.iter().any(on_the_wire), "{witnesses:?}");
        let alerts = served.world.events("alert").await;
        assert!(alerts.is_empty(), "{alerts:?}");
        let mut world = served.world;
        assert!(world.end("TERM").await.success());
        world.done(&["audit", "verify"]).await;
    }
}
