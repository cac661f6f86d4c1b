//! Pausing, killing and resuming: of one thing, or of everything at once.

use anyhow::Result;
use clap::Args;
use provost_api::{RunStateEntry, SetRunState};
use provost_types::{RunState, Scope};

use super::Invocation;
use crate::exit::Exit;

/// Why something is stopped.
#[derive(Debug, Args)]
pub(crate) struct Reason {
    /// Why: told to the agents, kept in the ledger
    #[arg(long, default_value = "stopped by hand")]
    reason: String,
}

impl Reason {
    /// The reason as it was given.
    pub(crate) fn text(&self) -> &str {
        &self.reason
    }
}

/// Kills everything: no agent acts any more, and what is in flight is cut
#[derive(Debug, Args)]
pub(crate) struct KillAll {
    #[command(flatten)]
    reason: Reason,
}

/// Lets agents act again after `kill-all`; takes an administrator
#[derive(Debug, Args)]
pub(crate) struct ResumeAll {}

/// `provost kill-all`
pub(crate) async fn kill_all(asked: KillAll, invocation: &Invocation) -> Result<Exit> {
    set(Scope::All, RunState::Killed, asked.reason, invocation).await
}

/// `provost resume-all`
pub(crate) async fn resume_all(invocation: &Invocation) -> Result<Exit> {
    resume(Scope::All, invocation).await
}

/// Lets a scope act again.
pub(crate) async fn resume(scope: Scope, invocation: &Invocation) -> Result<Exit> {
    set(scope, RunState::Running, Reason { reason: String::new() }, invocation).await
}

/// Sets the run state of a scope.
pub(crate) async fn set(
    scope: Scope,
    state: RunState,
    reason: Reason,
    invocation: &Invocation,
) -> Result<Exit> {
    let client = invocation.client().await?;
    let set = SetRunState {
        scope: scope.to_string(),
        state: state.as_str().to_owned(),
        reason: reason.reason,
    };
    let entry: RunStateEntry = client.put("/v1/run-state", &set).await?;
    invocation.printer.answer(&entry, |entry| format!("{} is {}", entry.scope, entry.state))?;
    Ok(Exit::Done)
}
