//! The driver, a real pipeline and a real upstream together: what is recorded of each request.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use provost_gateway::{
    EgressLimits, Governed, HttpAsk, HttpFrame, HttpPlane, HttpServer, Limits, Upstream,
};
use provost_ledger::{Event, Record};
use provost_pipeline::{
    By, Gateway, Malformed, OpenedSession, Parts, Permit, Pipeline, PolicyDirectory, Presented,
    Refusal, Reply, Terms,
};
use provost_scripted::{Script, Scripted};
use provost_store::{Bodies, BodyMode, FileJournal, Indexer, Journal, MasterKey, Store};
use provost_types::{
    Action, Correlation, Outcome, Plane, Resource, Status, SystemClock, Timestamp,
};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::server::{Client, connect};

const HOUR: Duration = Duration::from_secs(3600);

/// Passes every request on as it is: as little of a plane as there can be.
#[derive(Clone)]
struct Relay(Upstream);

impl HttpPlane for Relay {
    type Gateway = Self;

    fn gateway(&self, _ask: &HttpAsk) -> Self {
        self.clone()
    }
}

impl Gateway for Relay {
    type Ask = HttpAsk;
    type Answer = HttpFrame;

    fn present(&self, ask: &HttpAsk) -> Presented {
        match ask.parts.headers.get("x-api-key") {
            Some(key) => Presented::Token(key.to_str().unwrap().into()),
            None => Presented::Nothing,
        }
    }

    fn classify(&self, ask: &HttpAsk) -> Result<Action, Malformed> {
        Ok(Action {
            plane: Plane::Llm,
            verb: "list_models",
            resource: Resource { kind: "Llm::Catalog", id: "all".to_owned() },
            context: Vec::new(),
            arguments: ask.body.clone(),
            correlation: Correlation::default(),
        })
    }

    async fn execute(
        &mut self,
        permit: &Permit,
        ask: HttpAsk,
        reply: &mut Reply<HttpFrame>,
    ) -> Outcome {
        let request = http::Request::from_parts(ask.parts, ask.body);
        let answer = self.0.send(permit, request).await.unwrap();
        let (head, mut body) = answer.into_parts();
        let _gone = reply.send(HttpFrame::Head(head)).await;
        loop {
            let frame = tokio::select! {
                () = reply.gone() => return Outcome::because(Status::Aborted, "the client left"),
                frame = body.frame() => frame,
            };
            let Some(frame) = frame else { break };
            let bytes = frame.unwrap().into_data().unwrap();
            if reply.send(HttpFrame::Data(bytes)).await.is_err() {
                return Outcome::because(Status::Aborted, "the client left");
            }
        }
        let ended = reply.send(HttpFrame::End).await;
        Outcome::new(if ended.is_ok() { Status::Succeeded } else { Status::Aborted })
    }

    fn refuse(&self, refusal: &Refusal) -> HttpFrame {
        let message = Bytes::from(refusal.message.clone());
        HttpFrame::Whole(Response::builder().status(403).body(message).unwrap())
    }
}

struct World {
    upstream: Scripted,
    journal: Journal,
    session: OpenedSession,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    _dir: TempDir,
}

impl World {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::File(FileJournal::open(&dir.path().join("ledger")).unwrap());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let parts = parts(&dir, journal.clone()).await;
        let pipeline = Pipeline::start(parts, &tasks, &stop).await.unwrap();
        let session = open_session(&pipeline).await;
        let upstream = Scripted::start(Script::default()).await.unwrap();
        let base = upstream.base_url().parse().unwrap();
        let plane = Relay(Upstream::new(base, None, EgressLimits::default()).unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { body_bytes_max: 1000, ..Limits::default() };
        let serve = Governed { pipeline, plane };
        let server = HttpServer { serve, limits, tls: None };
        tasks.spawn(server.listen(listener, stop.clone(), tasks.clone()));
        Self { upstream, journal, session, address, stop, tasks, _dir: dir }
    }

    async fn client(&self) -> Client {
        Client(connect(self.address).await)
    }

    fn request(&self, model: &str) -> String {
        let key = self.session.credential.expose_secret();
        let body = format!(r#"{{"model":"{model}","stream":true,"messages":[]}}"#);
        let length = body.len();
        format!(
            "POST /v1/messages HTTP/1.1\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    /// Waits for the first entry after `position`, and reads it.
    async fn entry(&self, position: u64) -> Event {
        let mut grown = self.journal.grown();
        grown.wait_for(|size| *size > position).await.unwrap();
        Event::decode(&self.journal.read(position, 1).await.unwrap()[0]).unwrap()
    }

    async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.upstream.stop().await;
    }
}

pub(crate) async fn parts(dir: &TempDir, journal: Journal) -> Parts {
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("all.cedar"), "permit (principal, action, resource);")
        .unwrap();
    let url = format!("sqlite://{}", dir.path().join("provost.db").display());
    let store = Store::connect(&url).await.unwrap();
    Indexer::new(journal.clone(), store.clone()).catch_up().await.unwrap();
    Parts {
        journal,
        store,
        bodies: Arc::new(Bodies::new(&dir.path().join("bodies"))),
        master: Arc::new(MasterKey::create(&dir.path().join("master.age")).unwrap()),
        policies: Arc::new(PolicyDirectory::open(&policies, Timestamp(0)).unwrap()),
        clock: Arc::new(SystemClock),
        limits: provost_pipeline::Limits { in_flight_max: 16 },
        approvals: provost_pipeline::ApprovalTimes::default(),
        purpose: provost_pipeline::Purpose::Serve,
    }
}

pub(crate) async fn open_session(pipeline: &Pipeline) -> OpenedSession {
    let (directory, by) = (pipeline.directory(), By::human("ada"));
    let (project, agent) = ("finance".parse().unwrap(), "invoice-bot".parse().unwrap());
    directory.create_project(&by, project, BodyMode::Digests).await.unwrap();
    directory.create_agent(&by, agent, "finance".parse().unwrap()).await.unwrap();
    let terms = Terms { idle_max: HOUR, lifetime_max: HOUR };
    directory.open_session(&by, &"invoice-bot".parse().unwrap(), terms).await.unwrap()
}

#[tokio::test]
async fn a_request_leaves_an_intent_and_an_outcome() {
    let world = World::open().await;
    let before = world.journal.size();
    let mut client = world.client().await;
    client.send(&world.request("m")).await;
    let reply = client.read_until("\r\n0\r\n\r\n").await;
    assert!(reply.contains("event: message_stop"), "{reply}");
    assert!(matches!(world.entry(before).await.record, Record::Intent(_)));
    let Record::Outcome(outcome) = world.entry(before + 1).await.record else { panic!() };
    assert_eq!(outcome.status, Status::Succeeded);
    world.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_upstream_and_leaves_an_outcome() {
    let world = World::open().await;
    let before = world.journal.size();
    let mut client = world.client().await;
    client.send(&world.request("m+endless-1")).await;
    drop(client.read_until("tick").await);
    assert_eq!(world.upstream.live_streams(), 1);
    drop(client);
    world.upstream.live_streams_are(0).await;
    let Record::Outcome(outcome) = world.entry(before + 1).await.record else { panic!() };
    assert_eq!(outcome.status, Status::Aborted);
    world.close().await;
}

#[tokio::test]
async fn requests_that_never_became_whole_are_recorded_and_never_sent() {
    let world = World::open().await;
    let before = world.journal.size();
    let key = world.session.credential.expose_secret();
    let known = format!("x-api-key: {key}\r\n");
    let large = "POST / HTTP/1.1\r\ncontent-length: 200000000\r\n";
    let flood = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(200));
    for (position, (head, want, code)) in (before..).zip([
        (format!("{large}{known}\r\n"), "403 Forbidden", "too-large"),
        (format!("{large}\r\n"), "403 Forbidden", "unauthenticated"),
        (format!("{flood}\r\n"), "431 Request Header Fields Too Large", "too-large"),
        ("what?\r\n\r\n".to_owned(), "400 Bad Request", "malformed"),
    ]) {
        let mut client = world.client().await;
        client.send(&head).await;
        let reply = client.read_until("\r\n\r\n").await;
        drop(client);
        assert!(reply.starts_with(&format!("HTTP/1.1 {want}")), "{reply}");
        let Event { record: Record::Refusal(refused), subject, .. } =
            world.entry(position).await
        else {
            panic!("{head:?}")
        };
        assert!(refused.intent.is_none() && subject.action.is_some());
        // Who it was is known where the head was read and carried a credential.
        assert_eq!(subject.session.is_some(), head.contains(key), "{head}");
        assert_eq!(refused.code, code, "{head}");
    }
    assert!(world.upstream.requests().is_empty());
    world.close().await;
}
