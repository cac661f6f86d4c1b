//! Projects, agents and the keys that open their sessions.

use std::{sync::Arc, time::Duration};

use provost_store::{AgentRow, BodyMode, CredentialRow, Holder, ProjectKeys, ProjectRow};
use provost_types::{AgentName, CredentialId, ProjectName, Timestamp};

use super::{Credential, Directory, DirectoryError, IssuedToken, Project, detail};
use crate::{
    By,
    credential::{self, Kind},
};

/// Longest label of a key. Unit: bytes.
const LABEL_LEN_MAX: usize = 80;

impl Directory {
    /// Creates a project with its keys and its starter policy file.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Taken`] if there is one of that name; nothing is changed then.
    pub async fn create_project(
        &self,
        by: &By,
        name: ProjectName,
        bodies: BodyMode,
    ) -> Result<ProjectRow, DirectoryError> {
        let _changing = self.changing.lock().await;
        if self.state.read().projects.contains_key(&name) {
            return Err(DirectoryError::Taken { what: format!("project {name}") });
        }
        let keys = ProjectKeys::generate();
        let row = ProjectRow {
            sealed_keys: keys.seal(&self.master),
            name: name.clone(),
            bodies,
            created_at: self.now(),
        };
        let bodies = bodies.as_str().to_owned();
        self.record_admin(
            by,
            "project.create",
            &format!("project/{name}"),
            detail([("bodies", bodies)]),
        )
        .await?;
        self.store.put_project(&row).await?;
        let project = Project { row: row.clone(), keys: Arc::new(keys) };
        self.state.write().projects.insert(name.clone(), project);
        self.policies.add_project(&name)?;
        Ok(row)
    }

    /// The keys of a project.
    pub(crate) fn project_keys(&self, name: &ProjectName) -> Option<Arc<ProjectKeys>> {
        self.state.read().projects.get(name).map(|project| Arc::clone(&project.keys))
    }

    /// What is kept of the project's bodies.
    pub(crate) fn body_mode(&self, name: &ProjectName) -> Option<BodyMode> {
        self.state.read().projects.get(name).map(|project| project.row.bodies)
    }

    /// Every project, by name.
    pub fn projects(&self) -> Vec<ProjectRow> {
        let state = self.state.read();
        let mut rows: Vec<_> = state.projects.values().map(|one| one.row.clone()).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// Creates an agent in a project that exists.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] project, or [`DirectoryError::Taken`] name, even if the
    /// agent that had it is retired.
    pub async fn create_agent(
        &self,
        by: &By,
        name: AgentName,
        project: ProjectName,
    ) -> Result<AgentRow, DirectoryError> {
        let _changing = self.changing.lock().await;
        {
            let state = self.state.read();
            if !state.projects.contains_key(&project) {
                return Err(DirectoryError::no_such(format!("project {project}")));
            }
            if state.agents.contains_key(&name) {
                return Err(DirectoryError::Taken { what: format!("agent {name}") });
            }
        }
        self.record_admin(
            by,
            "agent.create",
            &format!("agent/{name}"),
            detail([("project", project.to_string())]),
        )
        .await?;
        let row =
            AgentRow { name: name.clone(), project, created_at: self.now(), retired_at: None };
        self.store.put_agent(&row).await?;
        self.state.write().agents.insert(name, row.clone());
        Ok(row)
    }

    /// Retires an agent for good: its keys are revoked and its sessions ended.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] agent, or [`DirectoryError::Over`] if it is retired.
    pub async fn retire_agent(&self, by: &By, name: &AgentName) -> Result<(), DirectoryError> {
        let keys = self.keys(name)?;
        let _changing = self.changing.lock().await;
        self.live_agent(name)?;
        self.record_admin(by, "agent.retire", &format!("agent/{name}"), detail([])).await?;
        let now = self.now();
        if let Some(row) = self.state.write().agents.get_mut(name) {
            row.retired_at = Some(now);
        }
        for key in keys {
            self.strike(key.id);
        }
        self.end_sessions(by, "the agent was retired", |session| session.row.agent == *name)
            .await?;
        self.store.retire_agent(name, now, "the agent was retired").await?;
        Ok(())
    }

    /// Every agent, retired ones included, by name.
    pub fn agents(&self) -> Vec<AgentRow> {
        let mut rows: Vec<_> = self.state.read().agents.values().cloned().collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// Makes a key for an agent. The text is in the answer and nowhere else.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] or retired agent; [`DirectoryError::Invalid`] label or
    /// expiry.
    pub async fn create_key(
        &self,
        by: &By,
        agent: &AgentName,
        label: String,
        expires_at: Option<Timestamp>,
    ) -> Result<IssuedToken, DirectoryError> {
        let _changing = self.changing.lock().await;
        self.live_agent(agent)?;
        let (issued, row) = self.fresh_key(by, agent, label, expires_at).await?;
        self.store.put_credential(&row).await?;
        self.state.write().credentials.insert(row.sha256, Credential::new(row));
        Ok(issued)
    }

    /// Makes a key in place of another, which goes on working for `grace`.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] key of an agent, or [`DirectoryError::Over`] if it is
    /// revoked or expired.
    pub async fn rotate_key(
        &self,
        by: &By,
        old: CredentialId,
        grace: Duration,
    ) -> Result<IssuedToken, DirectoryError> {
        let _changing = self.changing.lock().await;
        let now = self.now();
        let row = self.credential(old)?;
        let Holder::Agent(agent) = &row.holder else {
            return Err(DirectoryError::no_such(format!("agent key {old}")));
        };
        if row.revoked_at.is_some() || row.expires_at.is_some_and(|at| at <= now) {
            return Err(DirectoryError::Over { what: format!("key {old}") });
        }
        self.live_agent(agent)?;
        let until = row.expires_at.map_or(now.plus(grace), |at| at.min(now.plus(grace)));
        let (issued, new) =
            self.fresh_key(by, agent, row.label.clone(), row.expires_at).await?;
        self.store.rotate_credential(old, until, &new).await?;
        let mut state = self.state.write();
        let row = CredentialRow { expires_at: Some(until), ..row };
        state.credentials.insert(row.sha256, Credential::new(row));
        state.credentials.insert(new.sha256, Credential::new(new));
        Ok(issued)
    }

    /// Revokes a credential of any kind, at once. Sessions that an agent key opened end
    /// with it, streams in flight included.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] credential.
    pub async fn revoke(&self, by: &By, id: CredentialId) -> Result<(), DirectoryError> {
        let _changing = self.changing.lock().await;
        let row = self.credential(id)?;
        self.record_admin(by, "key.revoke", &format!("key/{id}"), detail([])).await?;
        self.strike(id);
        self.store.revoke_credential(id, self.now()).await?;
        let opened_by_it = format!(" {id}");
        self.end_sessions(by, "its credential was revoked", |session| {
            session.row.opened_by.ends_with(&opened_by_it)
                || row.holder == Holder::Session(session.row.id)
        })
        .await
    }

    /// The keys of an agent, newest first, revoked ones included.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] agent.
    pub fn keys(&self, agent: &AgentName) -> Result<Vec<CredentialRow>, DirectoryError> {
        let state = self.state.read();
        if !state.agents.contains_key(agent) {
            return Err(DirectoryError::no_such(format!("agent {agent}")));
        }
        let holder = Holder::Agent(agent.clone());
        let mut rows: Vec<_> = state
            .credentials
            .values()
            .filter(|one| one.row.holder == holder)
            .map(|one| one.row())
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        Ok(rows)
    }

    /// Makes a key and records that; it counts once the caller has stored it.
    async fn fresh_key(
        &self,
        by: &By,
        agent: &AgentName,
        label: String,
        expires_at: Option<Timestamp>,
    ) -> Result<(IssuedToken, CredentialRow), DirectoryError> {
        let now = self.now();
        if label.is_empty() || label.len() > LABEL_LEN_MAX || label.contains(char::is_control) {
            let problem = "use 1 to 80 bytes without control characters";
            return Err(DirectoryError::Invalid { field: "label", problem });
        }
        if expires_at.is_some_and(|at| at <= now) {
            let problem = "lies in the past";
            return Err(DirectoryError::Invalid { field: "expires_at", problem });
        }
        let fresh = credential::generate(Kind::AgentKey)?;
        self.record_admin(
            by,
            "key.create",
            &format!("agent/{agent}"),
            detail([
                ("key", fresh.id.to_string()),
                ("label", label.clone()),
                ("expires", expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string())),
            ]),
        )
        .await?;
        let row = CredentialRow {
            id: fresh.id,
            holder: Holder::Agent(agent.clone()),
            label,
            sha256: fresh.sha256,
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        Ok((IssuedToken { credential: fresh.id, token: fresh.text }, row))
    }

    fn credential(&self, id: CredentialId) -> Result<CredentialRow, DirectoryError> {
        let state = self.state.read();
        let found = state.credentials.values().find(|one| one.row.id == id);
        found
            .map(|one| one.row())
            .ok_or_else(|| DirectoryError::no_such(format!("credential {id}")))
    }

    /// The agent, unless it is retired.
    pub(super) fn live_agent(&self, name: &AgentName) -> Result<AgentRow, DirectoryError> {
        let state = self.state.read();
        let row = state
            .agents
            .get(name)
            .ok_or_else(|| DirectoryError::no_such(format!("agent {name}")))?;
        if row.retired_at.is_some() {
            return Err(DirectoryError::Over { what: format!("agent {name}") });
        }
        Ok(row.clone())
    }
}
