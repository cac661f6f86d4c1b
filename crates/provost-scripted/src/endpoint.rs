//! The endpoint itself: accepts, keeps what was asked, plays what the script says.

use std::{
    collections::HashMap,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Answer, Play, Script, Seen,
    socket::{ResetFlag, Socket},
    stream::{Cut, Stream},
};

/// A running endpoint; stops when dropped.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    state: Arc<State>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// How much was asked so far, and how much of it is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    requests: u64,
    live: usize,
}

#[derive(Debug)]
struct State {
    script: Script,
    seen: Mutex<Vec<Seen>>,
    count_by_path: Mutex<HashMap<String, u64>>,
    progress: watch::Sender<Progress>,
}

impl Scripted {
    /// Listens on a free port of 127.0.0.1. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub async fn start(script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            script,
            seen: Mutex::default(),
            count_by_path: Mutex::default(),
            progress: watch::Sender::default(),
        });
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let accept = accept(listener, Arc::clone(&state), tasks.clone(), stopping.clone());
        tasks.spawn(stopping.clone().run_until_cancelled_owned(accept));
        Ok(Self { address, state, stopping, tasks })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests kept so far, in order of arrival of their last byte.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// How many requests asked for `path`, kept or not. The query does not count.
    pub fn request_count(&self, path: &str) -> u64 {
        lock(&self.state.count_by_path).get(path).copied().unwrap_or_default()
    }

    /// How many replies have begun and not ended: streams and hangs.
    pub fn live_streams(&self) -> usize {
        self.state.progress.borrow().live
    }

    /// Waits until at least `count` requests have arrived, on whatever path.
    pub async fn requests_reach(&self, count: u64) {
        self.progress_is(|progress| progress.requests >= count).await;
    }

    /// Waits until exactly `count` replies are live.
    pub async fn live_streams_are(&self, count: usize) {
        self.progress_is(|progress| progress.live == count).await;
    }

    async fn progress_is(&self, reached: impl Fn(&Progress) -> bool) {
        let mut progress = self.state.progress.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        drop(progress.wait_for(|progress| reached(progress)).await);
    }

    /// Stops listening, drops every connection and waits until all is gone.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// Counts one reply as live while it exists.
#[derive(Debug)]
pub(crate) struct Live(Arc<State>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| {
            progress.live = progress.live.saturating_sub(1);
        });
    }
}

impl State {
    /// Numbers the request, and keeps it if there is room.
    fn see(self: &Arc<Self>, parts: http::request::Parts, body: Bytes) -> (Seen, Live) {
        let mut order = 0;
        self.progress.send_modify(|progress| {
            progress.requests = progress.requests.saturating_add(1);
            progress.live = progress.live.saturating_add(1);
            order = progress.requests;
        });
        let path = parts.uri.path();
        let mut counts = lock(&self.count_by_path);
        match counts.get_mut(path) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(counts.insert(path.to_owned(), 1)),
        }
        drop(counts);
        let seen = Seen {
            order,
            method: parts.method,
            path: path.to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
        };
        let mut kept = lock(&self.seen);
        if kept.len() < self.script.seen_max {
            kept.push(seen.clone());
        }
        (seen, Live(Arc::clone(self)))
    }
}

/// The endpoint keeps counting whatever panicked elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    tasks: TaskTracker,
    stopping: CancellationToken,
) {
    loop {
        // A failed accept is one client's misfortune (or a full descriptor table: retry).
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let serve = serve(stream, Arc::clone(&state));
        tasks.spawn(stopping.clone().run_until_cancelled_owned(serve));
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    drop(stream.set_nodelay(true)); // at worst slower
    let reset = ResetFlag::default();
    let socket = TokioIo::new(Socket::new(stream, reset.clone()));
    let service = service_fn(move |request| answer(request, Arc::clone(&state), reset.clone()));
    // How a connection ends is the client's business, and often the script's intention.
    drop(http1::Builder::new().serve_connection(socket, service).await);
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    reset: ResetFlag,
) -> Result<Response<Stream>, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let (seen, live) = state.see(parts, body);
    match (state.script.play)(&seen) {
        Play::Answer(answer) => Ok(respond(answer, &seen, reset, live)),
        Play::Hang => pending().await,
        Play::Reset => {
            reset.raise();
            Err(Cut)
        }
    }
}

fn respond(answer: Answer, seen: &Seen, reset: ResetFlag, live: Live) -> Response<Stream> {
    let mut response = Response::new(Stream::new(answer.content, reset, live));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    let id = format!("req_01Scripted{:016}", seen.order);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("request-id", id);
    }
    response
}
