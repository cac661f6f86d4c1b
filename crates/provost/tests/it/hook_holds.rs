//! What hooks do with a call of stock Claude Code that waits for people, and what else policy
//! can have them answer. The model is elsewhere: nothing but hooks is between.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    claude_code::{ended, result},
    client,
    hooks::{bare, silent},
    tool_calls::wants_to_push,
    world::{World, told},
};

/// The settings that `provost claude install` writes, in a file of their own.
async fn installed(world: &World) -> String {
    let file = world.folder().join("installed.json").to_str().unwrap().to_owned();
    world.done(&["claude", "install", "--settings", &file, "--yes"]).await;
    file
}

/// Claude Code in print mode under installed hooks: asked to push, or to go on with a session.
async fn hooked(world: &World, program: &Path, resumed: Option<&str>) -> Command {
    let (_, token) = world.session().await;
    let upstream = world.upstream.base_url();
    let mut command = match resumed {
        // With a prompt it would go on from that instead of from the call.
        Some(session) => {
            let mut command = silent(world, program, &token, upstream);
            command.args(["--resume", session]);
            command
        }
        None => bare(world, program, &token, upstream),
    };
    command
        .args(["--settings", &installed(world).await])
        .env("PROVOST_HOOK_URL", format!("http://{}/hook", world.server().gateway));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_is_put_off_and_made_when_the_run_is_resumed() {
    let Some(program) = client::claude() else { return };
    let world = World::start(wants_to_push()).await;
    let output = ended(hooked(&world, &program, None).await).await;
    assert!(output.status.success(), "{}", told(&output));
    let ending = result(&output);
    assert_eq!(ending["stop_reason"], "tool_deferred", "{}", told(&output));
    assert_eq!(ending["deferred_tool_use"]["id"], "toolu_push");
    let client_session = ending["session_id"].as_str().unwrap().to_owned();
    assert!(!world.pushed());

    // Resumed before anybody answered: put off again, and nobody is asked twice.
    let output = ended(hooked(&world, &program, Some(&client_session)).await).await;
    assert_eq!(result(&output)["stop_reason"], "tool_deferred", "{}", told(&output));
    let id = world.held().await;
    assert_eq!(world.waiting().await, [id.as_str()]);

    world.done(&["approvals", "approve", &id]).await;
    let output = ended(hooked(&world, &program, Some(&client_session)).await).await;
    assert!(output.status.success(), "{}", told(&output));
    assert!(world.pushed(), "{}", told(&output));
    assert!(world.events("alert").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_hook_that_says_how_long_it_can_wait_waits() {
    let Some(program) = client::claude() else { return };
    let world = World::start(wants_to_push()).await;
    let (_, token) = world.session().await;
    let hook = json!({
        "type": "http",
        "url": format!("http://{}/hook", world.server().gateway),
        "timeout": 120,
        "headers": {"Authorization": "Bearer $HOOK_TOKEN", "provost-wait": "100"},
        "allowedEnvVars": ["HOOK_TOKEN"],
    });
    let path = world.folder().join("settings.json");
    let settings = json!({"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [hook]}]}});
    std::fs::write(&path, settings.to_string()).unwrap();
    let mut command = bare(&world, &program, &token, world.upstream.base_url());
    command.arg("--settings").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = command.spawn().unwrap();
    let id = world.held().await;
    assert!(!world.pushed());
    world.done(&["approvals", "deny", &id, "--comment", "not on a Friday"]).await;
    let output = run.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert!(!world.pushed() && world.model_was_told("not on a Friday"));
}

/// A policy beside the starter's, which allows `Bash` with an obligation.
fn with_obligation(obligation: &str) -> String {
    format!(
        r#"@id("obliged") {obligation}
        permit (principal in Provost::Project::"finance", action == Tool::Action::"call",
            resource == Tool::Tool::"Bash");"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policy_wants_its_user_asked_does_not_run_where_there_is_none() {
    let Some(program) = client::claude() else { return };
    let mut world = World::install(wants_to_push()).await;
    world.policy("no-push", crate::world::NO_PUSH);
    world.policy("obliged", &with_obligation(r#"@ask("user")"#));
    world.serve().await;
    let mut command = hooked(&world, &program, None).await;
    // The model would say hello for ever.
    command.args(["--max-turns", "3"]);
    let output = ended(command).await;
    let denials = result(&output)["permission_denials"].clone();
    let said_hello = |denial: &Value| denial["tool_use_id"] == "toolu_hello";
    assert!(
        denials.as_array().is_some_and(|denials| denials.iter().any(said_hello)),
        "{}",
        told(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_policy_sets_are_those_the_client_uses() {
    let Some(program) = client::claude() else { return };
    let mut world = World::install(wants_to_push()).await;
    world.policy("no-push", crate::world::NO_PUSH);
    world.policy("obliged", &with_obligation(r#"@set("command=pwd")"#));
    world.serve().await;
    let output = ended(hooked(&world, &program, None).await).await;
    assert!(output.status.success(), "{}", told(&output));
    let home = world.folder().join("home");
    // The result that the model reads is of the command as it was set.
    let folder = home.canonicalize().unwrap();
    let result = format!("\"content\":\"{}\"", folder.to_str().unwrap());
    assert!(world.model_was_told(&result), "{}", told(&output));
    assert!(world.events("alert").await.is_empty());
}
