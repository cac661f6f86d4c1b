//! Who there is: projects, agents, credentials, sessions, people and run states.
//!
//! Held in memory, so that every request is checked against the newest state without I/O;
//! written through to the store, and to the ledger first. A change is recorded before it
//! is made, with one exception: a kill takes effect first, because it must.

mod agents;
mod authenticate;
mod people;
mod sessions;
mod stopping;
mod token_sessions;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use provost_ledger::{Admin, Record, Subject};
use provost_store::{
    AgentRow, CredentialRow, HumanRow, MasterKey, ProjectKeys, ProjectRow, Store, StoreError,
    UnsealError,
};
use provost_types::{
    AgentName, Clock, CredentialId, Digest, HumanId, ProjectName, SessionId, Timestamp,
};
use tokio::sync::Mutex;

pub use authenticate::Unauthenticated;
pub use people::IssuedToken;
pub use sessions::{OpenedSession, Terms};

pub(crate) use sessions::{InFlight, LiveSession};

use crate::{
    By, LedgerDown, PolicyDirectory, access_token::AccessTokens, credential::NoRandomness,
    record::Recorder, run_tree::RunTree, tool_pins::ToolPins,
};

/// How long an ended session's credential is remembered, so that its bearer hears that the
/// session is over and not that the credential is unknown.
pub(crate) const ENDED_KEPT: Duration = Duration::from_hours(24);

/// Who there is, and who may act now.
#[derive(Debug)]
pub struct Directory {
    pub(crate) state: RwLock<State>,
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) policies: Arc<PolicyDirectory>,
    pub(crate) tools: ToolPins,
    /// The access tokens that count beside our own credentials, if any do.
    tokens: OnceLock<AccessTokens>,
    /// Changes happen one after the other; reads do not wait for them.
    changing: Mutex<()>,
}

/// What is held in memory.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) projects: HashMap<ProjectName, Project>,
    pub(crate) agents: HashMap<AgentName, AgentRow>,
    pub(crate) humans: HashMap<HumanId, HumanRow>,
    pub(crate) credentials: HashMap<[u8; 32], Arc<Credential>>,
    pub(crate) sessions: HashMap<SessionId, Arc<LiveSession>>,
    pub(crate) tree: RunTree,
}

/// A project and the keys its records depend on.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) row: ProjectRow,
    pub(crate) keys: Arc<ProjectKeys>,
}

/// A credential and when it was last used.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) row: CredentialRow,
    pub(crate) last_used: AtomicU64,
}

impl Credential {
    fn new(row: CredentialRow) -> Arc<Self> {
        let last_used = AtomicU64::new(row.last_used_at.map_or(0, |at| at.0));
        Arc::new(Self { row, last_used })
    }

    pub(crate) fn touch(&self, now: Timestamp) {
        self.last_used.fetch_max(now.0, Ordering::Relaxed);
    }

    /// The row with its newest time of use.
    fn row(&self) -> CredentialRow {
        let used = self.last_used.load(Ordering::Relaxed);
        let last_used_at = (used > 0).then_some(Timestamp(used));
        CredentialRow { last_used_at, ..self.row.clone() }
    }
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is not there.
    #[error("there is no {what}")]
    NoSuch {
        /// What was asked for.
        what: String,
    },
    /// The name is in use, or was.
    #[error("{what} exists already; names are never used again")]
    Taken {
        /// What exists.
        what: String,
    },
    /// It was there, and is over.
    #[error("{what} is over")]
    Over {
        /// What is over.
        what: String,
    },
    /// A field cannot have the value given.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong and how to mend it.
        problem: &'static str,
    },
    /// Its definition is the accepted one: there is nothing to accept.
    #[error("{what} is not held: nothing waits to be accepted")]
    NotHeld {
        /// Which tool.
        what: String,
    },
    /// Another definition waits than the one that was looked at.
    #[error("{what} changed again: look at the definition that waits now, {waiting}")]
    ChangedAgain {
        /// Which tool.
        what: String,
        /// The digest of what waits.
        waiting: Digest,
    },
    /// A run state above it forbids that now.
    #[error("{sentence}")]
    Stopped {
        /// Which state, by whom, and why.
        sentence: String,
    },
    /// It could not be recorded, so it was not done.
    #[error("the ledger cannot be written; nothing was changed")]
    Ledger(#[from] LedgerDown),
    /// It was recorded, but the database did not take it.
    #[error("the database cannot be written")]
    Store(#[from] StoreError),
    /// A key sealed at rest does not open.
    #[error("the keys of project {project} cannot be opened with this master key")]
    Keys {
        /// Whose keys.
        project: ProjectName,
        /// Why.
        #[source]
        source: UnsealError,
    },
    /// No credential could be made.
    #[error("no credential could be made")]
    Randomness(#[from] NoRandomness),
    /// The project's first policy file could not be written.
    #[error("the project's policy file cannot be written")]
    Policy(#[from] crate::PolicyDirectoryError),
}

impl DirectoryError {
    pub(crate) fn no_such(what: impl Into<String>) -> Self {
        Self::NoSuch { what: what.into() }
    }
}

impl Directory {
    /// Loads everything the store knows.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] if it cannot be read, [`DirectoryError::Keys`] if a
    /// project's keys were sealed to another master key.
    pub(crate) async fn load(
        store: Store,
        recorder: Recorder,
        master: Arc<MasterKey>,
        policies: Arc<PolicyDirectory>,
    ) -> Result<Self, DirectoryError> {
        let mut projects = HashMap::new();
        for row in store.projects().await? {
            let keys = ProjectKeys::open(&row.sealed_keys, &master)
                .map_err(|source| DirectoryError::Keys { project: row.name.clone(), source })?;
            projects.insert(row.name.clone(), Project { row, keys: Arc::new(keys) });
        }
        let now = recorder.clock.wall();
        let credentials: HashMap<_, _> = store
            .credentials(now.minus(ENDED_KEPT))
            .await?
            .into_iter()
            .map(|row| (row.sha256, Credential::new(row)))
            .collect();
        let clock = recorder.clock.as_ref();
        let sessions = store
            .live_sessions()
            .await?
            .into_iter()
            .map(|row| (row.id, Arc::new(LiveSession::new(row, clock))))
            .collect();
        let state = State {
            projects,
            agents: store
                .agents()
                .await?
                .into_iter()
                .map(|row| (row.name.clone(), row))
                .collect(),
            humans: store.humans().await?.into_iter().map(|row| (row.id, row)).collect(),
            credentials,
            sessions,
            tree: RunTree::restore(store.run_states().await?),
        };
        let tools = ToolPins::load(&store).await?;
        Ok(Self {
            state: RwLock::new(state),
            tools,
            tokens: OnceLock::new(),
            store,
            recorder,
            master,
            policies,
            changing: Mutex::new(()),
        })
    }

    /// Records what a person or Provost is about to change.
    ///
    /// # Errors
    ///
    /// [`LedgerDown`]: then nothing may be changed.
    pub async fn record_admin(
        &self,
        by: &By,
        verb: &str,
        subject: &str,
        detail: BTreeMap<String, String>,
    ) -> Result<(), LedgerDown> {
        let record = Record::Admin(Admin {
            by: by.to_string(),
            verb: verb.to_owned(),
            subject: subject.to_owned(),
            detail,
        });
        self.recorder.record(Subject::default(), record).await.map(|_position| ())
    }

    fn now(&self) -> Timestamp {
        self.clock().wall()
    }

    fn clock(&self) -> &dyn Clock {
        self.recorder.clock.as_ref()
    }

    /// Makes a credential stop counting, in memory: at once, for every request to come.
    fn strike(&self, id: CredentialId) {
        let now = self.now();
        let mut state = self.state.write();
        let found = state.credentials.values().find(|one| one.row.id == id).cloned();
        if let Some(old) = found {
            let revoked_at = old.row.revoked_at.or(Some(now));
            let row = CredentialRow { revoked_at, ..old.row() };
            state.credentials.insert(row.sha256, Credential::new(row));
        }
    }
}

/// A detail map from pairs, for [`Directory::record_admin`].
fn detail<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
