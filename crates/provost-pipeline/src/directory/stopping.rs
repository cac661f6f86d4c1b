//! Pausing, killing, and undoing both.

use provost_ledger::{Admin, Record, Subject};
use provost_store::RunStateRow;
use provost_types::{RunState, Scope};

use super::{Directory, DirectoryError, detail};
use crate::{By, Caller, refusal::Reason, run_tree::Path};

/// Longest reason. Unit: bytes.
const REASON_LEN_MAX: usize = 500;

impl Directory {
    /// Sets the run state of `scope`.
    ///
    /// A pause or a kill takes effect in memory first, so that neither a full disk nor a
    /// dead database can keep an agent going; going on again is recorded first.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] scope; [`DirectoryError::Invalid`] reason. On
    /// [`DirectoryError::Ledger`] or [`DirectoryError::Store`] a pause or kill IS in force,
    /// but will not survive a restart: say it again.
    pub async fn set_run_state(
        &self,
        by: &By,
        scope: Scope,
        state: RunState,
        reason: String,
    ) -> Result<RunStateRow, DirectoryError> {
        self.check_reason(state, &reason)?;
        self.check_scope(&scope).await?;
        let row = RunStateRow { scope, state, reason, by: by.to_string(), at: self.now() };
        if state != RunState::Running {
            self.state.write().tree.set(row.clone());
        }
        let record = Record::Admin(Admin {
            by: by.to_string(),
            verb: format!("run-state.{}", state.as_str()),
            subject: row.scope.to_string(),
            detail: detail([("reason", row.reason.clone())]),
        });
        self.recorder.record(self.subject_of(&row.scope), record).await?;
        self.store.set_run_state(&row).await?;
        if state == RunState::Running {
            self.state.write().tree.set(row.clone());
        }
        Ok(row)
    }

    /// Lets one more action of the caller in, unless something it is part of is stopped.
    pub(crate) fn enter(&self, caller: &Caller) -> Result<Path, Reason> {
        let mut state = self.state.write();
        state.tree.enter(&caller.project, &caller.agent, caller.session)
    }

    /// Every state that is not `running`.
    pub fn run_states(&self) -> Vec<RunStateRow> {
        self.state.read().tree.states()
    }

    fn check_reason(&self, state: RunState, reason: &str) -> Result<(), DirectoryError> {
        let field = "reason";
        if reason.trim().is_empty() && state != RunState::Running {
            return Err(DirectoryError::Invalid { field, problem: "say why, in one sentence" });
        }
        if reason.len() > REASON_LEN_MAX || reason.contains(char::is_control) {
            let problem = "use at most 500 bytes without control characters";
            return Err(DirectoryError::Invalid { field, problem });
        }
        Ok(())
    }

    async fn check_scope(&self, scope: &Scope) -> Result<(), DirectoryError> {
        let known = match scope {
            Scope::All => true,
            Scope::Project(name) => self.state.read().projects.contains_key(name),
            Scope::Agent(name) => self.state.read().agents.contains_key(name),
            Scope::Session(id) => self.session(*id).await?.ended_at.is_none(),
        };
        if known { Ok(()) } else { Err(DirectoryError::no_such(format!("live {scope}"))) }
    }

    /// Whose record it belongs to, so that the state shows in an agent's own history.
    fn subject_of(&self, scope: &Scope) -> Subject {
        let state = self.state.read();
        match scope {
            Scope::All => Subject::default(),
            Scope::Project(name) => {
                Subject { project: Some(name.clone()), ..Subject::default() }
            }
            Scope::Agent(name) => Subject {
                agent: Some(name.clone()),
                project: state.agents.get(name).map(|row| row.project.clone()),
                ..Subject::default()
            },
            Scope::Session(id) => {
                let live = state.sessions.get(id);
                Subject {
                    action: None,
                    agent: live.map(|live| live.row.agent.clone()),
                    project: live.map(|live| live.row.project.clone()),
                    session: Some(*id),
                }
            }
        }
    }
}
