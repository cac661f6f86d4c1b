//! People who may use the control API.

use provost_types::{HumanId, Timestamp};

use super::{
    CredentialRow, HumanRow, Store, StoreError,
    columns::{self, Columns, read_all},
};

impl Store {
    /// Adds a person and their first credential, whose holder must be they.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] if someone not removed has that name.
    pub async fn put_human(
        &self,
        human: &HumanRow,
        credential: &CredentialRow,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("add a person").await?;
        let insert = sqlx::query(
            "INSERT INTO human (id, name, role, created_at, removed_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(human.id.to_string())
        .bind(columns::text(&human.name))
        .bind(human.role.as_str())
        .bind(columns::time(human.created_at))
        .bind(human.removed_at.map(columns::time));
        if transaction.run(insert).await? == 0 {
            return Err(StoreError::taken("human", &human.name));
        }
        transaction.add_credential(credential).await?;
        transaction.commit().await
    }

    /// Removes a person: also revokes their credentials. What is over already stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuch`] human.
    pub async fn remove_human(&self, id: HumanId, at: Timestamp) -> Result<(), StoreError> {
        let at = columns::time(at);
        let mut transaction = self.begin("remove a person").await?;
        let remove =
            sqlx::query("UPDATE human SET removed_at = COALESCE(removed_at, $2) WHERE id = $1");
        if transaction.run(remove.bind(id.to_string()).bind(at)).await? == 0 {
            return Err(StoreError::no_such("human", &id));
        }
        let revoke = sqlx::query(
            "UPDATE credential SET revoked_at = $2 WHERE human = $1 AND revoked_at IS NULL",
        );
        transaction.run(revoke.bind(id.to_string()).bind(at)).await?;
        transaction.commit().await
    }

    /// Every person, removed ones included, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn humans(&self) -> Result<Vec<HumanRow>, StoreError> {
        let rows = self.read("list people", sqlx::query("SELECT * FROM human")).await?;
        let mut humans = read_all("human", &rows, human)?;
        humans.sort_by_key(|human| human.id);
        Ok(humans)
    }
}

fn human(row: Columns<'_>) -> Result<HumanRow, StoreError> {
    Ok(HumanRow {
        id: row.parsed("id")?,
        name: row.text("name")?.to_owned(),
        role: row.parsed("role")?,
        created_at: row.time("created_at")?,
        removed_at: row.maybe_time("removed_at")?,
    })
}
