//! What every reply to an agent says in its head.

use http::{HeaderMap, HeaderName, HeaderValue};
use provost_types::ActionId;

/// Says which action an answer belongs to.
pub const ACTION_HEADER: HeaderName = HeaderName::from_static("x-provost-action");

/// Names the action on a reply.
pub fn name_action(headers: &mut HeaderMap, action: ActionId) {
    if let Ok(id) = HeaderValue::try_from(action.to_string()) {
        headers.insert(ACTION_HEADER, id);
    }
}
