//! Errors as the API's callers see them.

use std::error::Error;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use provost_api::ErrorBody;
use provost_pipeline::{
    AnswerError, DirectoryError, LedgerDown, ReadBodiesError, Unauthenticated,
};
use provost_secrets::{SetError, VaultError};
use provost_types::Causes;

use crate::{LoginFailed, LoginFailure, ledger::LedgerReadError};

/// A failed call.
///
/// `Display` is the public sentence. The cause, where there is one, is logged when the
/// response is made and goes no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("no credential: send `Authorization: Bearer TOKEN`, or use the local socket")]
    NoCredential,
    #[error("`Authorization` is not one `Bearer` credential of this server")]
    NotACredential,
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    #[error("this takes {accepted}")]
    Forbidden { accepted: String },
    #[error("only an admin may set a scope back to running")]
    OnlyAdminsResume,
    #[error("an agent's key opens sessions of its own agent only")]
    NotYourAgent,
    #[error("this credential is not a person's")]
    NotAPerson,
    #[error("there is no such route")]
    NoSuchRoute,
    #[error("this route does not have this method")]
    Method,
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the body did not arrive within {seconds_max} s")]
    TooSlow { seconds_max: u64 },
    #[error("{problem}")]
    Malformed { problem: String },
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: &'static str },
    #[error("there is no {what}")]
    NoSuch { what: String },
    #[error("in force, but not recorded: say it again before the next restart")]
    InForceOnly(#[source] DirectoryError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the ledger cannot be written; nothing was changed")]
    Ledger(#[from] LedgerDown),
    #[error("the ledger cannot be read")]
    Reading(#[from] LedgerReadError),
    #[error(transparent)]
    Bodies(#[from] ReadBodiesError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Secret(#[from] SetError),
    #[error(transparent)]
    Login(#[from] LoginFailed),
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl ApiError {
    pub(crate) fn malformed(problem: impl ToString) -> Self {
        Self::Malformed { problem: problem.to_string() }
    }

    pub(crate) fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// What programs see of it.
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCredential | Self::NotACredential | Self::Unauthenticated(_) => {
                (StatusCode::UNAUTHORIZED, "unauthenticated")
            }
            Self::Forbidden { .. }
            | Self::OnlyAdminsResume
            | Self::NotYourAgent
            | Self::NotAPerson => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, "no-such-route"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Self::TooSlow { .. } => (StatusCode::REQUEST_TIMEOUT, "too-slow"),
            Self::Malformed { .. } => (StatusCode::BAD_REQUEST, "malformed"),
            Self::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid"),
            Self::NoSuch { .. } | Self::Bodies(ReadBodiesError::NoSuchProject(_)) => {
                (StatusCode::NOT_FOUND, "no-such")
            }
            Self::InForceOnly(_) => (StatusCode::SERVICE_UNAVAILABLE, "in-force-only"),
            Self::Ledger(_) | Self::Bodies(ReadBodiesError::Ledger(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable")
            }
            Self::Reading(error) => reading_status(error),
            Self::Directory(error) => directory_status(error),
            Self::Answer(error) => answer_status(error),
            Self::Login(failed) => match failed.kind {
                LoginFailure::NoSuchServer => (StatusCode::NOT_FOUND, "no-such"),
                LoginFailure::Refused => (StatusCode::CONFLICT, "login-failed"),
            },
            Self::Vault(VaultError::NoSuch { .. }) => (StatusCode::NOT_FOUND, "no-such"),
            Self::Secret(SetError::Blank | SetError::NotOneLine | SetError::TooLong) => {
                (StatusCode::BAD_REQUEST, "invalid")
            }
            Self::Vault(VaultError::Io { .. })
            | Self::Bodies(ReadBodiesError::Body(_))
            | Self::Secret(SetError::Io { .. })
            | Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// Reads an error of a call that takes effect before it is recorded.
pub(crate) fn in_force(error: DirectoryError) -> ApiError {
    if matches!(error, DirectoryError::Ledger(_) | DirectoryError::Store(_)) {
        ApiError::InForceOnly(error)
    } else {
        ApiError::Directory(error)
    }
}

fn reading_status(error: &LedgerReadError) -> (StatusCode, &'static str) {
    match error {
        LedgerReadError::Index(_) => (StatusCode::SERVICE_UNAVAILABLE, "database-unavailable"),
        LedgerReadError::Journal(_)
        | LedgerReadError::Seal(_)
        | LedgerReadError::Unsigned { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable")
        }
        LedgerReadError::Entry { .. }
        | LedgerReadError::Proof { .. }
        | LedgerReadError::Ended(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn answer_status(error: &AnswerError) -> (StatusCode, &'static str) {
    match error {
        AnswerError::NoSuch(_) => (StatusCode::NOT_FOUND, "no-such"),
        AnswerError::Settled { .. } => (StatusCode::CONFLICT, "settled"),
        AnswerError::Again => (StatusCode::CONFLICT, "answered-already"),
        AnswerError::NotApprover { .. } => (StatusCode::FORBIDDEN, "not-approver"),
        AnswerError::Own => (StatusCode::FORBIDDEN, "own-session"),
        AnswerError::Invalid { .. } | AnswerError::Pattern(_) => {
            (StatusCode::BAD_REQUEST, "invalid")
        }
        AnswerError::Unreadable(_) => (StatusCode::BAD_REQUEST, "unreadable"),
        AnswerError::Ledger(_) => (StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable"),
        AnswerError::Directory(error) => directory_status(error),
    }
}

fn directory_status(error: &DirectoryError) -> (StatusCode, &'static str) {
    match error {
        DirectoryError::NoSuch { .. } => (StatusCode::NOT_FOUND, "no-such"),
        DirectoryError::Taken { .. } => (StatusCode::CONFLICT, "taken"),
        DirectoryError::Over { .. } => (StatusCode::CONFLICT, "over"),
        DirectoryError::NotHeld { .. } => (StatusCode::CONFLICT, "not-held"),
        DirectoryError::ChangedAgain { .. } => (StatusCode::CONFLICT, "changed-again"),
        DirectoryError::Stopped { .. } => (StatusCode::CONFLICT, "stopped"),
        DirectoryError::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid"),
        DirectoryError::Ledger(_) => (StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable"),
        DirectoryError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "database-unavailable"),
        DirectoryError::Keys { .. }
        | DirectoryError::Randomness(_)
        | DirectoryError::Policy(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let mut message = self.to_string();
        if status.is_server_error() {
            tracing::error!(error = %Causes(&self), code, "control API call failed");
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            "internal error; its cause is in the server's log".clone_into(&mut message);
        }
        let body = ErrorBody { code: code.to_owned(), message };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"provost\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
