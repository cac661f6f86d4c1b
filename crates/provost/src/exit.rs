//! What the program's exit code means.

use std::{error::Error, process::ExitCode};

use crate::{bridge::BridgeError, client::ClientError, config::ConfigError};

/// A command that cannot be carried out as it was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) &'static str);

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked.
    Done,
    /// It could not, or it found faults.
    Failed,
    /// It was asked in a way it does not understand.
    Usage,
    /// The server said no: not authenticated, or not allowed in this role.
    Refused,
    /// The server could not be reached.
    Unreachable,
    /// `provost run`: the session was killed or ended under the child, which was ended too.
    SessionOver,
    /// `provost run`: the child's own exit code, or 128 and the signal that ended it.
    Child(u8),
}

impl Exit {
    /// Every code with its meaning, for the reference.
    pub(crate) const MEANINGS: &'static [(&'static str, &'static str)] = &[
        ("0", "done"),
        ("1", "failed, or faults were found"),
        ("2", "usage: the command line or the configuration is not understood"),
        ("3", "refused: not authenticated, or not allowed in this role"),
        ("4", "the server could not be reached; `run` then starts nothing"),
        ("126, 127", "`run`: the agent's program could not be started, or was not found"),
        ("137", "`run`: the session was killed or ended, and the agent with it"),
        ("1, 2", "`hook`: no answer, after or before the fact; see its help"),
        ("other", "`run`: the agent's own exit code, or 128 and the signal that ended it"),
    ];

    /// The code the system is given.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::SessionOver => 137,
            Self::Child(code) => code,
        }
    }

    /// The exit that an error amounts to.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let is_misuse = |cause: &(dyn Error + 'static)| {
            cause.is::<ConfigError>() || cause.is::<Misuse>() || cause.is::<BridgeError>()
        };
        if error.chain().any(is_misuse) {
            return Self::Usage;
        }
        match error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
            Some(ClientError::Unreachable { .. }) => Self::Unreachable,
            Some(ClientError::Refused { .. }) => Self::Refused,
            Some(ClientError::BadServer { .. } | ClientError::PlainToken { .. }) => Self::Usage,
            Some(ClientError::Answered { .. } | ClientError::Garbled { .. }) | None => {
                Self::Failed
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
