//! Hooks of stock Claude Code: alone, and beside the model's stream.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    claude_code::{claude, ended, result},
    client,
    tool_calls::wants_to_push,
    world::{MODEL, World, told},
};

/// A settings file whose HTTP hooks post to this world's gateway.
fn settings(world: &World) -> PathBuf {
    let hook = json!({
        "type": "http",
        "url": format!("http://{}/hook", world.server().gateway),
        "timeout": 30,
        "headers": {"Authorization": "Bearer $HOOK_TOKEN"},
        "allowedEnvVars": ["HOOK_TOKEN"],
    });
    let matched = json!([{"matcher": "*", "hooks": [hook]}]);
    let plain = json!([{"hooks": [hook]}]);
    let hooks = json!({
        "PreToolUse": matched, "PostToolUse": matched, "PostToolUseFailure": matched,
        "UserPromptSubmit": plain, "Stop": plain, "SessionEnd": plain,
    });
    let path = world.folder().join("settings.json");
    std::fs::write(&path, json!({"hooks": hooks}).to_string()).unwrap();
    path
}

/// Claude Code with hooks, whose model is at `model`: behind Provost, or not.
fn hooked(world: &World, program: &Path, token: &str, model: String) -> Command {
    let mut command = bare(world, program, token, model);
    command.arg("--settings").arg(settings(world));
    command
}

/// The same without settings.
pub(crate) fn bare(world: &World, program: &Path, token: &str, model: String) -> Command {
    let mut command = silent(world, program, token, model);
    command.arg("Push it.");
    command
}

/// The same without anything to say.
pub(crate) fn silent(world: &World, program: &Path, token: &str, model: String) -> Command {
    let home = world.folder().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(program);
    command
        .args(["-p", "--model", MODEL, "--output-format", "json"])
        // No list: it would take what comes behind it.
        .arg("--allowedTools=Bash")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("ANTHROPIC_BASE_URL", model)
        .env("ANTHROPIC_AUTH_TOKEN", token)
        // It keeps its own credential from hooks.
        .env("HOOK_TOKEN", token)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .current_dir(&home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The tool calls on record, by the id of each.
async fn calls(world: &World, kind: &str) -> Vec<Value> {
    let events = world.events(kind).await;
    let is_tool = |event: &Value| {
        let record = &event["record"][kind];
        let intent = if kind == "refusal" { &record["intent"] } else { record };
        intent["plane"] == "tool"
    };
    events.into_iter().filter(is_tool).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_alone_deny_a_call_the_model_reads_why_and_the_run_goes_on() {
    let Some(program) = client::claude() else { return };
    let mut world = World::start_without_pushes(wants_to_push()).await;
    let (_, token) = world.session().await;
    let output = ended(hooked(&world, &program, &token, world.upstream.base_url())).await;
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(result(&output)["result"], "All is done that I may do.", "{}", told(&output));
    assert!(!world.pushed(), "nothing of the call was made");
    let model_reads = world.upstream.requests().iter().any(|seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        body.contains("nobody pushes from here") && body.contains("toolu_push")
    });
    assert!(model_reads);

    let refused = calls(&world, "refusal").await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let intent = &refused[0]["record"]["refusal"]["intent"];
    assert_eq!(intent["correlation"]["tool_use"], "toolu_push");
    assert_eq!(intent["decision"]["policies"], json!(["base.push", "no-push"]));
    let (intents, outcomes) = world.concluded().await;
    let made: Vec<_> =
        intents.iter().filter(|event| event["record"]["intent"]["plane"] == "tool").collect();
    assert_eq!(made.len(), 1, "{intents:?}");
    let intent = &made[0]["record"]["intent"];
    assert_eq!(intent["correlation"]["tool_use"], "toolu_hello");
    assert!(intent["correlation"]["client_session"].is_string());
    let outcome = outcomes
        .iter()
        .find(|event| event["subject"]["action"] == made[0]["subject"]["action"])
        .unwrap();
    assert_eq!(outcome["record"]["outcome"]["status"], "succeeded");
    assert!(world.events("alert").await.is_empty());
    let reported: Vec<_> = intents
        .iter()
        .filter(|event| event["record"]["intent"]["plane"] == "hook")
        .filter_map(|event| event["record"]["intent"]["resource_id"].as_str())
        .collect();
    for event in ["UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"] {
        assert!(reported.contains(&event), "{event} in {reported:?}");
    }
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_is_stopped_by_its_hooks() {
    let Some(program) = client::claude() else { return };
    let world = World::start_without_pushes(wants_to_push()).await;
    let (id, token) = world.session().await;
    world.done(&["session", "kill", &id, "--reason", "it went astray"]).await;
    let output = ended(hooked(&world, &program, &token, world.upstream.base_url())).await;
    assert!(!world.pushed());
    assert!(world.upstream.request_count("/v1/messages") == 0, "{}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_and_a_hook_see_one_call() {
    let Some(program) = client::claude() else { return };
    let world = World::start_without_pushes(wants_to_push()).await;
    let (_, token) = world.session().await;
    let gateway = format!("http://{}", world.server().gateway);
    let output = ended(hooked(&world, &program, &token, gateway)).await;
    assert!(output.status.success(), "{}", told(&output));
    let (intents, _) = world.concluded().await;
    let made: Vec<_> =
        intents.iter().filter(|event| event["record"]["intent"]["plane"] == "tool").collect();
    assert_eq!(made.len(), 1, "{intents:?}");
    let witnesses = world.events("witness").await;
    assert_eq!(witnesses.len(), 1, "{witnesses:?}");
    assert_eq!(witnesses[0]["subject"]["action"], made[0]["subject"]["action"]);
    let (witness, intent) = (&witnesses[0]["record"]["witness"], &made[0]["record"]["intent"]);
    assert_eq!(witness["plane"], "hook");
    assert_eq!(witness["tool_use"], "toolu_hello");
    assert!(witness["arguments"].is_string() && intent["arguments"].is_string());
    assert!(world.events("alert").await.is_empty());
    let action = made[0]["subject"]["action"].as_str().unwrap();
    let shown = world.done(&["audit", "show", action]).await;
    assert!(shown.contains("the call was seen by hook too"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_hooks_work_under_provost_run_and_fail_closed_without_it() {
    let Some(program) = client::claude() else { return };
    let mut world = World::start_without_pushes(wants_to_push()).await;
    let file = world.folder().join("installed.json");
    let file = file.to_str().unwrap();
    world.done(&["claude", "install", "--settings", file, "--yes"]).await;
    let mut command = claude(&world, &program, MODEL);
    command.args(["--settings", file]);
    let output = ended(command).await;
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(result(&output)["result"], "All is done that I may do.", "{}", told(&output));
    let witnesses = world.events("witness").await;
    assert_eq!(witnesses.len(), 1, "{}", told(&output));
    let reported = world.events("intent").await.iter().any(|event| {
        let intent = &event["record"]["intent"];
        intent["plane"] == "hook" && intent["resource_id"] == "SessionStart"
    });
    assert!(reported, "command hooks tell of SessionStart, HTTP hooks do not");
    assert!(world.events("alert").await.is_empty());

    // The gateway goes away; a model that is elsewhere asks for a harmless call.
    let gateway = world.server().gateway;
    assert!(world.end("TERM").await.success());
    let mut command = bare(&world, &program, "pvs_none", world.upstream.base_url());
    command
        .args(["--settings", file])
        .env("PROVOST_HOOK_URL", format!("http://{gateway}/hook"));
    let asked = world.upstream.requests().len();
    let output = ended(command).await;
    assert_eq!(
        world.upstream.requests().len(),
        asked,
        "the prompt was blocked: {}",
        told(&output)
    );
}
