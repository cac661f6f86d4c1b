//! All servers as one, at `/mcp`: what a client asks there becomes requests to single servers,
//! each of which takes the whole way through the pipeline by itself.
//!
//! Decides nothing and reaches nothing: it is a client of the plane, with the credential that
//! it was shown, and could not be given more than any other. What servers answer is put
//! together under names that say whose each thing is. See ADR 0013.

mod lists;
mod names;
mod open;
mod passing;
mod renamed;
mod sessions;
mod streams;
mod subs;

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE, request,
};
use provost_gateway::{Governed, HttpAsk, HttpFrame, Serve};
use provost_pipeline::{Malformed, MalformedKind, Pipeline, Presented, Reply};
use provost_types::SessionId;
use tokio_util::task::TaskTracker;

use self::{
    lists::Listing,
    renamed::{Routed, routed},
    sessions::{Entered, Member, Sessions},
    streams::Resumed,
};
use crate::{
    ALL, McpPlane,
    classify::{Asked, AskedError, ENDED, What, syntax, unknown},
    header::LAST_EVENT,
    wire::{
        head::bare,
        jsonrpc::{self, Id, Message, Params},
    },
};

/// What a listener of the mcp plane serves: each server at its path, and all of them at one.
#[derive(Clone, Debug)]
pub struct McpService {
    mcp: Governed<McpPlane>,
    sessions: Sessions,
    tasks: TaskTracker,
}

impl McpService {
    /// Serves `plane` through `pipeline`. What is asked of single servers runs in `tasks`.
    pub fn new(pipeline: Arc<Pipeline>, plane: McpPlane, tasks: TaskTracker) -> Self {
        Self { mcp: Governed { pipeline, plane }, sessions: Sessions::default(), tasks }
    }
}

impl Serve for McpService {
    async fn run(&self, mut ask: HttpAsk, reply: Reply<HttpFrame>) {
        if ask.parts.uri.path() != ALL {
            return self.mcp.run(ask, reply).await;
        }
        let why = match self.read(&ask) {
            Ok((request, plan)) => return request.run(plan, reply).await,
            Err(why) => why,
        };
        // No server's: the plane says no, and records it.
        ask.parts.extensions.insert(why);
        self.mcp.run(ask, reply).await;
    }

    async fn refuse(&self, head: request::Parts, malformed: Malformed) -> HttpFrame {
        self.mcp.refuse(head, malformed).await
    }

    async fn note_headless(&self, malformed: Malformed) {
        self.mcp.note_headless(malformed).await;
    }
}

/// Why a request to all servers goes to none. For the plane, which refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoServer {
    /// As the plane finds out by itself.
    Evident,
    /// For its head.
    Head(AskedError),
    /// For what it asks.
    Asked(Malformed),
}

/// A client's request to all servers.
#[derive(Debug)]
struct ToAll<'a> {
    service: &'a McpService,
    ask: &'a HttpAsk,
    asked: Asked,
    owner: SessionId,
    /// Those it can be for.
    members: Vec<Member>,
}

/// What is to be done for a request.
#[derive(Debug)]
enum Plan {
    /// It is one server's.
    One(Member, Routed, Option<Entered>),
    /// What servers send of their own accord.
    Listen(Option<Resumed>),
    /// It gets one whole answer of ours.
    Whole(Whole),
}

/// What is answered as a whole.
#[derive(Debug)]
enum Whole {
    /// Sessions are begun.
    Open,
    /// Servers say what they can do.
    Discover,
    /// Each server that may have this capability gets it, and one answer will do.
    Each(Option<&'static str>),
    /// A list is put together.
    List(Listing),
    /// Each server is told.
    Tell,
    /// It is about what is over.
    Nothing,
    /// Sessions are ended.
    End,
}

impl McpService {
    fn read<'a>(&'a self, ask: &'a HttpAsk) -> Result<(ToAll<'a>, Plan), NoServer> {
        // Before the body is read: strangers cost nothing.
        let owner = self.owner(&ask.parts.headers).ok_or(NoServer::Evident)?;
        let asked = Asked::read(&ask.parts, &ask.body).map_err(|_| NoServer::Evident)?;
        let members = self.members(&asked, owner)?;
        if members.is_empty() {
            return Err(NoServer::Evident);
        }
        let request = ToAll { service: self, ask, asked, owner, members };
        let plan = request.plan()?;
        Ok((request, plan))
    }

    /// Whose the credential is. The plane finds out whether it still counts.
    fn owner(&self, headers: &HeaderMap) -> Option<SessionId> {
        match provost_gateway::present(headers) {
            Presented::Token(token) => {
                self.mcp.pipeline.directory().session_by_credential(&token).ok()
            }
            // Access tokens are for single servers.
            Presented::TokenAt { .. } | Presented::Nothing | Presented::Conflicting => None,
        }
    }

    /// The servers that a request can be for.
    fn members(&self, asked: &Asked, owner: SessionId) -> Result<Vec<Member>, NoServer> {
        let begins = match &asked.what {
            What::Post(Message::Request { method, .. }) => {
                matches!(method.as_str(), "initialize" | "server/discover")
            }
            What::Post(_) | What::Listen | What::End => false,
        };
        if begins || (asked.head.is_stateless() && matches!(asked.what, What::Post(_))) {
            let servers = self.mcp.plane.servers.keys();
            return Ok(servers.map(|server| Member::named(server)).collect());
        }
        let known = match (&asked.head.session, &asked.what) {
            (Some(id), _) => self.sessions.members(id, owner).ok_or(AskedError::NoSession),
            (None, What::Listen) => Err(AskedError::Method(Method::GET)),
            (None, What::End) => Err(AskedError::Method(Method::DELETE)),
            (None, What::Post(_)) => Err(AskedError::Sessionless),
        };
        known.map_err(NoServer::Head)
    }
}

impl<'a> ToAll<'a> {
    fn plan(&self) -> Result<Plan, NoServer> {
        match &self.asked.what {
            What::Listen => Ok(Plan::Listen(self.resumed()?)),
            What::End => Ok(Plan::Whole(Whole::End)),
            What::Post(message) => self.plan_for(message).map_err(NoServer::Asked),
        }
    }

    fn plan_for(&self, message: &Message) -> Result<Plan, Malformed> {
        match message {
            Message::Request { method, .. }
                if self.asked.head.is_stateless() && ENDED.contains(&method.as_str()) =>
            {
                return Err(unknown(method));
            }
            Message::Notification { method, params } if method == "notifications/cancelled" => {
                return Ok(self.cancelling(params));
            }
            Message::Request { .. } | Message::Notification { .. } | Message::Answer { .. } => {
            }
        }
        if let Some(routed) = routed(self.text(), message)? {
            return self.one(routed);
        }
        let whole = |whole| Ok(Plan::Whole(whole));
        let Message::Request { method, params, .. } = message else {
            return whole(Whole::Tell);
        };
        if let Some(listing) = Listing::of(method) {
            return match params.raw("cursor") {
                Some(_) => {
                    Err(syntax("the list of all servers has one page: ask without `cursor`"))
                }
                None => whole(Whole::List(listing)),
            };
        }
        match method.as_str() {
            "initialize" => whole(Whole::Open),
            "server/discover" => whole(Whole::Discover),
            "ping" => whole(Whole::Each(None)),
            "logging/setLevel" => whole(Whole::Each(Some("logging"))),
            _ => Err(Malformed {
                message: format!(
                    "Provost does not carry `{method}` to all servers at once: ask one of them, \
                     at /mcp/NAME"
                ),
                kind: MalformedKind::NotFound,
            }),
        }
    }

    /// The request of one server.
    fn one(&self, routed: Routed) -> Result<Plan, Malformed> {
        let member = self.member(&routed.server).ok_or_else(|| {
            syntax(&format!(
                "there is no MCP server `{}` here, or it was not to be had when this session \
                 began",
                routed.server
            ))
        })?;
        let entered = match (self.session(), self.id()) {
            (Some(session), Some(id)) => {
                let entered = self.service.sessions.enter(session, id, &member.server);
                Some(entered.map_err(|not_now| syntax(&not_now.to_string()))?)
            }
            _ => None,
        };
        Ok(Plan::One(member, routed, entered))
    }

    /// What the client does not wait for any longer goes to the server that has it.
    fn cancelling(&self, params: &Params) -> Plan {
        let server = params
            .raw("requestId")
            .and_then(|id| Id::of(&id))
            .zip(self.session())
            .and_then(|(id, session)| self.service.sessions.server_of(session, &id))
            .and_then(|server| self.member(&server));
        match server {
            Some(member) => {
                let server = member.server.clone();
                let routed = Routed { server, body: self.text().to_owned(), named: None };
                Plan::One(member, routed, None)
            }
            None => Plan::Whole(Whole::Nothing),
        }
    }

    /// Where a client wants to go on.
    fn resumed(&self) -> Result<Option<Resumed>, NoServer> {
        let Some(id) = self.ask.parts.headers.get(LAST_EVENT) else { return Ok(None) };
        let resumed = id.to_str().ok().and_then(Resumed::at);
        let resumed = resumed.filter(|resumed| self.member(&resumed.server).is_some());
        let unknown = || syntax("`last-event-id` is none that Provost gave in this session");
        resumed.map(Some).ok_or_else(|| NoServer::Asked(unknown()))
    }

    async fn run(self, plan: Plan, mut reply: Reply<HttpFrame>) {
        let whole = match plan {
            Plan::One(member, routed, _entered) => {
                return passing::pass_one(&self, (&member, routed), reply).await;
            }
            Plan::Listen(resumed) => return streams::listen(&self, resumed, reply).await,
            Plan::Whole(whole) => whole,
        };
        let whole = tokio::select! {
            biased;
            // What was asked of servers is taken back.
            () = reply.gone() => return,
            whole = self.whole(whole) => whole,
        };
        if reply.send(HttpFrame::Whole(whole)).await.is_err() {
            tracing::debug!("client left before its answer from all servers");
        }
    }

    async fn whole(&self, whole: Whole) -> Response<bytes::Bytes> {
        match whole {
            Whole::Open => open::open(self).await,
            Whole::Discover => open::discover(self).await,
            Whole::Each(capability) => self.each(capability).await,
            Whole::List(listing) => lists::list(self, &listing).await,
            Whole::Tell => self.tell().await,
            Whole::Nothing => bare(StatusCode::ACCEPTED),
            Whole::End => self.end().await,
        }
    }

    /// The body. It was read as UTF-8.
    fn text(&self) -> &'a str {
        std::str::from_utf8(&self.ask.body).unwrap_or_default()
    }

    /// The client's session with all servers, in the revisions that have such.
    fn session(&self) -> Option<&str> {
        self.asked.head.session.as_deref().filter(|_| !self.asked.head.is_stateless())
    }

    /// The id of the request, if it wants an answer.
    fn id(&self) -> Option<&Id> {
        crate::refuse::id(&self.asked)
    }

    fn member(&self, server: &str) -> Option<Member> {
        self.members.iter().find(|member| member.server == server).cloned()
    }

    /// An answer of our own.
    fn answer(&self, result: &str) -> Response<bytes::Bytes> {
        json(jsonrpc::result(self.id(), result))
    }

    /// An error of our own.
    fn error(&self, code: i32, message: &str) -> Response<bytes::Bytes> {
        json(jsonrpc::error(self.id(), code, message))
    }
}

fn json(body: bytes::Bytes) -> Response<bytes::Bytes> {
    let mut response = Response::new(body);
    let form = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, form);
    response
}
