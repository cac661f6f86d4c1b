//! Held tool calls, from stock Claude Code to the person who answers, and over a crash.

use std::{collections::BTreeSet, path::Path, process::Stdio, time::Duration};

use provost_scripted::Script;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
};

use crate::{
    claude_code::{claude, ended, result},
    client,
    raw::{ask, open, streamed},
    turn::{self, bash, text},
    world::{MODEL, World, eventually, told},
};

/// Longest wait for something that has to happen. Never an assertion about speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A model that wants to push whatever its name ends with, and says how that went.
fn wants_to_push() -> Script {
    turn::model(|turn| {
        let what = turn.model.split_once('+').map(|(_, what)| what);
        match turn.result {
            None if turn.is_offered || what.is_some() => {
                let what = what.unwrap_or("origin");
                // Another id each time: a call of the same id is the same call.
                let id = format!("toolu_{}", turn.order);
                let push = bash(&id, &format!("touch pushed; git push {what} || true"));
                vec![text("I push it."), push]
            }
            None => vec![text("A title")],
            Some(denied) if denied["is_error"] == true => vec![text("Then not.")],
            Some(_) => vec![text("It is pushed.")],
        }
    })
}

impl World {
    /// What was recorded of an approval, step by step.
    async fn steps(&self, id: &str) -> Vec<String> {
        let events = self.events("approval").await;
        let records = events.iter().map(|event| &event["record"]["approval"]);
        let own = records.filter(|record| record["approval"] == id);
        own.map(|record| record["step"].as_str().unwrap().to_owned()).collect()
    }
}

fn begun(world: &World, program: &Path) -> Child {
    let mut command = claude(world, program, MODEL);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_waits_in_the_stream_and_runs_once_it_is_approved() {
    let Some(program) = client::claude() else { return };
    let mut world = World::start(wants_to_push()).await;
    let run = begun(&world, &program);
    let id = world.held().await;
    assert!(!world.pushed(), "nothing of it has run");
    let card = world.done(&["approvals", "show", &id]).await;
    for line in [
        "otherwise: denied at ",
        "│ touch pushed; git push origin || true\n",
        "risks: ",
        "held by base.push: publishing needs a person; 0 of 1 yes from approvers\n",
        "you may answer\n",
    ] {
        assert!(card.contains(line), "{line:?} in {card}");
    }
    let said = world.done(&["approvals", "approve", &id, "--comment", "go ahead"]).await;
    assert!(said.starts_with(&format!("{id} approved: approved by local/")), "{said}");
    let output = run.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(result(&output)["result"], "It is pushed.", "{}", told(&output));
    assert!(world.pushed());
    let steps = world.steps(&id).await;
    assert_eq!(steps, ["requested", "shown", "approved", "used"]);
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_reads_the_comment_of_a_no() {
    let Some(program) = client::claude() else { return };
    let world = World::start(wants_to_push()).await;
    let run = begun(&world, &program);
    let id = world.held().await;
    world.done(&["approvals", "deny", &id, "--comment", "not on a Friday"]).await;
    let output = run.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(result(&output)["result"], "Then not.", "{}", told(&output));
    assert!(!world.pushed());
    assert!(world.model_was_told("not on a Friday"));
    let again = world.run(&["approvals", "approve", &id]).await;
    assert_eq!(again.status.code(), Some(1), "{}", told(&again));
    assert!(told(&again).contains("is denied already"), "{}", told(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_answered_names_the_approval_and_the_next_one_goes_ahead_by_it() {
    let Some(program) = client::claude() else { return };
    let mut world = World::install(wants_to_push()).await;
    world.set("PROVOST_APPROVALS_WAIT_S", "1");
    world.serve().await;
    let run = async |model: &str| {
        let output = ended(claude(&world, &program, model)).await;
        assert!(output.status.success(), "{}", told(&output));
        result(&output)["result"].as_str().unwrap().to_owned()
    };
    let words = run(MODEL).await;
    let id = world.held().await;
    assert!(words.contains(&id), "{words}");
    world.done(&["approvals", "approve", &id]).await;

    // Other arguments are another question.
    let words = run(&format!("{MODEL}+force")).await;
    let other = world.held().await;
    assert_ne!(other, id);
    assert!(words.contains(&other), "{words}");
    assert!(!world.pushed());

    assert_eq!(run(MODEL).await, "It is pushed.");
    assert!(world.pushed());
    let words = run(MODEL).await;
    assert!(words.contains("apr_") && !words.contains(&id), "it works once: {words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_each_that_comes() {
    let world = World::start(wants_to_push()).await;
    let (_, token) = world.session().await;
    let bearer = format!("Bearer {token}");
    let mut watch = world.command(&["approvals", "watch", "--output", "json"]);
    let mut watch = watch.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut streams = Vec::new();
    for number in 1..=2 {
        let body = streamed(&format!("{MODEL}+branch-{number}")).to_string();
        let headers = [("authorization", bearer.as_str())];
        streams.push(open(world.server().gateway, &headers, body.as_bytes()).await);
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it is told");
        let told: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        assert_eq!((&told["state"], &told["resource_id"]), (&json!("waiting"), &json!("Bash")));
        assert_eq!(world.waiting().await[0], told["id"], "the one that came");
    }
    watch.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_lets_others_like_it_through_until_it_is_revoked() {
    let mut world = World::install(wants_to_push()).await;
    world.set("PROVOST_APPROVALS_WAIT_S", "0");
    world.serve().await;
    let (_, token) = world.session().await;
    let is_let_through = async |what: &str| {
        let body = streamed(&format!("{MODEL}+{what}"));
        let answer = ask(world.server().gateway, &token, &body).await;
        let answer = String::from_utf8_lossy(&answer.body).into_owned();
        assert_ne!(
            answer.contains("\"type\":\"tool_use\""),
            answer.contains("apr_"),
            "{answer}"
        );
        !answer.contains("apr_")
    };
    assert!(!is_let_through("branch-1").await);
    let id = world.held().await;
    let misfit = ["approvals", "approve", &id, "--pattern", "command=git *", "--for", "1h"];
    let misfit = world.run(&misfit).await;
    assert!(told(&misfit).contains("does not fit its pattern"), "{}", told(&misfit));
    let pattern = "command=touch pushed; git push branch-* || true";
    world.done(&["approvals", "approve", &id, "--pattern", pattern, "--for", "1h"]).await;
    for (what, want) in [
        ("branch-1", true),
        ("branch-2", true),
        ("branch-2", true),
        ("main", false),
        ("branch-1;id", false),
    ] {
        assert_eq!(is_let_through(what).await, want, "{what}");
    }
    let said = world.done(&["approvals", "revoke", &id, "--comment", "enough"]).await;
    assert!(said.contains("revoked by local/") && said.contains(": enough"), "{said}");
    assert!(!is_let_through("branch-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_survives_a_crash_and_each_works_once() {
    let mut world = World::start(wants_to_push()).await;
    let (_, token) = world.session().await;
    let bearer = format!("Bearer {token}");
    let bodies: Vec<Value> =
        (1..=5).map(|number| streamed(&format!("{MODEL}+branch-{number}"))).collect();
    let mut streams = Vec::new();
    for body in &bodies {
        let headers = [("authorization", bearer.as_str())];
        let gateway = world.server().gateway;
        streams.push(open(gateway, &headers, body.to_string().as_bytes()).await);
    }
    let before = eventually("five wait", async || {
        let waiting: BTreeSet<String> = world.waiting().await.into_iter().collect();
        (waiting.len() == bodies.len()).then_some(waiting)
    })
    .await;
    world.end("KILL").await;
    drop(streams);
    world.set("PROVOST_APPROVALS_WAIT_S", "0");
    world.serve().await;
    let after: BTreeSet<String> = world.waiting().await.into_iter().collect();
    assert_eq!(after, before);
    for id in &after {
        world.done(&["approvals", "approve", id]).await;
    }
    for body in &bodies {
        let gateway = world.server().gateway;
        let first = ask(gateway, &token, body).await;
        let first = String::from_utf8_lossy(&first.body).into_owned();
        assert!(first.contains("\"tool_use\"") && !first.contains("apr_"), "{first}");
        let second = ask(gateway, &token, body).await;
        let second = String::from_utf8_lossy(&second.body).into_owned();
        assert!(
            !second.contains("\"type\":\"tool_use\"") && second.contains("apr_"),
            "{second}"
        );
    }
    for id in &after {
        let steps = world.steps(id).await;
        assert_eq!(steps, ["requested", "approved", "used"], "{id}");
    }
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}
