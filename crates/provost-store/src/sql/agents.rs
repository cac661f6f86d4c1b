//! Projects and agents.

use provost_types::{AgentName, Timestamp};

use super::{
    AgentRow, ProjectRow, Store, StoreError,
    columns::{self, Columns, read_all},
};

impl Store {
    /// Adds a project.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] if there is one of that name.
    pub async fn put_project(&self, project: &ProjectRow) -> Result<(), StoreError> {
        let mut transaction = self.begin("add a project").await?;
        let insert = sqlx::query(
            "INSERT INTO project (name, bodies, sealed_keys, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(project.name.as_str())
        .bind(project.bodies.as_str())
        .bind(project.sealed_keys.as_slice())
        .bind(columns::time(project.created_at));
        if transaction.run(insert).await? == 0 {
            return Err(StoreError::taken("project", &project.name));
        }
        transaction.commit().await
    }

    /// Every project, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        let rows = self.read("list projects", sqlx::query("SELECT * FROM project")).await?;
        let mut projects = read_all("project", &rows, project)?;
        projects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(projects)
    }

    /// Adds an agent to its project.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] if there is or was one of that name; [`StoreError::NoSuch`]
    /// project.
    pub async fn put_agent(&self, agent: &AgentRow) -> Result<(), StoreError> {
        let mut transaction = self.begin("add an agent").await?;
        let found = sqlx::query("SELECT 1 FROM project WHERE name = $1");
        if transaction.rows(found.bind(agent.project.as_str())).await?.is_empty() {
            return Err(StoreError::no_such("project", &agent.project));
        }
        let insert = sqlx::query(
            "INSERT INTO agent (name, project, created_at, retired_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(agent.name.as_str())
        .bind(agent.project.as_str())
        .bind(columns::time(agent.created_at))
        .bind(agent.retired_at.map(columns::time));
        if transaction.run(insert).await? == 0 {
            return Err(StoreError::taken("agent", &agent.name));
        }
        transaction.commit().await
    }

    /// Retires an agent: also revokes its credentials and its sessions', and ends its
    /// sessions with `reason`. What is over already stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] agent.
    pub async fn retire_agent(
        &self,
        name: &AgentName,
        at: Timestamp,
        reason: &str,
    ) -> Result<(), StoreError> {
        let at = columns::time(at);
        let mut transaction = self.begin("retire an agent").await?;
        let retire = sqlx::query(
            "UPDATE agent SET retired_at = COALESCE(retired_at, $2) WHERE name = $1",
        );
        if transaction.run(retire.bind(name.as_str()).bind(at)).await? == 0 {
            return Err(StoreError::no_such("agent", name));
        }
        let revoke = sqlx::query(
            "UPDATE credential SET revoked_at = $2 WHERE revoked_at IS NULL AND (agent = $1 \
             OR session IN (SELECT id FROM session WHERE agent = $1 AND ended_at IS NULL))",
        );
        transaction.run(revoke.bind(name.as_str()).bind(at)).await?;
        let end = sqlx::query(
            "UPDATE session SET ended_at = $2, end_reason = $3 \
             WHERE agent = $1 AND ended_at IS NULL",
        );
        transaction.run(end.bind(name.as_str()).bind(at).bind(columns::text(reason))).await?;
        transaction.commit().await
    }

    /// Every agent, retired ones included, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        let rows = self.read("list agents", sqlx::query("SELECT * FROM agent")).await?;
        let mut agents = read_all("agent", &rows, agent)?;
        agents.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(agents)
    }
}

fn project(row: Columns<'_>) -> Result<ProjectRow, StoreError> {
    Ok(ProjectRow {
        name: row.parsed("name")?,
        bodies: row.parsed("bodies")?,
        sealed_keys: row.bytes("sealed_keys")?,
        created_at: row.time("created_at")?,
    })
}

fn agent(row: Columns<'_>) -> Result<AgentRow, StoreError> {
    Ok(AgentRow {
        name: row.parsed("name")?,
        project: row.parsed("project")?,
        created_at: row.time("created_at")?,
        retired_at: row.maybe_time("retired_at")?,
    })
}
