//! One admitted request, to the upstream and back. This and [`passing`] alone wait.
//!
//! While anything is waited for, two things end it at once: a stop of the permit, and the
//! client's leaving. Either drops the upstream's answer, which cancels it there.

mod passing;

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request};
use provost_gateway::{EgressError, HttpAsk, HttpFrame, UpstreamBody, printable};
use provost_pipeline::{Permit, Reply, Stop};
use provost_types::{ActionId, Outcome, Status};

use crate::{
    LlmPlane,
    refuse::{REQUEST_ID, Told},
    wire::{
        conversation,
        head::{self, Body},
    },
};

/// Longest upstream request id that is kept. Unit: bytes. Ours: Anthropic's have 28.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// What is recorded when the client leaves.
const CLIENT_LEFT: &str = "the client left";

/// Does what `permit` is for.
pub(crate) async fn execute(
    plane: &LlmPlane,
    permit: &Permit,
    ask: HttpAsk,
    reply: &mut Reply<HttpFrame>,
) -> Outcome {
    for result in conversation::results(&ask.body) {
        permit.tool_result(result.tool_use, result.failed, result.content.as_bytes()).await;
    }
    // What is left of `ask` is the body's room, held for as long as the body.
    let HttpAsk { parts, body, .. } = ask;
    let asked = Asked { plane, permit, parts, body };
    let NoAnswer { told, outcome } = match begin(&asked, reply).await {
        Ok((response, body)) => return passing::pass_on(asked, reply, response, body).await,
        Err(no_answer) => *no_answer,
    };
    if let Some(told) = told
        && reply.send(HttpFrame::Whole(told.response())).await.is_err()
    {
        tracing::debug!(action = %permit.action(), "client left before it was told");
    }
    outcome
}

/// Nothing of the upstream's is passed on.
struct NoAnswer {
    /// What the client is told, if it is still there.
    told: Option<Told>,
    outcome: Outcome,
}

impl NoAnswer {
    /// Asking again does not mend it.
    fn broken(action: ActionId, why: &impl Display) -> Box<Self> {
        let why = why.to_string();
        let told = Some(Told::broken(why.clone(), action));
        Box::new(Self { told, outcome: Outcome::because(Status::Failed, why) })
    }

    fn stopped(action: ActionId, stop: &Stop) -> Box<Self> {
        let told = Some(Told::stop(stop, action));
        let outcome = Outcome::because(Status::Aborted, stop.sentence());
        Box::new(Self { told, outcome })
    }

    fn client_left() -> Box<Self> {
        Box::new(Self { told: None, outcome: Outcome::because(Status::Aborted, CLIENT_LEFT) })
    }

    fn unreached(action: ActionId, error: &EgressError) -> Box<Self> {
        tracing::warn!(%action, %error, "upstream not reached");
        let status = match error {
            EgressError::ConnectTimeout(_)
            | EgressError::HeadTimeout { .. }
            | EgressError::Silent { .. } => StatusCode::GATEWAY_TIMEOUT,
            EgressError::Target(_)
            | EgressError::Unresolved(_)
            | EgressError::Refused(_)
            | EgressError::Tls(_)
            | EgressError::Reset(_)
            | EgressError::Protocol(_) => StatusCode::BAD_GATEWAY,
        };
        let told = Told::failed(status, format!("There is no answer: {error}."), action);
        let outcome = Outcome::because(Status::Failed, error.to_string());
        Box::new(Self { told: Some(told), outcome })
    }
}

/// A request, kept for as long as its answer may need another.
struct Asked<'a> {
    plane: &'a LlmPlane,
    permit: &'a Permit,
    parts: request::Parts,
    body: Bytes,
}

/// Asks the upstream and waits for the head of its answer.
async fn begin(
    asked: &Asked<'_>,
    reply: &Reply<HttpFrame>,
) -> Result<(Response<UpstreamBody>, Body), Box<NoAnswer>> {
    let Asked { plane, permit, .. } = asked;
    let action = permit.action();
    let request = request(asked)?;
    let answered = tokio::select! {
        biased;
        stop = permit.stopped() => return Err(NoAnswer::stopped(action, &stop)),
        () = reply.gone() => return Err(NoAnswer::client_left()),
        answered = plane.upstream.send(permit, request) => answered,
    };
    let response = answered.map_err(|error| NoAnswer::unreached(action, &error))?;
    match head::judge(response.status(), response.headers(), &plane.secret) {
        Ok(body) => Ok((response, body)),
        Err(unfit) => {
            let status = response.status();
            tracing::error!(%action, %status, %unfit, "answer withheld");
            let mut no_answer = NoAnswer::broken(action, &unfit);
            note_head(&mut no_answer.outcome, status, response.headers());
            Err(no_answer)
        }
    }
}

/// The agent's request as it goes upstream: its own bytes under our credential.
fn request(asked: &Asked<'_>) -> Result<Request<Bytes>, Box<NoAnswer>> {
    let Asked { plane, permit, parts, body } = asked;
    let action = permit.action();
    let lease = plane.vault.lease(permit, &plane.secret).map_err(|error| {
        tracing::error!(%action, %error, "no upstream credential");
        NoAnswer::broken(action, &format_args!("Provost cannot ask the upstream: {error}"))
    })?;
    let headers = head::onward(parts.headers.clone(), lease.expose()).ok_or_else(|| {
        tracing::error!(%action, secret = %plane.secret, "credential does not fit a header");
        NoAnswer::broken(action, &format_args!(
            "Provost's own credential is none; the operator must run `provost secret set {}`",
            plane.secret
        ))
    })?;
    let mut request = Request::new(body.clone());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = headers;
    Ok(request)
}

/// Notes what the head of an answer says.
fn note_head(outcome: &mut Outcome, status: StatusCode, headers: &HeaderMap) {
    let id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let id = id.filter(|id| printable(id, REQUEST_ID_BYTES_MAX));
    outcome.code = Some(status.as_u16());
    outcome.upstream_request = id.map(str::to_owned);
}
