//! One pipeline in a temporary directory, and the echo gateway that drives it.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use provost_ledger::{Event, Record};
use provost_pipeline::{
    By, Gateway, Limits, Malformed, MalformedKind, OpenedSession, Parts, Permit, Pipeline,
    PolicyDirectory, Presented, Purpose, Refusal, Reply, Terms,
};
use provost_store::{Bodies, BodyMode, FileJournal, Indexer, Journal, MasterKey, Store};
use provost_types::{
    Action, AgentName, ApprovalId, Correlation, ManualClock, Outcome, Plane, Resource, Status,
    Timestamp, Value,
};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) const TERMS: Terms =
    Terms { idle_max: Duration::from_secs(60), lifetime_max: Duration::from_secs(600) };

/// A pipeline and what stands around it.
pub(crate) struct World {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) journal: Journal,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) by: By,
    pub(crate) policies: std::path::PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
}

pub(crate) fn agent() -> AgentName {
    "invoice-bot".parse().unwrap()
}

impl World {
    /// A pipeline over what `dir` holds; a project and an agent are made if it is empty.
    pub(crate) async fn open(dir: &TempDir) -> Self {
        let master = Arc::new(master(dir.path()));
        let policies = dir.path().join("policies");
        if !policies.exists() {
            std::fs::create_dir(&policies).unwrap();
        }
        let store =
            Store::connect(&format!("sqlite://{}", dir.path().join("provost.db").display()))
                .await
                .unwrap();
        let journal = Journal::File(FileJournal::open(&dir.path().join("ledger")).unwrap());
        Indexer::new(journal.clone(), store.clone()).catch_up().await.unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(1_795_563_094_000_000)));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let parts = Parts {
            journal: journal.clone(),
            store: store.clone(),
            bodies: Arc::new(Bodies::new(&dir.path().join("bodies"))),
            master,
            policies: Arc::new(PolicyDirectory::open(&policies, Timestamp(0)).unwrap()),
            clock: Arc::clone(&clock) as _,
            limits: Limits { in_flight_max: 4 },
            approvals: provost_pipeline::ApprovalTimes::default(),
            purpose: Purpose::Serve,
        };
        let pipeline = Pipeline::start(parts, &tasks, &stop).await.unwrap();
        let by = By::human("ada");
        let world = Self { pipeline, journal, store, clock, by, policies, stop, tasks };
        if world.pipeline.directory().agents().is_empty() {
            world.populate().await;
        }
        world
    }

    async fn populate(&self) {
        let directory = self.pipeline.directory();
        let project = "finance".parse().unwrap();
        directory.create_project(&self.by, project, BodyMode::Digests).await.unwrap();
        let project = "finance".parse().unwrap();
        directory.create_agent(&self.by, agent(), project).await.unwrap();
        self.pipeline.reload_policies().await.unwrap();
    }

    pub(crate) async fn session(&self) -> OpenedSession {
        self.pipeline.directory().open_session(&self.by, &agent(), TERMS).await.unwrap()
    }

    /// Sends one request through the pipeline; everything the client saw.
    pub(crate) async fn ask(&self, credential: &SecretString, words: &str) -> Vec<String> {
        self.ask_with(Duration::ZERO, credential, words).await
    }

    /// The same, by a client that waits for people.
    pub(crate) async fn ask_with(
        &self,
        patience: Duration,
        credential: &SecretString,
        words: &str,
    ) -> Vec<String> {
        let (reply, mut frames) = Reply::channel(8);
        let ask = Ask { credential: Some(credential.clone()), words: words.to_owned() };
        let mut echo = Echo { patience, ..Echo::default() };
        self.pipeline.run(&mut echo, ask, reply).await;
        let mut seen = Vec::new();
        while let Some(frame) = frames.recv().await {
            seen.push(frame);
        }
        seen
    }

    /// Every event, one line each, without ids and times.
    pub(crate) async fn told(&self) -> Vec<String> {
        self.events().await.iter().map(tell).collect()
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let entries = self.journal.read(0, 10_000).await.unwrap();
        entries.iter().map(|entry| Event::decode(entry).unwrap()).collect()
    }

    /// Ends the tasks and lets go of the files.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}

fn master(dir: &Path) -> MasterKey {
    let path = dir.join("keys/master.age");
    if path.exists() { MasterKey::open(&path) } else { MasterKey::create(&path) }.unwrap()
}

fn tell(event: &Event) -> String {
    match &event.record {
        Record::Intent(intent) => {
            format!("intent {} {} {}", intent.plane, intent.verb, intent.resource_id)
        }
        Record::Outcome(outcome) => {
            let why = outcome.reason.as_deref().map(|why| format!(": {why}"));
            format!("outcome {}{}", outcome.status.as_str(), why.unwrap_or_default())
        }
        Record::Refusal(refused) => format!("refusal {}", refused.code),
        Record::Admin(admin) => format!("admin {} {}", admin.verb, admin.subject),
        Record::Session(event) => match event {
            provost_ledger::SessionEvent::Started { .. } => "session started".to_owned(),
            provost_ledger::SessionEvent::Ended { reason } => {
                format!("session ended: {reason}")
            }
        },
        Record::Server(_) => "server".to_owned(),
        Record::Witness(witness) => format!("witness {}", witness.plane),
        Record::Alert(alert) => format!("alert {}", alert.rule),
        Record::Approval(approval) => format!("approval {}", approval.step),
    }
}

/// One request of the echo protocol: words to be said back.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) credential: Option<SecretString>,
    pub(crate) words: String,
}

/// A gateway without an upstream: says the words back, one frame each.
///
/// `wait` waits until it is stopped; `panic` panics; the model is the first word.
#[derive(Default)]
pub(crate) struct Echo {
    /// Told when an execution has begun.
    pub(crate) began: Arc<Notify>,
    /// How long it waits for people.
    pub(crate) patience: Duration,
}

impl Gateway for Echo {
    type Ask = Ask;
    type Answer = String;

    fn present(&self, ask: &Ask) -> Presented {
        match &ask.credential {
            Some(token) if token.expose_secret() == "two" => Presented::Conflicting,
            Some(token) => Presented::Token(token.clone()),
            None => Presented::Nothing,
        }
    }

    fn classify(&self, ask: &Ask) -> Result<Action, Malformed> {
        let mut words = ask.words.split(' ');
        let Some(model) = words.next().filter(|word| !word.is_empty()) else {
            let message = "say a model".to_owned();
            return Err(Malformed { message, kind: MalformedKind::Syntax });
        };
        Ok(Action {
            plane: Plane::Llm,
            verb: "message",
            resource: Resource { kind: "Llm::Model", id: model.to_owned() },
            context: vec![
                ("model", Value::Text(model.to_owned())),
                ("stream", Value::Bool(true)),
                ("max_tokens", Value::Long(1000)),
                ("betas", Value::Texts(Vec::new())),
                ("tools", Value::Long(0)),
            ],
            arguments: Bytes::from(ask.words.clone()),
            correlation: Correlation::default(),
        })
    }

    fn patience(&self, _ask: &Ask) -> Duration {
        self.patience
    }

    fn keep_waiting(&mut self, _ask: &Ask, _on: ApprovalId) -> Vec<String> {
        vec!["still waiting".to_owned()]
    }

    async fn execute(
        &mut self,
        permit: &Permit,
        ask: Ask,
        reply: &mut Reply<String>,
    ) -> Outcome {
        self.began.notify_one();
        for word in ask.words.split(' ') {
            if word == "panic" {
                panic!("a gateway's fault");
            }
            if word == "wait" {
                let stop = permit.stopped().await;
                return Outcome::because(Status::Aborted, stop.sentence());
            }
            if reply.send(word.to_owned()).await.is_err() {
                return Outcome::because(Status::Aborted, "client left");
            }
        }
        Outcome::new(Status::Succeeded)
    }

    fn refuse(&self, refusal: &Refusal) -> String {
        format!("{}: {}", refusal.code.as_str(), refusal.message)
    }
}
