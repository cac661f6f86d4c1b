//! An answer on its way to the client: whole, or event by event.

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use provost_gateway::{
    EgressError, Form, HttpFrame, name_action,
    sse::{Event, Events},
};
use provost_pipeline::{ClientGone, Reply, ResultSink, Stop};
use provost_types::{Outcome, Status};

use super::{
    ANSWER_BYTES_MAX, CLIENT_LEFT, Exchange, NoAnswer,
    body::Body,
    settle::{Unsettled, replaced},
    tools::whole,
};
use crate::{
    classify::What,
    header::SESSION,
    refuse::{NO_ANSWER, Told},
    wire::{
        events, head,
        jsonrpc::{self, Answer, Id, Message},
    },
};

/// Largest body of an answer with an error status that is passed. Unit: bytes. Ours.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// How long last words wait for a client that takes nothing, and how long a server may leave a
/// stream open behind its answer. Ours.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Passes an answer on, and says what became of it.
pub(super) async fn pass_on(
    exchange: &Exchange<'_>,
    reply: &mut Reply<HttpFrame>,
    response: Response<Body>,
    form: Form,
) -> Result<Outcome, Box<NoAnswer>> {
    let (head, body) = response.into_parts();
    let mut headers = head::back(&head.headers, form);
    name_action(&mut headers, exchange.permit.action());
    exchange.note_session(head.status, &mut headers);
    let passing = Passing { exchange, reply, status: head.status, headers };
    if !head.status.is_success() {
        return passing.error(body).await;
    }
    match (&exchange.asked.what, form) {
        (What::Post(Message::Request { id, method, .. }), Form::Json) => {
            passing.whole(body, (id, method)).await
        }
        (What::Post(Message::Request { .. }) | What::Listen, Form::Stream) => {
            Ok(passing.stream(body).await)
        }
        (What::Post(Message::Request { .. }) | What::Listen, Form::Json | Form::Other) => {
            Err(NoAnswer::broken(&"the MCP server answered in a form that does not fit"))
        }
        // What follows one of these is of no meaning, and is not read.
        (What::Post(_), _) => passing.nothing(StatusCode::ACCEPTED).await,
        (What::End, _) => passing.nothing(head.status).await,
    }
}

impl Exchange<'_> {
    /// Keeps track of whose the client's session with the server is.
    fn note_session(&self, status: StatusCode, headers: &mut HeaderMap) {
        let begins = self.request().is_some_and(|(_, method, _)| method == "initialize");
        let begun = head::begun(headers);
        headers.remove(SESSION);
        if let Some(id) = begun.filter(|_| begins && status.is_success())
            && let Ok(value) = id.parse()
        {
            headers.insert(SESSION, value);
            self.plane.sessions.begin((self.server.name.clone(), id), self.permit.session());
        }
        let ended = self.asked.what == What::End && status.is_success();
        if (ended || status == StatusCode::NOT_FOUND)
            && let Some(key) = self.session()
        {
            self.plane.sessions.end(&key);
        }
    }
}

/// An answer on its way to the client.
struct Passing<'a> {
    exchange: &'a Exchange<'a>,
    reply: &'a mut Reply<HttpFrame>,
    status: StatusCode,
    headers: HeaderMap,
}

impl Passing<'_> {
    async fn nothing(mut self, status: StatusCode) -> Result<Outcome, Box<NoAnswer>> {
        self.status = status;
        self.headers.remove(http::header::CONTENT_TYPE);
        self.send_whole(Bytes::new(), Outcome::new(Status::Succeeded)).await
    }

    /// An answer that says that there is none: clients act on its status.
    async fn error(self, body: Body) -> Result<Outcome, Box<NoAnswer>> {
        let read = self.exchange.alert(self.reply, whole(body)).await?;
        let body = read.map_err(|why| NoAnswer::broken(&why))?;
        let body = if body.len() > ERROR_BYTES_MAX { Bytes::new() } else { body.into() };
        let why = format!("the MCP server answered with status {}", self.status.as_u16());
        self.send_whole(body, Outcome::because(Status::Failed, why)).await
    }

    async fn whole(
        self,
        body: Body,
        (id, method): (&Id, &str),
    ) -> Result<Outcome, Box<NoAnswer>> {
        let status = self.status;
        let read = self.exchange.alert(self.reply, whole(body)).await?;
        let bytes = read.map_err(|why| NoAnswer::broken(&why))?;
        let (text, answer) = match told(bytes) {
            Ok((text, Message::Answer { id: Some(of), answer })) if of == *id => (text, answer),
            Ok(_) => return Err(NoAnswer::broken(&WRONG_ANSWER)),
            Err(why) => return Err(NoAnswer::broken(&why)),
        };
        let outcome = verdict(&answer);
        let settled = self.exchange.settle(method, (text, &answer)).await;
        let text = settled.map_err(|unsettled| replaced(unsettled, status))?;
        self.send_whole(text.into(), outcome).await
    }

    async fn send_whole(
        self,
        body: Bytes,
        mut outcome: Outcome,
    ) -> Result<Outcome, Box<NoAnswer>> {
        outcome.code = Some(self.status.as_u16());
        let mut sink = self.exchange.permit.result_sink();
        sink.update(&body).await;
        sink.finish(&mut outcome).await;
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if self.reply.send(HttpFrame::Whole(response)).await.is_err() {
            (outcome.status, outcome.reason) = (Status::Aborted, Some(CLIENT_LEFT.to_owned()));
        }
        Ok(outcome)
    }

    async fn stream(self, body: Body) -> Outcome {
        let Passing { exchange, reply, status, headers } = self;
        let (mut parts, ()) = Response::new(()).into_parts();
        (parts.status, parts.headers) = (status, headers);
        let mut outcome = Outcome::new(Status::Succeeded);
        outcome.code = Some(status.as_u16());
        if reply.send(HttpFrame::Head(parts)).await.is_err() {
            return Outcome { code: outcome.code, ..NoAnswer::client_left().outcome };
        }
        let sink = exchange.permit.result_sink();
        let mut stream = Stream { exchange, reply, sink, answered: None, resumable: false };
        let passed = stream.pass(body).await;
        stream.close(&passed).await;
        stream.conclude(passed, outcome).await
    }
}

/// What is recorded when a server answers something that was not asked.
const WRONG_ANSWER: &str = "the MCP server answered something that was not asked";

/// What is recorded when a server's stream ends too early.
const HALF: &str = "the MCP server ended its stream before its answer";

/// A server's message and its text.
fn told(bytes: Vec<u8>) -> Result<(String, Message), String> {
    let message = jsonrpc::read_told(&bytes)
        .map_err(|error| format!("the MCP server sent what is no message: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok((text, message))
}

/// What an answer says of what was asked.
fn verdict(answer: &Answer) -> Outcome {
    #[derive(serde::Deserialize)]
    struct Result {
        #[serde(default, rename = "isError")]
        is_error: bool,
    }
    match answer {
        Answer::Error(_) => {
            Outcome::because(Status::Failed, "the MCP server answered with an error")
        }
        Answer::Result(raw) => match serde_json::from_str(raw) {
            Ok(Result { is_error: true }) => {
                Outcome::because(Status::Failed, "the tool reported an error")
            }
            Ok(Result { is_error: false }) | Err(_) => Outcome::new(Status::Succeeded),
        },
    }
}

/// An event stream on its way to the client.
struct Stream<'a> {
    exchange: &'a Exchange<'a>,
    reply: &'a mut Reply<HttpFrame>,
    sink: ResultSink,
    /// What came of the request, once its answer was passed.
    answered: Option<Outcome>,
    /// Whether the client can ask for what comes later: some event had an id.
    resumable: bool,
}

/// Why a stream was not passed to its end.
enum Cut {
    /// The server's connection broke.
    Broken(EgressError),
    /// For what the server sent.
    Unfit(String),
    Stopped(Stop),
    ClientLeft,
}

impl Stream<'_> {
    /// Passes events until the request is answered, or to the end.
    async fn pass(&mut self, mut body: Body) -> Result<(), Cut> {
        let mut stopped = pin!(self.exchange.stopped());
        let mut events = Events::new(ANSWER_BYTES_MAX);
        while self.answered.is_none() {
            let piece = tokio::select! {
                biased;
                stop = stopped.as_mut() => return Err(Cut::Stopped(stop)),
                () = self.reply.gone() => return Err(Cut::ClientLeft),
                piece = body.piece() => piece,
            };
            let Some(piece) = piece else { return Ok(()) };
            let piece = piece.map_err(Cut::Broken)?;
            events.push(&piece).map_err(|error| Cut::Unfit(error.to_string()))?;
            while let Some(event) = events.next().filter(|_| self.answered.is_none()) {
                let passed = tokio::select! {
                    biased;
                    stop = stopped.as_mut() => return Err(Cut::Stopped(stop)),
                    passed = self.passed(event) => passed?,
                };
                self.send(passed, stopped.as_mut()).await?;
            }
        }
        self.send_end(stopped.as_mut()).await?;
        // A server that ends its stream now can be asked again over the same connection.
        let rest = async { while body.piece().await.is_some_and(|piece| piece.is_ok()) {} };
        let _ended = tokio::time::timeout(LAST_WORDS_MAX, rest).await;
        Ok(())
    }

    /// What the client gets of an event.
    async fn passed(&mut self, event: Event) -> Result<Bytes, Cut> {
        self.resumable |= event.id.is_some();
        let Some(data) = event.data.filter(|data| !data.trim_ascii().is_empty()) else {
            return Ok(event.raw);
        };
        let (text, message) = told(data).map_err(Cut::Unfit)?;
        match message {
            Message::Notification { .. } => Ok(event.raw),
            Message::Request { id, method, .. } => {
                match self.exchange.may_ask((&id, &method), &text).await {
                    true => Ok(event.raw),
                    false => Ok(events::with_data(&event.raw, None)),
                }
            }
            Message::Answer { id, answer } => {
                let method = id.and_then(|id| self.asked(&id)).ok_or_else(wrong_answer)?;
                let outcome = verdict(&answer);
                let settled = self.exchange.settle(&method, (text.clone(), &answer)).await;
                let (settled, outcome) = match settled {
                    Ok(settled) => (settled, outcome),
                    Err(Unsettled::Told(told)) => self.instead(&told),
                    Err(Unsettled::Unread(why)) => return Err(Cut::Unfit(why)),
                };
                if self.exchange.request().is_some() {
                    self.answered = Some(outcome);
                }
                let same = settled == text;
                Ok(if same { event.raw } else { events::with_data(&event.raw, Some(&settled)) })
            }
        }
    }

    /// The method of the request that an answer with this id is for.
    fn asked(&self, id: &Id) -> Option<String> {
        match self.exchange.request() {
            Some((of, method, _)) => (of == id).then(|| method.to_owned()),
            // A stream that goes on where another one ended.
            None => self.exchange.plane.sessions.take_unanswered(&self.exchange.session()?, id),
        }
    }

    fn instead(&self, told: &Told) -> (String, Outcome) {
        let id = self.exchange.request().map(|(id, _, _)| id);
        let error = told.answer(id, self.exchange.permit.action());
        let outcome = Outcome::because(Status::Failed, told.message.clone());
        (String::from_utf8_lossy(&error).into_owned(), outcome)
    }

    async fn send(
        &mut self,
        bytes: Bytes,
        stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<(), Cut> {
        if bytes.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            stop = stopped => return Err(Cut::Stopped(stop)),
            sent = self.reply.send(HttpFrame::Data(bytes.clone())) => {
                sent.map_err(|ClientGone| Cut::ClientLeft)?;
            }
        }
        self.sink.update(&bytes).await;
        Ok(())
    }

    async fn send_end(
        &mut self,
        stopped: Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<(), Cut> {
        tokio::select! {
            biased;
            stop = stopped => Err(Cut::Stopped(stop)),
            sent = self.reply.send(HttpFrame::End) => sent.map_err(|ClientGone| Cut::ClientLeft),
        }
    }

    /// Ends a stream that has not its answer: in words, where the client can take them.
    async fn close(&mut self, passed: &Result<(), Cut>) {
        let told = match passed {
            Ok(()) if self.answered.is_some() => return, // its end was sent
            Err(Cut::ClientLeft) => return self.leave_unanswered(),
            Ok(()) => self.ended_early(),
            Err(Cut::Broken(error)) => {
                let action = self.exchange.permit.action();
                tracing::warn!(%action, server = %self.exchange.server.name, %error, "answer cut off");
                self.ended_early()
            }
            Err(Cut::Unfit(why)) => {
                Some(Told::no(NO_ANSWER, format!("There is no answer: {why}.")))
            }
            Err(Cut::Stopped(stop)) => Some(Told::stop(stop)),
        };
        let said = tokio::time::timeout(LAST_WORDS_MAX, self.say(told)).await;
        if !matches!(said, Ok(Ok(()))) {
            tracing::debug!(action = %self.exchange.permit.action(), "client took no last words");
        }
    }

    /// What a client is told of a stream that ended early: nothing, if it can resume it.
    fn ended_early(&self) -> Option<Told> {
        if self.resumable && self.exchange.session().is_some() {
            self.leave_unanswered();
            return None;
        }
        Some(Told::no(NO_ANSWER, format!("There is no answer: {HALF}.")))
    }

    fn leave_unanswered(&self) {
        if let (Some((id, method, _)), Some(key)) =
            (self.exchange.request(), self.exchange.session())
        {
            self.exchange.plane.sessions.leave_unanswered(&key, id, method);
        }
    }

    async fn say(&mut self, told: Option<Told>) -> Result<(), ClientGone> {
        if let (Some(told), Some((id, _, _))) = (told, self.exchange.request()) {
            // What was sent are whole events, so another may follow.
            let error = told.answer(Some(id), self.exchange.permit.action());
            let event = events::message(&error);
            self.reply.send(HttpFrame::Data(event.clone())).await?;
            self.sink.update(&event).await;
        }
        self.reply.send(HttpFrame::End).await
    }

    /// What became of the answer.
    async fn conclude(self, passed: Result<(), Cut>, mut outcome: Outcome) -> Outcome {
        let wants_answer = self.exchange.request().is_some();
        let (status, reason) = match (passed, self.answered) {
            (_, Some(answered)) => (answered.status, answered.reason),
            (Ok(()), None) if wants_answer => (Status::Failed, Some(HALF.to_owned())),
            (Ok(()), None) => (Status::Succeeded, None),
            (Err(Cut::Broken(error)), None) => (Status::Failed, Some(error.to_string())),
            (Err(Cut::Unfit(why)), None) => (Status::Failed, Some(why)),
            (Err(Cut::Stopped(stop)), None) => {
                (Status::Aborted, Some(stop.sentence().to_owned()))
            }
            (Err(Cut::ClientLeft), None) => (Status::Aborted, Some(CLIENT_LEFT.to_owned())),
        };
        (outcome.status, outcome.reason) = (status, reason);
        self.sink.finish(&mut outcome).await;
        outcome
    }
}

fn wrong_answer() -> Cut {
    Cut::Unfit(WRONG_ANSWER.to_owned())
}
