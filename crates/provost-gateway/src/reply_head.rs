//! What heads of replies say: ours to an agent, and an upstream's to us.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use provost_types::ActionId;

/// Says which action an answer belongs to.
pub const ACTION_HEADER: HeaderName = HeaderName::from_static("x-provost-action");

/// Names the action on a reply.
pub fn name_action(headers: &mut HeaderMap, action: ActionId) {
    if let Ok(id) = HeaderValue::try_from(action.to_string()) {
        headers.insert(ACTION_HEADER, id);
    }
}

/// What a reply's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/json`
    Json,
    /// `text/event-stream`
    Stream,
    /// Anything else, or nothing.
    Other,
}

impl Form {
    /// What its head says that it is.
    pub fn of(headers: &HeaderMap) -> Self {
        let essence = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|essence| essence.trim().to_ascii_lowercase());
        match essence.as_deref() {
            Some("application/json") => Self::Json,
            Some("text/event-stream") => Self::Stream,
            _ => Self::Other,
        }
    }
}
