//! What handlers may reach.

use std::{fmt, sync::Arc};

use provost_pipeline::{Directory, Pipeline, Terms};
use provost_secrets::Vault;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{LedgerReader, Logins};

/// What handlers may reach. Put together once, by the binary.
pub struct App {
    /// People, agents, sessions, run states; the policies in force.
    pub pipeline: Arc<Pipeline>,
    /// Upstream credentials.
    pub vault: Arc<Vault>,
    /// Logins at MCP servers.
    pub logins: Arc<dyn Logins>,
    /// What was recorded.
    pub ledger: LedgerReader,
    /// The longest a session may live, and how long it does unless less is asked for.
    pub terms_max: Terms,
    /// Renders the metrics in Prometheus' text format.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Says what keeps the server from doing its work, one sentence each; nothing: ready.
    /// The sentences are shown to anyone who asks.
    pub readiness: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Ends long polls. Cancelled when the server begins to stop, before sessions are cut.
    pub stopping: CancellationToken,
    /// The tasks on which changes are made. Waited for when the server stops, after the
    /// listeners have ended.
    pub changes: TaskTracker,
}

impl App {
    pub(crate) fn directory(&self) -> &Directory {
        self.pipeline.directory()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}
