//! What a login gave, as it is sealed.

use oauth2::{AccessToken, RefreshToken, url::Url};
use provost_types::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::client::{Client, Tokens};

/// How long before its end an access token is not used any more: so long may it be under way.
const MARGIN_S: u64 = 30;

/// An access token, what renews it, and whom both are of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    /// The server it is for: one that moved needs another login.
    pub(super) server: Url,
    /// What it was asked for, and is renewed for.
    pub(super) resource: String,
    /// Who issued it.
    pub(super) issuer: String,
    /// Where it is renewed, and nowhere else.
    pub(super) token_endpoint: Url,
    pub(super) client: Client,
    pub(super) access: AccessToken,
    pub(super) refresh: Option<RefreshToken>,
    /// When the access token ends. Unit: microseconds since the epoch.
    pub(super) expires_at: Option<u64>,
    pub(super) scopes: Vec<String>,
}

impl Grant {
    /// Reads a sealed one.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(super) fn read(text: &SecretString) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text.expose_secret())
    }

    /// The text that is sealed.
    ///
    /// # Errors
    ///
    /// Never, for every field has a form.
    pub(super) fn text(&self) -> Result<SecretString, serde_json::Error> {
        serde_json::to_string(self).map(SecretString::from)
    }

    /// The same after a renewal.
    pub(super) fn renewed(&self, tokens: Tokens, now: Timestamp) -> Self {
        let mut renewed = self.clone();
        renewed.take(tokens, now);
        renewed
    }

    /// Takes what was given; a refresh token that was not replaced stays.
    pub(super) fn take(&mut self, tokens: Tokens, now: Timestamp) {
        self.access = tokens.access;
        self.refresh = tokens.refresh.or_else(|| self.refresh.take());
        self.expires_at = tokens.lives_s.map(|lives_s| after(now, lives_s));
        self.scopes = tokens.scopes.unwrap_or_else(|| std::mem::take(&mut self.scopes));
    }

    /// Whether the access token may be sent with a request that begins now.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| after(now, MARGIN_S) < at)
    }

    /// Whether it has not ended yet.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now.0 < at)
    }

    /// The access token.
    pub(super) fn token(&self) -> SecretString {
        SecretString::from(self.access.secret().as_str())
    }
}

fn after(now: Timestamp, seconds: u64) -> u64 {
    now.0.saturating_add(seconds.saturating_mul(1_000_000))
}
