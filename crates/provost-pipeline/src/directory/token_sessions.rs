//! Sessions of access tokens: one for each token, opened when it is first shown.
//!
//! The token is the session's credential, known by its issuer and id. So a session that is
//! killed or over stays so for as long as its token lasts, restarts included.

use std::sync::Arc;

use provost_store::Holder;
use provost_types::{AgentName, CredentialId, SessionId};
use secrecy::SecretString;

use super::{Credential, Directory, DirectoryError, sessions::Key};
use crate::{
    By, Presented,
    access_token::{AccessTokens, TokenError, Verified},
    refusal::{Reason, RefusalCode},
};

impl Directory {
    /// Trusts access tokens from now on. The first call counts.
    pub fn trust(&self, tokens: AccessTokens) {
        if self.tokens.set(tokens).is_err() {
            tracing::error!("access tokens are trusted already");
        }
    }

    /// Opens the session of an access token that is shown for the first time. Everything else
    /// that is presented is left to [`Directory::authenticate`].
    pub(crate) async fn welcome(&self, presented: &Presented) -> Result<(), Reason> {
        let Some((tokens, token, path)) = self.access_token(presented) else { return Ok(()) };
        let verified = tokens.verify(token, path).await.map_err(refused)?;
        if self.holds(&verified.key) {
            return self.is_over_by_itself(&verified).await;
        }
        let opened = self.open_for(&verified, tokens).await;
        match opened {
            Err(_) if self.holds(&verified.key) => Ok(()), // another request was first
            opened => opened,
        }
    }

    /// The credential that an access token is, if one is presented and counts.
    pub(super) fn token_credential(
        &self,
        presented: &Presented,
    ) -> Option<Result<Arc<Credential>, Reason>> {
        let (tokens, token, path) = self.access_token(presented)?;
        let verified = tokens.verified(token, path).map_err(refused);
        Some(verified.and_then(|verified| {
            self.counted(&verified.key)
                .map_err(|error| Reason::new(RefusalCode::Unauthenticated, error.to_string()))
        }))
    }

    fn access_token<'a>(
        &'a self,
        presented: &'a Presented,
    ) -> Option<(&'a AccessTokens, &'a SecretString, &'a str)> {
        let Presented::TokenAt { token, path } = presented else { return None };
        let tokens = self.tokens.get().filter(|_| AccessTokens::is_one(token))?;
        Some((tokens, token, path))
    }

    fn holds(&self, key: &[u8; 32]) -> bool {
        self.state.read().credentials.contains_key(key)
    }

    async fn open_for(&self, verified: &Verified, tokens: &AccessTokens) -> Result<(), Reason> {
        let Verified { agent, key, until, by, .. } = verified;
        let key = Key {
            id: CredentialId::generate(),
            sha256: *key,
            label: "access token",
            until: Some(*until),
        };
        match self.open(by, agent, tokens.terms(), key).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.not_opened(verified, error)),
        }
    }

    fn not_opened(&self, verified: &Verified, error: DirectoryError) -> Reason {
        let agent = &verified.agent;
        if let DirectoryError::Stopped { sentence } = error {
            return Reason::new(self.why_stopped(agent), sentence);
        }
        if matches!(error, DirectoryError::NoSuch { .. } | DirectoryError::Over { .. }) {
            tracing::warn!(%agent, "an access token names an agent that is not there");
            return refused(TokenError::Nobody);
        }
        let error = provost_types::Causes(&error);
        tracing::error!(%agent, %error, "no session opened for an access token");
        Reason::new(
            RefusalCode::Unavailable,
            "the session of this access token cannot be opened now; try again later",
        )
    }

    /// Which run state keeps an agent from opening sessions.
    fn why_stopped(&self, agent: &AgentName) -> RefusalCode {
        let state = self.state.read();
        let project = state.agents.get(agent).map(|row| row.project.clone());
        let killed = project
            .and_then(|project| state.tree.killed(&project, agent, SessionId::generate()));
        match killed {
            Some(_) => RefusalCode::Killed,
            None => RefusalCode::Paused,
        }
    }

    /// A session that reached a limit is no reason to stop: the client gets itself another
    /// token, and with it another session. One that somebody ended is.
    async fn is_over_by_itself(&self, verified: &Verified) -> Result<(), Reason> {
        let holder = {
            let state = self.state.read();
            let credential = state.credentials.get(&verified.key);
            credential.map(|credential| credential.row.holder.clone())
        };
        let Some(Holder::Session(id)) = holder else { return Ok(()) };
        let live = self.state.read().sessions.get(&id).cloned();
        let limit = match live {
            Some(live) => live.limit_reached(self.clock()).is_some(),
            None => {
                let ended = self.store.session(id).await.ok().flatten();
                let reason = ended.and_then(|row| row.end_reason).unwrap_or_default();
                reason.ends_with(&format!("({})", By::provost()))
            }
        };
        if !limit {
            return Ok(());
        }
        let sentence = format!("session {id} reached a limit: get another access token");
        Err(Reason::new(RefusalCode::Unauthenticated, sentence))
    }
}

fn refused(error: TokenError) -> Reason {
    let code = if error == TokenError::NoKeys {
        RefusalCode::Unavailable
    } else {
        RefusalCode::Unauthenticated
    };
    Reason::new(code, error.to_string())
}
