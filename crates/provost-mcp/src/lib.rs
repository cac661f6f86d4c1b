//! The mcp plane: the Model Context Protocol over Streamable HTTP, revisions 2025-03-26 to
//! 2026-07-28.
//!
//! Emits `open`, `listen`, `list`, `call`, `read`, `get`, `complete`, `task`, `notify` and
//! `answer`, and decides what servers ask of clients as `ask`. Messages pass as the bytes that
//! came, under Provost's own credential. Of a list of tools those are left out that could not
//! be called in any way; a tool whose definition changed is held. Nothing here knows what a
//! tool does, keeps a server's state, or speaks for one.

mod all;
mod classify;
mod execute;
pub mod header;
pub mod oauth;
mod programs;
mod refuse;
mod resource;
mod server;
mod sessions;
mod waiting;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{HeaderValue, header::WWW_AUTHENTICATE, request::Parts};
use provost_gateway::{HttpAsk, HttpFrame, HttpPlane};
use provost_pipeline::{Gateway, Malformed, MalformedKind, Permit, Presented, Refusal, Reply};
use provost_secrets::Vault;
use provost_types::{Action, ApprovalId, Outcome, Status};
use tokio_util::sync::CancellationToken;

pub use all::McpService;
use all::NoServer;
use classify::{Asked, AskedError};
use execute::Schemas;
pub use programs::Programs;
pub use resource::{METADATA, Protected};
pub use server::{Server, ServerError, ServerName, ServerNameError};
use sessions::Sessions;
use waiting::Waiting;

/// What the path of every server begins with.
pub const PATH: &str = "/mcp/";

/// Most frames of an answer that wait for a slow client. Ours: as few as keep both busy.
const FRAMES_MAX: usize = 4;

/// The path of all servers as one.
pub const ALL: &str = "/mcp";

/// The mcp plane and what it needs. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct McpPlane {
    servers: Arc<BTreeMap<String, Server>>,
    vault: Arc<Vault>,
    sessions: Sessions,
    programs: Programs,
    /// Where clients get access tokens, if these count.
    protected: Option<Arc<Protected>>,
    schemas: Schemas,
    /// Cancelled when the server is about to stop.
    stopping: CancellationToken,
}

impl McpPlane {
    /// The plane in front of `servers`, asked with credentials from `vault`. Those that are
    /// programs run among `programs`.
    pub fn new(
        servers: impl IntoIterator<Item = Server>,
        vault: Arc<Vault>,
        programs: Programs,
    ) -> Self {
        let named = |server: Server| (server.name.to_string(), server);
        let servers = Arc::new(servers.into_iter().map(named).collect());
        Self {
            servers,
            vault,
            sessions: Sessions::default(),
            programs,
            protected: None,
            schemas: Schemas::default(),
            stopping: CancellationToken::new(),
        }
    }

    /// Ends what only listens as soon as `stopping` is cancelled: nothing comes of waiting for
    /// it.
    #[must_use]
    pub fn until(self, stopping: CancellationToken) -> Self {
        Self { stopping, ..self }
    }

    /// Takes access tokens, and says where they are had.
    #[must_use]
    pub fn protected(self, protected: Protected) -> Self {
        Self { protected: Some(Arc::new(protected)), ..self }
    }

    /// The server that a request is for.
    fn server(&self, parts: &Parts) -> Option<&Server> {
        self.servers.get(parts.uri.path().strip_prefix(PATH)?)
    }
}

impl HttpPlane for McpPlane {
    type Gateway = Mcp;

    fn gateway(&self, ask: &HttpAsk) -> Mcp {
        let challenge =
            self.protected.as_deref().map(|protected| protected.challenge(&ask.parts));
        let waiting = Waiting::default();
        Mcp { plane: self.clone(), asked: OnceLock::new(), challenge, waiting }
    }
}

impl Mcp {
    /// Why a request is for no server.
    fn no_server(&self, ask: &HttpAsk) -> Malformed {
        // What was asked of all servers, as it was read there.
        let read = |why: &NoServer| match why {
            NoServer::Head(error) => Err(error.clone()),
            NoServer::Evident | NoServer::Asked(_) => Asked::read(&ask.parts, &ask.body),
        };
        let why = ask.parts.extensions.get::<NoServer>();
        if let Some(why) = why
            && let Err(error) = self.asked.get_or_init(|| read(why))
        {
            return error.malformed();
        }
        match why {
            Some(NoServer::Asked(malformed)) => malformed.clone(),
            Some(NoServer::Evident | NoServer::Head(_)) | None => Malformed {
                message: "Provost has no MCP server of that name: its operator lists them in \
                          provost.toml under [mcp.servers.NAME], and they are at /mcp/NAME"
                    .to_owned(),
                kind: MalformedKind::NotFound,
            },
        }
    }
}

/// One request's gateway: what was read of it, once somebody had to know.
#[derive(Debug)]
pub struct Mcp {
    plane: McpPlane,
    /// Read when the caller is known, so that strangers cost nothing.
    asked: OnceLock<Result<Asked, AskedError>>,
    /// What a caller is told who is not known.
    challenge: Option<HeaderValue>,
    /// How far the client was kept waiting for people.
    waiting: Waiting,
}

impl Gateway for Mcp {
    type Ask = HttpAsk;
    type Answer = HttpFrame;

    fn present(&self, ask: &HttpAsk) -> Presented {
        let (headers, path) = (&ask.parts.headers, ask.parts.uri.path());
        if path.starts_with(PATH) {
            provost_gateway::present_at(headers, path)
        } else {
            provost_gateway::present(headers)
        }
    }

    fn classify(&self, ask: &HttpAsk) -> Result<Action, Malformed> {
        let Some(server) = self.plane.server(&ask.parts) else {
            return Err(self.no_server(ask));
        };
        let asked = self.asked.get_or_init(|| Asked::read(&ask.parts, &ask.body));
        let asked = asked.as_ref().map_err(AskedError::malformed)?;
        asked.action(server, &ask.body)
    }

    async fn execute(
        &mut self,
        permit: &Permit,
        ask: HttpAsk,
        reply: &mut Reply<HttpFrame>,
    ) -> Outcome {
        let (Some(server), Some(Ok(asked))) = (self.plane.server(&ask.parts), self.asked.get())
        else {
            // Cannot be: what is malformed was not admitted.
            return Outcome::because(Status::Failed, "the request was not read");
        };
        if !self.waiting.has_begun() {
            return execute::execute((&self.plane, server, asked), permit, ask, reply).await;
        }
        let (mut own, frames) = Reply::channel(FRAMES_MAX);
        let answer = async {
            let of = (&self.plane, server, asked);
            let outcome = execute::execute(of, permit, ask, &mut own).await;
            drop(own);
            outcome
        };
        tokio::join!(answer, waiting::pass_on(frames, reply, asked)).0
    }

    fn patience(&self, ask: &HttpAsk) -> Duration {
        match self.asked.get() {
            Some(Ok(asked)) if Waiting::is_possible(asked, &ask.parts.headers) => Duration::MAX,
            Some(_) | None => Duration::ZERO,
        }
    }

    fn keep_waiting(&mut self, ask: &HttpAsk, on: ApprovalId) -> Vec<HttpFrame> {
        match self.asked.get() {
            Some(Ok(asked)) if Waiting::is_possible(asked, &ask.parts.headers) => {
                self.waiting.tell(asked, on)
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Vec<HttpFrame> {
        let whole = self.refuse(refusal);
        match self.asked.get() {
            Some(Ok(asked)) if self.waiting.has_begun() => waiting::continued(whole, asked),
            Some(_) | None => vec![whole],
        }
    }

    fn refuse(&self, refusal: &Refusal) -> HttpFrame {
        let mut response = refuse::refuse(refusal, self.asked.get());
        if let Some(challenge) = &self.challenge
            && response.headers().contains_key(WWW_AUTHENTICATE)
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.clone());
        }
        HttpFrame::Whole(response)
    }
}
