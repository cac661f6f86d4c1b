//! Stock Claude Code under `provost run`: the loop, and how it stops at each refusal.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use provost_scripted::Script;
use serde_json::Value;
use tokio::process::Command;

use crate::{
    client,
    world::{AGENT, MODEL, REAL_KEY, World, eventually, told},
};

/// `provost run -- claude -p …` with a fresh home, ready to be started.
pub(crate) fn claude(world: &World, program: &Path, model: &str) -> Command {
    let program = program.to_str().unwrap();
    let home = world.folder().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let mut command = world.command(&[
        "run",
        "--agent",
        AGENT,
        "--",
        program,
        "-p",
        "Say hello with echo.",
        "--model",
        model,
        "--allowedTools",
        "Bash",
        "--output-format",
        "json",
    ]);
    command
        .env("HOME", &home)
        .env("ANTHROPIC_API_KEY", "sk-ant-api03-left-in-the-environment")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .current_dir(&home)
        .kill_on_drop(true);
    command
}

pub(crate) async fn ended(mut command: Command) -> Output {
    let output = tokio::time::timeout(Duration::from_secs(150), command.output());
    output.await.expect("Claude Code ends").unwrap()
}

pub(crate) fn result(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(output)))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_completes_a_loop_with_a_tool_call() {
    let Some(program) = client::claude() else { return };
    let mut world = World::start(Script::default()).await;
    let output = ended(claude(&world, &program, MODEL)).await;
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(result(&output)["is_error"], false, "{}", told(&output));
    let noted = String::from_utf8_lossy(&output.stderr);
    assert!(noted.contains("ANTHROPIC_API_KEY"), "removed and said so: {noted}");

    let (intents, outcomes) = world.concluded().await;
    assert!(intents.len() >= 2, "{intents:?}");
    let tools: Vec<_> = outcomes
        .iter()
        .filter_map(|event| event["record"]["outcome"]["tool_uses"].as_array())
        .flatten()
        .collect();
    assert!(tools.iter().any(|tool| tool["name"] == "Bash"), "{outcomes:?}");
    for event in &intents {
        assert_eq!(event["subject"]["agent"], AGENT);
        assert_eq!(event["subject"]["project"], "finance");
        let intent = &event["record"]["intent"];
        let tied = if intent["plane"] == "tool" { "tool_use" } else { "client_session" };
        assert!(intent["correlation"][tied].is_string(), "{event}");
    }
    for seen in world.upstream.requests() {
        let sent = format!("{:?}", seen.headers);
        assert!(!sent.contains("pvs_") && !sent.contains("left-in-the"), "{sent}");
        assert_eq!(seen.headers.get("x-api-key").unwrap(), REAL_KEY);
    }
    let sessions = world.json(&["session", "list"]).await;
    assert!(sessions["items"][0]["ended_at"].is_string(), "ended with its child: {sessions}");

    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_model_stops_it_at_the_first_request_with_our_words() {
    let Some(program) = client::claude() else { return };
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let output = ended(bare(&world, &program, &token, "gpt-9-turbo")).await;
    stopped_with(&world, &output, "denied", "permit").await;
    assert_eq!(world.upstream.request_count("/v1/messages"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_agent_stops_at_the_first_request_with_our_words() {
    let Some(program) = client::claude() else { return };
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    world.done(&["agent", "pause", AGENT, "--reason", "month end"]).await;
    let output = ended(bare(&world, &program, &token, MODEL)).await;
    stopped_with(&world, &output, "paused", "month end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_stops_it_at_the_first_request_with_our_words() {
    let Some(program) = client::claude() else { return };
    let world = World::start(Script::default()).await;
    let (id, token) = world.session().await;
    world.done(&["session", "end", &id, "--reason", "done for today"]).await;
    let output = ended(bare(&world, &program, &token, MODEL)).await;
    stopped_with(&world, &output, "session-over", "is over").await;
}

/// Claude Code without `provost run`, so that nothing but the gateway's answers can stop it.
fn bare(world: &World, program: &Path, token: &str, model: &str) -> Command {
    let home = world.folder().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(program);
    command
        .args(["-p", "Go on.", "--model", model, "--output-format", "json"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("ANTHROPIC_BASE_URL", format!("http://{}", world.server().gateway))
        .env("ANTHROPIC_AUTH_TOKEN", token)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .current_dir(&home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// It failed, said our words, and asked at most twice.
async fn stopped_with(world: &World, output: &Output, code: &str, words: &str) {
    assert!(!output.status.success(), "{}", told(output));
    let shown = result(output)["result"].as_str().unwrap_or_default().to_owned();
    assert!(shown.contains(words), "{}", told(output));
    let refused = world.events("refusal").await;
    assert!((1..=2).contains(&refused.len()), "{refused:?}");
    assert!(refused.iter().all(|one| one["record"]["refusal"]["code"] == code), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stream_stops_it_within_two_requests_with_our_words() {
    let Some(program) = client::claude() else { return };
    let world = World::start(Script::default()).await;
    // Started by hand, so that nothing but the gateway's answers can stop it.
    let (id, token) = world.session().await;
    let mut command = bare(&world, &program, &token, &format!("{MODEL}+endless-20"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    eventually("the stream runs", async || (world.upstream.live_streams() > 0).then_some(()))
        .await;
    world.done(&["session", "kill", &id, "--reason", "it went astray"]).await;
    let waiting = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
    let output = waiting.await.expect("Claude Code stops").unwrap();
    stopped_with(&world, &output, "killed", "it went astray").await;
    let (_, outcomes) = world.concluded().await;
    assert_eq!(outcomes.last().unwrap()["record"]["outcome"]["status"], "aborted");
    eventually("the upstream was let go", async || {
        (world.upstream.live_streams() == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_ends_its_process_tree() {
    let Some(program) = client::claude() else { return };
    let world = World::start(Script::default()).await;
    let (mut child, id) = begun(&world, &program).await;
    world.done(&["session", "kill", &id, "--reason", "drill"]).await;
    let shown = finished(&mut child).await;
    assert!(shown.contains("drill"), "{shown}");
    let status = child.wait().await.unwrap();
    assert!(!status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_stops_it_at_the_first_request() {
    let Some(program) = client::claude() else { return };
    let world = World::start(Script::default()).await;
    let output = ended(bare(&world, &program, "sk-ant-api03-somebody-elses", MODEL)).await;
    stopped_with(&world, &output, "unauthenticated", "not a Provost credential").await;
}

/// Starts Claude Code on an endless stream under `provost run`; the child and its session.
async fn begun(world: &World, program: &Path) -> (tokio::process::Child, String) {
    let model = format!("{MODEL}+endless-20");
    let mut command = claude(world, program, &model);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    eventually("the stream runs", async || (world.upstream.live_streams() > 0).then_some(()))
        .await;
    let sessions = world.json(&["session", "list", "--live"]).await;
    (child, sessions["items"][0]["id"].as_str().unwrap().to_owned())
}

/// Everything the child printed, once it has ended.
async fn finished(child: &mut tokio::process::Child) -> String {
    use tokio::io::AsyncReadExt as _;
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let reading = async {
        let _read =
            tokio::join!(out.read_to_string(&mut stdout), err.read_to_string(&mut stderr));
        child.wait().await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(150), reading).await.expect("it ends");
    stdout + &stderr
}
