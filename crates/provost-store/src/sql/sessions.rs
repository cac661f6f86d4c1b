//! Sessions and run states.

use provost_types::{AgentName, ProjectName, SessionId, Timestamp};
use sqlx::AssertSqlSafe;

use super::{
    CredentialRow, Holder, RunStateRow, SessionRow, Store, StoreError, Transaction,
    columns::{self, Columns, read_all},
    credentials::TOUCHES_MAX,
    filter::Filter,
};

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
        session: &SessionRow,
        credential: &CredentialRow,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("open a session").await?;
        transaction.hold(&Holder::Agent(session.agent.clone())).await?;
        transaction.add_session(session).await?;
        transaction.add_credential(credential).await?;
        transaction.commit().await
    }

    /// Notes when sessions last acted; times only move forward, unknown ids are skipped.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn touch_sessions(
        &self,
        seen: &[(SessionId, Timestamp)],
    ) -> Result<(), StoreError> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin("note signs of life of sessions").await?;
        for seen in seen.chunks(TOUCHES_MAX) {
            let mut touch = sqlx::query(AssertSqlSafe(format!(
                "UPDATE session SET last_seen_at = seen.at FROM \
                 (SELECT column1 AS id, MAX(column2) AS at FROM (VALUES {}) AS sights \
                 GROUP BY column1) AS seen WHERE session.id = seen.id \
                 AND last_seen_at < seen.at",
                transaction.placeholder.list(seen.len(), 2)
            )))
            .persistent(false);
            for (id, at) in seen {
                touch = touch.bind(id.to_string()).bind(columns::time(*at));
            }
            transaction.run(touch).await?;
        }
        transaction.commit().await
    }

    /// Ends a session and revokes its credentials.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] session.
    pub async fn end_session(
        &self,
        id: SessionId,
        at: Timestamp,
        reason: &str,
    ) -> Result<Ending, StoreError> {
        let mut transaction = self.begin("end a session").await?;
        match transaction.hold(&Holder::Session(id)).await {
            Ok(()) => {}
            Err(StoreError::Over { .. }) => return Ok(Ending::Before),
            Err(error) => return Err(error),
        }
        let (id, at) = (id.to_string(), columns::time(at));
        let end =
            sqlx::query("UPDATE session SET ended_at = $2, end_reason = $3 WHERE id = $1");
        transaction.run(end.bind(&id).bind(at).bind(columns::text(reason))).await?;
        let revoke = sqlx::query(
            "UPDATE credential SET revoked_at = $2 WHERE session = $1 AND revoked_at IS NULL",
        );
        transaction.run(revoke.bind(&id).bind(at)).await?;
        transaction.commit().await?;
        Ok(Ending::Now)
    }

    /// One session.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn session(&self, id: SessionId) -> Result<Option<SessionRow>, StoreError> {
        let select = sqlx::query("SELECT * FROM session WHERE id = $1").bind(id.to_string());
        let rows = self.read("read a session", select).await?;
        Ok(read_all("session", &rows, session)?.pop())
    }

    /// At most `limit` sessions that fit, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let mut select = Filter::new("SELECT * FROM session WHERE TRUE");
        select.text("agent =", filter.agent.as_ref());
        select.text("project =", filter.project.as_ref());
        select.text("id <", filter.before);
        let statement = select.into_statement("ORDER BY id DESC", limit);
        let rows = self.read("list sessions", statement).await?;
        read_all("session", &rows, session)
    }

    /// Every session that has not ended, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn live_sessions(&self) -> Result<Vec<SessionRow>, StoreError> {
        let select = sqlx::query("SELECT * FROM session WHERE ended_at IS NULL ORDER BY id");
        let rows = self.read("list live sessions", select).await?;
        read_all("session", &rows, session)
    }

    /// Sets a scope's run state, whatever it was.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn set_run_state(&self, row: &RunStateRow) -> Result<(), StoreError> {
        let mut transaction = self.begin("set a run state").await?;
        let upsert = sqlx::query(
            "INSERT INTO run_state (scope, state, reason, set_by, set_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (scope) DO UPDATE SET \
             state = excluded.state, reason = excluded.reason, set_by = excluded.set_by, \
             set_at = excluded.set_at",
        )
        .bind(row.scope.to_string())
        .bind(row.state.as_str())
        .bind(columns::text(&row.reason))
        .bind(columns::text(&row.by))
        .bind(columns::time(row.at));
        transaction.run(upsert).await?;
        transaction.commit().await
    }

    /// The last run state of every scope that was ever set, by scope.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn run_states(&self) -> Result<Vec<RunStateRow>, StoreError> {
        let rows = self.read("list run states", sqlx::query("SELECT * FROM run_state")).await?;
        let mut states = read_all("run_state", &rows, run_state)?;
        states.sort_by(|a, b| a.scope.cmp(&b.scope));
        Ok(states)
    }
}

impl Transaction {
    async fn add_session(&mut self, session: &SessionRow) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO session (id, agent, project, opened_by, started_at, last_seen_at, \
             idle_max, expires_at, ended_at, end_reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        )
        .bind(session.id.to_string())
        .bind(session.agent.as_str())
        .bind(session.project.as_str())
        .bind(columns::text(&session.opened_by))
        .bind(columns::time(session.started_at))
        .bind(columns::time(session.last_seen_at))
        .bind(columns::duration(session.idle_max))
        .bind(columns::time(session.expires_at))
        .bind(session.ended_at.map(columns::time))
        .bind(session.end_reason.as_deref().map(columns::text));
        if self.run(insert).await? == 0 {
            return Err(StoreError::taken("session", &session.id));
        }
        Ok(())
    }
}

fn session(row: Columns<'_>) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: row.parsed("id")?,
        agent: row.parsed("agent")?,
        project: row.parsed("project")?,
        opened_by: row.text("opened_by")?.to_owned(),
        started_at: row.time("started_at")?,
        last_seen_at: row.time("last_seen_at")?,
        idle_max: row.duration("idle_max")?,
        expires_at: row.time("expires_at")?,
        ended_at: row.maybe_time("ended_at")?,
        end_reason: row.value::<Option<&str>>("end_reason")?.map(str::to_owned),
    })
}

fn run_state(row: Columns<'_>) -> Result<RunStateRow, StoreError> {
    Ok(RunStateRow {
        scope: row.parsed("scope")?,
        state: row.parsed("state")?,
        reason: row.text("reason")?.to_owned(),
        by: row.text("set_by")?.to_owned(),
        at: row.time("set_at")?,
    })
}
