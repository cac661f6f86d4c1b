//! People who may use the control API.

use provost_store::{CredentialRow, Holder, HumanRow};
use provost_types::{CredentialId, HumanId, Role};
use secrecy::SecretString;

use super::{Credential, Directory, DirectoryError, detail};
use crate::{
    By,
    credential::{self, Kind},
};

/// Longest name of a person. Unit: bytes.
const NAME_LEN_MAX: usize = 80;

/// A credential just made: its text is here and nowhere else.
#[derive(Debug)]
pub struct IssuedToken {
    /// Its id, to revoke it by.
    pub credential: CredentialId,
    /// The text, to be shown once.
    pub token: SecretString,
}

impl Directory {
    /// Adds a person and makes their token.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Taken`] name; [`DirectoryError::Invalid`] name.
    pub async fn create_human(
        &self,
        by: &By,
        name: String,
        role: Role,
    ) -> Result<(HumanRow, IssuedToken), DirectoryError> {
        let _changing = self.changing.lock().await;
        if name.is_empty() || name.len() > NAME_LEN_MAX || name.contains(char::is_control) {
            let problem = "use 1 to 80 bytes without control characters";
            return Err(DirectoryError::Invalid { field: "name", problem });
        }
        if self.live_human(&name).is_some() {
            return Err(DirectoryError::Taken { what: format!("human {name}") });
        }
        let fresh = credential::generate(Kind::Human)?;
        self.record_admin(
            by,
            "human.create",
            &format!("human/{name}"),
            detail([("role", role.as_str().to_owned()), ("credential", fresh.id.to_string())]),
        )
        .await?;
        let now = self.now();
        let row =
            HumanRow { id: HumanId::generate(), name, role, created_at: now, removed_at: None };
        let credential = CredentialRow {
            id: fresh.id,
            holder: Holder::Human(row.id),
            label: "token".to_owned(),
            sha256: fresh.sha256,
            created_at: now,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        self.store.put_human(&row, &credential).await?;
        let mut state = self.state.write();
        state.humans.insert(row.id, row.clone());
        state.credentials.insert(credential.sha256, Credential::new(credential));
        Ok((row, IssuedToken { credential: fresh.id, token: fresh.text }))
    }

    /// Removes a person; their tokens stop counting at once.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] person of that name.
    pub async fn remove_human(&self, by: &By, name: &str) -> Result<(), DirectoryError> {
        let _changing = self.changing.lock().await;
        let row = self
            .live_human(name)
            .ok_or_else(|| DirectoryError::no_such(format!("human {name}")))?;
        self.record_admin(by, "human.remove", &format!("human/{name}"), detail([])).await?;
        let now = self.now();
        if let Some(kept) = self.state.write().humans.get_mut(&row.id) {
            kept.removed_at = Some(now);
        }
        self.store.remove_human(row.id, now).await?;
        Ok(())
    }

    /// Every person, removed ones included, by name.
    pub fn humans(&self) -> Vec<HumanRow> {
        let mut rows: Vec<_> = self.state.read().humans.values().cloned().collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    fn live_human(&self, name: &str) -> Option<HumanRow> {
        let state = self.state.read();
        let found =
            state.humans.values().find(|one| one.name == name && one.removed_at.is_none());
        found.cloned()
    }
}
