//! A pipeline's beginning and end: recovery, the tasks beside it, and the way down.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use provost_ledger::{Event, Record, Refused, ServerEvent, Subject};
use provost_store::{Bodies, Journal, JournalError, MasterKey, Store, StoreError};
use provost_types::{ActionId, BootId, Causes, Clock, Outcome, Status};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ApprovalTimes, Approvals, By, Directory, DirectoryError, LedgerDown, Pipeline,
    PolicyDirectory, RefusalCode,
    flood::Flood,
    record::{Closer, Recorder},
    tool_calls::ToolCalls,
};

/// How often limits of sessions are looked at and policies are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How far the wall clock may move against the monotonic one between two sweeps.
const CLOCK_STEP_MIN: Duration = Duration::from_secs(2);

/// What a pipeline is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where events become durable.
    pub journal: Journal,
    /// Where rows are kept.
    pub store: Store,
    /// Where bodies are kept.
    pub bodies: Arc<Bodies>,
    /// What projects' keys are sealed to.
    pub master: Arc<MasterKey>,
    /// The policies in force.
    pub policies: Arc<PolicyDirectory>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How much at once.
    pub limits: Limits,
    /// How long people are waited for.
    pub approvals: ApprovalTimes,
    /// What it is opened for.
    pub purpose: Purpose,
}

/// What a pipeline is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: its beginning, its end and the policies in force are recorded.
    Serve,
    /// For one command without a server: only what it changes is recorded.
    Command,
}

/// How much a pipeline takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most actions in flight.
    pub in_flight_max: usize,
}

/// The pipeline cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory cannot be loaded.
    #[error("who there is cannot be loaded")]
    Directory(#[from] DirectoryError),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read")]
    Journal(#[from] JournalError),
    /// The ledger cannot be written.
    #[error("the ledger cannot be written")]
    Ledger(#[from] LedgerDown),
    /// The index cannot be read.
    #[error("the event index cannot be read")]
    Index(#[from] StoreError),
    /// An intent that the index names is not one.
    #[error(
        "ledger entry {position} is not the intent the index says it is: run `audit verify`"
    )]
    Intent {
        /// Where.
        position: u64,
    },
}

impl Pipeline {
    /// Loads who there is, closes what a crash left open, and records the start.
    ///
    /// The event index must be complete. Tasks are spawned on `tasks` and end with `stop`.
    ///
    /// # Errors
    ///
    /// [`StartError`]: nothing serves.
    pub async fn start(
        parts: Parts,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Arc<Self>, StartError> {
        let Parts {
            journal,
            store,
            bodies,
            master,
            policies,
            clock,
            limits,
            approvals,
            purpose,
        } = parts;
        let recorder = Recorder { journal, clock, boot: BootId::generate() };
        let recovered = close_open_intents(&store, &recorder).await?;
        if purpose == Purpose::Serve || recovered > 0 {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let started = ServerEvent::Started { version, recovered };
            recorder.record(Subject::default(), Record::Server(started)).await?;
        }
        let directory =
            Directory::load(store, recorder.clone(), master, Arc::clone(&policies)).await?;
        let directory = Arc::new(directory);
        let approvals = Approvals::load(
            Arc::clone(&directory),
            recorder.clone(),
            Arc::clone(&bodies),
            approvals,
        );
        let approvals = Arc::new(approvals.await.map_err(DirectoryError::from)?);
        let closer = Closer::start(recorder.clone(), limits.in_flight_max, tasks, stop.clone());
        let tool_calls = Arc::new(ToolCalls {
            directory: Arc::clone(&directory),
            approvals: Arc::clone(&approvals),
            policies: Arc::clone(&policies),
            recorder: recorder.clone(),
            closer: closer.clone(),
            book: Mutex::default(),
        });
        let pipeline = Arc::new(Self {
            directory,
            approvals,
            closer,
            policies,
            recorder,
            bodies,
            places: Arc::new(Semaphore::new(limits.in_flight_max)),
            limits,
            purpose,
            flood: Flood::default(),
            tool_calls,
        });
        if purpose == Purpose::Serve {
            pipeline.record_policies().await?;
        }
        tasks.spawn(Arc::clone(&pipeline).sweep(stop.clone()));
        Ok(pipeline)
    }

    /// Refuses new actions, waits at most `patience` for those in flight, cuts the rest.
    /// Returns how many were cut.
    pub async fn drain(&self, patience: Duration) -> usize {
        let cut = self.directory.state.write().tree.close();
        let places = self.limits.in_flight_max;
        let all = u32::try_from(places).unwrap_or(u32::MAX);
        if tokio::time::timeout(patience, self.places.acquire_many(all)).await.is_ok() {
            return 0;
        }
        let left = places.saturating_sub(self.places.available_permits());
        cut.cancel();
        // Cut actions record their outcomes; that is quick, or the disk is full.
        let _ended = tokio::time::timeout(patience, self.places.acquire_many(all)).await;
        left
    }

    /// Records the stop of a server: the last event of this process.
    ///
    /// # Errors
    ///
    /// [`LedgerDown`]: the next start finds out by itself.
    pub async fn record_stop(&self) -> Result<(), LedgerDown> {
        if self.purpose == Purpose::Command {
            return Ok(());
        }
        let record = Record::Server(ServerEvent::Stopped);
        self.recorder.record(Subject::default(), record).await.map(|_position| ())
    }

    /// Looks for new policies now and puts them in force, if they compile.
    ///
    /// # Errors
    ///
    /// [`LedgerDown`]: the old set stays in force.
    pub async fn reload_policies(&self) -> Result<(), LedgerDown> {
        let Some(loaded) = self.policies.changed(self.recorder.clock.wall()) else {
            return Ok(());
        };
        let version = loaded.policies.version().to_string();
        if let Err(error) = self.record_policy_version(version).await {
            self.policies.look_again();
            return Err(error);
        }
        self.policies.put_in_force(loaded);
        Ok(())
    }

    async fn record_policies(&self) -> Result<(), LedgerDown> {
        let version = self.policies.current().policies.version().to_string();
        self.record_policy_version(version).await
    }

    async fn record_policy_version(&self, version: String) -> Result<(), LedgerDown> {
        let detail = BTreeMap::from([("version".to_owned(), version)]);
        self.directory.record_admin(&By::provost(), "policy.load", "policies", detail).await
    }

    async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        let mut offset = self.clock_offset();
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                () = stop.cancelled() => return,
            }
            self.sweep_once().await;
            offset = self.note_clock_step(offset).await;
        }
    }

    async fn sweep_once(&self) {
        if let Err(error) = self.directory.sweep().await {
            tracing::error!(error = %Causes(&error), "session limits not written down yet");
        }
        if let Err(error) = self.reload_policies().await {
            tracing::error!(error = %Causes(&error), "new policies not in force yet");
        }
        self.tool_calls.sweep();
        self.approvals.sweep().await;
        self.note_flood().await;
    }

    /// Records how many refusals of strangers were only counted.
    async fn note_flood(&self) {
        let left_out = self.flood.take_left_out();
        if left_out == 0 {
            return;
        }
        let record = Record::Refusal(Refused {
            code: RefusalCode::Unauthenticated.as_str().to_owned(),
            reason: format!("{left_out} more requests without a credential that counts"),
            credential: None,
            intent: None,
        });
        if let Err(error) = self.recorder.record(Subject::default(), record).await {
            tracing::error!(error = %Causes(&error), left_out, "refusals not recorded yet");
            self.flood.put_back(left_out);
        }
    }

    /// Wall time minus monotonic time: constant, unless somebody sets the clock.
    fn clock_offset(&self) -> i64 {
        let clock = &self.recorder.clock;
        let (wall, monotonic) = (clock.wall().0, clock.monotonic().0);
        i64::try_from(wall.saturating_sub(monotonic)).unwrap_or(i64::MAX)
    }

    async fn note_clock_step(&self, before: i64) -> i64 {
        let now = self.clock_offset();
        let by_us = now.saturating_sub(before);
        if Duration::from_micros(by_us.unsigned_abs()) < CLOCK_STEP_MIN {
            return now;
        }
        tracing::warn!(by_us, "the wall clock was set");
        let record = Record::Server(ServerEvent::ClockStepped { by_us });
        match self.recorder.record(Subject::default(), record).await {
            Ok(_position) => now,
            Err(error) => {
                tracing::error!(error = %Causes(&error), "clock step not recorded yet");
                before
            }
        }
    }
}

/// Records the outcome `unknown` for every intent that a crash left without one.
async fn close_open_intents(store: &Store, recorder: &Recorder) -> Result<u64, StartError> {
    let open: Vec<(u64, ActionId)> = store.open_intents().await?;
    let mut closed: u64 = 0;
    for (position, action) in open {
        let entries = recorder.journal.read(position, 1).await?;
        let event = entries.first().and_then(|entry| Event::decode(entry).ok());
        let subject = event
            .map(|event| event.subject)
            .filter(|subject| subject.action == Some(action))
            .ok_or(StartError::Intent { position })?;
        let outcome = Outcome::because(
            Status::Unknown,
            "the server ended before the outcome was recorded; the upstream may have acted",
        );
        recorder.record(subject, Record::Outcome(outcome)).await?;
        closed = closed.saturating_add(1);
    }
    Ok(closed)
}
