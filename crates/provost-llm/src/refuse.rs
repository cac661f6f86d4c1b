//! Every reason for a no, in the error form of the Messages API.
//!
//! The status and headers are those at which real clients stop at once and show our words;
//! the rows were measured, not read. `x-should-retry: false` is what keeps a client from
//! asking ten times more; a long `retry-after` without it puts the SDKs to sleep.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use provost_gateway::{ACTION_HEADER, name_action};
use provost_pipeline::{Refusal, RefusalCode, Stop};
use provost_types::ActionId;
use serde::Serialize;

/// The id an Anthropic client shows with an error.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Whether a client may ask again; Anthropic's clients obey it.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How a client is told no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    status: StatusCode,
    /// Anthropic's `error.type`.
    kind: &'static str,
    again: Again,
}

/// Whether it makes sense to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Not by itself: a person has to do something first.
    Never,
    /// After so many seconds.
    After(u64),
    /// The status alone tells.
    Unsaid,
}

/// Says no to a request.
pub(crate) fn refuse(refusal: &Refusal) -> Response<Bytes> {
    Told::refusal(refusal).response()
}

/// Something the client is told in place of an answer, or in the middle of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    form: Form,
    message: String,
    action: ActionId,
}

impl Told {
    /// A request that was not admitted.
    pub(crate) fn refusal(refusal: &Refusal) -> Self {
        let Refusal { code, message, action } = refusal;
        Self { form: Form::of(*code), message: message.clone(), action: *action }
    }

    /// An admitted action that has to stop.
    pub(crate) fn stop(stop: &Stop, action: ActionId) -> Self {
        let code = match stop {
            Stop::Killed(_) => RefusalCode::Killed,
            Stop::Ended(_) => RefusalCode::SessionOver,
            Stop::ShuttingDown => RefusalCode::Stopping,
        };
        Self { form: Form::of(code), message: stop.sentence().to_owned(), action }
    }

    /// The upstream failed in a way that may pass.
    pub(crate) fn failed(status: StatusCode, message: String, action: ActionId) -> Self {
        let form = Form { status, kind: "api_error", again: Again::Unsaid };
        Self { form, message, action }
    }

    /// The upstream failed in a way that asking again does not mend.
    pub(crate) fn broken(message: String, action: ActionId) -> Self {
        let form =
            Form { status: StatusCode::BAD_GATEWAY, kind: "api_error", again: Again::Never };
        Self { form, message, action }
    }

    /// As a whole reply.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.json()));
        *response.status_mut() = self.form.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        name_action(headers, self.action);
        let id = headers.get(ACTION_HEADER).cloned();
        headers.extend(id.map(|id| (REQUEST_ID, id)));
        match self.form.again {
            Again::Never => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Again::After(seconds) => {
                headers.insert(RETRY_AFTER, seconds.into());
            }
            Again::Unsaid => {}
        }
        response
    }

    /// As the last event of a stream that has begun.
    pub(crate) fn event(&self) -> String {
        format!("event: error\ndata: {}\n\n", self.json())
    }

    fn json(&self) -> String {
        let Self { form, message, action } = self;
        let reply = Reply {
            r#type: "error",
            error: Inner {
                r#type: form.kind,
                message: &format!("{message} [Provost: `provost audit show {action}`]"),
            },
            request_id: &action.to_string(),
        };
        serde_json::to_string(&reply).unwrap_or_default()
    }
}

impl Form {
    fn of(code: RefusalCode) -> Self {
        use Again::{After, Never, Unsaid};
        let (status, kind, again) = match code {
            RefusalCode::Unauthenticated | RefusalCode::SessionOver => {
                (StatusCode::UNAUTHORIZED, "authentication_error", Never)
            }
            RefusalCode::Paused => (StatusCode::LOCKED, "permission_error", Never),
            RefusalCode::Killed | RefusalCode::Denied | RefusalCode::Held => {
                (StatusCode::FORBIDDEN, "permission_error", Never)
            }
            RefusalCode::Malformed => {
                (StatusCode::BAD_REQUEST, "invalid_request_error", Unsaid)
            }
            RefusalCode::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", Unsaid)
            }
            RefusalCode::NotFound => (StatusCode::NOT_FOUND, "not_found_error", Unsaid),
            RefusalCode::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", Never)
            }
            RefusalCode::Busy => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", After(5)),
            RefusalCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "api_error", Never),
            // A restart takes seconds: the same request is welcome right after it.
            RefusalCode::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "api_error", After(2)),
        };
        Self { status, kind, again }
    }
}

#[derive(Serialize)]
struct Reply<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'static str,
    message: &'a str,
}

#[cfg(test)]
mod tests;
