//! Each message of the client's on its way: requests side by side, all else in its order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    MESSAGE_BYTES_MAX,
    gateway::{CallError, Gateway, Settled, begun, is_stream},
    lines::{self, Line},
    message::{self, Back, INVALID_REQUEST, Id, Kind, Message, NO_ANSWER},
};
use crate::printer::Printer;

/// Most requests that wait for their answers. Ours: clients ask a handful at a time.
const REQUESTS_MAX: usize = 64;
/// Longest wait for the gateway to take what wants no answer. Unit: seconds. Ours: what comes
/// behind it waits as well.
const TAKEN_WAIT_S_MAX: u64 = 30;
/// Longest wait for answers when the client's input has ended. Unit: milliseconds. Source: the
/// SDKs of MCP give a server two seconds from the end of its input; this and the next fit in.
const FINISH_WAIT_MS_MAX: u64 = 1000;
/// Longest wait for the end of the session with the server. Unit: milliseconds.
const END_WAIT_MS_MAX: u64 = 700;

/// What all messages share.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) gateway: Gateway,
    settled: Mutex<Settled>,
    in_flight: Mutex<HashMap<Id, CancellationToken>>,
    out: mpsc::Sender<Bytes>,
    printer: Printer,
    requests: TaskTracker,
    streams: TaskTracker,
    pub(super) ending: CancellationToken,
}

/// A request, and the messages that come back for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: Id,
    pub(super) is_initialize: IsInitialize,
}

/// Whether a request settles what those after it are asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsInitialize {
    Yes,
    No,
}

impl Relay {
    /// A relay to `gateway` that answers into `out`.
    pub(super) fn new(gateway: Gateway, out: mpsc::Sender<Bytes>, printer: Printer) -> Self {
        Self {
            gateway,
            settled: Mutex::default(),
            in_flight: Mutex::default(),
            out,
            printer,
            requests: TaskTracker::new(),
            streams: TaskTracker::new(),
            ending: CancellationToken::new(),
        }
    }

    /// Takes lines until there are no more.
    pub(super) async fn take_all(self: &Arc<Self>, lines: &mut mpsc::Receiver<Line>) {
        while let Some(line) = lines.recv().await {
            match line {
                Line::Whole(line) if line.trim_ascii().is_empty() => {}
                Line::Whole(line) => self.take(line).await,
                Line::TooLong => {
                    let mebibytes = MESSAGE_BYTES_MAX >> 20;
                    let told = format!("the message is larger than {mebibytes} MiB");
                    self.say(message::error(None, INVALID_REQUEST, &told)).await;
                }
            }
        }
    }

    /// Waits, not for long, for the answers that are still to come.
    pub(super) async fn finish(&self) {
        self.requests.close();
        let wait = Duration::from_millis(FINISH_WAIT_MS_MAX);
        let _unanswered = timeout(wait, self.requests.wait()).await;
    }

    /// Ends what goes on, and the session with the server.
    pub(super) async fn end(&self) {
        self.ending.cancel();
        for tracker in [&self.requests, &self.streams] {
            tracker.close();
            tracker.wait().await;
        }
        let settled = self.settled();
        if settled.session.is_some() {
            let end = self.gateway.send(Method::DELETE, settled.headers(), Bytes::new());
            // Not every server lets its sessions be ended; then they run out.
            let _ended = timeout(Duration::from_millis(END_WAIT_MS_MAX), end).await;
        }
    }

    /// Whether the gateway was called and never answered.
    pub(super) fn was_never_reached(&self) -> bool {
        self.gateway.was_never_reached()
    }

    async fn take(self: &Arc<Self>, line: Bytes) {
        let message = match Message::read(&line) {
            Ok(message) => message,
            Err(error) => {
                return self.say(message::error(None, error.code(), &error.to_string())).await;
            }
        };
        match &message.kind {
            Kind::Request { id, method } if method == "initialize" => {
                // What follows needs what this settles.
                *locked(&self.settled) = Settled::default();
                let request = Request { id: id.clone(), is_initialize: IsInitialize::Yes };
                let headers = Settled::default().headers_of(&message);
                self.answer(&request, headers, line).await;
            }
            Kind::Request { id, .. } => self.begin(id, &message, line).await,
            Kind::Notification { method, about } if method == "notifications/cancelled" => {
                if !self.stateless(&message) {
                    self.tell(&message, line).await;
                }
                // Without sessions, that nobody waits any more is what cancels a request.
                let cancelled =
                    about.as_ref().and_then(|id| locked(&self.in_flight).remove(id));
                if let Some(cancelled) = cancelled {
                    cancelled.cancel();
                }
            }
            Kind::Notification { method, .. } => {
                let is_taken = self.tell(&message, line).await;
                if is_taken && method == "notifications/initialized" {
                    self.listen();
                }
            }
            Kind::Answer => {
                self.tell(&message, line).await;
            }
        }
    }

    /// Asks a request beside the others.
    async fn begin(self: &Arc<Self>, id: &Id, message: &Message, line: Bytes) {
        let token = self.ending.child_token();
        let refused = {
            let mut in_flight = locked(&self.in_flight);
            if in_flight.contains_key(id) {
                Some("a request with this id is being answered".to_owned())
            } else if in_flight.len() >= REQUESTS_MAX {
                Some(format!("{REQUESTS_MAX} requests are being answered: ask again later"))
            } else {
                in_flight.insert(id.clone(), token.clone());
                None
            }
        };
        if let Some(refused) = refused {
            return self.say(message::error(Some(id), INVALID_REQUEST, &refused)).await;
        }
        if let Some(version) = message.version.as_ref() {
            // For what names none itself, such as notifications.
            locked(&self.settled).version = Some(version.clone());
        }
        let headers = self.settled().headers_of(message);
        let request = Request { id: id.clone(), is_initialize: IsInitialize::No };
        let relay = Arc::clone(self);
        let _handle = self.requests.spawn(async move {
            tokio::select! {
                () = relay.answer(&request, headers, line) => {
                    locked(&relay.in_flight).remove(&request.id);
                }
                // Whoever cancelled it waits for no answer.
                () = token.cancelled() => {}
            }
        });
    }

    /// Asks, and answers whatever comes of it.
    async fn answer(&self, request: &Request, headers: HeaderMap, line: Bytes) {
        if let Err(error) = self.ask(request, headers, line).await {
            self.say(message::error(Some(&request.id), NO_ANSWER, &error.to_string())).await;
        }
    }

    async fn ask(
        &self,
        request: &Request,
        headers: HeaderMap,
        line: Bytes,
    ) -> Result<(), CallError> {
        let answer = self.gateway.send(Method::POST, headers, line).await?;
        if request.is_initialize == IsInitialize::Yes {
            locked(&self.settled).session = begun(answer.headers());
        }
        let status = answer.status();
        if status.is_success() && is_stream(answer.headers()) {
            return self.follow(request, answer).await;
        }
        let body = self.gateway.whole(answer).await?;
        self.answered(request, status, &body).await
    }

    /// Passes on a whole answer.
    async fn answered(
        &self,
        request: &Request,
        status: StatusCode,
        body: &[u8],
    ) -> Result<(), CallError> {
        if self.pass(request, body).await {
            Ok(())
        } else if status.is_success() {
            Err(CallError::NotUnderstood)
        } else {
            Err(CallError::Status { status })
        }
    }

    /// Passes on a message if it answers the request; says whether it does.
    pub(super) async fn pass(&self, request: &Request, json: &[u8]) -> bool {
        let Some(line) = lines::one(json) else { return false };
        match message::back(&request.id, &line) {
            Back::Answer => {
                if request.is_initialize == IsInitialize::Yes {
                    locked(&self.settled).version = message::settled(&line);
                }
                self.say(line).await;
                true
            }
            Back::ErrorOfNone(error) => {
                self.say(message::with_id(Some(&request.id), error)).await;
                true
            }
            Back::Other => false,
        }
    }

    /// Passes on a message that answers nothing; what is no message at all is only noted.
    pub(super) async fn pass_aside(&self, json: &[u8]) {
        match lines::one(json) {
            Some(line) => self.say(line).await,
            None => self.printer.note("an event that is no JSON was left out"),
        }
    }

    /// Tells the server what wants no answer; says whether it was taken.
    async fn tell(&self, message: &Message, line: Bytes) -> bool {
        let headers = self.settled().headers_of(message);
        let telling = async {
            let answer = self.gateway.send(Method::POST, headers, line).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(None);
            }
            let body = self.gateway.whole(answer).await?;
            message::sentence(&body).map(Some).ok_or(CallError::Status { status })
        };
        let told = timeout(Duration::from_secs(TAKEN_WAIT_S_MAX), telling).await;
        let why = match told.unwrap_or(Err(CallError::TimedOut)) {
            Ok(None) => return true,
            Ok(Some(sentence)) => sentence,
            Err(error) => error.to_string(),
        };
        let what = message.method().unwrap_or("answer");
        self.printer.note(&format!("the client's {what} was not taken: {why}"));
        false
    }

    /// Listens to what the server says of itself, where there is a session to say it in.
    fn listen(self: &Arc<Self>) {
        if self.settled().session.is_none() || !self.streams.is_empty() {
            return;
        }
        let relay = Arc::clone(self);
        let _handle = self.streams.spawn(async move {
            tokio::select! {
                () = relay.hear() => {}
                () = relay.ending.cancelled() => {}
            }
        });
    }

    fn stateless(&self, message: &Message) -> bool {
        let version = message.version.clone();
        let mut settled = self.settled();
        settled.version = version.or(settled.version);
        settled.is_stateless()
    }

    /// A line for the client. When nobody reads any more, all of this ends anyway.
    async fn say(&self, line: Bytes) {
        let _gone = self.out.send(line).await;
    }

    pub(super) fn note(&self, line: &str) {
        self.printer.note(line);
    }

    pub(super) fn settled(&self) -> Settled {
        locked(&self.settled).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
