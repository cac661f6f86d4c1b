//! Who calls: a person, an agent's key, or a session. Proven once, before any handler.

use axum::http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use provost_pipeline::{
    Answerer, By, Directory,
    credential::{self, Kind},
};
use provost_types::{AgentName, CredentialId, Role, SessionId};
use secrecy::SecretString;

use crate::error::ApiError;

/// Marks a request that came from a process of this machine that may open the data directory.
///
/// Put on requests by the Unix socket's listener and by an in-process caller, and by nobody
/// else: no byte of a request can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPeer {
    /// The system's id of the user the process runs as.
    pub uid: u32,
}

/// A caller, proven.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// A person, by token; or whoever may open the data directory, as an admin.
    Person { person: Answerer, role: Role },
    /// An agent, by one of its keys.
    AgentKey { agent: AgentName, key: CredentialId },
    /// A session, by its credential; it may be over.
    Session(SessionId),
}

/// What a route lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Accepts {
    /// People of this role.
    Role(Role),
    /// Any agent's key.
    AgentKey,
    /// The credential of the session that the path's `{id}` names.
    OwnSession,
}

impl Accepts {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Role(role) => role.as_str(),
            Self::AgentKey => "agent key",
            Self::OwnSession => "own session",
        }
    }
}

impl Who {
    /// Proves who sent a request. A credential, where there is one, speaks before the socket:
    /// a local process that shows a person's token acts as that person.
    pub(crate) fn prove(directory: &Directory, request: &Parts) -> Result<Self, ApiError> {
        if let Some(token) = bearer(&request.headers)? {
            return Self::by_credential(directory, &token);
        }
        let LocalPeer { uid } = request.extensions.get().ok_or(ApiError::NoCredential)?;
        Ok(Self::Person { person: Answerer::Local(*uid), role: Role::Admin })
    }

    fn by_credential(directory: &Directory, token: &SecretString) -> Result<Self, ApiError> {
        let claimed = credential::claim(token).map_err(|_| ApiError::NotACredential)?;
        Ok(match claimed.kind {
            Kind::Human => {
                let human = directory.human_by_token(token)?;
                let role = human.role;
                Self::Person { person: Answerer::Human { name: human.name, role }, role }
            }
            Kind::AgentKey => {
                let (agent, key) = directory.agent_by_key(token)?;
                Self::AgentKey { agent, key }
            }
            Kind::Session => Self::Session(directory.session_by_credential(token)?),
        })
    }

    /// Whether a route that lets in `accepts` lets in this caller; `id` is the path's.
    pub(crate) fn is_among(&self, accepts: &[Accepts], id: Option<&str>) -> bool {
        accepts.iter().any(|one| match (one, self) {
            (Accepts::Role(wanted), Self::Person { role, .. }) => wanted == role,
            (Accepts::AgentKey, Self::AgentKey { .. }) => true,
            (Accepts::OwnSession, Self::Session(own)) => {
                id.and_then(|id| id.parse().ok()) == Some(*own)
            }
            _ => false,
        })
    }

    /// Whether this is a person of `role`.
    pub(crate) fn is(&self, role: Role) -> bool {
        self.is_among(&[Accepts::Role(role)], None)
    }

    /// The person, for what only people may say.
    pub(crate) fn person(&self) -> Result<&Answerer, ApiError> {
        match self {
            Self::Person { person, .. } => Ok(person),
            Self::AgentKey { .. } | Self::Session(_) => Err(ApiError::NotAPerson),
        }
    }

    /// The name the ledger keeps beside what the caller changes.
    pub(crate) fn by(&self) -> By {
        match self {
            Self::Person { person, .. } => person.by(),
            Self::AgentKey { agent, key } => By::agent(agent, *key),
            Self::Session(id) => By::session(*id),
        }
    }
}

/// The one bearer credential of a request, if it has an `Authorization` header at all.
fn bearer(headers: &HeaderMap) -> Result<Option<SecretString>, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::NotACredential);
    }
    let text = value.to_str().map_err(|_| ApiError::NotACredential)?;
    let (scheme, token) = text.split_once(' ').ok_or(ApiError::NotACredential)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::NotACredential);
    }
    Ok(Some(SecretString::from(token.trim())))
}
