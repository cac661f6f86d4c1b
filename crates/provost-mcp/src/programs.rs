//! Servers that are programs, spoken to as if they were behind HTTP.
//!
//! Each of a client's sessions with a server has a process of its own; requests of the
//! revision without sessions share one for each of Provost's sessions. A process ends with
//! the session it is of, and when it was not asked anything for a while.

mod running;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use provost_gateway::child::{Child, Program, Restarts, SendError, StartError, TooSoon};
use provost_pipeline::Permit;
use provost_types::{Clock, SessionId};
use secrecy::SecretString;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::running::Told;
use self::running::{NotAsked, Running};
use crate::{
    header::SESSION,
    server::ServerName,
    sessions::Key,
    wire::{
        events,
        jsonrpc::{self, Id, Message, Params},
    },
};

/// Most processes at once. Ours: an agent and its subagents have one for each server.
const RUNNING_MAX: usize = 512;

/// How long a program may think about what it can do, before it is taken for one of an earlier
/// revision. Ours: those answer at once that they do not know the method.
const DISCOVER_MAX: Duration = Duration::from_secs(5);

/// Programs that run. Cheap to clone: clones share them.
#[derive(Clone, Debug)]
pub struct Programs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tasks: TaskTracker,
    stop: CancellationToken,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: HashMap<Key, Arc<Running>>,
    restarts: HashMap<ServerName, Restarts>,
}

/// A request for a program.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) server: &'a ServerName,
    pub(crate) program: &'a Program,
    /// Variables with their secrets, leased against the same permit.
    pub(crate) secrets: Vec<(String, SecretString)>,
    pub(crate) method: Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
}

/// There is no answer from a program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramFault {
    #[error("the MCP server's program does not start: {0}")]
    Start(#[from] StartError),
    #[error("the MCP server's program ended too soon before: {0}")]
    TooSoon(#[from] TooSoon),
    #[error("too many programs of MCP servers run already")]
    Many,
    #[error("the MCP server's program takes nothing: {0}")]
    Send(#[from] SendError),
    #[error("{0}")]
    NotAsked(#[from] NotAsked),
    #[error("the MCP server's program ended before its answer")]
    Ended,
    #[error("the message cannot be read")]
    Unread,
}

impl Programs {
    /// None yet. What looks after them runs in `tasks`; all end when `stop` is cancelled.
    pub fn new(tasks: TaskTracker, stop: CancellationToken, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared { tasks, stop, clock, state: Mutex::default() }))
    }

    /// Asks a program as one would a server behind HTTP.
    pub(crate) async fn send(
        &self,
        permit: &Permit,
        asking: Asking<'_>,
    ) -> Result<Response<Told>, ProgramFault> {
        let session = asking.headers.get(SESSION).and_then(|id| id.to_str().ok());
        let session = session.map(|id| (asking.server.clone(), id.to_owned()));
        match asking.method {
            Method::GET => Ok(match session.and_then(|key| self.known(&key)) {
                Some(running) => streamed(None, running.listen()),
                None => bare(StatusCode::METHOD_NOT_ALLOWED),
            }),
            Method::DELETE => Ok(match session.and_then(|key| self.forget(&key)) {
                Some(running) => {
                    running.end();
                    bare(StatusCode::OK)
                }
                None => bare(StatusCode::NOT_FOUND),
            }),
            _ => self.post(permit, asking, session).await,
        }
    }

    async fn post(
        &self,
        permit: &Permit,
        asking: Asking<'_>,
        session: Option<Key>,
    ) -> Result<Response<Told>, ProgramFault> {
        let message = jsonrpc::read_asked(&asking.body).map_err(|_| ProgramFault::Unread)?;
        match message {
            Message::Request { id, method, params } if method == "initialize" => {
                let name = SessionId::generate().to_string();
                let key = (asking.server.clone(), name.clone());
                let running = self.start(permit, &asking, key)?;
                let mut answered = running.answer((id, &method, &params)).await?;
                let name = HeaderValue::try_from(name).map_err(|_| ProgramFault::Unread)?;
                answered.headers_mut().insert(SESSION, name);
                Ok(answered)
            }
            Message::Request { id, method, params } => {
                match self.found(permit, &asking, session)? {
                    Some(running) => running.answer((id, &method, &params)).await,
                    None => Ok(bare(StatusCode::NOT_FOUND)),
                }
            }
            Message::Notification { method, params } => {
                match self.found(permit, &asking, session)? {
                    Some(running) => {
                        running.notify((&method, &params), &asking.body).await?;
                        Ok(bare(StatusCode::ACCEPTED))
                    }
                    None => Ok(bare(StatusCode::NOT_FOUND)),
                }
            }
            Message::Answer { .. } => match session.and_then(|key| self.known(&key)) {
                Some(running) => {
                    running.write(&asking.body).await?;
                    Ok(bare(StatusCode::ACCEPTED))
                }
                None => Ok(bare(StatusCode::NOT_FOUND)),
            },
        }
    }

    /// The process of a session; without one, that which Provost's session shares.
    fn found(
        &self,
        permit: &Permit,
        asking: &Asking<'_>,
        session: Option<Key>,
    ) -> Result<Option<Arc<Running>>, ProgramFault> {
        if let Some(key) = session {
            return Ok(self.known(&key));
        }
        // No session's id begins so.
        let key = (asking.server.clone(), format!("={}", permit.session()));
        match self.known(&key) {
            Some(running) => Ok(Some(running)),
            None => self.start(permit, asking, key).map(Some),
        }
    }

    fn start(
        &self,
        permit: &Permit,
        asking: &Asking<'_>,
        key: Key,
    ) -> Result<Arc<Running>, ProgramFault> {
        let Shared { tasks, stop, clock, .. } = &*self.0;
        let mut state = self.state();
        if state.running.len() >= RUNNING_MAX {
            return Err(ProgramFault::Many);
        }
        let now = Duration::from_micros(clock.monotonic().0);
        let restarts = state.restarts.entry(asking.server.clone()).or_default();
        restarts.may_start(now)?;
        restarts.started(now);
        let child = Child::start(asking.program, &asking.secrets, permit, tasks, stop)
            .inspect_err(|_error| restarts.ended(now))?;
        let (running, reading) =
            Running::new(asking.server, child, (permit.session_life(), tasks));
        let running = Arc::new(running);
        state.running.insert(key.clone(), Arc::clone(&running));
        drop(state);
        let (programs, kept) = (self.clone(), Arc::clone(&running));
        tasks.spawn(async move {
            let ending = reading.run(&kept).await;
            programs.over(&key, ending);
        });
        Ok(running)
    }

    /// Notes that a process is over.
    fn over(&self, key: &Key, ending: running::Why) {
        let now = Duration::from_micros(self.0.clock.monotonic().0);
        let mut state = self.state();
        state.running.remove(key);
        if ending == running::Why::ByItself
            && let Some(restarts) = state.restarts.get_mut(&key.0)
        {
            restarts.ended(now);
        }
    }

    fn known(&self, key: &Key) -> Option<Arc<Running>> {
        self.state().running.get(key).map(Arc::clone)
    }

    fn forget(&self, key: &Key) -> Option<Arc<Running>> {
        self.state().running.remove(key)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Asks, and waits until it is known whether the answer is all there is.
    async fn answer(
        self: &Arc<Self>,
        (id, method, params): (Id, &str, &Params),
    ) -> Result<Response<Told>, ProgramFault> {
        let mut told = self.ask((id, method, params)).await?;
        let is_discovery = method == "server/discover";
        let first = if is_discovery {
            let first = tokio::time::timeout(DISCOVER_MAX, told.recv()).await;
            first.unwrap_or_default()
        } else {
            told.recv().await
        };
        let Some(first) = first else {
            // What does not know the question is of an earlier revision, as clients expect it.
            let unknown = || Ok(bare(StatusCode::BAD_REQUEST));
            return if is_discovery { unknown() } else { Err(ProgramFault::Ended) };
        };
        if first.is_last {
            let is_error = first.is_error && is_discovery;
            let mut response = Response::new(Told::whole(first.line));
            *response.status_mut() =
                if is_error { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            return Ok(response);
        }
        Ok(streamed(Some(events::message(&first.line)), told))
    }
}

fn streamed(first: Option<Bytes>, rest: running::Lines) -> Response<Told> {
    let mut response = Response::new(Told::Stream { first, rest });
    let stream = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, stream);
    response
}

fn bare(status: StatusCode) -> Response<Told> {
    let mut response = Response::new(Told::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}
