//! Sessions and run states.

use provost_types::{AgentName, ProjectName, SessionId, Timestamp};

use super::{CredentialRow, RunStateRow, SessionRow, Store, StoreError};

/// Which sessions to list. Every field that is there must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only this agent's.
    pub agent: Option<AgentName>,
    /// Only this project's.
    pub project: Option<ProjectName>,
    /// Only those opened before this one.
    pub before: Option<SessionId>,
}

/// What ending a session did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended with this call.
    Now,
    /// It had ended before; its time and reason stay.
    Before,
}

impl Store {
    /// Opens a session with its credential, whose holder must be it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] or [`StoreError::Over`] agent; [`StoreError::Taken`].
    pub async fn open_session(
        &self,
        _session: &SessionRow,
        _credential: &CredentialRow,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Notes when sessions last acted; times only move forward, unknown ids are skipped.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn touch_sessions(
        &self,
        _seen: &[(SessionId, Timestamp)],
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Ends a session and revokes its credentials.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] session.
    pub async fn end_session(
        &self,
        _id: SessionId,
        _at: Timestamp,
        _reason: &str,
    ) -> Result<Ending, StoreError> {
        todo!()
    }

    /// One session.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn session(&self, _id: SessionId) -> Result<Option<SessionRow>, StoreError> {
        todo!()
    }

    /// At most `limit` sessions that fit, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn sessions(
        &self,
        _filter: &SessionFilter,
        _limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        todo!()
    }

    /// Every session that has not ended, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn live_sessions(&self) -> Result<Vec<SessionRow>, StoreError> {
        todo!()
    }

    /// Sets a scope's run state, whatever it was.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn set_run_state(&self, _row: &RunStateRow) -> Result<(), StoreError> {
        todo!()
    }

    /// Every run state ever set, the last per scope, by scope.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn run_states(&self) -> Result<Vec<RunStateRow>, StoreError> {
        todo!()
    }
}
