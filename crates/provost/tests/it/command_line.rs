//! The command line: exit codes, both forms of answers, and how it finds its server.

use std::process::Stdio;

use provost_scripted::Script;

use crate::world::{AGENT, PROVOST, World, told};

/// Runs a command on a world, with more in its environment; its exit code and what it said.
async fn said(world: &World, arguments: &[&str], more: &[(&str, &str)]) -> (i32, String) {
    let mut command = world.command(arguments);
    command.envs(more.iter().copied());
    let output = command.output().await.unwrap();
    (output.status.code().unwrap(), told(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_are_what_the_reference_says() {
    let world = World::start(Script::default()).await;
    let control = format!("http://{}", world.server().control);
    let here = ["--server", &control];
    let nowhere = ["--server", "http://127.0.0.1:1"];
    let key = world.done(&["agent", "key", "create", AGENT, "--label", "test"]).await;
    let key = [("PROVOST_AGENT_KEY", key.trim())];
    let run = ["run", "--agent", AGENT, "--"];
    for (arguments, more, want) in [
        (&["session", "list"][..], &[][..], 0),
        (&["agent", "create", AGENT, "--project", "finance"], &[], 1), // taken
        (&["audit", "show", "act_00000000000000000000000000000000"], &[], 1),
        (&["session", "show", "1"], &[], 2), // not a session's id
        (&["agent", "create", "A", "--project", "p"], &[], 2), // not a name
        (&["serve"], &[("PROVOST_LLM_SECRT", "x")], 2), // not a setting
        (&["run", "--", "true"], &[], 2),    // whose session?
        (&["--server", "ftp://x", "session", "list"], &[], 2),
        (&[&here[..], &["agent", "list"]].concat(), &[], 3), // nobody's word for it
        (&[&here[..], &["agent", "list"]].concat(), &[("PROVOST_TOKEN", "pvh_wrong")], 3),
        (&[&here[..], &["agent", "list"]].concat(), &key, 3), // not a person's
        (&["run", "--agent", "other", "--", "true"], &key, 3), // not its own agent
        (&["--server", "http://x.example", "agent", "list"], &[("PROVOST_TOKEN", "t")], 2),
        (&[&nowhere[..], &["agent", "list"]].concat(), &[], 4),
        (&[&run[..], &["/nowhere"]].concat(), &[], 127),
        (&[&run[..], &["/"]].concat(), &[], 126),
        (&[&run[..], &["sh", "-c", "exit 9"]].concat(), &[], 9),
    ] {
        let (code, told) = said(&world, arguments, more).await;
        assert_eq!(code, want, "provost {arguments:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_no_agent_runs_and_commands_take_turns() {
    let world = World::install(Script::default()).await;
    let file = world.folder().join("ran");
    let run = ["run", "--agent", AGENT, "--", "touch", file.to_str().unwrap()];
    let (code, told) = said(&world, &run, &[]).await;
    assert_eq!(code, 4, "{told}");
    assert!(!file.exists(), "an agent ran without a server");

    let projects = ["one", "two", "three", "four"];
    let mut running: Vec<_> = projects
        .iter()
        .map(|name| world.command(&["project", "create", name]).spawn().unwrap())
        .collect();
    for child in &mut running {
        assert!(child.wait().await.unwrap().success());
    }
    let listed = world.done(&["project", "list"]).await;
    assert!(projects.iter().all(|name| listed.contains(name)), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_form_for_programs() {
    let world = World::start(Script::default()).await;
    let (session, _) = world.session().await;
    for arguments in [
        &["secret", "list"][..],
        &["project", "list"],
        &["agent", "list"],
        &["agent", "key", "list", AGENT],
        &["session", "list"],
        &["session", "show", &session],
        &["human", "list"],
        &["human", "create", "ada", "--role", "auditor"],
        &["policy", "check"],
        &["policy", "show"],
        &["audit", "verify"],
        &["agent", "pause", AGENT, "--reason", "lunch"],
        &["agent", "resume", AGENT],
        &["kill-all", "--reason", "drill"],
        &["resume-all"],
    ] {
        let _answer = world.json(arguments).await;
    }
    let (code, told) =
        said(&world, &["--output", "json", "session", "end", &session], &[]).await;
    assert_eq!(code, 0, "{told}");
    let output = world.run(&["agent", "retire", "nobody", "--output", "json"]).await;
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains("no agent nobody"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_is_no_fault() {
    let world = World::install(Script::default()).await;
    let mut command = world.command(&["audit", "tail", "-n", "1000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_key_opens_sessions_over_the_network() {
    let world = World::start(Script::default()).await;
    let key = world.done(&["agent", "key", "create", AGENT, "--label", "ci"]).await;
    let (control, gateway) = (world.server().control, world.server().gateway);
    let mut command = tokio::process::Command::new(PROVOST);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", world.folder().join("elsewhere"))
        .env("PROVOST_AGENT_KEY", key.trim())
        .env("PROVOST_SERVER", format!("http://{control}"))
        .env("PROVOST_GATEWAY", format!("http://{gateway}"))
        .args(["run", "--", "sh", "-c", "echo $ANTHROPIC_BASE_URL $PROVOST_AGENT_KEY"]);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("http://{gateway}\n"));
    let sessions = world.json(&["session", "list"]).await;
    let session = &sessions["items"][0];
    assert!(
        session["opened_by"].as_str().unwrap().starts_with("agent/invoice-bot"),
        "{session}"
    );
    assert!(
        session["ended_at"].is_string(),
        "the agent ended and its session did not: {session}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_there_for_every_shell() {
    let world = World::install(Script::default()).await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.done(&["completions", shell]).await;
        assert!(script.contains("kill-all"), "{shell}");
    }
}
