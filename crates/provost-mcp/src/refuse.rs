//! Every reason for a no, as JSON-RPC.
//!
//! A call of a tool that is denied gets a result with `isError`, which clients give to the
//! model; another request gets an error. Both with status 200, so that the client goes on. What
//! concerns the connection, and not one request, is said with HTTP's own status.
//! Source: MCP 2025-11-25, "Tools", "Error Handling".

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use provost_gateway::name_action;
use provost_pipeline::{Refusal, RefusalCode, Stop};
use provost_types::ActionId;

use crate::{
    classify::{Asked, AskedError, What},
    wire::{
        head::HeadError,
        json::JsonError,
        jsonrpc::{self, Id, Message, MessageError},
    },
};

/// JSON-RPC's own codes. Source: JSON-RPC 2.0, §5.1.
const PARSE_ERROR: i32 = -32_700;
/// Likewise.
pub(crate) const INVALID_REQUEST: i32 = -32_600;
/// Likewise.
pub(crate) const METHOD_NOT_FOUND: i32 = -32_601;
/// Likewise.
pub(crate) const INVALID_PARAMS: i32 = -32_602;
/// A header says something else than the body. Source: MCP 2026-07-28, "Standard headers".
pub(crate) const HEADER_MISMATCH: i32 = -32_020;
/// Policy says no. Ours, as those below: -32000 to -32019 are free for that.
pub(crate) const DENIED: i32 = -32_010;
/// The server gave no answer, or none that can be passed on.
pub(crate) const NO_ANSWER: i32 = -32_011;
/// The agent may not act now, or not any more.
pub(crate) const STOPPED: i32 = -32_012;
/// Provost cannot do it now.
const UNAVAILABLE: i32 = -32_013;

/// Something that the client is told in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) code: i32,
    pub(crate) message: String,
    /// It is the result of a call, not an error.
    pub(crate) result: Option<ResultForm>,
}

/// What a result looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResultForm {
    /// As in revisions with sessions.
    Plain,
    /// With its type. Source: MCP 2026-07-28, "resultType".
    Typed,
}

impl Told {
    /// Says no to one request.
    pub(crate) fn no(code: i32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, code, message: message.into(), result: None }
    }

    /// The same in a form that the model reads, if what was asked is a call of a tool.
    pub(crate) fn for_model(self, asked: &Asked) -> Self {
        let form = match asked.head.is_stateless() {
            true => ResultForm::Typed,
            false => ResultForm::Plain,
        };
        Self { result: asked.is_call().then_some(form), ..self }
    }

    /// An admitted action that has to stop.
    pub(crate) fn stop(stop: &Stop) -> Self {
        let code = if *stop == Stop::ShuttingDown { UNAVAILABLE } else { STOPPED };
        Self::no(code, stop.sentence())
    }

    /// The JSON-RPC answer.
    pub(crate) fn answer(&self, id: Option<&Id>, action: ActionId) -> Bytes {
        let message = format!("{} [Provost: `provost audit show {action}`]", self.message);
        match (self.result, id) {
            (Some(form), Some(id)) => {
                jsonrpc::failed_call(id, &message, form == ResultForm::Typed)
            }
            (Some(_), None) | (None, _) => jsonrpc::error(id, self.code, &message),
        }
    }

    /// As a whole reply.
    pub(crate) fn response(&self, id: Option<&Id>, action: ActionId) -> Response<Bytes> {
        let mut response = Response::new(self.answer(id, action));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        name_action(headers, action);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// The id of what was asked, if it wants an answer.
pub(crate) fn id(asked: &Asked) -> Option<&Id> {
    match &asked.what {
        What::Post(Message::Request { id, .. }) => Some(id),
        What::Post(Message::Notification { .. } | Message::Answer { .. })
        | What::Listen
        | What::End => None,
    }
}

/// Says no to a request, as far as it was read.
pub(crate) fn refuse(
    refusal: &Refusal,
    asked: Option<&Result<Asked, AskedError>>,
) -> Response<Bytes> {
    let (read, unread) = match asked {
        Some(Ok(asked)) => (Some(asked), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let (status, code) = form(refusal.code, read, unread);
    let told = Told { status, ..Told::no(code, refusal.message.clone()) };
    let told = match (read, refusal.code) {
        (Some(asked), RefusalCode::Denied | RefusalCode::Held) => told.for_model(asked),
        _ => told,
    };
    told.response(read.and_then(id), refusal.action)
}

fn form(
    code: RefusalCode,
    asked: Option<&Asked>,
    error: Option<&AskedError>,
) -> (StatusCode, i32) {
    let is_request = asked.is_some_and(|asked| id(asked).is_some());
    match code {
        RefusalCode::Unauthenticated => (StatusCode::UNAUTHORIZED, STOPPED),
        RefusalCode::SessionOver | RefusalCode::Paused | RefusalCode::Killed => {
            (StatusCode::FORBIDDEN, STOPPED)
        }
        RefusalCode::Denied | RefusalCode::Held => match asked.map(|asked| &asked.what) {
            _ if is_request => (StatusCode::OK, DENIED),
            // What a server says that has no such stream, or ends no sessions.
            Some(What::Listen | What::End) => (StatusCode::METHOD_NOT_ALLOWED, DENIED),
            Some(What::Post(_)) | None => (StatusCode::FORBIDDEN, DENIED),
        },
        RefusalCode::Malformed if is_request => (StatusCode::OK, INVALID_PARAMS),
        // Source: MCP 2025-11-25, "Streamable HTTP", security warning.
        RefusalCode::Malformed
            if matches!(error, Some(AskedError::Head(HeadError::Origin))) =>
        {
            (StatusCode::FORBIDDEN, INVALID_REQUEST)
        }
        RefusalCode::Malformed => (StatusCode::BAD_REQUEST, error.map_or(INVALID_REQUEST, of)),
        RefusalCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST),
        // Source: MCP 2025-11-25, "Session Management": clients begin a new one.
        RefusalCode::NotFound if error == Some(&AskedError::NoSession) => {
            (StatusCode::NOT_FOUND, INVALID_REQUEST)
        }
        // Of a method; with 404 a client of an earlier revision would begin a new session.
        // Source: MCP 2026-07-28, "Streamable HTTP"; 2025-11-25, "Session Management".
        RefusalCode::NotFound if asked.is_some_and(|asked| !asked.head.is_stateless()) => {
            let status = if is_request { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            (status, METHOD_NOT_FOUND)
        }
        RefusalCode::NotFound => (StatusCode::NOT_FOUND, METHOD_NOT_FOUND),
        RefusalCode::Method => (StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST),
        RefusalCode::Busy => (StatusCode::TOO_MANY_REQUESTS, UNAVAILABLE),
        RefusalCode::Unavailable | RefusalCode::Stopping => {
            (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE)
        }
    }
}

fn of(error: &AskedError) -> i32 {
    match error {
        AskedError::Head(
            HeadError::Mismatch(_) | HeadError::Missing(_) | HeadError::Value(_),
        ) => HEADER_MISMATCH,
        AskedError::Message(MessageError::Json(
            JsonError::NotUtf8 { .. } | JsonError::ByteOrderMark | JsonError::Broken(_),
        )) => PARSE_ERROR,
        AskedError::Message(MessageError::Params) => INVALID_PARAMS,
        AskedError::Head(HeadError::Body | HeadError::Origin)
        | AskedError::Message(_)
        | AskedError::Method(_)
        | AskedError::TooMuch(_)
        | AskedError::NoSession
        | AskedError::Sessionless => INVALID_REQUEST,
    }
}

#[cfg(test)]
mod tests;
