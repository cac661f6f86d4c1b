//! The data directory, opened: everything behind the control API, put together once.
//!
//! A server opens it to serve, a command to call the same router in its own process. Whoever
//! holds it holds the lock; nobody else writes below the directory meanwhile.

mod in_process;
mod logins;
mod watch;

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use provost_admin::LedgerReader;
use provost_ledger::{KeyNameError, LedgerKey, LedgerVerifier, VerifierKeyError};
use provost_mcp::oauth::Account;
use provost_pipeline::{
    ApprovalTimes, LedgerDown, Limits, Parts, Pipeline, PolicyDirectory, PolicyDirectoryError,
    Purpose, StartError, Terms,
};
use provost_secrets::{Vault, VaultError};
use provost_store::{
    Bodies, ConnectError, DataLock, FileJournal, IndexError, Indexer, Journal, LockError,
    MasterKey, MasterKeyError, OpenError as JournalOpenError, SealError, Sealer, SqlJournal,
    Store, StoreError, UnsealError,
};
use provost_types::{Clock, SystemClock};
use secrecy::ExposeSecret as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Config, JournalKind},
    data_dir::DataDir,
};

pub(crate) use in_process::InProcess;
use watch::Obstacles;

/// How long tasks may take to end. The journal is closed by then.
const TASKS_END_MAX: Duration = Duration::from_secs(5);

/// An opened data directory with everything that runs on it.
#[derive(Debug)]
pub(crate) struct Core {
    /// The one way through, and who may take it.
    pub(crate) pipeline: Arc<Pipeline>,
    /// Upstream credentials.
    pub(crate) vault: Arc<Vault>,
    /// Accounts with MCP servers that want OAuth, by the servers' names.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Kept bodies.
    pub(crate) bodies: Arc<Bodies>,
    /// What runs beside requests.
    tasks: TaskTracker,
    /// Changes that were asked for, and are made even if nobody waits for the answer.
    changes: TaskTracker,
    /// Ends what runs beside requests.
    stop: CancellationToken,
    /// Ends long polls, before anything else ends.
    stopping: CancellationToken,
    ledger: LedgerReader,
    obstacles: Obstacles,
    terms_max: Terms,
    _lock: DataLock,
}

/// A data directory that could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// It was never made.
    #[error("{} is not a data directory; make one: provost init", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The ledger is there, and the database that goes with it is not.
    #[error(
        "the ledger has {records} records, and the database is empty: agents, pauses and kills \
         would be forgotten; restore the database from a backup"
    )]
    DatabaseLost {
        /// Records of the ledger.
        records: u64,
    },
    /// Another process works on it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The master key cannot be used.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// A file of the ledger's key cannot be read.
    #[error("cannot read {}", path.display())]
    LedgerKeyFile {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// The ledger's key was sealed to another master key, or altered.
    #[error("keys/ledger.age does not open with this master key")]
    LedgerKeySealed(#[from] UnsealError),
    /// The ledger's key is not the one its public half says.
    #[error("keys/ledger.age and keys/ledger.vkey do not belong together")]
    LedgerKeyOther,
    /// The public half is not one.
    #[error("keys/ledger.vkey is not a public key")]
    LedgerVerifier(#[from] VerifierKeyError),
    /// The ledger's name cannot be one.
    #[error(transparent)]
    LedgerName(#[from] KeyNameError),
    /// The database cannot be used.
    #[error("the database cannot be opened")]
    Store(#[from] ConnectError),
    /// The database cannot be read.
    #[error("the database cannot be read")]
    Rows(#[from] StoreError),
    /// The journal cannot be used.
    #[error("the journal cannot be opened")]
    Journal(#[from] JournalOpenError),
    /// The event index cannot be brought up to date.
    #[error("the event index cannot be brought up to date")]
    Index(#[from] IndexError),
    /// The ledger's sealed part is not what it was.
    #[error("the ledger cannot be continued; look: provost audit verify")]
    Seal(#[from] SealError),
    /// The policies cannot be used.
    #[error("the policies cannot be loaded")]
    Policies(#[from] PolicyDirectoryError),
    /// Stored credentials cannot be used.
    #[error("stored credentials cannot be used")]
    Vault(#[from] VaultError),
    /// An account with an MCP server cannot be set up.
    #[error(transparent)]
    Account(#[from] logins::AccountFault),
    /// A folder cannot be made.
    #[error("cannot make {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// What was left by the last process cannot be taken over.
    #[error("the pipeline cannot start")]
    Start(#[from] StartError),
}

impl Core {
    /// Opens the data directory, and closes what a crash left open.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing is left running.
    pub(crate) async fn open(
        data: &DataDir,
        config: &Config,
        purpose: Purpose,
    ) -> Result<Self, OpenError> {
        if !config.master_file.exists() && !data.ledger_key().exists() {
            return Err(OpenError::Missing { path: data.path().to_owned() });
        }
        let lock = DataLock::acquire(data.path())?;
        let master = Arc::new(MasterKey::open(&config.master_file)?);
        let key = ledger_key(data, &master)?;
        let store = Store::connect(config.store.url.expose_secret()).await?;
        let journal = match config.store.journal {
            JournalKind::File => Journal::File(FileJournal::open(&data.ledger())?),
            JournalKind::Sql => {
                Journal::Sql(SqlJournal::open(store.clone(), &data.ledger()).await?)
            }
        };
        // The first record is that of the first administrator, whom the database has then too.
        let records = journal.size();
        if records > 1 && store.humans().await?.is_empty() {
            return Err(OpenError::DatabaseLost { records });
        }
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let indexer = Indexer::new(journal.clone(), store.clone());
        indexer.catch_up().await?;
        let sealer = Sealer::start(&data.ledger(), journal.clone(), key, &tasks).await?;
        tasks.spawn(indexer.follow(stop.clone()));

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let policies = Arc::new(PolicyDirectory::open(&data.policies(), clock.wall())?);
        let vault = Arc::new(Vault::open(&data.secrets(), Arc::clone(&master))?);
        folder(&data.bodies())?;
        let bodies = Arc::new(Bodies::new(&data.bodies()));
        let accounts = logins::accounts(&config.mcp, (&vault, &clock, &tasks))?;
        let parts = Parts {
            journal: journal.clone(),
            store: store.clone(),
            bodies: Arc::clone(&bodies),
            master,
            policies,
            clock,
            limits: Limits { in_flight_max: config.limits.in_flight_max },
            approvals: ApprovalTimes {
                wait_max: config.approvals.wait_max,
                expires: config.approvals.expires,
            },
            purpose,
        };
        let pipeline = Pipeline::start(parts, &tasks, &stop).await?;
        let ledger = LedgerReader { journal, store, sealer, root: data.ledger() };
        let obstacles = watch::start(&ledger, &tasks, &stop);
        Ok(Self {
            pipeline,
            vault,
            accounts,
            bodies,
            tasks,
            stop,
            stopping: CancellationToken::new(),
            changes: TaskTracker::new(),
            ledger,
            obstacles,
            terms_max: config.session,
            _lock: lock,
        })
    }

    /// The control API over it; `metrics` renders what was counted.
    pub(crate) fn router(
        &self,
        metrics: Box<dyn Fn() -> String + Send + Sync>,
    ) -> provost_admin::Router {
        let obstacles = self.obstacles.clone();
        provost_admin::router(Arc::new(provost_admin::App {
            pipeline: Arc::clone(&self.pipeline),
            vault: Arc::clone(&self.vault),
            logins: Arc::new(logins::ApiLogins::new(&self.accounts)),
            ledger: self.ledger.clone(),
            terms_max: self.terms_max,
            metrics,
            readiness: Box::new(move || obstacles.sentences()),
            stopping: self.stopping.clone(),
            changes: self.changes.clone(),
        }))
    }

    /// Refuses new actions and lets those in flight end for at most `patience`; cuts the rest,
    /// and returns how many that were.
    pub(crate) async fn drain(&self, patience: Duration) -> usize {
        self.stopping.cancel();
        self.pipeline.drain(patience).await
    }

    /// Closes the ledger with everything in it signed. Drain first, and end the listeners.
    ///
    /// # Errors
    ///
    /// The first of what kept the end from being recorded or signed; the next start makes up
    /// for it.
    pub(crate) async fn close(self) -> Result<(), CloseError> {
        self.changes.close();
        self.changes.wait().await;
        let recorded = self.pipeline.record_stop().await;
        let sealed = self.ledger.sealer.close().await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(TASKS_END_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "not everything ended in time");
        }
        let kept = watch::keep_checkpoint(&self.ledger, 0).await;
        self.ledger.store.close().await;
        recorded?;
        sealed?;
        kept?;
        Ok(())
    }
}

/// An end that was not recorded, or not signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseError {
    /// It was not recorded.
    #[error("the stop was not recorded")]
    Record(#[from] LedgerDown),
    /// It was not signed.
    #[error("the last records are not signed yet")]
    Seal(#[from] SealError),
    /// The database does not have it.
    #[error("the last checkpoint is not kept in the database yet")]
    Keep(#[from] StoreError),
}

/// A folder for its owner alone, unless it is there.
fn folder(path: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| OpenError::Folder { path: path.to_owned(), source })
}

/// Opens the key that signs checkpoints, and checks that it is the one that is published.
fn ledger_key(data: &DataDir, master: &MasterKey) -> Result<LedgerKey, OpenError> {
    let read = |path: PathBuf| match fs::read(&path) {
        Ok(bytes) => Ok(bytes),
        Err(source) => Err(OpenError::LedgerKeyFile { path, source }),
    };
    let published = String::from_utf8_lossy(&read(data.ledger_verifier())?).into_owned();
    let published: LedgerVerifier = published.trim().parse()?;
    let seed = master.unseal(&read(data.ledger_key())?)?;
    let seed = seed.expose_secret().try_into().map_err(|_| OpenError::LedgerKeyOther)?;
    let key = LedgerKey::new(published.name(), seed)?;
    if *key.verifier() == published { Ok(key) } else { Err(OpenError::LedgerKeyOther) }
}
