//! A pipeline in a temporary directory, a scripted model behind it, and one client.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, response};
use provost_gateway::{EgressLimits, HttpAsk, HttpFrame, HttpPlane, Upstream};
use provost_ledger::{Event, Record};
use provost_llm::LlmPlane;
use provost_pipeline::{
    By, Limits, OpenedSession, Parts, Pipeline, PolicyDirectory, Reply, Terms,
};
use provost_scripted::{Script, Scripted};
use provost_secrets::Vault;
use provost_store::{Bodies, BodyMode, FileJournal, Indexer, Journal, MasterKey, Store};
use provost_types::{Outcome, RunState, Scope, SystemClock, Timestamp};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The key that the upstream is asked with.
pub(crate) const KEY: &str = "sk-ant-test-upstream";

const TERMS: Terms =
    Terms { idle_max: Duration::from_secs(600), lifetime_max: Duration::from_secs(600) };

/// Everything one test needs; each has its own.
pub(crate) struct World {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) upstream: Scripted,
    pub(crate) vault: Arc<Vault>,
    session: OpenedSession,
    plane: LlmPlane,
    pub(crate) journal: Journal,
    store: Store,
    stop: CancellationToken,
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
    pub(crate) ending: Ending,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In one piece, of Provost's own.
    Whole,
    /// A stream of frames, to its end.
    End,
    /// The connection is to be cut.
    Abort,
}

impl World {
    /// A world in which everything is permitted.
    pub(crate) async fn open() -> Self {
        Self::with(Script::default()).await
    }

    /// The same, with a model of one's own.
    pub(crate) async fn with(script: Script) -> Self {
        Self::governed(script, "permit (principal, action, resource);").await
    }

    /// The same, under a policy of one's own.
    pub(crate) async fn governed(script: Script, policy: &str) -> Self {
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
            purpose: provost_pipeline::Purpose::Serve,
        };
        let pipeline = Pipeline::start(parts, &tasks, &stop).await.unwrap();
        let vault = Arc::new(Vault::open(&path.join("secrets"), master).unwrap());
        vault.set(&"anthropic".parse().unwrap(), &KEY.into()).unwrap();
        let upstream = Scripted::start(script).await.unwrap();
        let plane =
            LlmPlane::new(connect(&upstream), Arc::clone(&vault), "anthropic".parse().unwrap());
        let session = open_session(&pipeline).await;
        Self {
            pipeline,
            upstream,
            vault,
            session,
            plane,
            journal,
            store,
            stop,
            tasks,
            _dir: dir,
        }
    }

    /// Sends a request as the agent; at most `frames_max` frames wait for it to read.
    pub(crate) fn send(&self, request: Request<Bytes>, frames_max: usize) -> Exchange {
        let (mut parts, body) = request.into_parts();
        let key = self.session.credential.expose_secret();
        parts.headers.insert("x-api-key", key.parse().unwrap());
        let (reply, frames) = Reply::channel(frames_max);
        let ask = HttpAsk::new(parts, body);
        let (pipeline, mut gateway) = (Arc::clone(&self.pipeline), self.plane.gateway(&ask));
        let task = self.tasks.spawn(async move {
            pipeline.run(&mut gateway, ask, reply).await;
        });
        Exchange { frames, task }
    }

    /// Sends a request and takes its whole answer; returns what was recorded as well.
    pub(crate) async fn ask(&self, request: Request<Bytes>) -> (Got, Option<Outcome>) {
        let got = self.send(request, 4).rest(Vec::new()).await;
        (got, self.outcome().await)
    }

    /// A message request for `model`, which may name a scene.
    pub(crate) async fn message(&self, model: &str, form: Form) -> (Got, Option<Outcome>) {
        self.ask(message(model, form)).await
    }

    /// The last outcome recorded, if an outcome is the last thing recorded.
    pub(crate) async fn outcome(&self) -> Option<Outcome> {
        let entries = self.journal.read(0, 10_000).await.unwrap();
        let Record::Outcome(outcome) = Event::decode(entries.last()?).unwrap().record else {
            return None;
        };
        Some(outcome)
    }

    /// Stops every agent.
    pub(crate) async fn kill(&self) {
        let directory = self.pipeline.directory();
        let by = By::human("ada");
        let reason = "it loops".to_owned();
        directory.set_run_state(&by, Scope::All, RunState::Killed, reason).await.unwrap();
    }

    /// Lets every agent go on.
    pub(crate) async fn undo(&self) {
        let directory = self.pipeline.directory();
        let by = By::human("ada");
        directory
            .set_run_state(&by, Scope::All, RunState::Running, String::new())
            .await
            .unwrap();
    }

    /// Ends the session that the client acts in.
    pub(crate) async fn end_session(&self) {
        let directory = self.pipeline.directory();
        let id = self.session.session.id;
        directory.end_session(&By::human("ada"), id, "work is done").await.unwrap();
    }

    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
        self.upstream.stop().await;
    }
}

/// Whether an answer is to be streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Stream,
}

/// A request that an agent without tools makes.
pub(crate) fn message(model: &str, form: Form) -> Request<Bytes> {
    let body = serde_json::json!({
        "model": model, "max_tokens": 100, "stream": form == Form::Stream,
        "messages": [{"role": "user", "content": "hello"}],
    });
    post("/v1/messages?beta=true", body.to_string())
}

pub(crate) fn post(target: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let request = Request::builder().method(Method::POST).uri(target);
    let request = request.header("content-type", "application/json");
    request.header("accept-encoding", "gzip, br").body(body.into()).unwrap()
}

impl Exchange {
    /// Takes frames until `enough` of the body has come; returns them.
    pub(crate) async fn until(&mut self, enough: impl Fn(&str) -> bool) -> Vec<HttpFrame> {
        let (mut frames, mut text) = (Vec::new(), String::new());
        while !enough(&text) {
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
        let (mut head, mut body, mut ending) = (None, Vec::new(), None);
        for frame in frames {
            assert!(ending.is_none(), "nothing comes after the end");
            match frame {
                HttpFrame::Head(parts) => assert!(head.replace(parts).is_none(), "one head"),
                HttpFrame::Data(bytes) => body.extend_from_slice(&bytes),
                HttpFrame::End => ending = Some(Ending::End),
                HttpFrame::Abort => ending = Some(Ending::Abort),
                HttpFrame::Whole(whole) => {
                    let (parts, bytes) = whole.into_parts();
                    (head, ending) = (Some(parts), Some(Ending::Whole));
                    body.extend_from_slice(&bytes);
                }
            }
        }
        let (head, ending) = (head.expect("a head"), ending.expect("an end"));
        Got { head, body: body.into(), ending }
    }

    /// Reads nothing, and waits until all is recorded.
    pub(crate) async fn recorded(self) {
        self.task.await.unwrap();
        drop(self.frames);
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

    /// The type of the error that a whole answer or the last event reports.
    pub(crate) fn error(&self) -> String {
        let json = self.text().rsplit("data: ").next().unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json["error"]["type"].as_str().unwrap().to_owned()
    }
}

/// An outcome on one line, without ids and digests.
pub(crate) fn tell(outcome: Option<&Outcome>) -> String {
    let Some(outcome) = outcome else { return "nothing".to_owned() };
    let mut line = outcome.status.as_str().to_owned();
    if let Some(code) = outcome.code {
        write!(line, " {code}").unwrap();
    }
    if let Some(usage) = outcome.usage {
        write!(line, " in={} out={}", usage.input, usage.output).unwrap();
    }
    for tool in &outcome.tool_uses {
        write!(line, " {}({})", tool.name, tool.id).unwrap();
    }
    if let Some(why) = &outcome.stop_reason {
        write!(line, " {why}").unwrap();
    }
    if let Some(reason) = &outcome.reason {
        write!(line, ": {reason}").unwrap();
    }
    line
}

fn connect(upstream: &Scripted) -> Upstream {
    let base = upstream.base_url().parse().unwrap();
    Upstream::new(base, None, EgressLimits::default()).unwrap()
}

async fn open_session(pipeline: &Pipeline) -> OpenedSession {
    let (directory, by) = (pipeline.directory(), By::human("ada"));
    let (project, agent) = ("finance".parse().unwrap(), "invoice-bot".parse().unwrap());
    directory.create_project(&by, project, BodyMode::Digests).await.unwrap();
    directory.create_agent(&by, agent, "finance".parse().unwrap()).await.unwrap();
    pipeline.reload_policies().await.unwrap();
    directory.open_session(&by, &"invoice-bot".parse().unwrap(), TERMS).await.unwrap()
}
