//! One admitted request, to the upstream and back. The only file here that waits.
//!
//! The answer passes as the bytes that come, one piece at a time: the next is taken from the
//! upstream when the client has taken the last. While anything is waited for, two things end
//! it at once: a stop of the permit, and the client's leaving. Either drops the upstream's
//! answer, which cancels it there.

use std::{
    fmt::Display,
    pin::{Pin, pin},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request, response};
use provost_gateway::{EgressError, HttpAsk, HttpFrame, UpstreamBody};
use provost_pipeline::{ClientGone, Permit, Reply, ResultSink, Stop};
use provost_types::{ActionId, Outcome, Status};

use crate::{
    LlmPlane,
    classify::printable,
    refuse::{REQUEST_ID, Told, name_action},
    wire::{
        coding::{Coding, Decoder},
        head::{self, Body, Form},
        reply::{Seen, Watch},
        stream::WholeEvents,
    },
};

/// How long last words wait for a client that takes nothing. Ours: a client that reads at all
/// takes a frame well within it.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Longest upstream request id that is kept. Unit: bytes. Ours: Anthropic's have 28.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// What is recorded when the client leaves.
const CLIENT_LEFT: &str = "the client left";

/// What is recorded when a stream ends without its last event.
const HALF: &str = "the upstream ended its stream in the middle of a message";

/// Does what `permit` is for.
pub(crate) async fn execute(
    plane: &LlmPlane,
    permit: &Permit,
    ask: HttpAsk,
    reply: &mut Reply<HttpFrame>,
) -> Outcome {
    let NoAnswer { told, outcome } = match begin(plane, permit, ask, reply).await {
        Ok((response, body)) => return pass_on(permit, reply, response, body).await,
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

/// Asks the upstream and waits for the head of its answer.
async fn begin(
    plane: &LlmPlane,
    permit: &Permit,
    ask: HttpAsk,
    reply: &Reply<HttpFrame>,
) -> Result<(Response<UpstreamBody>, Body), Box<NoAnswer>> {
    let action = permit.action();
    // What is left of `ask` is the body's room, held until the body was sent.
    let HttpAsk { parts, body, .. } = ask;
    let request = request(plane, permit, parts, body)?;
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
fn request(
    plane: &LlmPlane,
    permit: &Permit,
    parts: request::Parts,
    body: Bytes,
) -> Result<Request<Bytes>, Box<NoAnswer>> {
    let action = permit.action();
    let lease = plane.vault.lease(permit, &plane.secret).map_err(|error| {
        tracing::error!(%action, %error, "no upstream credential");
        NoAnswer::broken(action, &format_args!("Provost cannot ask the upstream: {error}"))
    })?;
    let headers = head::onward(parts.headers, lease.expose()).ok_or_else(|| {
        tracing::error!(%action, secret = %plane.secret, "credential does not fit a header");
        NoAnswer::broken(action, &format_args!(
            "Provost's own credential is none; the operator must run `provost secret set {}`",
            plane.secret
        ))
    })?;
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Passes an answer on, and says what became of it.
async fn pass_on(
    permit: &Permit,
    reply: &mut Reply<HttpFrame>,
    response: Response<UpstreamBody>,
    body: Body,
) -> Outcome {
    let action = permit.action();
    let (mut parts, incoming) = response.into_parts();
    let mut outcome = Outcome::new(Status::Succeeded);
    note_head(&mut outcome, parts.status, &parts.headers);
    parts.headers = head::back(parts.headers, body.form);
    (parts.version, parts.extensions) = Default::default(); // the upstream connection's own
    name_action(&mut parts.headers, action);

    let mut passing = Passing::new(permit, reply, parts.status, body);
    let passed = passing.pass(parts, incoming).await;
    if let Err(cut) = &passed {
        passing.last_words(cut).await;
    }
    passing.conclude(passed, outcome).await
}

/// Notes what the head of an answer says.
fn note_head(outcome: &mut Outcome, status: StatusCode, headers: &HeaderMap) {
    let id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let id = id.filter(|id| printable(id, REQUEST_ID_BYTES_MAX));
    outcome.code = Some(status.as_u16());
    outcome.upstream_request = id.map(str::to_owned);
}

/// An answer on its way to the client.
struct Passing<'a> {
    permit: &'a Permit,
    reply: &'a mut Reply<HttpFrame>,
    status: StatusCode,
    form: Form,
    decoder: Decoder,
    /// A stream whose events we can see, and end.
    events: Option<WholeEvents>,
    sink: ResultSink,
}

/// Why an answer was not passed to its end.
enum Cut {
    /// By the upstream, in these words.
    Upstream(String),
    Stopped(Stop),
    ClientLeft,
}

impl<'a> Passing<'a> {
    fn new(
        permit: &'a Permit,
        reply: &'a mut Reply<HttpFrame>,
        status: StatusCode,
        Body { form, coding }: Body,
    ) -> Self {
        let watch = match form {
            Form::Stream => Watch::stream(),
            Form::Json => Watch::whole(),
            Form::Other => Watch::nothing(),
        };
        let events_seen = form == Form::Stream && coding == Coding::Identity;
        Self {
            permit,
            reply,
            status,
            form,
            decoder: Decoder::new(coding, watch),
            events: events_seen.then(WholeEvents::default),
            sink: permit.result_sink(),
        }
    }

    /// Passes all there is. Drops the upstream's answer in any case.
    async fn pass(
        &mut self,
        head: response::Parts,
        mut upstream: UpstreamBody,
    ) -> Result<(), Cut> {
        let permit = self.permit;
        let mut stopped = pin!(permit.stopped());
        // Nothing was sent yet, so this does not wait.
        self.reply.send(HttpFrame::Head(head)).await.map_err(|ClientGone| Cut::ClientLeft)?;
        while let Some(frame) = self.next(&mut upstream, stopped.as_mut()).await? {
            let whole = self.decoder.feed(&frame);
            let pieces = match &mut self.events {
                Some(events) => events.pass(frame, whole),
                None => [frame, Bytes::new()],
            };
            for piece in pieces {
                self.send(piece, stopped.as_mut()).await?;
            }
        }
        let rest = self.events.take().map(WholeEvents::rest).unwrap_or_default();
        self.send(rest, stopped).await?;
        self.reply.send(HttpFrame::End).await.map_err(|ClientGone| Cut::ClientLeft)
    }

    /// The next bytes of the upstream's; `None` at the end, if it is one.
    async fn next(
        &mut self,
        upstream: &mut UpstreamBody,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<Option<Bytes>, Cut> {
        let piece = tokio::select! {
            biased;
            stop = stopped.as_mut() => return Err(Cut::Stopped(stop)),
            () = self.reply.gone() => return Err(Cut::ClientLeft),
            piece = upstream.piece() => piece,
        };
        match piece {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            None if self.may_end_here() => Ok(None),
            // A stream that has said its last word may be cut: nothing is missing.
            Some(Err(_)) if self.form == Form::Stream && self.decoder.seen().said_all() => {
                Ok(None)
            }
            None => Err(Cut::Upstream(HALF.to_owned())),
            Some(Err(error)) => {
                tracing::warn!(action = %self.permit.action(), %error, "answer cut off");
                Err(Cut::Upstream(error.to_string()))
            }
        }
    }

    /// Whether a clean end of the bytes can be the end of the answer. Not of a stream without
    /// `message_stop`: an SDK would take the half for the whole.
    fn may_end_here(&mut self) -> bool {
        let unreadable = self.events.is_none() && self.decoder.seen().unread.is_some();
        self.form != Form::Stream || unreadable || self.decoder.seen().said_all()
    }

    /// Sends one piece, waiting while the client is slow.
    async fn send(
        &mut self,
        piece: Bytes,
        stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<(), Cut> {
        if piece.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            stop = stopped => return Err(Cut::Stopped(stop)),
            sent = self.reply.send(HttpFrame::Data(piece.clone())) => {
                sent.map_err(|ClientGone| Cut::ClientLeft)?;
            }
        }
        self.sink.update(&piece).await;
        Ok(())
    }

    /// Tells the client, where it can still be told, that this is not the end of the answer.
    async fn last_words(&mut self, cut: &Cut) {
        let action = self.permit.action();
        let told = match cut {
            Cut::Upstream(why) => {
                let message = format!("This answer is not complete: {why}.");
                Told::failed(StatusCode::BAD_GATEWAY, message, action)
            }
            Cut::Stopped(stop) => Told::stop(stop, action),
            Cut::ClientLeft => return,
        };
        let said = tokio::time::timeout(LAST_WORDS_MAX, self.say(&told)).await;
        if !matches!(said, Ok(Ok(()))) {
            tracing::debug!(%action, "client took no last words");
        }
    }

    async fn say(&mut self, told: &Told) -> Result<(), ClientGone> {
        let Some(events) = &self.events else {
            return self.reply.send(HttpFrame::Abort).await;
        };
        let words = Bytes::from([events.seam(), &told.event()].concat());
        self.reply.send(HttpFrame::Data(words.clone())).await?;
        self.sink.update(&words).await;
        self.reply.send(HttpFrame::End).await
    }

    /// What became of the answer.
    async fn conclude(self, passed: Result<(), Cut>, mut outcome: Outcome) -> Outcome {
        let seen = self.decoder.end();
        (outcome.status, outcome.reason) = match passed {
            Ok(()) => seen.verdict(self.status),
            Err(Cut::Upstream(why)) => (Status::Failed, Some(why)),
            Err(Cut::Stopped(stop)) => (Status::Aborted, Some(stop.sentence().to_owned())),
            Err(Cut::ClientLeft) => (Status::Aborted, Some(CLIENT_LEFT.to_owned())),
        };
        let Seen { usage, model, stop_reason, tool_uses, .. } = seen;
        outcome = Outcome { usage, model, stop_reason, tool_uses, ..outcome };
        self.sink.finish(&mut outcome).await;
        outcome
    }
}
