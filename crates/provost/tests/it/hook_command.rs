//! `provost hook` and `provost claude`: what is refused when the gateway does not answer, by
//! itself and by stock Claude Code.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use http::StatusCode;
use provost_scripted::{Answer, Content, Play, Script, Scripted, Seen};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    claude_code, client,
    world::{MODEL, PROVOST, World, told},
};

const DENIAL: &str = "Provost denied it: publishing needs a person";

/// `provost` with nothing in its environment but what a hook needs.
fn provost(arguments: &[&str], url: &str) -> Command {
    let mut command = Command::new(PROVOST);
    command
        .args(arguments)
        .env_clear()
        .env("ANTHROPIC_AUTH_TOKEN", "pvs_test")
        .env("PROVOST_HOOK_URL", url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn said(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn closed_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn denied(reason: &str) -> Value {
    json!({"hookSpecificOutput": {
        "hookEventName": "PreToolUse",
        "permissionDecision": "deny",
        "permissionDecisionReason": reason,
    }})
}

fn decided(answer: &Value) -> Play {
    Play::json(StatusCode::OK, answer.to_string()).with_header("x-provost-action", "act_1")
}

/// A gateway that behaves as the path says.
fn gateway(seen: &Seen) -> Option<Play> {
    Some(match seen.path.as_str() {
        "/allowed" => decided(&json!({})),
        "/denied" => decided(&denied(DENIAL)),
        "/misspelt" => decided(&json!({"hookSpecificOutput": {"permissionDecison": "deny"}})),
        "/unsigned" => Play::json(StatusCode::OK, "{}"),
        "/other" => Play::json(StatusCode::OK, "{}").with_header("x-provost-action", "no"),
        "/garbage" => decided(&json!("{")),
        "/list" => decided(&json!([])),
        "/500" => Play::error(StatusCode::INTERNAL_SERVER_ERROR, "out of order"),
        "/403" => Play::json(StatusCode::FORBIDDEN, denied(DENIAL).to_string())
            .with_header("x-provost-action", "act_1"),
        "/html" => Play::Answer(Answer::new(
            StatusCode::OK,
            "text/html",
            Content::Whole("<html>Log in to the network</html>".into()),
        ))
        .with_header("x-provost-action", "act_1"),
        "/empty" => Play::json(StatusCode::OK, "").with_header("x-provost-action", "act_1"),
        "/moved" => Play::json(StatusCode::FOUND, "{}").with_header("location", "/allowed"),
        "/hanging" => Play::Hang,
        "/reset" => Play::Reset,
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_not_provosts_answer_is_a_refusal() {
    let there = Scripted::start(Script::default().unless(gateway)).await.unwrap();
    let at = |path: &str| format!("{}{path}", there.base_url());
    let nobody = closed_port();
    for (url, words) in [
        (at("/allowed"), None),
        (at("/denied"), None),
        (at("/misspelt"), Some("is not Provost's")),
        (at("/unsigned"), Some("is not Provost's")),
        (at("/other"), Some("is not Provost's")),
        (at("/garbage"), Some("is not Provost's")),
        (at("/list"), Some("is not Provost's")),
        (at("/html"), Some("is not Provost's")),
        (at("/empty"), Some("is not Provost's")),
        (at("/500"), Some("HTTP 500")),
        (at("/403"), Some("HTTP 403")),
        (at("/404"), Some("HTTP 404")),
        (at("/moved"), Some("HTTP 302")),
        (at("/hanging"), Some("within 1 s")),
        (at("/reset"), Some("cannot be reached")),
        (nobody, Some("cannot be reached")),
        ("http://name.invalid/hook".to_owned(), Some("cannot be reached")),
        ("ftp://127.0.0.1/hook".to_owned(), Some("not a URL")),
        ("127.0.0.1:1".to_owned(), Some("not a URL")),
        ("http://user:word@127.0.0.1/".to_owned(), Some("not a URL")),
    ] {
        for (event, refusal) in [("PreToolUse", 2), ("UserPromptSubmit", 2), ("Stop", 1)] {
            let hook = json!({"hook_event_name": event, "tool_name": "Bash"}).to_string();
            let output = said(provost(&["hook", "--timeout-s", "1"], &url), &hook).await;
            let shown = told(&output);
            // A tool's denial has a form of its own: to another event it says nothing.
            let words = if url.ends_with("/denied") && event != "PreToolUse" {
                Some("is not Provost's")
            } else {
                words
            };
            let Some(words) = words else {
                assert_eq!(output.status.code(), Some(0), "{url}, {event}: {shown}");
                let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
                let want = if url.ends_with("/denied") { denied(DENIAL) } else { json!({}) };
                assert_eq!(answer, want);
                continue;
            };
            assert_eq!(output.status.code(), Some(refusal), "{url}, {event}: {shown}");
            assert!(output.stdout.is_empty(), "{url}, {event}: {shown}");
            let reason = String::from_utf8(output.stderr).unwrap();
            assert!(reason.contains(words) && reason.contains(event), "{url}: {reason}");
            assert_eq!(reason.lines().count(), 1, "{reason}");
            assert!(!reason.contains("pvs_") && !reason.contains("user:word"), "{reason}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_what_provost_run_sets_and_nothing_else() {
    let there = Scripted::start(Script::new(|_| decided(&json!({})))).await.unwrap();
    let hook = json!({"hook_event_name": "PreToolUse", "tool_input": {"z": 1.50, "a": "é"}});
    let hook = hook.to_string();
    let nobody = closed_port();
    let mut command = provost(&["hook"], "");
    command
        .env_remove("PROVOST_HOOK_URL")
        .env("ANTHROPIC_BASE_URL", there.base_url())
        .env("HTTP_PROXY", &nobody)
        .env("http_proxy", &nobody)
        .env("ALL_PROXY", &nobody)
        .env("PROVOST_DATA_DIR", "/nowhere")
        .env("PROVOST_CONFIG", "/nowhere");
    let output = said(command, &hook).await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let seen = &there.requests()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/hook"));
    assert_eq!(seen.header("authorization"), Some("Bearer pvs_test"));
    assert_eq!(seen.body, hook.as_bytes(), "passed on to the letter");

    for (input, removed, words) in [
        (hook.as_str(), "ANTHROPIC_AUTH_TOKEN", "provost run"),
        (&hook, "PROVOST_HOOK_URL", "provost run"),
        ("", "", "not a hook"),
        ("[]", "", "not a hook"),
        ("{\"hook_event_name\":", "", "not a hook"),
    ] {
        let mut command = provost(&["hook"], &there.base_url());
        command.env_remove(removed);
        let output = said(command, input).await;
        assert_eq!(output.status.code(), Some(2), "{input}: {}", told(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{}", told(&output));
    }
    let misused = said(provost(&["hook", "--no-such-option"], &there.base_url()), &hook).await;
    assert_eq!(misused.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_is_not_read_or_whose_answer_is_not_read_is_a_refusal() {
    let there = Scripted::start(Script::new(|_| decided(&json!({})))).await.unwrap();
    let mut unread = provost(&["hook"], &there.base_url()).spawn().unwrap();
    drop(unread.stdout.take());
    let mut stdin = unread.stdin.take().unwrap();
    stdin.write_all(br#"{"hook_event_name":"PreToolUse"}"#).await.unwrap();
    drop(stdin);
    let output = unread.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));

    let mut endless = provost(&["hook", "--timeout-s", "1"], &there.base_url());
    let mut endless = endless.spawn().unwrap();
    let mut stdin = endless.stdin.take().unwrap();
    stdin.write_all(br#"{"hook_event_name":"Stop","#).await.unwrap();
    let output = endless.wait_with_output().await.unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
}

/// A project folder, a home, settings with our hooks, and a scripted model.
struct Stage {
    folder: TempDir,
    model: Scripted,
}

impl Stage {
    /// `hooks` answers hooks by the event's name; the model asks for one command.
    async fn set(hooks: impl Fn(&str) -> Play + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        let hook = move |seen: &Seen| {
            let hook = (seen.path == "/hook").then(|| {
                let hook: Value = serde_json::from_slice(&seen.body).unwrap();
                hook["hook_event_name"].as_str().unwrap().to_owned()
            })?;
            Some(hooks(&hook))
        };
        let script = Script::conversation(["touch ran"]).unless(hook);
        let stage = Self { folder, model: Scripted::start(script).await.unwrap() };
        stage.install(Path::new(PROVOST)).await;
        stage
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("settings.json")
    }

    async fn install(&self, program: &Path) {
        let _none_yet = fs::remove_file(self.settings());
        let settings = self.settings();
        let arguments =
            ["claude", "install", "--yes", "--settings", settings.to_str().unwrap()];
        let mut command = Command::new(program);
        command.args(arguments).env("HOME", self.folder.path());
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }

    /// Stock Claude Code with these settings; the tool is allowed as far as it is concerned.
    async fn run(&self, program: &Path, hook_url: &str) -> Output {
        let mut command = Command::new(program);
        command
            .args(["-p", "Go on.", "--model", MODEL, "--output-format", "json"])
            .args(["--allowedTools", "Bash", "--settings"])
            .arg(self.settings())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path().join("home"))
            .env("ANTHROPIC_BASE_URL", self.model.base_url())
            .env("ANTHROPIC_AUTH_TOKEN", "pvs_test")
            .env("PROVOST_HOOK_URL", hook_url)
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        claude_code::ended(command).await
    }

    fn own_url(&self) -> String {
        format!("{}/hook", self.model.base_url())
    }

    fn ran(&self) -> bool {
        self.folder.path().join("ran").exists()
    }

    /// What the model was told came of the command.
    fn results(&self) -> String {
        let asked = self.model.requests();
        let asked = asked.iter().filter(|seen| seen.path == "/v1/messages");
        asked.filter_map(Seen::asked).flat_map(|asked| asked.tool_results).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_runs_a_tool_if_provost_has_answered_and_only_then() {
    let Some(program) = client::claude() else { return };
    for (at_tool, runs, words) in [
        ("allowed", true, ""),
        ("denied", false, DENIAL),
        ("reset", false, "Provost refuses this PreToolUse"),
        ("403", false, "Provost refuses this PreToolUse"),
        ("hanging", false, "did not answer within 4 s"),
    ] {
        let stage = Stage::set(move |event| match event {
            "PreToolUse" => match at_tool {
                "allowed" => decided(&json!({})),
                "denied" => decided(&denied(DENIAL)),
                "403" => Play::json(StatusCode::FORBIDDEN, denied(DENIAL).to_string()),
                "hanging" => Play::Hang,
                _ => Play::Reset,
            },
            _ => decided(&json!({})),
        });
        let stage = stage.await;
        let output = stage.run(&program, &stage.own_url()).await;
        assert!(output.status.success(), "{at_tool}: {}", told(&output));
        assert_eq!(stage.ran(), runs, "{at_tool}: {}", told(&output));
        assert!(stage.results().contains(words), "{at_tool}: {}", stage.results());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_takes_no_prompt_while_the_hook_url_is_dead_or_provost_is_gone() {
    let Some(program) = client::claude() else { return };
    let stage = Stage::set(|_| decided(&json!({}))).await;
    let output = stage.run(&program, &closed_port()).await;
    assert_eq!(stage.model.request_count("/v1/messages"), 0, "{}", told(&output));
    assert!(
        told(&output).contains("Provost refuses this UserPromptSubmit"),
        "{}",
        told(&output)
    );

    // The program the settings name is not there any more: a shell would answer 127.
    let copy = stage.folder.path().join("provost");
    fs::copy(PROVOST, &copy).unwrap();
    stage.install(&copy).await;
    assert!(fs::read_to_string(stage.settings()).unwrap().contains(copy.to_str().unwrap()));
    fs::remove_file(&copy).unwrap();
    let output = stage.run(&program, &stage.own_url()).await;
    assert_eq!(stage.model.request_count("/v1/messages"), 0, "{}", told(&output));
    assert!(!stage.ran());

    // Nor is a tool run where only tools are asked for.
    let mut settings: Value =
        serde_json::from_str(&fs::read_to_string(stage.settings()).unwrap()).unwrap();
    let hooks = settings["hooks"].as_object_mut().unwrap();
    hooks.retain(|event, _| event == "PreToolUse");
    fs::write(stage.settings(), settings.to_string()).unwrap();
    let output = stage.run(&program, &stage.own_url()).await;
    assert!(stage.results().contains("hook error"), "{}", told(&output));
    assert!(!stage.ran());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_provost_run_has_all_that_its_hooks_need() {
    let Some(program) = client::claude() else { return };
    let world = World::start(Script::conversation(["touch ran"])).await;
    let settings = world.folder().join("hooks.json");
    let settings = settings.to_str().unwrap();
    world.done(&["claude", "install", "--yes", "--settings", settings]).await;
    let mut command = claude_code::claude(&world, &program, MODEL);
    command.args(["--settings", settings]);
    let output = claude_code::ended(command).await;
    assert!(output.status.success(), "{}", told(&output));
    assert!(world.folder().join("home/ran").exists(), "{}", told(&output));
    assert!(!told(&output).contains("Provost refuses"), "{}", told(&output));
}

/// What `provost claude doctor` found: each check's name and finding, and its exit code.
async fn diagnosed(mut command: Command) -> (Vec<(String, String)>, i32) {
    let output = command.output().await.unwrap();
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap();
    assert!(!report["version"].as_str().unwrap().is_empty());
    let found = checks.iter().map(|check| (text(&check["name"]), text(&check["finding"])));
    (found.collect(), output.status.code().unwrap())
}

fn doctor(home: &Path, program: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROVOST);
    command
        .args(["claude", "doctor", "--output", "json", "--claude"])
        .arg(program)
        .args(more)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_what_a_users_hooks_hold_and_what_switches_them_off() {
    let Some(program) = client::claude() else { return };
    if Path::new("/etc/claude-code").exists() {
        println!("SKIPPED: this machine has managed settings of its own");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (found, code) = diagnosed(doctor(home.path(), &program, &[])).await;
    assert_eq!(code, 1);
    assert!(found.iter().all(|(_, finding)| finding == "not-enforced"), "{found:?}");

    let mut install = Command::new(PROVOST);
    install.args(["claude", "install", "--yes"]).env("HOME", home.path());
    assert!(install.env_remove("CLAUDE_CONFIG_DIR").output().await.unwrap().status.success());
    let (found, code) = diagnosed(doctor(home.path(), &program, &[])).await;
    assert_eq!(code, 1);
    for (name, finding) in &found {
        let ways = ["--bare", "disableAllHooks", "another gateway"];
        let is_off = ways.iter().any(|way| name.contains(way));
        assert_eq!(finding, if is_off { "not-enforced" } else { "enforced" }, "{name}");
    }

    // What is refused by something else proves nothing of hooks.
    let denying = home.path().join("denying.json");
    fs::write(&denying, r#"{"permissions":{"deny":["Bash"]}}"#).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let settings = ["--settings", denying.to_str().unwrap()];
    let (found, code) = diagnosed(doctor(empty.path(), &program, &settings)).await;
    assert_eq!(code, 1);
    assert!(found.iter().all(|(_, finding)| finding != "enforced"), "{found:?}");
}

/// Managed settings have one place on a machine: the test has one of its own for itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_that_managed_hooks_hold_under_everything() {
    let Some(program) = client::claude() else { return };
    let unshare = ["--map-root-user", "--mount"];
    let can = Command::new("unshare").args(unshare).arg("true").status().await;
    if !can.is_ok_and(|ended| ended.success()) {
        println!("SKIPPED: no mount namespace can be made here");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let script = r#"
        set -e
        mkdir "$HOME/etc"
        for one in passwd group hosts nsswitch.conf ld.so.cache; do
            [ ! -e "/etc/$one" ] || cp "/etc/$one" "$HOME/etc/"
        done
        mount --bind "$HOME/etc" /etc
        "$0" claude install --managed --gateway "$GATEWAY" $MORE --yes >&2
        code=0
        "$0" claude doctor --output json --claude "$1" || code=$?
        "$0" claude uninstall --managed --yes >&2
        [ ! -e /etc/claude-code/managed-settings.json ]
        exit "$code"
    "#;
    for (gateway, more, want) in [
        ("http://gateway.invalid:8484", "", ("enforced", 0)),
        // It cannot be played where it cannot be read along, or is the only one to be asked.
        ("https://gateway.invalid:8484", "", ("unknown", 1)),
        (
            "http://gateway.invalid:8484",
            "--hook-url http://gateway.invalid:8484/hook",
            ("unknown", 1),
        ),
    ] {
        let _none_yet = fs::remove_dir_all(home.path().join("etc"));
        let mut command = Command::new("unshare");
        command
            .args(unshare)
            .args(["sh", "-c", script, PROVOST])
            .arg(&program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("GATEWAY", gateway)
            .env("MORE", more)
            .kill_on_drop(true);
        let (found, code) = diagnosed(command).await;
        assert_eq!(code, want.1, "{found:?}");
        let (prompts, tools) = found.split_at(2);
        assert!(prompts.iter().all(|(_, finding)| finding == "enforced"), "{found:?}");
        assert!(tools.iter().all(|(_, finding)| finding == want.0), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_only_as_shown_and_only_if_told_so() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("settings.json");
    let text = "{\n  \"model\": \"opus\"\n}\n";
    fs::write(&file, text).unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(PROVOST);
        command.args(arguments).env_clear().env("HOME", home.path()).stdin(Stdio::null());
        command.output().await.unwrap()
    };
    let place = ["--settings", file.to_str().unwrap()];
    let asked = run(&[&["claude", "install"], &place[..]].concat()).await;
    assert_eq!(asked.status.code(), Some(2), "{}", told(&asked));
    let shown = String::from_utf8_lossy(&asked.stderr);
    assert!(shown.contains("\n+") && shown.contains("--yes"), "{shown}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    for _twice in 0..2 {
        let done = run(&[&["claude", "install", "--yes"], &place[..]].concat()).await;
        assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    }
    let written: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(written["hooks"]["PreToolUse"].as_array().unwrap().len(), 1);
    let done = run(&[&["claude", "uninstall", "--yes"], &place[..]].concat()).await;
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    fs::write(&file, "{\n  \"model\": opus\n}\n").unwrap();
    let broken = run(&[&["claude", "install", "--yes"], &place[..]].concat()).await;
    assert_eq!(broken.status.code(), Some(1), "{}", told(&broken));
    let shown = String::from_utf8_lossy(&broken.stderr);
    assert!(shown.contains("settings.json, line 2"), "{shown}");
}
