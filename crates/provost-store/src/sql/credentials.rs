//! Credentials of agents, sessions and people.

use provost_types::{CredentialId, Timestamp};
use sqlx::AssertSqlSafe;

use super::{
    CredentialRow, Holder, Store, StoreError, Transaction,
    columns::{self, Columns, read_all},
};

/// Most rows one statement touches: bounds its number of arguments.
pub(super) const TOUCHES_MAX: usize = 500;

impl Store {
    /// Adds a credential of an agent, a person or a live session.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] or [`StoreError::Over`] holder; [`StoreError::Taken`].
    pub async fn put_credential(&self, credential: &CredentialRow) -> Result<(), StoreError> {
        let mut transaction = self.begin("add a credential").await?;
        transaction.add_credential(credential).await?;
        transaction.commit().await
    }

    /// Adds `new` and makes `old` expire at `old_expires_at`, unless it already would before.
    ///
    /// # Errors
    ///
    /// As [`Store::put_credential`]; [`StoreError::NoSuch`] or [`StoreError::Over`] `old`.
    pub async fn rotate_credential(
        &self,
        old: CredentialId,
        old_expires_at: Timestamp,
        new: &CredentialRow,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("rotate a credential").await?;
        let found = sqlx::query("SELECT 1 FROM credential WHERE id = $1");
        if transaction.rows(found.bind(old.to_string())).await?.is_empty() {
            return Err(StoreError::no_such("credential", &old));
        }
        let at = columns::time(old_expires_at);
        let shorten = sqlx::query(
            "UPDATE credential SET expires_at = CASE WHEN expires_at < $2 THEN expires_at \
             ELSE $2 END WHERE id = $1 AND revoked_at IS NULL",
        );
        if transaction.run(shorten.bind(old.to_string()).bind(at)).await? == 0 {
            return Err(StoreError::over("credential", &old));
        }
        transaction.add_credential(new).await?;
        transaction.commit().await
    }

    /// Revokes a credential; one that is revoked keeps its time.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] credential.
    pub async fn revoke_credential(
        &self,
        id: CredentialId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("revoke a credential").await?;
        let revoke = sqlx::query(
            "UPDATE credential SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1",
        );
        if transaction.run(revoke.bind(id.to_string()).bind(columns::time(at))).await? == 0 {
            return Err(StoreError::no_such("credential", &id));
        }
        transaction.commit().await
    }

    /// Notes when credentials last worked; times only move forward, unknown ids are skipped.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn touch_credentials(
        &self,
        uses: &[(CredentialId, Timestamp)],
    ) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin("note uses of credentials").await?;
        for uses in uses.chunks(TOUCHES_MAX) {
            let mut touch = sqlx::query(AssertSqlSafe(format!(
                "UPDATE credential SET last_used_at = used.at FROM \
                 (SELECT column1 AS id, MAX(column2) AS at FROM (VALUES {}) AS uses \
                 GROUP BY column1) AS used WHERE credential.id = used.id \
                 AND (last_used_at IS NULL OR last_used_at < used.at)",
                transaction.placeholder.list(uses.len(), 2)
            )))
            .persistent(false);
            for (id, at) in uses {
                touch = touch.bind(id.to_string()).bind(columns::time(*at));
            }
            transaction.run(touch).await?;
        }
        transaction.commit().await
    }

    /// Every credential of agents and people, live and revoked, and those of sessions that
    /// are live or ended at or after `ended_since`; by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn credentials(
        &self,
        ended_since: Timestamp,
    ) -> Result<Vec<CredentialRow>, StoreError> {
        let select = sqlx::query(
            "SELECT credential.* FROM credential \
             LEFT JOIN session ON session.id = credential.session \
             WHERE credential.session IS NULL OR session.ended_at IS NULL \
             OR session.ended_at >= $1",
        );
        let rows = self.read("list credentials", select.bind(columns::time(ended_since)));
        let mut credentials = read_all("credential", &rows.await?, credential)?;
        credentials.sort_by_key(|credential| credential.id);
        Ok(credentials)
    }
}

impl Transaction {
    /// Adds a credential to a holder that is there and not over.
    pub(super) async fn add_credential(
        &mut self,
        credential: &CredentialRow,
    ) -> Result<(), StoreError> {
        self.hold(&credential.holder).await?;
        let (agent, session, human) = match &credential.holder {
            Holder::Agent(name) => (Some(name.to_string()), None, None),
            Holder::Session(id) => (None, Some(id.to_string()), None),
            Holder::Human(id) => (None, None, Some(id.to_string())),
        };
        let insert = sqlx::query(
            "INSERT INTO credential (id, agent, session, human, label, sha256, created_at, \
             expires_at, last_used_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        )
        .bind(credential.id.to_string())
        .bind(agent)
        .bind(session)
        .bind(human)
        .bind(columns::text(&credential.label))
        .bind(hex::encode(credential.sha256))
        .bind(columns::time(credential.created_at))
        .bind(credential.expires_at.map(columns::time))
        .bind(credential.last_used_at.map(columns::time))
        .bind(credential.revoked_at.map(columns::time));
        if self.run(insert).await? == 0 {
            return Err(StoreError::taken("credential", &credential.id));
        }
        Ok(())
    }

    /// Makes sure that a holder is there and not over, and that it stays so until the end of
    /// the transaction: writing to a row locks it in both databases.
    pub(super) async fn hold(&mut self, holder: &Holder) -> Result<(), StoreError> {
        let (kind, name, hold) = match holder {
            Holder::Agent(name) => (
                "agent",
                name.to_string(),
                "UPDATE agent SET retired_at = retired_at WHERE name = $1 \
                 RETURNING retired_at AS over_at",
            ),
            Holder::Session(id) => (
                "session",
                id.to_string(),
                "UPDATE session SET ended_at = ended_at WHERE id = $1 \
                 RETURNING ended_at AS over_at",
            ),
            Holder::Human(id) => (
                "human",
                id.to_string(),
                "UPDATE human SET removed_at = removed_at WHERE id = $1 \
                 RETURNING removed_at AS over_at",
            ),
        };
        let rows = self.rows(sqlx::query(hold).bind(&name)).await?;
        let row = rows.first().ok_or_else(|| StoreError::no_such(kind, &name))?;
        match (Columns { table: kind, row }).maybe_time("over_at")? {
            Some(_) => Err(StoreError::over(kind, &name)),
            None => Ok(()),
        }
    }
}

fn credential(row: Columns<'_>) -> Result<CredentialRow, StoreError> {
    Ok(CredentialRow {
        id: row.parsed("id")?,
        holder: holder(row)?,
        label: row.text("label")?.to_owned(),
        sha256: row.digest("sha256")?,
        created_at: row.time("created_at")?,
        expires_at: row.maybe_time("expires_at")?,
        last_used_at: row.maybe_time("last_used_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
    })
}

fn holder(row: Columns<'_>) -> Result<Holder, StoreError> {
    let agent = row.maybe_parsed("agent")?.map(Holder::Agent);
    let session = row.maybe_parsed("session")?.map(Holder::Session);
    let human = row.maybe_parsed("human")?.map(Holder::Human);
    match (agent, session, human) {
        (Some(holder), None, None)
        | (None, Some(holder), None)
        | (None, None, Some(holder)) => Ok(holder),
        _ => Err(row.unreadable("agent")),
    }
}
