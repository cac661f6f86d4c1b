//! A pipeline in a temporary directory, a scripted server behind it, and one agent.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, response};
use provost_gateway::{EgressLimits, HttpAsk, HttpFrame, HttpPlane as _, Serve as _};
use provost_ledger::{Event, Record};
use provost_mcp::{McpPlane, McpService, Programs, Server};
use provost_pipeline::{
    By, Limits, OpenedSession, Parts, Pipeline, PolicyDirectory, Purpose, Reply, Terms,
};
use provost_scripted::{Script, Scripted};
use provost_secrets::Vault;
use provost_store::{Bodies, BodyMode, FileJournal, Indexer, Journal, MasterKey, Store};
use provost_types::{RunState, Scope, SystemClock, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the server is asked with.
pub(crate) const KEY: &str = "ghp-the-real-one";

pub(crate) const ALL: &str = "permit (principal, action, resource);";

/// Everything but pushes and what begins with `drop`, and only repositories of `acme`.
pub(crate) const CAREFUL: &str = r#"
    permit (principal, action, resource);
    @id("no-push") @reason("open a pull request")
    forbid (principal, action == Mcp::Action::"call", resource == Mcp::Tool::"fake/push");
    @id("no-drop")
    forbid (principal, action == Mcp::Action::"call", resource)
    when { resource.name like "drop*" };
    @id("acme-only")
    forbid (principal, action == Mcp::Action::"call", resource)
    when { context.arguments.hasTag("repo") && !(context.arguments.getTag("repo") like "acme/*") };
    @id("no-questions")
    forbid (principal, action == Mcp::Action::"ask", resource)
    when { context.what == "sampling/createMessage" };
"#;

const TERMS: Terms =
    Terms { idle_max: Duration::from_secs(600), lifetime_max: Duration::from_secs(600) };

/// Everything one test needs; each has its own.
pub(crate) struct World {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) upstream: Scripted,
    journal: Journal,
    session: OpenedSession,
    plane: McpPlane,
    service: McpService,
    store: Store,
    stop: CancellationToken,
    /// Cancelled when the server is about to stop.
    pub(crate) stopping: CancellationToken,
    tasks: TaskTracker,
    _dir: TempDir,
}

/// One request on its way.
pub(crate) struct Exchange {
    pub(crate) frames: mpsc::Receiver<HttpFrame>,
    task: JoinHandle<()>,
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) head: response::Parts,
    pub(crate) body: Bytes,
    /// The connection is to be cut.
    pub(crate) aborted: bool,
}

impl World {
    /// A server under a policy.
    pub(crate) async fn open(script: Script, policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let policies = path.join("policies");
        std::fs::create_dir(&policies).unwrap();
        std::fs::write(policies.join("all.cedar"), policy).unwrap();
        let master = Arc::new(MasterKey::create(&path.join("master.age")).unwrap());
        let url = format!("sqlite://{}", path.join("provost.db").display());
        let store = Store::connect(&url).await.unwrap();
        let journal = Journal::File(FileJournal::open(&path.join("ledger")).unwrap());
        Indexer::new(journal.clone(), store.clone()).catch_up().await.unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let parts = Parts {
            journal: journal.clone(),
            store: store.clone(),
            bodies: Arc::new(Bodies::new(&path.join("bodies"))),
            master: Arc::clone(&master),
            policies: Arc::new(PolicyDirectory::open(&policies, Timestamp(0)).unwrap()),
            clock: Arc::new(SystemClock),
            limits: Limits { in_flight_max: 16 },
            approvals: provost_pipeline::ApprovalTimes::default(),
            purpose: Purpose::Serve,
        };
        let pipeline = Pipeline::start(parts, &tasks, &stop).await.unwrap();
        let vault = Arc::new(Vault::open(&path.join("secrets"), master).unwrap());
        vault.set(&"fake".parse().unwrap(), &KEY.into()).unwrap();
        let upstream = Scripted::start(script).await.unwrap();
        let url = format!("{}/the/mcp", upstream.base_url());
        let secret = Some("fake".parse().unwrap());
        let server = Server::over_http(
            "fake".parse().unwrap(),
            &url,
            secret,
            (None, EgressLimits::default()),
        )
        .unwrap()
        .with_arguments(vec!["repo".to_owned()]);
        let clock = Arc::clone(pipeline.clock());
        let programs = Programs::new(tasks.clone(), stop.clone(), clock);
        let other = format!("{}/other", upstream.base_url());
        let other = Server::over_http(
            "other".parse().unwrap(),
            &other,
            None,
            (None, EgressLimits::default()),
        );
        let stopping = CancellationToken::new();
        let plane =
            McpPlane::new([server, other.unwrap()], vault, programs).until(stopping.clone());
        let service = McpService::new(Arc::clone(&pipeline), plane.clone(), tasks.clone());
        let session = open_session(&pipeline, "invoice-bot").await;
        Self {
            pipeline,
            upstream,
            journal,
            session,
            plane,
            service,
            store,
            stop,
            stopping,
            tasks,
            _dir: dir,
        }
    }

    /// Acts as another agent from now on.
    pub(crate) async fn become_another(&mut self) {
        self.session = open_session(&self.pipeline, "other-bot").await;
    }

    /// Sends a request as the agent; at most `frames_max` frames wait for it to read.
    pub(crate) fn send(&self, request: Request<Bytes>, frames_max: usize) -> Exchange {
        let (mut parts, body) = request.into_parts();
        let bearer = format!("Bearer {}", self.session.credential.expose_secret());
        parts.headers.insert("authorization", bearer.parse().unwrap());
        let (reply, frames) = Reply::channel(frames_max);
        let ask = HttpAsk::new(parts, body);
        let (pipeline, mut gateway) = (Arc::clone(&self.pipeline), self.plane.gateway(&ask));
        let task =
            self.tasks.spawn(async move { pipeline.run(&mut gateway, ask, reply).await });
        Exchange { frames, task }
    }

    /// Sends a request to all servers, with the agent's credential unless it has one.
    pub(crate) fn send_all(&self, request: Request<Bytes>, frames_max: usize) -> Exchange {
        let (mut parts, body) = request.into_parts();
        parts.uri = "/mcp".parse().unwrap();
        let bearer = format!("Bearer {}", self.session.credential.expose_secret());
        parts.headers.entry("authorization").or_insert(bearer.parse().unwrap());
        let (reply, frames) = Reply::channel(frames_max);
        let (service, ask) = (self.service.clone(), HttpAsk::new(parts, body));
        let task = self.tasks.spawn(async move { service.run(ask, reply).await });
        Exchange { frames, task }
    }

    /// Sends a request to all servers and takes its whole answer.
    pub(crate) async fn ask_all(&self, request: Request<Bytes>) -> Got {
        self.send_all(request, 4).rest(Vec::new()).await
    }

    /// Sends a request and takes its whole answer.
    pub(crate) async fn ask(&self, request: Request<Bytes>) -> Got {
        self.send(request, 4).rest(Vec::new()).await
    }

    /// Begins a session with the server; its id.
    pub(crate) async fn initialize(&self) -> String {
        let got = self
            .ask(post(
                &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25"}}),
                None,
            ))
            .await;
        got.header("mcp-session-id").unwrap().to_owned()
    }

    /// Asks in a session of the server's.
    pub(crate) async fn request(&self, session: &str, method: &str, params: Value) -> Got {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        self.ask(post(&message, Some(session))).await
    }

    /// The methods that the server saw, an answer's as `answer`.
    pub(crate) fn seen(&self) -> Vec<String> {
        let method = |seen: &provost_scripted::Seen| {
            let message: Value = serde_json::from_slice(&seen.body).unwrap_or(Value::Null);
            match message["method"].as_str() {
                Some(method) => method.to_owned(),
                None if message.is_object() => "answer".to_owned(),
                None => seen.method.to_string(),
            }
        };
        self.upstream.requests().iter().map(method).collect()
    }

    /// What is in the ledger of actions: each on one line, without what `initialize` left.
    pub(crate) async fn recorded(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in self.journal.read(0, 10_000).await.unwrap() {
            match Event::decode(&entry).unwrap().record {
                Record::Intent(intent) => {
                    lines.push(format!("{} {}", intent.verb, intent.resource_id));
                }
                Record::Refusal(refused) => {
                    let on = refused.intent.map_or_else(String::new, |intent| {
                        format!(" {} {}", intent.verb, intent.resource_id)
                    });
                    lines.push(format!("! {}{on}", refused.code));
                }
                Record::Outcome(outcome) => {
                    let reason =
                        outcome.reason.map_or_else(String::new, |why| format!(": {why}"));
                    lines.push(format!("= {}{reason}", outcome.status.as_str()));
                }
                Record::Admin(admin) if admin.verb.starts_with("mcp.") => {
                    lines.push(format!("{} {}", admin.verb, admin.subject));
                }
                Record::Alert(alert) => lines.push(format!("alert {}", alert.rule)),
                Record::Approval(approval) => lines.push(format!("approval {}", approval.step)),
                Record::Admin(_)
                | Record::Session(_)
                | Record::Server(_)
                | Record::Witness(_) => {}
            }
        }
        lines
    }

    /// Stops every agent.
    pub(crate) async fn kill(&self) {
        let by = By::human("ada");
        let (directory, reason) = (self.pipeline.directory(), "it loops".to_owned());
        directory.set_run_state(&by, Scope::All, RunState::Killed, reason).await.unwrap();
    }

    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
        self.upstream.stop().await;
    }
}

/// A message, in a session of the server's or in none.
pub(crate) fn post(message: &Value, session: Option<&str>) -> Request<Bytes> {
    let mut request = Request::builder()
        .method("POST")
        .uri("/mcp/fake")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("cookie", "a=b");
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
    }
    request.body(message.to_string().into()).unwrap()
}

/// A message of the era without sessions.
pub(crate) fn modern(method: &str, name: Option<&str>, params: &Value) -> Request<Bytes> {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let mut request = post(&message, None);
    let headers = request.headers_mut();
    headers.insert("mcp-protocol-version", "2026-07-28".parse().unwrap());
    headers.insert("mcp-method", method.parse().unwrap());
    if let Some(name) = name {
        headers.insert("mcp-name", name.parse().unwrap());
    }
    request
}

/// `GET` or `DELETE`.
pub(crate) fn bare(method: &str, session: &str) -> Request<Bytes> {
    let request = Request::builder().method(method).uri("/mcp/fake");
    let request = request.header("accept", "text/event-stream");
    request.header("mcp-session-id", session).body(Bytes::new()).unwrap()
}

impl Exchange {
    /// Takes frames until `enough` of the body has come; returns them.
    pub(crate) async fn until(&mut self, enough: &str) -> Vec<HttpFrame> {
        let (mut frames, mut text) = (Vec::new(), String::new());
        while !text.contains(enough) {
            let frame = self.frames.recv().await.expect("more of the answer");
            if let HttpFrame::Data(bytes) = &frame {
                text.push_str(str::from_utf8(bytes).unwrap());
            }
            frames.push(frame);
        }
        frames
    }

    /// Takes what is left of the answer, and waits until it is recorded.
    pub(crate) async fn rest(mut self, mut frames: Vec<HttpFrame>) -> Got {
        while let Some(frame) = self.frames.recv().await {
            frames.push(frame);
        }
        self.task.await.unwrap();
        let (mut head, mut body, mut ended) = (None, Vec::new(), None);
        for frame in frames {
            assert!(ended.is_none(), "nothing comes after the end");
            match frame {
                HttpFrame::Head(parts) => assert!(head.replace(parts).is_none(), "one head"),
                HttpFrame::Data(bytes) => body.extend_from_slice(&bytes),
                HttpFrame::End => ended = Some(false),
                HttpFrame::Abort => ended = Some(true),
                HttpFrame::Whole(whole) => {
                    let (parts, bytes) = whole.into_parts();
                    (head, ended) = (Some(parts), Some(false));
                    body.extend_from_slice(&bytes);
                }
            }
        }
        let (head, aborted) = (head.expect("a head"), ended.expect("an end"));
        Got { head, body: body.into(), aborted }
    }

    /// Goes away without a word, and waits until that is recorded.
    pub(crate) async fn leave(self) {
        drop(self.frames);
        self.task.await.unwrap();
    }
}

impl Got {
    pub(crate) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// The last message of a stream, or the only one.
    pub(crate) fn message(&self) -> Value {
        let json = self.text().rsplit("data: ").next().unwrap();
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Code and message of the error that was answered, or `isError` and the text of a call
    /// that failed, after `id`.
    pub(crate) fn error(&self) -> String {
        let message = self.message();
        let result = &message["result"];
        if result["isError"] == true {
            let text = result["content"][0]["text"].as_str().unwrap();
            return format!("{} isError {text}", message["id"]);
        }
        let error = &message["error"];
        format!("{} {} {}", message["id"], error["code"], error["message"].as_str().unwrap())
    }

    /// The names of the tools that were listed.
    pub(crate) fn tools(&self) -> Vec<String> {
        let message = self.message();
        let tools = message["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

async fn open_session(pipeline: &Pipeline, agent: &str) -> OpenedSession {
    let (directory, by) = (pipeline.directory(), By::human("ada"));
    let project = || agent.parse().unwrap();
    directory.create_project(&by, project(), BodyMode::Digests).await.unwrap();
    directory.create_agent(&by, agent.parse().unwrap(), project()).await.unwrap();
    pipeline.reload_policies().await.unwrap();
    directory.open_session(&by, &agent.parse().unwrap(), TERMS).await.unwrap()
}
