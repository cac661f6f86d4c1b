//! A whole installation in a temporary directory, and callers of its API.

use std::{fs, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt as _;
use provost_api::{IssuedKey, IssuedToken, OpenedSession};
use provost_decide::starter_policies;
use provost_ledger::{LedgerKey, LedgerVerifier};
use provost_pipeline::{
    Gateway, Limits, Malformed, Parts, Permit, Pipeline, PolicyDirectory, Presented, Refusal,
    Reply, Terms,
};
use provost_secrets::Vault;
use provost_store::{Bodies, FileJournal, Indexer, Journal, MasterKey, Sealer, Store};
use provost_types::{
    Action, Clock, Correlation, ManualClock, Outcome, Plane, Resource, Status, Timestamp, Value,
};
use secrecy::ExposeSecret as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use crate::{App, LedgerReader, LocalPeer, router};

/// When every test begins: 2026-11-25T00:00:00Z. Unit: microseconds.
const START: Timestamp = Timestamp(1_795_564_800_000_000);

/// Who makes a call.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Nobody known: over TCP, without a credential.
    Nobody,
    /// A process of this machine, over the socket.
    Local,
    /// Whoever holds this credential.
    Token(String),
    /// Whoever sends this `Authorization`.
    Header(&'static str),
}

impl Caller {
    pub(crate) fn token(self) -> String {
        let Self::Token(token) = self else { panic!("{self:?} has no token") };
        token
    }
}

/// An installation with the project `finance` and its agent `invoice-bot`.
pub(crate) struct Server {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) app: Arc<App>,
    pub(crate) verifier: LedgerVerifier,
    router: Router,
    clock: Arc<ManualClock>,
    stop: CancellationToken,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let clock = Arc::new(ManualClock::at(START));
        let master = Arc::new(MasterKey::generate());
        let root = dir.path().join("ledger");
        let journal = Journal::File(FileJournal::open(&root).unwrap());
        let key = LedgerKey::new("provost.test/ledger", &[7; 32]).unwrap();
        let verifier = key.verifier().clone();
        let sealer = Sealer::start(&root, journal.clone(), key, &tasks).await.unwrap();
        let database = provost_store::sqlite_url(&dir.path().join("provost.db"));
        let store = Store::connect(&database).await.unwrap();
        let parts = Parts {
            journal: journal.clone(),
            store: store.clone(),
            bodies: Arc::new(Bodies::new(&dir.path().join("bodies"))),
            master: Arc::clone(&master),
            policies: Arc::new(policies(&dir)),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            limits: Limits { in_flight_max: 16 },
            approvals: provost_pipeline::ApprovalTimes::default(),
            purpose: provost_pipeline::Purpose::Serve,
        };
        let pipeline = Pipeline::start(parts, &tasks, &stop).await.unwrap();
        let app = Arc::new(App {
            pipeline,
            logins: Arc::new(super::logins::Scripted),
            vault: Arc::new(Vault::open(&dir.path().join("secrets"), master).unwrap()),
            ledger: LedgerReader { journal, store, sealer, root },
            terms_max: Terms {
                idle_max: Duration::from_secs(3600),
                lifetime_max: Duration::from_secs(86_400),
            },
            metrics: Box::new(|| "a 1\n".to_owned()),
            readiness: Box::new(Vec::new),
            stopping: CancellationToken::new(),
            changes: TaskTracker::new(),
        });
        let server = Self { dir, router: router(Arc::clone(&app)), app, verifier, clock, stop };
        let local = Caller::Local;
        server.ok(&local, "POST", "/v1/projects", r#"{"name":"finance"}"#).await;
        let agent = r#"{"name":"invoice-bot","project":"finance"}"#;
        server.ok(&local, "POST", "/v1/agents", agent).await;
        server.app.pipeline.reload_policies().await.unwrap();
        server
    }

    pub(crate) fn request(method: &str, path: &str, body: &str) -> Request<Body> {
        Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn call(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: &str,
    ) -> (StatusCode, String) {
        let mut request = Self::request(method, path, body);
        let header = match caller {
            Caller::Nobody => None,
            Caller::Local => {
                request.extensions_mut().insert(LocalPeer { uid: 1000 });
                None
            }
            Caller::Token(token) => Some(format!("Bearer {token}")),
            Caller::Header(header) => Some((*header).to_owned()),
        };
        if let Some(header) = header {
            request.headers_mut().insert("authorization", header.parse().unwrap());
        }
        self.send(request).await
    }

    /// Makes a call that must succeed; gives its body.
    pub(crate) async fn ok(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: &str,
    ) -> String {
        let (status, body) = self.call(caller, method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        body
    }

    /// Makes a call; gives all that can be seen of its answer, ids and credentials starred.
    pub(crate) async fn says(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: &str,
    ) -> String {
        let (status, body) = self.call(caller, method, path, body).await;
        let body = if status.is_success() { pretty(&body) } else { steady(&body) };
        format!("{} {body}", status.as_u16()).trim_end().to_owned()
    }

    /// Adds a person named as their role.
    pub(crate) async fn human(&self, role: &str) -> Caller {
        let body = format!(r#"{{"name":"{role}","role":"{role}"}}"#);
        let issued = self.ok(&Caller::Local, "POST", "/v1/humans", &body).await;
        let issued: IssuedToken = serde_json::from_str(&issued).unwrap();
        Caller::Token(issued.token.0)
    }

    /// Makes a key for `invoice-bot`.
    pub(crate) async fn agent_key(&self) -> Caller {
        let path = "/v1/agents/invoice-bot/keys";
        let issued = self.ok(&Caller::Local, "POST", path, r#"{"label":"test"}"#).await;
        let issued: IssuedKey = serde_json::from_str(&issued).unwrap();
        Caller::Token(issued.key.0)
    }

    /// Opens a session for `invoice-bot`.
    pub(crate) async fn open_session(&self) -> OpenedSession {
        let body = r#"{"agent":"invoice-bot"}"#;
        let opened = self.ok(&Caller::Local, "POST", "/v1/sessions", body).await;
        serde_json::from_str(&opened).unwrap()
    }

    /// Has `invoice-bot` ask for `model`. Gives the action's id if it is refused, and what the
    /// vault lends it as `anthropic` if not.
    pub(crate) async fn act(&self, model: &str) -> String {
        let credential = self.open_session().await.credential.0;
        let vault = Arc::clone(&self.app.vault);
        let mut gateway = Talk { credential, vault, offered: None };
        let (reply, mut answers) = Reply::channel(1);
        self.app.pipeline.run(&mut gateway, model.to_owned(), reply).await;
        answers.recv().await.unwrap()
    }

    /// Has `invoice-bot` see what an MCP server says of its tools.
    pub(crate) async fn offer(&self, server: &'static str, tools: &[(&str, &str)]) {
        let credential = self.open_session().await.credential.0;
        let owned = |(name, definition): &(&str, &str)| {
            ((*name).to_owned(), definition.as_bytes().to_vec())
        };
        let offered = Some((server, tools.iter().map(owned).collect()));
        let mut gateway = Talk { credential, vault: Arc::clone(&self.app.vault), offered };
        let (reply, mut answers) = Reply::channel(1);
        self.app.pipeline.run(&mut gateway, "claude-sonnet-5".to_owned(), reply).await;
        assert_eq!(answers.recv().await.unwrap(), "pinned");
    }

    /// Brings the event index up to the ledger.
    pub(crate) async fn index(&self) {
        let LedgerReader { journal, store, .. } = self.app.ledger.clone();
        Indexer::new(journal, store).catch_up().await.unwrap();
    }

    pub(crate) fn write_policy(&self, file: &str, text: &str) {
        fs::write(self.dir.path().join("policies").join(file), text).unwrap();
    }

    /// Turns the clock on. Unit: seconds.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn policies(dir: &tempfile::TempDir) -> PolicyDirectory {
    let path = dir.path().join("policies");
    fs::create_dir(&path).unwrap();
    for file in starter_policies() {
        fs::write(path.join(file.name), file.text).unwrap();
    }
    PolicyDirectory::open(&path, START).unwrap()
}

/// A JSON text on several lines, steadied.
pub(crate) fn pretty(text: &str) -> String {
    let json: Result<serde_json::Value, _> = serde_json::from_str(text);
    steady(&json.map_or_else(|_| text.to_owned(), |json| format!("{json:#}")))
}

/// A text with ids, credentials and digests starred: `ses_*`.
pub(crate) fn steady(text: &str) -> String {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut steady = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_inner) {
        let (between, word) = rest.split_at(start);
        let (word, behind) = word.split_at(word.find(|c| !is_inner(c)).unwrap_or(word.len()));
        steady += between;
        match word.split_once('_') {
            Some((prefix @ ("act" | "apr" | "ses" | "crd" | "hum" | "bot"), _))
                if word.len() == 36 =>
            {
                steady += &format!("{prefix}_*");
            }
            Some((prefix @ ("agk" | "pvs" | "pvh"), _)) => steady += &format!("{prefix}_*"),
            _ if word.len() == 64 => steady.push('*'),
            _ => steady += word,
        }
        rest = behind;
    }
    steady + rest
}

/// Tools by name, with their definitions.
type Tools = Vec<(String, Vec<u8>)>;

/// A protocol in which asking is naming a model, a refusal is the action's id, and an answer is
/// the upstream credential: the very thing a real one must never send.
struct Talk {
    credential: String,
    vault: Arc<Vault>,
    /// Tools to pin instead, and whose they are.
    offered: Option<(&'static str, Tools)>,
}

impl Gateway for Talk {
    type Ask = String;
    type Answer = String;

    fn present(&self, _model: &String) -> Presented {
        Presented::Token(self.credential.clone().into())
    }

    fn classify(&self, model: &String) -> Result<Action, Malformed> {
        Ok(Action {
            plane: Plane::Llm,
            verb: "message",
            resource: Resource { kind: "Llm::Model", id: model.clone() },
            context: vec![
                ("model", Value::Text(model.clone())),
                ("stream", Value::Bool(false)),
                ("max_tokens", Value::Long(1)),
                ("betas", Value::Texts(Vec::new())),
                ("tools", Value::Long(0)),
            ],
            arguments: model.clone().into(),
            correlation: Correlation::default(),
        })
    }

    async fn execute(
        &mut self,
        permit: &Permit,
        _model: String,
        reply: &mut Reply<String>,
    ) -> Outcome {
        if let Some((server, tools)) = &self.offered {
            permit.pin_tools(server, tools).await.unwrap();
            reply.send("pinned".to_owned()).await.unwrap();
            return Outcome::new(Status::Succeeded);
        }
        let answer = match self.vault.lease(permit, &"anthropic".parse().unwrap()) {
            Ok(lease) => lease.expose().expose_secret().to_owned(),
            Err(error) => error.to_string(),
        };
        reply.send(answer).await.unwrap();
        Outcome::new(Status::Succeeded)
    }

    fn refuse(&self, refusal: &Refusal) -> String {
        refusal.action.to_string()
    }
}
