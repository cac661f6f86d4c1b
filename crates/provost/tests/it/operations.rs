//! Running it: start and stop, health, configuration, policies, people.

use std::time::Duration;

use provost_scripted::Script;

use crate::{
    faults::get,
    raw::{self, message, streamed},
    world::{AGENT, MODEL, REAL_KEY, World, eventually, told},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_is_refused() {
    let world = World::start(Script::default()).await;
    let second = world.run(&["serve"]).await;
    assert!(!second.status.success(), "{}", told(&second));
    let pid = world.server().child.id().unwrap().to_string();
    assert!(String::from_utf8_lossy(&second.stderr).contains(&pid), "{}", told(&second));
    assert_eq!(get(world.server().control, "/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn init_never_overwrites() {
    let world = World::install(Script::default()).await;
    let key = std::fs::read(world.data().join("keys/master.age")).unwrap();
    let again = world.run(&["init"]).await;
    assert!(!again.status.success(), "{}", told(&again));
    assert_eq!(std::fs::read(world.data().join("keys/master.age")).unwrap(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_file_and_no_log_in_the_clear() {
    let mut world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    assert_eq!(raw::ask(world.server().gateway, &token, &message(MODEL)).await.status, 200);
    assert!(world.end("TERM").await.success());
    let mut folders = vec![world.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for secret in [REAL_KEY, &token] {
                let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!found, "a secret is in {}", path.display());
            }
        }
    }
    let listed = world.done(&["secret", "list"]).await;
    assert!(listed.contains("anthropic") && !listed.contains(REAL_KEY), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_lets_a_stream_end() {
    let mut world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let bearer = format!("Bearer {token}");
    let body = streamed(&format!("{MODEL}+slow-20x50")).to_string();
    let gateway = world.server().gateway;
    let mut stream = raw::open(gateway, &[("authorization", &bearer)], body.as_bytes()).await;
    raw::read_until(&mut stream, "content_block_delta").await;
    let pid = world.server().child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&pid).status().unwrap().success());
    raw::read_until(&mut stream, "message_stop").await;
    let waited = tokio::time::timeout(Duration::from_secs(60), world.ended()).await;
    assert!(waited.expect("it ends").success());
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_setting_is_refused_with_a_suggestion() {
    let world = World::install(Script::default()).await;
    let file = world.data().join("provost.toml");
    std::fs::write(&file, "[session]\nidle_maxs = 5\n").unwrap();
    let refused = world.run(&["serve"]).await;
    let told_text = told(&refused);
    assert!(!refused.status.success());
    assert!(
        told_text.contains("provost.toml:2") && told_text.contains("idle_max_s"),
        "{told_text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_policy_is_in_force_without_a_restart_and_a_broken_one_is_not() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200);
    let extra = world.data().join("policies/extra.cedar");
    std::fs::write(&extra, "forbid (principal, action").unwrap();
    let check = world.run(&["policy", "check"]).await;
    assert_eq!(check.status.code(), Some(1), "{}", told(&check));
    assert!(told(&check).contains("extra.cedar:1"), "{}", told(&check));
    eventually("the refusal is told", async || {
        world.done(&["policy", "show"]).await.contains("extra.cedar:1").then_some(())
    })
    .await;
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200);

    let forbid = "@id(\"no-sonnet\")\nforbid (principal, action, resource == Llm::Model::\"claude-sonnet-5\");";
    std::fs::write(&extra, forbid).unwrap();
    let denied = eventually("the policy is in force", async || {
        let answer = raw::ask(gateway, &token, &message(MODEL)).await;
        (answer.status == 403).then_some(answer)
    })
    .await;
    assert!(denied.error().1.contains("no-sonnet"), "{denied:?}");
    let refusal = world.events("refusal").await.pop().unwrap();
    let action = refusal["subject"]["action"].as_str().unwrap();
    let explained = world.done(&["policy", "explain", action]).await;
    assert!(explained.starts_with("recorded: deny (no-sonnet)"), "{explained}");
    std::fs::remove_file(&extra).unwrap();
    let explained = eventually("the policy is gone", async || {
        let explained = world.done(&["policy", "explain", action]).await;
        explained.contains("under other policies").then_some(explained)
    })
    .await;
    assert!(explained.starts_with("recorded: deny (no-sonnet)"), "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_enforced_on_the_control_listener() {
    let world = World::start(Script::default()).await;
    let server = format!("http://{}", world.server().control);
    let auditor = world.json(&["human", "create", "olga", "--role", "auditor"]).await;
    let token = auditor["token"].as_str().unwrap();
    let as_auditor = |arguments: &'static [&'static str]| {
        let mut command = world.command(arguments);
        command.env("PROVOST_SERVER", &server).env("PROVOST_TOKEN", token);
        command
    };
    let read = as_auditor(&["audit", "tail"]).output().await.unwrap();
    assert!(read.status.success(), "{}", told(&read));
    let refused = as_auditor(&["kill-all", "--reason", "x"]).output().await.unwrap();
    assert_eq!(refused.status.code(), Some(3), "{}", told(&refused));
    let nobody = world
        .command(&["audit", "tail"])
        .env("PROVOST_SERVER", &server)
        .output()
        .await
        .unwrap();
    assert_eq!(nobody.status.code(), Some(3), "{}", told(&nobody));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_survives_a_restart_and_only_an_undo_lifts_it() {
    let mut world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    world.done(&["kill-all", "--reason", "drill"]).await;
    assert!(world.end("TERM").await.success());
    world.serve().await;
    let gateway = world.server().gateway;
    let answer = raw::ask(gateway, &token, &message(MODEL)).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.error().1.contains("drill"));
    world.done(&["resume-all"]).await;
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_and_proofs_prove() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    assert_eq!(raw::ask(world.server().gateway, &token, &message(MODEL)).await.status, 200);
    world.concluded().await;
    let metrics = get(world.server().control, "/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("provost_actions_total{result=\"admitted\"} 1"), "{text}");
    let intent = world.events("intent").await.pop().unwrap();
    let action = intent["subject"]["action"].as_str().unwrap();
    let shown = eventually("the checkpoint covers it", async || {
        let output = world.run(&["audit", "show", action, "--proof"]).await;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    })
    .await;
    assert!(shown.contains(action), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_passes_on_exit_codes_and_hides_real_keys() {
    let world = World::start(Script::default()).await;
    for (script, want) in [("exit 7", 7), ("kill -TERM $$", 143)] {
        let output = world.run(&["run", "--agent", AGENT, "--", "sh", "-c", script]).await;
        assert_eq!(output.status.code(), Some(want), "{script}: {}", told(&output));
    }
    let mut command = world.command(&["run", "--agent", AGENT, "--", "env"]);
    command.env("ANTHROPIC_API_KEY", REAL_KEY).env("AWS_SECRET_ACCESS_KEY", "aws-secret");
    let output = command.output().await.unwrap();
    let env = String::from_utf8_lossy(&output.stdout);
    assert!(!env.contains(REAL_KEY) && !env.contains("aws-secret"), "{env}");
    assert!(env.contains("ANTHROPIC_BASE_URL=http://127.0.0.1:"), "{env}");
    assert!(env.contains("ANTHROPIC_AUTH_TOKEN=pvs_"), "{env}");
    assert!(env.contains("NO_PROXY="), "{env}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_spans_with_the_names_of_the_genai_conventions() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let collector = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut world = World::install(Script::default()).await;
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    world.set("PROVOST_TELEMETRY_OTLP_ENDPOINT", &endpoint);
    world.serve().await;
    let (_, token) = world.session().await;
    assert_eq!(raw::ask(world.server().gateway, &token, &message(MODEL)).await.status, 200);
    let receive = async {
        let (mut stream, _) = collector.accept().await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            let read = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            if text.contains("gen_ai.usage.output_tokens") {
                let _closed =
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                return text;
            }
            assert!(read > 0, "no span came: {text}");
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(60), receive).await.expect("a span");
    assert!(text.starts_with("POST /v1/traces"), "{text}");
    for name in ["gen_ai.request.model", MODEL, "gen_ai.agent.id", AGENT, "provost.action"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(!text.contains(&token) && !text.contains(REAL_KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_what_it_says_it_shows() {
    let output = tokio::process::Command::new(crate::world::PROVOST)
        .arg("demo")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await.expect("it ends");
    let text = told(&output.unwrap());
    assert!(text.starts_with("exit status: 0"), "{text}");
    for shown in [
        "invoice-bot began",
        "agent: runs `echo hello from the agent`",
        "asks for Bash",
        "no policy permits message on Llm::Model \"claude-instant-1\"",
        "Provost stopped session",
        "The stream is cut, and the agent ended with exit status: 137",
        "the ledger is whole and unchanged",
        "is not what was signed",
        "Nothing is left of it",
    ] {
        assert!(text.contains(shown), "{shown:?} is not shown:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_kept_encrypted_where_the_project_says_so_and_a_look_is_recorded() {
    let world = World::install(Script::default()).await;
    let mut world = world;
    world.done(&["project", "create", "legal", "--bodies", "full"]).await;
    world.done(&["agent", "create", "clerk", "--project", "legal"]).await;
    world.serve().await;
    let env = world.done(&["env", "--agent", "clerk", "--format", "json"]).await;
    let env: serde_json::Value = serde_json::from_str(&env).unwrap();
    let token = env["ANTHROPIC_AUTH_TOKEN"].as_str().unwrap();
    let mut body = message(MODEL);
    body["messages"][0]["content"] = "the secret of the house".into();
    assert_eq!(raw::ask(world.server().gateway, token, &body).await.status, 200);
    let (intents, _) = world.concluded().await;
    let action = intents[0]["subject"]["action"].as_str().unwrap();
    let shown = eventually("both bodies are kept", async || {
        let shown = world.done(&["audit", "show", action, "--bodies"]).await;
        (!shown.contains("not kept")).then_some(shown)
    })
    .await;
    assert!(shown.contains("the secret of the house"), "{shown}");
    assert!(shown.contains("\"role\":\"assistant\""), "{shown}");
    let looks = world.events("admin").await;
    let look = |event: &&serde_json::Value| event["record"]["admin"]["verb"] == "bodies.read";
    assert!(looks.iter().any(|event| look(&event)), "{looks:?}");
    let kept = std::process::Command::new("grep")
        .args(["-r", "the secret of the house"])
        .arg(world.data())
        .output()
        .unwrap();
    assert_eq!(kept.status.code(), Some(1), "in the clear: {kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_or_master_key_is_said_and_nothing_starts() {
    let world = World::install(Script::default()).await;
    for (file, words) in
        [("provost.db", "the database is empty"), ("keys/master.age", "master.age")]
    {
        let path = world.data().join(file);
        let aside = world.folder().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        let refused = world.run(&["serve"]).await;
        assert!(
            !refused.status.success() && told(&refused).contains(words),
            "{}",
            told(&refused)
        );
        std::fs::rename(&aside, &path).unwrap();
    }
    world.done(&["agent", "list"]).await;
}
