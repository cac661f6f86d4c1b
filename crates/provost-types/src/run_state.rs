//! Running, paused or killed: of everything, a project, an agent or a session.

use std::{fmt, str::FromStr};

use crate::{AgentName, ProjectName, SessionId};

/// Whether something may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Ordered by strictness: the strictest state above a session is the one in force.
pub enum RunState {
    /// Acts.
    Running,
    /// New actions are refused; those in flight end by themselves.
    Paused,
    /// New actions are refused and those in flight are cut.
    Killed,
}

impl RunState {
    /// The state's word in records and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Killed => "killed",
        }
    }
}

impl FromStr for RunState {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        [Self::Running, Self::Paused, Self::Killed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| ScopeError(text.chars().take(80).collect()))
    }
}

/// What a run state applies to; a node of the tree all → project → agent → session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every agent of every project.
    All,
    /// Every agent of one project.
    Project(ProjectName),
    /// One agent.
    Agent(AgentName),
    /// One session.
    Session(SessionId),
}

/// A text that is not a scope or a run state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not understood: a scope is `all`, `project/NAME`, `agent/NAME` or `session/ID`; \
     a state is `running`, `paused` or `killed`"
)]
pub struct ScopeError(pub String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Project(name) => write!(f, "project/{name}"),
            Self::Agent(name) => write!(f, "agent/{name}"),
            Self::Session(id) => write!(f, "session/{id}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let unknown = || ScopeError(text.chars().take(80).collect());
        match text.split_once('/') {
            None if text == "all" => Ok(Self::All),
            Some(("project", name)) => name.parse().map(Self::Project).map_err(|_| unknown()),
            Some(("agent", name)) => name.parse().map(Self::Agent).map_err(|_| unknown()),
            Some(("session", id)) => id.parse().map(Self::Session).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RunState, Scope};
    use crate::SessionId;

    #[test]
    fn scopes_survive_their_text_form() {
        let session = format!("session/{}", SessionId::generate());
        for text in ["all", "project/finance", "agent/invoice-bot", &session] {
            let scope: Scope = text.parse().unwrap();
            assert_eq!(scope.to_string(), text);
        }
        for text in ["", "All", "project", "project/", "agent/A", "session/1", "x/y"] {
            assert!(text.parse::<Scope>().is_err(), "text = {text:?}");
        }
    }

    #[test]
    fn the_strictest_state_is_the_greatest() {
        assert_eq!(RunState::Killed.max(RunState::Paused), RunState::Killed);
        assert_eq!(RunState::Running.max(RunState::Paused), RunState::Paused);
    }
}
