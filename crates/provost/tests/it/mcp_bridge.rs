//! `provost mcp SERVER`: a stdio client's way to servers of both eras, and when there is none;
//! at last through the real gateway, with the Python SDK and stock Claude Code as its clients.

use std::{
    net::TcpListener,
    process::{Output, Stdio},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode};
use provost_scripted::{Answer, Content, Play, Script, Scripted, Seen, Step};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    claude_code, client,
    mcp::{Form, Served, claude, told_to_model, wants_to_push},
    world::{PROVOST, told},
};

/// Longest wait for something that has to happen. Never an assertion about speed.
const PATIENCE: Duration = Duration::from_secs(60);
const CREDENTIAL: &str = "pvs_test";
const NOW: &str = "2026-07-28";

/// The program as an MCP client sees it.
pub(crate) struct Bridge {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Bridge {
    fn start(gateway: &str) -> Self {
        Self::of(&mut command(gateway))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, stdout }
    }

    async fn write(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.write(&message.to_string()).await;
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let line = timeout(PATIENCE, self.stdout.next_line()).await.expect("a line comes");
        let line = line.unwrap().expect("a line, and not the end");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) async fn ask(&mut self, message: &Value) -> Value {
        self.say(message).await;
        self.hear().await
    }

    /// Begins a session as clients of the earlier era do.
    pub(crate) async fn initialize(&mut self) -> Value {
        let answer = self.ask(&initialize()).await;
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        answer
    }

    /// Ends its input; what is left, and how it ended.
    pub(crate) async fn end(mut self) -> (Vec<String>, Output) {
        drop(self.stdin);
        let mut left = Vec::new();
        while let Some(line) = self.stdout.next_line().await.unwrap() {
            left.push(line);
        }
        let ended = timeout(PATIENCE, self.child.wait_with_output()).await;
        (left, ended.expect("it ends").unwrap())
    }
}

fn command(gateway: &str) -> Command {
    let mut command = Command::new(PROVOST);
    command
        .args(["mcp", "github"])
        .env_clear()
        .env("ANTHROPIC_BASE_URL", gateway)
        .env("ANTHROPIC_AUTH_TOKEN", CREDENTIAL)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn initialize() -> Value {
    request(0, "initialize", &json!({"protocolVersion": "2025-11-25", "capabilities": {}}))
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A request of the era without sessions.
fn now(id: u64, method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": NOW});
    request(id, method, &params)
}

fn result(message: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": message["id"], "result": result})
}

fn whole(message: &Value) -> Play {
    // As no line is: of many.
    Play::json(StatusCode::OK, format!("{message:#}\n"))
}

fn event(id: &str, message: &Value) -> Step {
    Step::Send(Bytes::from(format!("id: {id}\nevent: message\ndata: {message}\n\n")))
}

fn notification(text: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": text}})
}

fn nothing(status: StatusCode) -> Play {
    Play::Answer(Answer::new(status, "text/plain", Content::Whole(Bytes::new())))
}

fn message_of(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap_or(Value::Null)
}

/// A server of the era with sessions, which streams; its name says what of it breaks.
fn with_sessions(seen: &Seen) -> Play {
    let message = message_of(seen);
    let last_event = seen.header("last-event-id");
    match (&seen.method, message["method"].as_str(), last_event) {
        (&Method::GET, _, None) => {
            Play::stream([event("g1", &notification("unasked")), Step::Close])
        }
        (&Method::GET, _, Some("g1")) => {
            Play::stream([event("g2", &notification("unasked again")), Step::Hang])
        }
        (&Method::GET, _, Some("p1")) => {
            let answer = json!({"jsonrpc": "2.0", "id": 5, "result": {"resumed": true}});
            Play::stream([event("p2", &answer)])
        }
        (_, Some("initialize"), _) => {
            whole(&result(&message, &json!({"protocolVersion": "2025-06-18"})))
                .with_header("mcp-session-id", "one")
        }
        (_, Some("tools/call"), _) if message["params"]["name"] == "broken" => {
            let begun = Step::Send("id: p1\nretry: 1\ndata:\n\n".into());
            Play::stream([begun, event("p1", &notification("begun")), Step::Close])
        }
        (_, Some("tools/call"), _) if message["params"]["name"] == "lost" => {
            Play::stream([Step::Send(": nothing\n\n".into()), Step::Close])
        }
        (_, Some("tools/call"), _) if message["params"]["name"] == "endless" => {
            Play::stream([event("e", &notification("working")), Step::Hang])
        }
        (_, Some("tools/call"), _) => Play::stream([
            event("1", &notification("working")),
            event("2", &json!({"jsonrpc": "2.0", "id": "s", "method": "roots/list"})),
            event("3", &result(&message, &json!({"content": []}))),
        ]),
        (_, Some("ping"), _) => whole(&result(&message, &json!({}))),
        _ => nothing(StatusCode::ACCEPTED),
    }
}

/// Every request but the streams: what was done, with which session and revision.
fn passed(seen: &[Seen]) -> Vec<String> {
    let told = seen.iter().map(|one| {
        assert_eq!(one.path, "/mcp/github");
        assert_eq!(one.header("authorization"), Some("Bearer pvs_test"));
        let header = |name: &str| one.header(name).unwrap_or("-").to_owned();
        let message = message_of(one);
        let what = message["method"].as_str().unwrap_or("-").to_owned();
        let (session, version) = (header("mcp-session-id"), header("mcp-protocol-version"));
        format!("{} {what} {session} {version}", one.method)
    });
    told.filter(|told| !told.starts_with("GET")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_begun_used_and_ended() {
    let there = Scripted::start(Script::new(with_sessions)).await.unwrap();
    let mut bridge = Bridge::start(&there.base_url());
    let begun = bridge.initialize().await;
    assert_eq!(
        begun,
        json!({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": "2025-06-18"}})
    );
    assert_eq!(bridge.hear().await, notification("unasked"));
    assert_eq!(bridge.hear().await, notification("unasked again"), "opened again, and where");

    bridge.say(&request(1, "tools/call", &json!({"name": "push"}))).await;
    assert_eq!(bridge.hear().await, notification("working"));
    assert_eq!(bridge.hear().await["method"], "roots/list");
    assert_eq!(bridge.hear().await["result"], json!({"content": []}));
    bridge.say(&json!({"jsonrpc": "2.0", "id": "s", "result": {"roots": []}})).await;
    let pong = bridge.ask(&request(2, "ping", &json!({}))).await;
    assert_eq!(pong, json!({"jsonrpc": "2.0", "id": 2, "result": {}}));

    let (left, output) = bridge.end().await;
    assert_eq!((left.len(), output.status.code()), (0, Some(0)), "{}", told(&output));
    assert!(output.stderr.is_empty(), "{}", told(&output));
    assert_eq!(
        passed(&there.requests()),
        [
            "POST initialize - -",
            "POST notifications/initialized one 2025-06-18",
            "POST tools/call one 2025-06-18",
            "POST - one 2025-06-18", // the client's own answer
            "POST ping one 2025-06-18",
            "DELETE - one 2025-06-18",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_is_gone_on_with_or_told() {
    let there = Scripted::start(Script::new(with_sessions)).await.unwrap();
    let mut bridge = Bridge::start(&there.base_url());
    let begun = bridge.ask(&initialize()).await;
    assert!(begun["error"].is_null());
    bridge.say(&request(5, "tools/call", &json!({"name": "broken"}))).await;
    assert_eq!(bridge.hear().await, notification("begun"));
    assert_eq!(bridge.hear().await["result"], json!({"resumed": true}));

    let lost = bridge.ask(&request(6, "tools/call", &json!({"name": "lost"}))).await;
    assert_eq!((&lost["id"], &lost["error"]["code"]), (&json!(6), &json!(-32_011)));
    let words = lost["error"]["message"].as_str().unwrap();
    assert!(words.contains("broke off") && words.contains("look before"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_do_not_wait_for_each_other_and_can_be_cancelled() {
    let there = Scripted::start(Script::new(with_sessions)).await.unwrap();
    let mut bridge = Bridge::start(&there.base_url());
    bridge.ask(&initialize()).await;
    let endless = request(1, "tools/call", &json!({"name": "endless"}));
    bridge.say(&endless).await;
    assert_eq!(bridge.hear().await, notification("working"));
    let twice = bridge.ask(&endless).await;
    assert_eq!(twice["error"]["code"], -32_600, "the same id: {twice}");
    let pong = bridge.ask(&request(2, "ping", &json!({}))).await;
    assert_eq!(pong["id"], 2);

    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    bridge.say(&cancel).await;
    there.live_streams_are(0).await;
    let pong = bridge.ask(&request(1, "ping", &json!({}))).await;
    assert_eq!(pong["result"], json!({}), "the id is free again");
    let what = passed(&there.requests());
    assert!(
        what.contains(&"POST notifications/cancelled one 2025-06-18".to_owned()),
        "{what:?}"
    );
    // One that is never answered does not hold the program.
    bridge.say(&request(3, "tools/call", &json!({"name": "endless"}))).await;
    assert_eq!(bridge.hear().await, notification("working"));
    let (_, output) = bridge.end().await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

/// A server of the era without sessions.
fn without_sessions(seen: &Seen) -> Play {
    let message = message_of(seen);
    match message["method"].as_str() {
        Some("server/discover") => {
            whole(&result(&message, &json!({"supportedVersions": [NOW]})))
        }
        Some("tools/call") if message["params"]["name"] == "endless" => {
            Play::stream([event("e", &notification("working")), Step::Hang])
        }
        Some(_) => Play::stream([event("1", &result(&message, &json!({"content": []})))]),
        None => nothing(StatusCode::METHOD_NOT_ALLOWED),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sessions_headers_say_what_messages_say() {
    let there = Scripted::start(Script::new(without_sessions)).await.unwrap();
    let mut bridge = Bridge::start(&there.base_url());
    let asked = [
        now(1, "server/discover", &json!({})),
        now(2, "tools/call", &json!({"name": "push", "arguments": {"z": 1.50, "a": "é"}})),
        now(3, "tools/call", &json!({"name": "café"})),
        now(4, "resources/read", &json!({"uri": "file:///x"})),
    ];
    for one in &asked {
        let answer = bridge.ask(one).await;
        assert!(answer["id"] == one["id"] && !answer["result"].is_null(), "{answer}");
    }
    bridge.say(&now(5, "tools/call", &json!({"name": "endless"}))).await;
    assert_eq!(bridge.hear().await, notification("working"));
    bridge
        .say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}))
        .await;
    there.live_streams_are(0).await;
    let (left, output) = bridge.end().await;
    assert_eq!((left.len(), output.status.code()), (0, Some(0)), "{}", told(&output));

    let seen = there.requests();
    let heads: Vec<String> = seen
        .iter()
        .map(|one| {
            let header = |name: &str| one.header(name).unwrap_or("-").to_owned();
            let version = header("mcp-protocol-version");
            format!("{} {version} {} {}", one.method, header("mcp-method"), header("mcp-name"))
        })
        .collect();
    assert_eq!(
        heads,
        [
            "POST 2026-07-28 server/discover -",
            "POST 2026-07-28 tools/call push",
            "POST 2026-07-28 tools/call =?base64?Y2Fmw6k=?=",
            "POST 2026-07-28 resources/read file:///x",
            "POST 2026-07-28 tools/call endless",
            // Neither a stream, nor a word of the cancelled one, nor an end of a session.
        ]
    );
    assert_eq!(seen[1].body, asked[1].to_string().as_bytes(), "passed on to the letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_now_falls_back_to_a_server_of_before() {
    let script = Script::new(with_sessions).unless(|seen| {
        let error = json!({"jsonrpc": "2.0", "id": "server-error", "error": {
            "code": -32_600, "message": "Bad Request: Missing session ID"}});
        (message_of(seen)["method"] == "server/discover")
            .then(|| Play::json(StatusCode::BAD_REQUEST, error.to_string()))
    });
    let there = Scripted::start(script).await.unwrap();
    let mut bridge = Bridge::start(&there.base_url());
    let unknown = bridge.ask(&now(7, "server/discover", &json!({}))).await;
    assert_eq!((&unknown["id"], &unknown["error"]["code"]), (&json!(7), &json!(-32_600)));
    bridge.ask(&initialize()).await;
    let pong = bridge.ask(&request(2, "ping", &json!({}))).await;
    assert_eq!(pong["result"], json!({}));
    let seen = there.requests();
    assert_eq!(
        seen[1].header("mcp-protocol-version"),
        None,
        "an era is not begun with another's"
    );
    assert_eq!(seen[1].header("mcp-method"), None);
    assert_eq!(seen[2].header("mcp-protocol-version"), Some("2025-06-18"));
}

/// A gateway that says no as the method says.
fn refusing(seen: &Seen) -> Play {
    let message = message_of(seen);
    let denied = |id: &Value, words: &str| {
        json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32_010, "message": words}})
            .to_string()
    };
    let id = &message["id"];
    match message["method"].as_str().unwrap_or_default() {
        "denied" => Play::json(StatusCode::OK, denied(id, "denied by policy")),
        "killed" => Play::json(StatusCode::FORBIDDEN, denied(id, "the session was killed")),
        "unread" => Play::json(StatusCode::BAD_REQUEST, denied(&Value::Null, "twice")),
        "401" => nothing(StatusCode::UNAUTHORIZED),
        "404" => nothing(StatusCode::NOT_FOUND),
        "500" => Play::error(StatusCode::INTERNAL_SERVER_ERROR, "out of order"),
        "202" => nothing(StatusCode::ACCEPTED),
        "html" => Play::json(StatusCode::OK, "<html>Log in to the network</html>"),
        "another" => Play::json(StatusCode::OK, denied(&json!(99), "another's")),
        "someone" => whole(&json!({"jsonrpc": "2.0", "id": 99, "result": {}})),
        "redirect" => nothing(StatusCode::FOUND).with_header("location", "/elsewhere"),
        _ => Play::Reset,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_answered_whatever_the_gateway_does() {
    let there = Scripted::start(Script::new(refusing)).await.unwrap();
    let mut bridge = Bridge::start(&there.base_url());
    for (order, (method, code, words)) in [
        ("denied", -32_010, "denied by policy"),
        ("killed", -32_010, "the session was killed"),
        ("unread", -32_010, "twice"), // with the request's id, or nobody would hear it
        ("another", -32_010, "another's"),
        ("401", -32_011, "`provost run`"),
        ("404", -32_011, "reconnect"),
        ("500", -32_011, "HTTP 500"),
        ("202", -32_011, "not Provost's gateway"),
        ("html", -32_011, "not Provost's gateway"),
        ("someone", -32_011, "not Provost's gateway"),
        ("redirect", -32_011, "HTTP 302"),
        ("reset", -32_011, "cannot be reached"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = bridge.ask(&request(order as u64, method, &json!({}))).await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(order), &json!(code)));
        let told = answer["error"]["message"].as_str().unwrap();
        assert!(told.contains(words) && !told.contains("pvs_"), "{method}: {told}");
    }
    bridge.say(&json!({"jsonrpc": "2.0", "method": "500"})).await;
    let (left, output) = bridge.end().await;
    assert_eq!((left.len(), output.status.code()), (0, Some(0)), "{}", told(&output));
    let remarks = String::from_utf8(output.stderr).unwrap();
    assert!(remarks.contains("the client's 500 was not taken"), "{remarks}");
    assert!(!remarks.contains("pvs_"), "{remarks}");
    assert!(there.requests().iter().all(|one| one.path == "/mcp/github"), "none elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_answered_and_not_passed_on() {
    let there = Scripted::start(Script::new(with_sessions)).await.unwrap();
    let mut bridge = Bridge::start(&there.base_url());
    let long = format!(r#"{{"id":1,"method":"ping","params":"{}"}}"#, "x".repeat(17 << 20));
    for (line, code, words) in [
        ("hello", -32_700, "not JSON"),
        (r#"{"id":1,"id":2,"method":"ping"}"#, -32_700, "twice"),
        (r#"[{"id":1,"method":"ping"}]"#, -32_600, "no batch"),
        (&long, -32_600, "16 MiB"),
    ] {
        bridge.write("").await;
        bridge.write(line).await;
        let answer = bridge.hear().await;
        let shown: String = line.chars().take(40).collect();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(code)));
        let told = answer["error"]["message"].as_str().unwrap();
        assert!(told.contains(words), "{shown}: {told}");
    }
    assert_eq!(there.requests().len(), 0);
    let pong = bridge.ask(&request(1, "ping", &json!({}))).await;
    assert_eq!(pong["result"], json!({}), "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_requests_have_errors_and_the_exit_code_tells() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut bridge = Bridge::start(&nobody);
    for id in [1, 2] {
        let answer = bridge.ask(&request(id, "server/discover", &json!({}))).await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32_011)));
        let words = answer["error"]["message"].as_str().unwrap();
        assert!(words.contains("cannot be reached") && words.contains(&nobody), "{words}");
    }
    let (_, output) = bridge.end().await;
    assert_eq!(output.status.code(), Some(4), "{}", told(&output));

    for (removed, set, words) in [
        ("ANTHROPIC_BASE_URL", "", "provost run"),
        ("ANTHROPIC_AUTH_TOKEN", "", "provost run"),
        ("", "ftp://127.0.0.1/mcp", "not a URL"),
        ("", "http://user:word@127.0.0.1/mcp", "not a URL"),
    ] {
        let mut command = command(&nobody);
        command.env_remove(removed).env("PROVOST_MCP_URL", set);
        let (left, output) = Bridge::of(&mut command).end().await;
        let shown = told(&output);
        assert_eq!(
            (left.len(), output.status.code()),
            (0, Some(2)),
            "{removed} {set}: {shown}"
        );
        assert!(shown.contains(words) && !shown.contains("pvs_"), "{shown}");
        assert!(!shown.contains("user:word"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_it_is_told_to_and_when_nobody_reads() {
    let there = Scripted::start(Script::new(with_sessions)).await.unwrap();
    for how in ["TERM", "INT", "unread"] {
        let mut bridge = Bridge::start(&there.base_url());
        bridge.ask(&initialize()).await;
        let pid = bridge.child.id().unwrap().to_string();
        if how == "unread" {
            drop(bridge.stdout);
            let ping = request(1, "ping", &json!({})).to_string();
            bridge.stdin.write_all(format!("{ping}\n").as_bytes()).await.unwrap();
        } else {
            let sent = Command::new("kill").args(["-s", how, &pid]).status().await;
            assert!(sent.unwrap().success());
        }
        let ended = timeout(PATIENCE, bridge.child.wait()).await;
        assert_eq!(ended.expect("it ends").unwrap().code(), Some(0), "{how}");
        let last = there.requests().pop().unwrap();
        assert_eq!(last.method, Method::DELETE, "{how}: the session is ended in any case");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_over_stdio_gets_what_it_gets_over_http() {
    for form in [Form::Json, Form::Stream] {
        let Some(served) = Served::start(Script::default(), form).await else { return };
        let (_, token) = served.world.session().await;
        for mode in ["legacy", "auto", NOW] {
            let mut python = Command::new(client::python_mcp().unwrap());
            python
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp_client.py"))
                .args([PROVOST, &token, mode])
                .env("PROVOST_GATEWAY", format!("http://{}", served.world.server().gateway))
                .kill_on_drop(true);
            let output = timeout(PATIENCE, python.output()).await.expect("the client ends");
            let output = output.unwrap();
            assert!(output.status.success(), "{form:?} {mode}: {}", told(&output));
            let said = String::from_utf8_lossy(&output.stdout);
            for want in [
                "tools: push read slow\n",
                "read: acme/site holds a page\n",
                "slow: done at last\n",
                "push: error: ",
                "open a pull request instead",
                "The tool \"read\" does not take these arguments: at `/`, ",
                "done\n",
            ] {
                assert!(said.contains(want), "{form:?} {mode}: no {want:?} in\n{said}");
            }
            if matches!(form, Form::Stream) {
                assert!(said.contains("slow: progress 1.0"), "{said}");
            }
            let remarks = String::from_utf8_lossy(&output.stderr);
            assert!(!remarks.contains(&token), "{remarks}");
        }
        assert_eq!(served.notes(), "read acme/site\nslow acme/site\n".repeat(3), "{form:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_over_stdio_reads_why_a_call_is_denied_and_goes_on() {
    let Some(served) = Served::start(wants_to_push(), Form::Stream).await else { return };
    // What `provost run` gives Claude Code, it gives the servers it starts.
    let server = json!({"type": "stdio", "command": PROVOST, "args": ["mcp", "fake"]});
    let Some(command) = claude(&served, &server) else { return };
    let output = claude_code::ended(command).await;
    let shown = told(&output);
    assert!(output.status.success(), "{shown}");
    assert_eq!(claude_code::result(&output)["result"], "I have read it.", "{shown}");
    let told = told_to_model(&served.world);
    assert_eq!(served.notes(), "read acme/site\n", "{told:#?}");
    assert!(told[0].contains("open a pull request instead"), "{told:#?}");
    assert!(told[1].contains("acme/site holds a page"), "{told:#?}");
}
