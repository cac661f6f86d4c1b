//! What is decided of a server's messages before the client sees them.

use std::time::Duration;

use http::StatusCode;
use provost_types::Status;

use super::{Exchange, NoAnswer};
use crate::{
    classify::{server_asks, tool_use},
    refuse::{DENIED, Told},
    wire::{
        asks,
        jsonrpc::{self, Answer, Id},
    },
};

/// How long a server may take to be told that what it asked was denied. Ours: it is a message
/// that wants no answer.
const TELL_MAX: Duration = Duration::from_secs(10);

/// Why an answer is not passed on as it came.
#[derive(Debug)]
pub(super) enum Unsettled {
    /// The client is told this in its place.
    Told(Told),
    /// It cannot be read, so nothing of it may be passed.
    Unread(String),
}

impl Exchange<'_> {
    /// What the client may see of an answer to a request with `method`; `text` is the whole
    /// message.
    pub(super) async fn settle(
        &self,
        method: &str,
        (text, answer): (String, &Answer),
    ) -> Result<String, Unsettled> {
        let Answer::Result(result) = answer else { return Ok(text) };
        let asks = asks::input_asks(result).map_err(unread)?;
        let asks_back = !asks.is_empty();
        for ask in asks {
            let action = server_asks(self.server, &ask.method, &ask.raw);
            if let Err(refusal) = self.permit.server_ask(action).await {
                let message = format!(
                    "The MCP server wants `{}` of you first, which is not allowed: {}",
                    ask.method, refusal.message
                );
                return Err(Unsettled::Told(Told::no(DENIED, message)));
            }
        }
        if asks_back && let Some(id) = self.called().and_then(|(_, params)| tool_use(params)) {
            self.plane.sessions.note_asked_back(self.permit.session(), id);
        }
        if method == "tools/list" { self.filter(text).await } else { Ok(text) }
    }

    /// Whether the client may see what the server asks of it; the server is told if not.
    pub(super) async fn may_ask(&self, (id, method): (&Id, &str), text: &str) -> bool {
        let action = server_asks(self.server, method, text);
        let refusal = match self.permit.server_ask(action).await {
            Ok(_action) => return true,
            Err(refusal) => refusal,
        };
        let message = format!("denied by policy: {}", refusal.message);
        let error = jsonrpc::error(Some(id), DENIED, &message);
        let told = tokio::time::timeout(TELL_MAX, self.aside(error, None)).await;
        match told {
            Ok(Ok((response, _))) if response.status().is_success() => {}
            Ok(Ok((response, _))) => self.not_told(&response.status()),
            Ok(Err(no_answer)) => self.not_told(&no_answer.outcome.reason.unwrap_or_default()),
            Err(elapsed) => self.not_told(&elapsed),
        }
        false
    }

    fn not_told(&self, why: &dyn std::fmt::Display) {
        let action = self.permit.action();
        tracing::warn!(%action, server = %self.server.name, %why,
            "server not told that what it asked was denied");
    }
}

pub(super) fn unread(error: impl std::fmt::Display) -> Unsettled {
    Unsettled::Unread(error.to_string())
}

/// An answer that was replaced by words of ours, when there is no head yet.
pub(super) fn replaced(unsettled: Unsettled, status: StatusCode) -> Box<NoAnswer> {
    let mut no_answer = match unsettled {
        Unsettled::Told(told) => NoAnswer::told(told),
        Unsettled::Unread(why) => NoAnswer::broken(&why),
    };
    no_answer.outcome.status = Status::Failed;
    no_answer.outcome.code = Some(status.as_u16());
    no_answer
}
