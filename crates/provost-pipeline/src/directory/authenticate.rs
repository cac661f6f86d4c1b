//! From a presented credential to a proven caller. No I/O: everything is in memory.

use std::sync::Arc;

use provost_store::{Holder, HumanRow};
use provost_types::{AgentName, CredentialId, Timestamp};
use secrecy::SecretString;

use super::{Credential, Directory};
use crate::{
    Caller, Presented,
    credential::{self, CredentialError, Kind},
    refusal::{Reason, RefusalCode},
};

/// A credential that proves nothing. Never repeats the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// There was none.
    #[error("no credential: start the agent with `provost run`")]
    Missing,
    /// There were several, and they differ.
    #[error("`Authorization` and `x-api-key` disagree: send one credential")]
    Conflicting,
    /// It is not one of ours.
    #[error(transparent)]
    NotOurs(#[from] CredentialError),
    /// It is of our form, but nobody holds it.
    #[error("this credential is unknown here")]
    Unknown,
    /// It was taken back.
    #[error("this credential was revoked")]
    Revoked,
    /// Its time is over.
    #[error("this credential has expired")]
    Expired,
    /// It opens other doors.
    #[error("an agent key only opens sessions: use the session credential `provost run` gives")]
    AgentKey,
    /// It opens other doors.
    #[error("a person's token is for the control API, not for agents")]
    HumanToken,
    /// It opens other doors.
    #[error("a session credential is for the gateways, not for this route")]
    SessionCredential,
}

impl Directory {
    /// Proves who is asking on a plane, and that their session goes on.
    pub(crate) fn authenticate(&self, presented: &Presented) -> Result<Caller, Reason> {
        let credential = match self.token_credential(presented) {
            Some(credential) => credential?,
            None => self.session_credential(presented).map_err(|error| {
                Reason::new(RefusalCode::Unauthenticated, error.to_string())
            })?,
        };
        let over = |sentence: String| Reason::new(RefusalCode::SessionOver, sentence);
        let Holder::Session(id) = credential.row.holder else {
            let error = Unauthenticated::Unknown;
            return Err(Reason::new(RefusalCode::Unauthenticated, error.to_string()));
        };
        let live = self.state.read().sessions.get(&id).cloned();
        let live = live.ok_or_else(|| {
            over(format!("session {id} is over: start a new one with `provost run`"))
        })?;
        if let Some(limit) = live.limit_reached(self.clock()) {
            return Err(over(format!(
                "session {id} is over ({limit}): start a new one with `provost run`"
            )));
        }
        credential.touch(self.now());
        Ok(Caller {
            agent: live.row.agent.clone(),
            project: live.row.project.clone(),
            session: id,
            credential: credential.row.id,
            live,
        })
    }

    fn session_credential(
        &self,
        presented: &Presented,
    ) -> Result<Arc<Credential>, Unauthenticated> {
        let token = match presented {
            Presented::Token(token) | Presented::TokenAt { token, .. } => token,
            Presented::Nothing => return Err(Unauthenticated::Missing),
            Presented::Conflicting => return Err(Unauthenticated::Conflicting),
        };
        let claimed = credential::claim(token)?;
        match claimed.kind {
            Kind::Session => self.counted(&claimed.sha256),
            Kind::AgentKey => Err(Unauthenticated::AgentKey),
            Kind::Human => Err(Unauthenticated::HumanToken),
        }
    }

    /// Proves which person holds `token`.
    ///
    /// # Errors
    ///
    /// [`Unauthenticated`] if nobody does, or they were removed.
    pub fn human_by_token(&self, token: &SecretString) -> Result<HumanRow, Unauthenticated> {
        let claimed = credential::claim(token)?;
        match claimed.kind {
            Kind::Human => {}
            Kind::AgentKey => return Err(Unauthenticated::AgentKey),
            Kind::Session => return Err(Unauthenticated::SessionCredential),
        }
        let credential = self.counted(&claimed.sha256)?;
        let Holder::Human(id) = credential.row.holder else {
            return Err(Unauthenticated::Unknown);
        };
        let row = self.state.read().humans.get(&id).cloned().ok_or(Unauthenticated::Unknown)?;
        if row.removed_at.is_some() {
            return Err(Unauthenticated::Revoked);
        }
        credential.touch(self.now());
        Ok(row)
    }

    /// Proves which agent holds `key`.
    ///
    /// # Errors
    ///
    /// [`Unauthenticated`] if none does.
    pub fn agent_by_key(
        &self,
        key: &SecretString,
    ) -> Result<(AgentName, CredentialId), Unauthenticated> {
        let claimed = credential::claim(key)?;
        match claimed.kind {
            Kind::AgentKey => {}
            Kind::Human => return Err(Unauthenticated::HumanToken),
            Kind::Session => return Err(Unauthenticated::SessionCredential),
        }
        let credential = self.counted(&claimed.sha256)?;
        let Holder::Agent(agent) = &credential.row.holder else {
            return Err(Unauthenticated::Unknown);
        };
        credential.touch(self.now());
        Ok((agent.clone(), credential.row.id))
    }

    /// Which session's credential this is, whether or not the session goes on: its bearer may
    /// ask why it is over.
    ///
    /// # Errors
    ///
    /// [`Unauthenticated`] if it is no session's.
    pub fn session_by_credential(
        &self,
        credential: &SecretString,
    ) -> Result<provost_types::SessionId, Unauthenticated> {
        let claimed = credential::claim(credential)?;
        if claimed.kind != Kind::Session {
            return Err(Unauthenticated::Unknown);
        }
        let state = self.state.read();
        match state.credentials.get(&claimed.sha256).map(|one| &one.row.holder) {
            Some(Holder::Session(session)) => Ok(*session),
            Some(Holder::Agent(_) | Holder::Human(_)) | None => Err(Unauthenticated::Unknown),
        }
    }

    /// The credential, if somebody holds it and it still counts.
    pub(super) fn counted(
        &self,
        sha256: &[u8; 32],
    ) -> Result<Arc<Credential>, Unauthenticated> {
        let now: Timestamp = self.now();
        let state = self.state.read();
        let credential = state.credentials.get(sha256).ok_or(Unauthenticated::Unknown)?;
        if credential.row.revoked_at.is_some() {
            return Err(Unauthenticated::Revoked);
        }
        // A session's own limits say more than its credential's expiry, so they speak first.
        let session = matches!(credential.row.holder, Holder::Session(_));
        if !session && credential.row.expires_at.is_some_and(|at| at <= now) {
            return Err(Unauthenticated::Expired);
        }
        Ok(Arc::clone(credential))
    }
}
