//! Projects, agents, their credentials, and people.

use provost_types::{AgentName, CredentialId, HumanId, Timestamp};

use super::{AgentRow, CredentialRow, HumanRow, ProjectRow, Store, StoreError};

impl Store {
    /// Adds a project.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] if there is one of that name.
    pub async fn put_project(&self, _project: &ProjectRow) -> Result<(), StoreError> {
        todo!()
    }

    /// Every project, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        todo!()
    }

    /// Adds an agent to its project.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] if there is or was one of that name; [`StoreError::NoSuch`]
    /// project.
    pub async fn put_agent(&self, _agent: &AgentRow) -> Result<(), StoreError> {
        todo!()
    }

    /// Retires an agent: also revokes its credentials and ends its sessions, with `reason`.
    /// Nothing happens to what is already over.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] agent.
    pub async fn retire_agent(
        &self,
        _name: &AgentName,
        _at: Timestamp,
        _reason: &str,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Every agent, retired ones included, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        todo!()
    }

    /// Adds a credential of an agent or a person (a session's comes with the session).
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] or [`StoreError::Over`] holder; [`StoreError::Taken`].
    pub async fn put_credential(&self, _credential: &CredentialRow) -> Result<(), StoreError> {
        todo!()
    }

    /// Adds `new` and makes `old` expire at `old_expires_at`, or earlier if it already would.
    ///
    /// # Errors
    ///
    /// As [`Store::put_credential`]; [`StoreError::NoSuch`] or [`StoreError::Over`] `old`.
    pub async fn rotate_credential(
        &self,
        _old: CredentialId,
        _old_expires_at: Timestamp,
        _new: &CredentialRow,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Revokes a credential; one that is revoked keeps its time.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] credential.
    pub async fn revoke_credential(
        &self,
        _id: CredentialId,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Notes when credentials last worked; times only move forward, unknown ids are skipped.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn touch_credentials(
        &self,
        _uses: &[(CredentialId, Timestamp)],
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Every credential of agents and people, live and revoked, and those of sessions that
    /// are live or ended at or after `ended_since`; by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn credentials(
        &self,
        _ended_since: Timestamp,
    ) -> Result<Vec<CredentialRow>, StoreError> {
        todo!()
    }

    /// Adds a person and their first credential.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] if someone not removed has that name.
    pub async fn put_human(
        &self,
        _human: &HumanRow,
        _credential: &CredentialRow,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// Removes a person: also revokes their credentials. Nothing happens if they are removed.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] human.
    pub async fn remove_human(&self, _id: HumanId, _at: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    /// Every person, removed ones included, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn humans(&self) -> Result<Vec<HumanRow>, StoreError> {
        todo!()
    }
}
