//! All MCP servers as one: two made with the Python SDK, behind `/mcp`; the SDK as client over
//! HTTP and over stdio, and stock Claude Code.

use std::path::PathBuf;

use http::StatusCode;
use provost_scripted::{Block, Message, Play, Script, Step};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{
    claude_code::{ended, result},
    client,
    mcp::{Era, Form, claude_with, served, told_to_model},
    world::{MODEL, PROVOST, World, told},
};

/// Both servers, and less of the second.
const POLICY: &str = r#"
@id("finance.mcp")
permit (principal in Provost::Project::"finance", action in Mcp::Action::"all", resource);

@id("finance.mcp-tools")
permit (
    principal in Provost::Project::"finance",
    action == Tool::Action::"call",
    resource is Tool::Tool
)
when { resource.name like "mcp__all__*" };

@id("no-drop")
forbid (principal, action == Mcp::Action::"call", resource)
when { resource.name == "drop" };

@id("no-push") @reason("open a pull request instead")
forbid (principal, action == Mcp::Action::"call", resource == Mcp::Tool::"other/push");

@id("acme-only")
forbid (principal, action == Mcp::Action::"call", resource)
when {
    context.arguments.hasTag("repo") && !(context.arguments.getTag("repo") like "acme/*")
};
"#;

/// Two servers behind an installation that knows them as `fake` and `other`.
struct Both {
    world: World,
    notes: [PathBuf; 2],
    _servers: [Child; 2],
}

impl Both {
    async fn start(script: Script, of: [(Form, Era); 2]) -> Option<Self> {
        let python = client::python_mcp()?;
        let mut world = World::install(script).await;
        let notes = ["fake", "other"].map(|name| world.folder().join(name));
        let (fake, one) = served(&python, of[0], &notes[0]).await;
        let (other, two) = served(&python, of[1], &notes[1]).await;
        let config = world.data().join("provost.toml");
        let mut text = std::fs::read_to_string(&config).unwrap();
        for (name, port) in [("fake", one), ("other", two)] {
            text.push_str(&format!(
                "\n[mcp.servers.{name}]\nurl = \"http://127.0.0.1:{port}/mcp\"\n\
                 arguments = [\"repo\"]\n"
            ));
        }
        std::fs::write(config, text).unwrap();
        std::fs::write(world.data().join("policies/mcp.cedar"), POLICY).unwrap();
        world.serve().await;
        Some(Self { world, notes, _servers: [fake, other] })
    }

    /// What tools were really run, of each server.
    fn notes(&self) -> [String; 2] {
        self.notes.each_ref().map(|notes| std::fs::read_to_string(notes).unwrap_or_default())
    }

    async fn end(mut self) {
        self.world.concluded().await;
        assert!(self.world.end("TERM").await.success());
        self.world.done(&["audit", "verify"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_calls_tools_of_both_servers_in_both_eras() {
    for of in [
        [(Form::Json, Era::Both), (Form::Stream, Era::Both)],
        [(Form::Stream, Era::Sessions), (Form::Json, Era::Both)],
    ] {
        let Some(both) = Both::start(Script::default(), of).await else { return };
        let gateway = both.world.server().gateway;
        let url = format!("http://{gateway}/mcp");
        let (_, token) = both.world.session().await;
        let has_sessions = of.iter().any(|(_, era)| matches!(era, Era::Sessions));
        let modern = if has_sessions { &[][..] } else { &[(url.as_str(), "2026-07-28")][..] };
        let ways = [(url.as_str(), "legacy"), (url.as_str(), "auto"), (PROVOST, "auto")];
        let ways = [&ways[..], modern].concat();
        for (way, mode) in &ways {
            let mut client = Command::new(client::python_mcp().unwrap());
            client
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp_client.py"))
                .args([way, token.as_str(), mode, "fake", "other"])
                .env("PROVOST_GATEWAY", format!("http://{gateway}"))
                .kill_on_drop(true);
            let output = ended(client).await;
            assert!(output.status.success(), "{of:?} {way} {mode}: {}", told(&output));
            let said = String::from_utf8(output.stdout).unwrap();
            for want in [
                "tools: fake__push fake__read fake__slow other__read other__slow\n",
                "fake__read: acme/site holds a page\n",
                "other__read: acme/site holds a page\n",
                "other__slow: done at last\n",
                "fake__push: pushed\n",
                "other__push: error: ",
                "open a pull request instead",
                "acme-only",
                "[Provost: `provost audit show act_",
                "done\n",
            ] {
                assert!(said.contains(want), "{of:?} {way} {mode}: no {want:?} in\n{said}");
            }
        }
        let [fake, other] = both.notes();
        let run = ways.len();
        assert_eq!(fake, "read acme/site\nslow acme/site\npush acme/site\n".repeat(run));
        assert_eq!(other, "read acme/site\nslow acme/site\n".repeat(run), "{of:?}");
        both.end().await;
    }
}

/// A model that reads from both servers, and tries what it is not offered in between.
fn wants_both() -> Script {
    Script::new(|seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        let new = messages.iter().rev().take_while(|message| message["role"] != "assistant");
        let mut blocks = new.filter_map(|message| message["content"].as_array()).flatten();
        let result = blocks.find(|block| block["type"] == "tool_result");
        let call = |id: &str, name: &str| {
            let input = json!({"repo": "acme/site"});
            vec![Block::ToolUse { id: id.to_owned(), name: name.to_owned(), input }]
        };
        let text = |text: &str| vec![Block::Text { text: text.to_owned() }];
        let blocks = match result.map(|result| result["tool_use_id"].as_str()) {
            _ if !offered => text("A title"),
            None => call("toolu_one", "mcp__all__fake__read"),
            Some(Some("toolu_one")) => call("toolu_no", "mcp__all__other__push"),
            Some(Some("toolu_no")) => call("toolu_two", "mcp__all__other__read"),
            Some(_) => text("I have read both."),
        };
        let waits = blocks.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        let stop_reason = if waits { "tool_use" } else { "end_turn" };
        let id = format!("msg_{}", seen.order);
        let message = Message { id, blocks, stop_reason, ..Message::text(MODEL, "") };
        match body["stream"] == true {
            true => Play::stream(message.events().into_iter().map(Step::Send)),
            false => Play::json(StatusCode::OK, message.json()),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_uses_both_servers_as_one() {
    for of in [
        [(Form::Json, Era::Both), (Form::Stream, Era::Both)],
        [(Form::Json, Era::Both), (Form::Stream, Era::Sessions)],
    ] {
        let Some(both) = Both::start(wants_both(), of).await else { return };
        let server = json!({"type": "http", "url": "${PROVOST_GATEWAY}/mcp",
            "headers": {"Authorization": "Bearer ${PROVOST_CREDENTIAL}"}});
        let allowed = "mcp__all__fake__read,mcp__all__other__read,mcp__all__other__push";
        let Some(command) = claude_with(&both.world, ("all", &server), allowed) else { return };
        let output = ended(command).await;
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(result(&output)["result"], "I have read both.", "{}", told(&output));
        let told = told_to_model(&both.world);
        assert_eq!(both.notes(), ["read acme/site\n"; 2].map(str::to_owned), "{told:#?}");
        assert!(told[0].contains("acme/site holds a page"), "{told:#?}");
        assert!(told[2].contains("acme/site holds a page"), "{told:#?}");

        // What policy forbids is not offered to the model.
        let requests = both.world.upstream.requests();
        let asked = requests.iter().map(|seen| String::from_utf8_lossy(&seen.body));
        let offered: Vec<_> =
            asked.filter(|body| body.contains(r#""name":"mcp__all__other__read""#)).collect();
        assert!(!offered.is_empty());
        assert!(offered.iter().all(|body| !body.contains(r#""name":"mcp__all__fake__drop""#)));

        // The calls on the wire are those that the model asked for.
        let intents = both.world.events("intent").await;
        let calls: Vec<_> = intents
            .iter()
            .map(|event| &event["record"]["intent"])
            .filter(|intent| intent["plane"] == "mcp" && intent["verb"] == "call")
            .map(|intent| (&intent["resource_id"], &intent["correlation"]["tool_use"]))
            .collect();
        let want = [("fake/read", "toolu_one"), ("other/read", "toolu_two")];
        let want = want.map(|(on, id)| (json!(on), json!(id)));
        assert_eq!(calls, want.each_ref().map(|(on, id)| (on, id)), "{of:?}");
        let alerts = both.world.events("alert").await;
        assert!(alerts.is_empty(), "{alerts:?}");
        both.end().await;
    }
}
