//! An answer on its way to the client: it passes as it comes, tool calls when they are decided.
//!
//! One piece at a time: the next is taken from the upstream when the client has taken the
//! last. Where every call of a turn was denied, the model is told so and asked to go on, and
//! what it says then follows in the same answer.

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_LENGTH, response};
use provost_gateway::{EgressError, Form, HttpFrame, UpstreamBody, name_action};
use provost_pipeline::{ClientGone, Refusal, RefusalCode, Reply, ResultSink, Stop};
use provost_types::{Outcome, Status};
use serde_json::Value;

use super::{Asked, CLIENT_LEFT, begin, note_head};
use crate::{
    refuse::Told,
    tool,
    wire::{
        coding::Decoder,
        conversation,
        gate::{Call, Gate, GateError, Step},
        head::{self, Body},
        reply::{Collected, Seen},
        whole::Whole,
    },
};

/// How long last words wait for a client that takes nothing. Ours: a client that reads at all
/// takes a frame well within it.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// How often a model is asked to go on without the calls it was denied. Ours: one that has
/// tried so often will not find another way.
const ASKED_AGAIN_MAX: u32 = 4;

/// How often a client hears that its stream is alive while people are asked. Ours: clients
/// that were measured give up after a minute of silence at the soonest.
const PING_EVERY: Duration = Duration::from_secs(10);

/// Source: Anthropic's streaming Messages, "Ping events".
const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// What is recorded when a stream ends without its last event.
const HALF: &str = "the upstream ended its stream in the middle of a message";

/// What is recorded when the model, asked to go on, answers with no message.
const NO_MESSAGE: &str = "the upstream answered with no message";

/// What is recorded when an answer is too long to be looked through for calls.
const TOO_LONG: &str = "the answer is too long to be checked for tool calls";

fn is_held(refusal: &Refusal) -> bool {
    refusal.code == RefusalCode::Held
}

/// Passes an answer on, and says what became of it.
pub(super) async fn pass_on(
    asked: Asked<'_>,
    reply: &mut Reply<HttpFrame>,
    response: Response<UpstreamBody>,
    body: Body,
) -> Outcome {
    let action = asked.permit.action();
    let (mut parts, incoming) = response.into_parts();
    let mut outcome = Outcome::new(Status::Succeeded);
    note_head(&mut outcome, parts.status, &parts.headers);
    parts.headers = head::back(parts.headers, body);
    (parts.version, parts.extensions) = Default::default(); // the upstream connection's own
    name_action(&mut parts.headers, action);

    let mut passing = Passing::new(asked, reply, parts.status, body);
    let passed = passing.pass(parts, incoming).await;
    if let Err(cut) = &passed {
        passing.last_words(cut).await;
    }
    passing.conclude(passed, outcome).await
}

/// An answer on its way to the client.
struct Passing<'a> {
    asked: Asked<'a>,
    reply: &'a mut Reply<HttpFrame>,
    status: StatusCode,
    body: Body,
    decoder: Decoder,
    /// What was seen in this part of the answer, and in earlier ones.
    seen: Seen,
    before: Option<Seen>,
    asked_again: u32,
    /// A call waits for a person, and nobody waits with it any more.
    is_held: bool,
    sink: ResultSink,
    /// The head was sent.
    begun: bool,
}

/// Why an answer was not passed to its end.
enum Cut {
    /// The upstream's connection broke.
    Broken(EgressError),
    /// By the upstream, in these words, or for what it sent.
    Upstream(String),
    Stopped(Stop),
    ClientLeft,
}

impl<'a> Passing<'a> {
    fn new(
        asked: Asked<'a>,
        reply: &'a mut Reply<HttpFrame>,
        status: StatusCode,
        body: Body,
    ) -> Self {
        let sink = asked.permit.result_sink();
        Self {
            asked,
            reply,
            status,
            body,
            decoder: Decoder::new(body.coding),
            seen: Seen::default(),
            before: None,
            asked_again: 0,
            is_held: false,
            sink,
            begun: false,
        }
    }

    /// Passes all there is. Drops the upstream's answer in any case.
    async fn pass(&mut self, head: response::Parts, upstream: UpstreamBody) -> Result<(), Cut> {
        let permit = self.asked.permit;
        let stopped = pin!(permit.stopped());
        match self.body.form {
            Form::Json if self.status.is_success() => {
                self.pass_whole(head, upstream, stopped).await?;
            }
            Form::Stream => {
                self.send_head(head).await?;
                self.pass_stream(upstream, stopped).await?;
            }
            Form::Json | Form::Other => {
                self.send_head(head).await?;
                self.pass_bytes(upstream, stopped).await?;
            }
        }
        self.reply.send(HttpFrame::End).await.map_err(|ClientGone| Cut::ClientLeft)
    }

    async fn send_head(&mut self, head: response::Parts) -> Result<(), Cut> {
        self.begun = true;
        // Nothing was sent yet, so this does not wait.
        self.reply.send(HttpFrame::Head(head)).await.map_err(|ClientGone| Cut::ClientLeft)
    }

    async fn pass_bytes(
        &mut self,
        mut upstream: UpstreamBody,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<(), Cut> {
        // Of an error, which says what it is. One that is too long passes unread.
        let mut json = (self.body.form == Form::Json).then(Collected::default);
        while let Some(bytes) = self.next(&mut upstream, stopped.as_mut()).await? {
            json = json.and_then(|mut json| json.push(&bytes).ok().map(|()| json));
            self.send(bytes, stopped.as_mut()).await?;
        }
        if let Some(json) = json {
            self.seen.take_whole(&json.json());
        }
        Ok(())
    }

    async fn pass_stream(
        &mut self,
        upstream: UpstreamBody,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<(), Cut> {
        let mut gate = Gate::default();
        let mut part = Some(upstream);
        while let Some(mut upstream) = part.take() {
            let ended = loop {
                match self.next(&mut upstream, stopped.as_mut()).await {
                    Ok(Some(bytes)) => {
                        gate.push(&bytes).map_err(unfit)?;
                        part = self.steps(&mut gate, stopped.as_mut()).await?;
                        if part.is_some() {
                            break Ok(());
                        }
                    }
                    Ok(None) => break Err(Cut::Upstream(HALF.to_owned())),
                    Err(Cut::Broken(error)) => break Err(Cut::Broken(error)),
                    Err(cut) => return Err(cut),
                }
            };
            if part.is_none() {
                gate.end();
                part = self.steps(&mut gate, stopped.as_mut()).await?;
            }
            // Only a stream that has said its last word may end: an SDK would take the half
            // for the whole. One that has may also be cut: nothing is missing.
            if part.is_none() && !self.seen.said_all() {
                return ended;
            }
        }
        gate.rest().map_err(unfit)?;
        self.steps(&mut gate, stopped).await.map(|_part| ())
    }

    /// Does what the gate says; the model's next words, if it was asked to go on.
    async fn steps(
        &mut self,
        gate: &mut Gate,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<Option<UpstreamBody>, Cut> {
        while let Some(step) = gate.step(&mut self.seen).map_err(unfit)? {
            let bytes = match step {
                Step::Pass(bytes) => bytes,
                Step::Decide(call) => match self.decide(&call, stopped.as_mut()).await? {
                    Ok(()) => gate.release(),
                    Err(refusal) => gate.replace(&tool::denial(&call, &refusal)),
                },
                Step::Stuck => match self.go_on(gate.messages()).await {
                    Some(upstream) => {
                        gate.go_on();
                        return Ok(Some(upstream));
                    }
                    None => gate.close(),
                },
            };
            self.send(bytes, stopped.as_mut()).await?;
        }
        Ok(None)
    }

    /// Decides a call. While people are asked about it, a stream is kept alive.
    async fn decide(
        &mut self,
        call: &Call,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<Result<(), Refusal>, Cut> {
        let (permit, gone) = (self.asked.permit, self.reply.leaving());
        let mut decided = pin!(permit.tool_call(call.action(), Duration::MAX, gone));
        loop {
            tokio::select! {
                biased;
                decided = &mut decided => {
                    let decided = decided.map(|_action| ());
                    self.is_held |= decided.as_ref().is_err_and(is_held);
                    return Ok(decided);
                }
                () = tokio::time::sleep(PING_EVERY) => {}
            }
            if self.begun
                && self.send(Bytes::from_static(PING), stopped.as_mut()).await.is_err()
            {
                // What ended the client's part ends the wait: it is decided to its end.
                return Ok(decided.await.map(|_action| ()));
            }
        }
    }

    async fn pass_whole(
        &mut self,
        mut head: response::Parts,
        upstream: UpstreamBody,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<(), Cut> {
        let mut earlier: Vec<Whole> = Vec::new();
        let mut part = upstream;
        let mut json = loop {
            let json = self.whole(part, stopped.as_mut()).await?;
            let Some(mut whole) = Whole::read(&json) else { break json };
            self.decide_all(&mut whole, stopped.as_mut()).await?;
            if whole.is_unchanged() {
                break json;
            }
            let next = match whole.is_stuck() {
                true => self.go_on(Some(whole.messages())).await,
                false => break whole.json(),
            };
            match next {
                Some(next) => part = next,
                None => {
                    whole.close();
                    break whole.json();
                }
            }
            earlier.push(whole);
        };
        for part in earlier.iter().rev() {
            json = part.before(&json).ok_or_else(|| Cut::Upstream(NO_MESSAGE.to_owned()))?;
        }
        if head.headers.contains_key(CONTENT_LENGTH) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(json.len()));
        }
        self.send_head(head).await?;
        self.send(json.into(), stopped).await
    }

    async fn decide_all(
        &mut self,
        whole: &mut Whole,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<(), Cut> {
        for (place, call) in whole.calls() {
            match self.decide(&call, stopped.as_mut()).await? {
                Ok(()) => whole.allow(),
                Err(refusal) => {
                    let why = tool::denial(&call, &refusal);
                    whole.deny(place, call.id, &why);
                }
            }
        }
        Ok(())
    }

    /// All of an answer, within bounds.
    async fn whole(
        &mut self,
        mut upstream: UpstreamBody,
        mut stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<Vec<u8>, Cut> {
        let mut whole = Collected::default();
        while let Some(bytes) = self.next(&mut upstream, stopped.as_mut()).await? {
            whole.push(&bytes).map_err(|_too_long| Cut::Upstream(TOO_LONG.to_owned()))?;
        }
        let json = whole.json();
        self.seen.take_whole(&json);
        Ok(json)
    }

    /// Tells the model what came of its calls and asks it to go on; `None` if its turn has to
    /// end here.
    async fn go_on(&mut self, messages: Option<[Value; 2]>) -> Option<UpstreamBody> {
        // What waits for a person does not come sooner by asking the model again.
        let may = self.asked_again < ASKED_AGAIN_MAX && !self.is_held;
        let messages = messages.filter(|_| may)?;
        self.asked.body = conversation::go_on(&self.asked.body, &messages)?;
        self.asked_again = self.asked_again.saturating_add(1);
        let (response, body) = match begin(&self.asked, self.reply).await {
            Ok(answered) => answered,
            Err(no_answer) => {
                let why = no_answer.outcome.reason;
                tracing::warn!(action = %self.asked.permit.action(), why, "model not asked again");
                return None;
            }
        };
        if !response.status().is_success() || body.form != self.body.form {
            return None;
        }
        self.decoder = Decoder::new(body.coding);
        let earlier = std::mem::take(&mut self.seen);
        self.before = Some(behind(self.before.take(), earlier));
        Some(response.into_body())
    }

    /// The next bytes of the upstream's, decoded; `None` at a clean end.
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
            Some(Ok(bytes)) => match self.decoder.feed(bytes) {
                Ok(decoded) => Ok(Some(decoded)),
                Err(unread) => Err(Cut::Upstream(unread.to_string())),
            },
            None => Ok(None),
            Some(Err(error)) => Err(Cut::Broken(error)),
        }
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
        let action = self.asked.permit.action();
        let told = match cut {
            Cut::Broken(error) => {
                tracing::warn!(%action, %error, "answer cut off");
                let message = format!("This answer is not complete: {error}.");
                Told::failed(StatusCode::BAD_GATEWAY, message, action)
            }
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
        if !self.begun {
            return self.reply.send(HttpFrame::Whole(told.response())).await;
        }
        if self.body.form != Form::Stream {
            return self.reply.send(HttpFrame::Abort).await;
        }
        // What was sent are whole events, so another may follow.
        let words = Bytes::from(told.event());
        self.reply.send(HttpFrame::Data(words.clone())).await?;
        self.sink.update(&words).await;
        self.reply.send(HttpFrame::End).await
    }

    /// What became of the answer.
    async fn conclude(self, passed: Result<(), Cut>, mut outcome: Outcome) -> Outcome {
        let seen = behind(self.before, self.seen);
        (outcome.status, outcome.reason) = match passed {
            Ok(()) => seen.verdict(self.status),
            Err(Cut::Broken(error)) => (Status::Failed, Some(error.to_string())),
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

/// What was seen in all parts of an answer.
fn behind(before: Option<Seen>, later: Seen) -> Seen {
    match before {
        Some(before) => before.and(later),
        None => later,
    }
}

fn unfit(error: GateError) -> Cut {
    Cut::Upstream(error.to_string())
}
