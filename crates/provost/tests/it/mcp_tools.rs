//! Tools of MCP servers, as a person at the command line sees and accepts them.

use provost_scripted::Script;
use provost_store::{Store, ToolDefinition, ToolRow, WaitingDefinition, sqlite_url};
use provost_types::Timestamp;

use crate::world::{World, told};

/// A tool whose name tries to leave its path, steer the terminal and run a command.
const HOSTILE: &str = "../../secrets\u{202e}$(touch ran)";

fn tool(name: &str, accepted: &str, waiting: Option<&str>) -> ToolRow {
    let definition = |text: &str| ToolDefinition::new(text.as_bytes());
    ToolRow {
        server: "github".to_owned(),
        tool: name.to_owned(),
        accepted: definition(accepted),
        accepted_by: "provost".to_owned(),
        accepted_at: Timestamp(1_795_564_800_000_000),
        waiting: waiting.map(|text| WaitingDefinition {
            definition: definition(text),
            since: Timestamp(1_795_564_860_000_000),
        }),
    }
}

/// An installation that has seen tools, whose server runs.
async fn with_tools() -> World {
    let mut world = World::install(Script::default()).await;
    let store = Store::connect(&sqlite_url(&world.data().join("provost.db"))).await.unwrap();
    let rows = [
        tool("pull", r#"{"name":"pull"}"#, None),
        tool("push", r#"{"name":"push"}"#, Some(r#"{"a":"Send \u001b[2J","name":"push"}"#)),
        tool(HOSTILE, "{}", Some(r#"{"b":1}"#)),
    ];
    store.put_tools(&rows).await.unwrap();
    store.close().await;
    world.serve().await;
    world
}

/// The digest in the command that a comparison ends with.
fn offered(difference: &str) -> String {
    let digest = difference.split_whitespace().skip_while(|word| *word != "--digest").nth(1);
    digest.expect("a command to accept it").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_listed_shown_and_accepted() {
    let world = with_tools().await;
    let listed = world.done(&["mcp", "tools"]).await;
    let row = |tool: &str| listed.lines().find(|line| line.contains(tool)).unwrap().to_owned();
    assert!(row("pull").contains(" accepted "), "{listed}");
    assert!(row("push").contains(" held "), "{listed}");
    assert_eq!(world.done(&["mcp", "tools", "gitlab"]).await.lines().count(), 1);

    let difference = world.done(&["mcp", "diff", "github", "push"]).await;
    assert!(difference.contains(r#"+  "a": "Send \u001b[2J","#), "{difference}");
    let old = tool("push", r#"{"name":"push"}"#, None).accepted.digest().to_string();
    let digest = offered(&difference);
    for (given, code) in [("sha256:1", 2), (&old, 1), (&digest, 0), (&digest, 1)] {
        let accept = world.run(&["mcp", "accept", "github", "push", "--digest", given]).await;
        assert_eq!(accept.status.code(), Some(code), "{given}: {}", told(&accept));
    }
    let tools = world.json(&["mcp", "tools", "github"]).await;
    let push = tools["items"].as_array().unwrap().iter().find(|one| one["tool"] == "push");
    assert_eq!(push.unwrap()["digest"], digest);
    assert_eq!(push.unwrap()["state"], "accepted");
    let events = world.events("admin").await;
    let accepted: Vec<_> = events
        .iter()
        .map(|event| &event["record"]["admin"])
        .filter(|admin| admin["verb"] == "mcp.tool-accepted")
        .collect();
    assert_eq!(accepted.len(), 1, "{events:?}");
    assert_eq!(accepted[0]["detail"]["was"], old);
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_stays_a_name() {
    let world = with_tools().await;
    let listed = world.done(&["mcp", "tools"]).await;
    assert!(listed.contains(r"../../secrets\u{202e}$(touch ran)"), "{listed}");
    let difference = world.done(&["mcp", "diff", "github", HOSTILE]).await;
    assert!(!difference.contains('\u{202e}'), "{difference}");

    // The command is pasted into a shell, as a person would.
    let command = difference.lines().last().unwrap().trim().to_owned();
    let command = command.replacen("provost", crate::world::PROVOST, 1);
    let mut pasted = world.command(&[]);
    let mut shell = tokio::process::Command::new("bash");
    shell.env_clear().current_dir(world.folder());
    for (name, value) in pasted.as_std_mut().get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let output = shell.env("LC_ALL", "C.UTF-8").args(["-c", &command]).output().await.unwrap();
    assert!(output.status.success(), "{command}: {}", told(&output));
    assert!(!world.folder().join("ran").exists(), "a name was run as a command");
    let shown = world.json(&["mcp", "diff", "github", HOSTILE]).await;
    assert_eq!(shown["tool"]["state"], "accepted");
    assert_eq!(shown["accepted"], r#"{"b":1}"#);
}
