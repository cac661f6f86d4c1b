//! One process: who waits for which answer, and where goes what it says of its own accord.
//!
//! Requests go under ids of our own, so that no two clients' ids meet, and come back under
//! theirs. What is of no request goes to whoever listens, or else to the request asked last.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use provost_gateway::{
    EgressError,
    child::{Child, ChildInput, ChildLines, ChildProcess, SendError},
};
use provost_pipeline::SessionLife;
use tokio::sync::{Notify, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    server::ServerName,
    wire::{
        events,
        jsonrpc::{self, Answer, Id, Message, Params},
    },
};

/// Most requests in flight. Ours.
const CALLS_MAX: usize = 1_024;

/// Most lines that wait for a slow client; then its program waits. Ours.
const LINES_MAX: usize = 64;

/// Most lines kept while nobody listens; then the oldest is dropped. Ours.
const KEPT_MAX: usize = 64;

/// How long a program is kept that nobody asks anything. Ours.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// The client's word that it waits no longer. Source: MCP 2025-11-25, "Cancellation".
const CANCELLED: &str = "notifications/cancelled";

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Running {
    input: ChildInput,
    tasks: TaskTracker,
    end: CancellationToken,
    next: AtomicI64,
    asked: Notify,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By the ids the program knows.
    calls: BTreeMap<i64, Call>,
    listener: Option<mpsc::Sender<Line>>,
    kept: VecDeque<Bytes>,
    is_over: bool,
}

/// A request in flight.
#[derive(Debug)]
struct Call {
    /// The client's id.
    id: Id,
    /// By what the program tells of its progress, as JSON.
    progress: Option<String>,
    to: mpsc::Sender<Line>,
}

/// Something the program says.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) line: Bytes,
    /// Whether it is the answer.
    pub(crate) is_last: bool,
    /// Whether it is an answer that is an error.
    pub(crate) is_error: bool,
}

/// A request that was not asked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NotAsked {
    #[error("the MCP server's program is over")]
    Over,
    #[error("more than {CALLS_MAX} requests are in flight at this MCP server's program")]
    Many,
}

/// Why a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    ByItself,
    OnPurpose,
}

/// What reads a program, until it ends.
#[derive(Debug)]
pub(crate) struct Reading {
    name: ServerName,
    lines: ChildLines,
    process: ChildProcess,
    life: SessionLife,
}

impl Running {
    /// Takes a program that was just started, for as long as `life` at most.
    pub(crate) fn new(
        name: &ServerName,
        child: Child,
        (life, tasks): (SessionLife, &TaskTracker),
    ) -> (Self, Reading) {
        let Child { input, lines, process } = child;
        let running = Self {
            input,
            tasks: tasks.clone(),
            end: CancellationToken::new(),
            next: AtomicI64::new(1),
            asked: Notify::new(),
            waiting: Mutex::default(),
        };
        (running, Reading { name: name.clone(), lines, process, life })
    }

    /// Asks for something; what is said in answer comes out of what is returned.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        (id, method, params): (Id, &str, &Params),
    ) -> Result<Lines, super::ProgramFault> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let meta = params.raw("_meta");
        let progress = meta.and_then(|meta| Params::of(meta).raw("progressToken"));
        let (to, lines) = mpsc::channel(LINES_MAX);
        {
            let mut waiting = self.waiting();
            if waiting.is_over {
                return Err(NotAsked::Over.into());
            }
            if waiting.calls.len() >= CALLS_MAX {
                return Err(NotAsked::Many.into());
            }
            waiting.calls.insert(number, Call { id, progress, to });
        }
        // From here on, dropping it takes the request back.
        let lines = Lines { lines, call: Some((Arc::clone(self), number)) };
        let params = params.text().unwrap_or("{}");
        self.write(&jsonrpc::request(&Id::Number(number), method, params)).await?;
        Ok(lines)
    }

    /// Passes on a notification of the client's.
    pub(crate) async fn notify(
        &self,
        (method, params): (&str, &Params),
        body: &[u8],
    ) -> Result<(), SendError> {
        if method != CANCELLED {
            return self.write(body).await;
        }
        let id = params.raw("requestId").unwrap_or_default();
        let of = |(number, call): (&i64, &Call)| (call.id.to_string() == id).then_some(*number);
        let number = self.waiting().calls.iter().find_map(of);
        number.into_iter().for_each(|number| self.take_back(number));
        Ok(())
    }

    /// Writes a message on one line.
    pub(crate) async fn write(&self, message: &[u8]) -> Result<(), SendError> {
        self.asked.notify_one();
        // In JSON a line end stands between tokens only.
        let line: Vec<u8> = message
            .iter()
            .map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte })
            .collect();
        self.input.send(line.into()).await
    }

    /// What is of no request, from now on; whoever listened before does not any more.
    pub(crate) fn listen(&self) -> Lines {
        let (to, lines) = mpsc::channel(LINES_MAX);
        let mut waiting = self.waiting();
        for line in std::mem::take(&mut waiting.kept) {
            let kept = to.try_send(Line { line, is_last: false, is_error: false });
            debug_assert!(kept.is_ok(), "no more are kept than wait");
        }
        if !waiting.is_over {
            waiting.listener = Some(to);
        }
        Lines { lines, call: None }
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.end.cancel();
    }

    /// The client waits no longer for an answer.
    fn take_back(&self, number: i64) {
        if self.waiting().calls.remove(&number).is_none() {
            return;
        }
        let told = format!(
            r#"{{"jsonrpc":"2.0","method":"{CANCELLED}","params":{{"requestId":{number}}}}}"#
        );
        let input = self.input.clone();
        self.tasks.spawn(async move {
            if let Err(error) = input.send(told.into()).await {
                tracing::debug!(%error, "a program was not told that nobody waits");
            }
        });
    }

    /// Gives a line to whoever it is for.
    async fn take(&self, name: &ServerName, line: Bytes) {
        let (to, line) = match jsonrpc::read_told(&line) {
            Err(error) => {
                tracing::warn!(server = %name, %error, "a line of a program is no message");
                return;
            }
            Ok(Message::Answer { id, answer }) => match self.answered(id.as_ref(), &answer) {
                Some((to, line)) => (Some(to), line),
                None => {
                    tracing::warn!(server = %name, "an answer that nobody waits for");
                    return;
                }
            },
            Ok(Message::Notification { params, .. }) => {
                let token = params.raw("progressToken");
                (self.way(token), Line { line, is_last: false, is_error: false })
            }
            Ok(Message::Request { .. }) => {
                (self.way(None), Line { line, is_last: false, is_error: false })
            }
        };
        match to {
            // Whoever left hears nothing; their request was taken back.
            Some(to) => drop(to.send(line).await),
            None => self.keep(line.line),
        }
    }

    /// The answer under the client's id, and who waits for it.
    fn answered(&self, id: Option<&Id>, answer: &Answer) -> Option<(mpsc::Sender<Line>, Line)> {
        let Some(Id::Number(number)) = id else { return None };
        let Call { id, to, .. } = self.waiting().calls.remove(number)?;
        let (name, json) = match answer {
            Answer::Result(json) => ("result", json),
            Answer::Error(json) => ("error", json),
        };
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"{name}":{json}}}"#).into();
        let is_error = matches!(answer, Answer::Error(_));
        Some((to, Line { line, is_last: true, is_error }))
    }

    /// Where something goes that answers nothing.
    fn way(&self, progress: Option<String>) -> Option<mpsc::Sender<Line>> {
        let mut waiting = self.waiting();
        let of = |call: &&Call| progress.is_some() && call.progress == progress;
        if let Some(call) = waiting.calls.values().find(of) {
            return Some(call.to.clone());
        }
        waiting.listener = waiting.listener.take().filter(|listener| !listener.is_closed());
        let last = || waiting.calls.values().next_back().map(|call| call.to.clone());
        waiting.listener.clone().or_else(last)
    }

    fn keep(&self, line: Bytes) {
        let kept = &mut self.waiting().kept;
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
    }

    /// Waits until nobody has asked anything for a while.
    async fn idle(&self) {
        loop {
            let asked = tokio::time::timeout(IDLE_MAX, self.asked.notified()).await;
            let waiting = self.waiting();
            let listens =
                waiting.listener.as_ref().is_some_and(|listener| !listener.is_closed());
            if asked.is_err() && waiting.calls.is_empty() && !listens {
                return;
            }
        }
    }

    /// Nobody waits any more.
    fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_over = true;
        waiting.calls.clear();
        waiting.listener = None;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// Reads until the program ends, or has to.
    pub(crate) async fn run(mut self, running: &Running) -> Why {
        let (name, lines) = (&self.name, &mut self.lines);
        let read = async {
            loop {
                match lines.next_line().await {
                    Ok(Some(line)) => running.take(name, line).await,
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(server = %name, %error, "a program cannot be read");
                        return;
                    }
                }
            }
        };
        let (read, over, idle) = (pin!(read), pin!(self.life.over()), pin!(running.idle()));
        let why = tokio::select! {
            () = read => Why::ByItself,
            () = running.end.cancelled() => Why::OnPurpose,
            _stop = over => Why::OnPurpose,
            () = idle => Why::OnPurpose,
        };
        running.close();
        let ending = self.process.end().await;
        tracing::info!(server = %self.name, ?ending, ?why, "a program of an MCP server ended");
        why
    }
}

/// What a program says to one who asked, or listens. Dropped before the answer came, the
/// program is told that nobody waits.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: mpsc::Receiver<Line>,
    call: Option<(Arc<Running>, i64)>,
}

impl Lines {
    /// The next line.
    pub(crate) async fn recv(&mut self) -> Option<Line> {
        let line = self.lines.recv().await;
        if line.as_ref().is_none_or(|line| line.is_last) {
            self.call = None;
        }
        line
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some((running, number)) = self.call.take() {
            running.take_back(number);
        }
    }
}

/// A program's answer, in the forms that one over HTTP has.
#[derive(Debug)]
pub(crate) enum Told {
    /// All of it.
    Whole(Option<Bytes>),
    /// Events, as they come.
    Stream {
        /// What is there already.
        first: Option<Bytes>,
        /// The rest.
        rest: Lines,
    },
}

impl Told {
    pub(crate) fn whole(body: Bytes) -> Self {
        Self::Whole(Some(body).filter(|body| !body.is_empty()))
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, EgressError>> {
        match self {
            Self::Whole(body) => body.take().map(Ok),
            Self::Stream { first, rest } => match first.take() {
                Some(first) => Some(Ok(first)),
                None => {
                    let line = rest.recv().await?.line;
                    Some(Ok(events::message(&line)))
                }
            },
        }
    }
}
