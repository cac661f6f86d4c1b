//! All MCP servers as one: two made with the Python SDK, behind `/mcp`; the SDK as client over
//! HTTP and over stdio, and stock Claude Code.

use std::path::PathBuf;

use provost_scripted::Script;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::{
    claude_code::{ended, result},
    client,
    mcp::{Era, Form, claude_with, served, server_table, told_to_model},
    turn::{self, call, text},
    world::{PROVOST, World, told},
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
        world.configure(&server_table("fake", &one));
        world.configure(&server_table("other", &two));
        world.policy("mcp", POLICY);
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
    let of_site = |id, name| vec![call(id, name, json!({"repo": "acme/site"}))];
    turn::model(move |turn| match turn.result.map(|result| result["tool_use_id"].as_str()) {
        _ if !turn.is_offered => vec![text("A title")],
        None => of_site("toolu_one", "mcp__all__fake__read"),
        Some(Some("toolu_one")) => of_site("toolu_no", "mcp__all__other__push"),
        Some(Some("toolu_no")) => of_site("toolu_two", "mcp__all__other__read"),
        Some(_) => vec![text("I have read both.")],
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
