//! What a post would do, as an action that policy can decide. Pure.

use bytes::Bytes;
use http::{Method, request::Parts};
use provost_pipeline::{Malformed, MalformedKind};
use provost_types::{Action, Correlation, Plane, Resource};

use crate::wire::Post;

/// Says what a post would do: report an event. The tool call it tells of is decided later, as
/// an action of its own.
///
/// # Errors
///
/// [`Malformed`], with what is wrong and how to put it right.
pub(crate) fn classify(
    parts: &Parts,
    post: Result<&Post, &Malformed>,
    body: &Bytes,
) -> Result<Action, Malformed> {
    if parts.method != Method::POST {
        let message = format!("{} is not possible here: use POST", parts.method);
        return Err(Malformed { message, kind: MalformedKind::Method });
    }
    let post = post.map_err(Malformed::clone)?;
    Ok(Action {
        plane: Plane::Hook,
        verb: "report",
        resource: Resource { kind: "Hook::Event", id: post.event.clone() },
        context: Vec::new(),
        arguments: body.clone(),
        correlation: Correlation {
            client_session: post.client_session.clone(),
            subagent: post.subagent.clone(),
            tool_use: post.tool_use.clone(),
            ..Correlation::default()
        },
    })
}
