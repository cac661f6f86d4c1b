//! Who asks for a change: the name the ledger keeps beside it.

use std::fmt;

use provost_types::{AgentName, CredentialId, SessionId};

/// Longest subject, and longest issuer, that is told. Unit: characters. Ours.
const TOLD_CHARS_MAX: usize = 128;

/// Who asks for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By(String);

impl By {
    /// A person with a token.
    pub fn human(name: &str) -> Self {
        Self(format!("human/{name}"))
    }

    /// Whoever may open the data directory on this machine, by the system's user id.
    pub fn local(uid: u32) -> Self {
        Self(format!("local/{uid}"))
    }

    /// An agent, with the key it showed.
    pub fn agent(name: &AgentName, key: CredentialId) -> Self {
        Self(format!("agent/{name} {key}"))
    }

    /// A session that speaks for itself, with its own credential.
    pub fn session(id: SessionId) -> Self {
        Self(format!("session/{id}"))
    }

    /// Whoever an access token was issued to.
    pub fn token(issuer: &str, subject: &str) -> Self {
        let shown = |text: &str| -> String {
            let is_shown = |one: &char| one.is_ascii_graphic();
            text.chars().filter(is_shown).take(TOLD_CHARS_MAX).collect()
        };
        Self(format!("token/{} of {}", shown(subject), shown(issuer)))
    }

    /// Provost itself: a limit that was reached.
    pub fn provost() -> Self {
        Self("provost".to_owned())
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
