//! One admitted request, to the server and back. This and the files beside it alone wait.
//!
//! While anything is waited for, two things end it at once: a stop of the permit, and the
//! client's leaving. Either drops the server's answer, which cancels it there.

mod account;
mod body;
mod passing;
mod schemas;
mod settle;
mod tools;

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, uri::PathAndQuery};
use provost_gateway::{Form, HttpAsk, HttpFrame};
use provost_pipeline::{Permit, Reply, Stop};
use provost_secrets::SecretName;
use provost_types::{Outcome, Status};
use secrecy::SecretString;

use self::body::Body;
pub(crate) use self::{schemas::Schemas, tools::PAGES_MAX};
use crate::{
    McpPlane, Server,
    classify::{self, Asked, What},
    programs::Asking,
    refuse::{self, INVALID_REQUEST, NO_ANSWER, Told},
    server::Way,
    sessions::{Entered, Key},
    wire::{
        head,
        jsonrpc::{Id, Message, Params},
    },
};

/// Largest answer, and largest event of a stream, that is read. Unit: bytes. Ours: results go
/// into a model's context, which ends long before.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What is recorded when the client leaves.
const CLIENT_LEFT: &str = "the client left";

/// Does what `permit` is for.
pub(crate) async fn execute(
    (plane, server, asked): (&McpPlane, &Server, &Asked),
    permit: &Permit,
    ask: HttpAsk,
    reply: &mut Reply<HttpFrame>,
) -> Outcome {
    // What is left of `ask` is the body's room, held for as long as the body.
    let HttpAsk { parts, body, .. } = ask;
    let exchange = Exchange {
        plane,
        server,
        asked,
        permit,
        method: parts.method,
        headers: parts.headers,
        body,
    };
    let NoAnswer { told, outcome } = match exchange.run(reply).await {
        Ok(outcome) => return outcome,
        Err(no_answer) => *no_answer,
    };
    if let Some(told) = told {
        let response = told.response(refuse::id(asked), permit.action());
        if reply.send(HttpFrame::Whole(response)).await.is_err() {
            tracing::debug!(action = %permit.action(), "client left before it was told");
        }
    }
    outcome
}

/// A request as its upstream is to get it.
fn to_upstream(
    (method, target): (Method, &PathAndQuery),
    headers: HeaderMap,
    body: Bytes,
) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.headers_mut() = headers;
    *request.method_mut() = method;
    *request.uri_mut() = target.clone().into();
    request
}

/// Nothing of the server's is passed on.
#[derive(Debug)]
struct NoAnswer {
    /// What the client is told, if it is still there.
    told: Option<Told>,
    outcome: Outcome,
}

impl NoAnswer {
    fn told(told: Told) -> Box<Self> {
        let outcome = Outcome::because(Status::Failed, told.message.clone());
        Box::new(Self { told: Some(told), outcome })
    }

    /// The server gave no answer, or none that can be passed on.
    fn broken(why: &impl Display) -> Box<Self> {
        Self::told(Told::no(NO_ANSWER, format!("There is no answer: {why}.")))
    }

    fn stopped(stop: &Stop) -> Box<Self> {
        let outcome = Outcome::because(Status::Aborted, stop.sentence());
        Box::new(Self { told: Some(Told::stop(stop)), outcome })
    }

    fn client_left() -> Box<Self> {
        Box::new(Self { told: None, outcome: Outcome::because(Status::Aborted, CLIENT_LEFT) })
    }
}

/// A request on its way, kept for as long as its answer may need another.
struct Exchange<'a> {
    plane: &'a McpPlane,
    server: &'a Server,
    asked: &'a Asked,
    permit: &'a Permit,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer's head, how its body is to be read, and the body.
type Answered = (Response<Body>, Form);

impl Exchange<'_> {
    async fn run(&self, reply: &mut Reply<HttpFrame>) -> Result<Outcome, Box<NoAnswer>> {
        let _entered = self.enter()?;
        if let Some((name, params)) = self.called() {
            self.alert(reply, self.check_call(name, params)).await??;
            self.note_call(params).await;
        }
        let method = self.method.clone();
        let sent = self.send((method, self.headers.clone()), self.body.clone());
        let (response, form) = self.alert(reply, sent).await??;
        passing::pass_on(self, reply, response, form).await
    }

    /// Waits for `future`, unless the action has to stop or the client leaves.
    async fn alert<T>(
        &self,
        reply: &Reply<HttpFrame>,
        future: impl Future<Output = T>,
    ) -> Result<T, Box<NoAnswer>> {
        tokio::select! {
            biased;
            stop = self.stopped() => Err(NoAnswer::stopped(&stop)),
            () = reply.gone() => Err(NoAnswer::client_left()),
            done = future => Ok(done),
        }
    }

    /// Resolves when the action has to stop. What only listens has to before the rest.
    async fn stopped(&self) -> Stop {
        let listens = match &self.asked.what {
            What::Listen => true,
            What::Post(Message::Request { method, .. }) => method == "subscriptions/listen",
            What::Post(_) | What::End => false,
        };
        tokio::select! {
            biased;
            stop = self.permit.stopped() => stop,
            () = self.plane.stopping.cancelled(), if listens => Stop::ShuttingDown,
        }
    }

    /// The client's session with the server, if it names one.
    fn session(&self) -> Option<Key> {
        let id = self.asked.head.session.clone()?;
        Some((self.server.name.clone(), id))
    }

    /// The request, if it is one that wants an answer.
    fn request(&self) -> Option<(&Id, &str, &Params)> {
        match &self.asked.what {
            What::Post(Message::Request { id, method, params }) => Some((id, method, params)),
            What::Post(Message::Notification { .. } | Message::Answer { .. })
            | What::Listen
            | What::End => None,
        }
    }

    /// The tool that is called.
    fn called(&self) -> Option<(String, &Params)> {
        let (_, _, params) = self.request().filter(|_| self.asked.is_call())?;
        Some((params.string("name")?, params))
    }

    /// The session has to be this caller's, and the id not in use.
    fn enter(&self) -> Result<Option<Entered>, Box<NoAnswer>> {
        let Some(key) = self.session() else { return Ok(None) };
        if !self.plane.sessions.is_of(&key, self.permit.session()) {
            // Source: MCP 2025-11-25, "Session Management": clients begin a new one.
            let message = "There is no such session with this MCP server, or it is another \
                           agent's: initialize a new one.";
            let told = Told::no(INVALID_REQUEST, message);
            return Err(NoAnswer::told(Told { status: StatusCode::NOT_FOUND, ..told }));
        }
        let Some((id, _, _)) = self.request() else { return Ok(None) };
        let entered = self.plane.sessions.enter(&key, id);
        let told =
            |error: crate::sessions::NotNow| Told::no(INVALID_REQUEST, error.to_string());
        entered.map(Some).map_err(|error| NoAnswer::told(told(error)))
    }

    /// Joins a call to what other planes saw of it. A call that is made again because the
    /// server asked for more is the same.
    async fn note_call(&self, params: &Params) {
        let tool_use = classify::tool_use(params);
        let sessions = &self.plane.sessions;
        let is_same = params.raw("inputResponses").is_some()
            && tool_use
                .as_ref()
                .is_some_and(|id| sessions.take_asked_back(self.permit.session(), id));
        if !is_same {
            let arguments = params.raw("arguments").unwrap_or_else(|| "{}".to_owned());
            self.permit.call_on_the_wire(tool_use.as_deref(), arguments.as_bytes()).await;
        }
    }

    /// Asks the server, and waits for the head of its answer.
    async fn send(
        &self,
        (method, headers): (Method, HeaderMap),
        body: Bytes,
    ) -> Result<Answered, Box<NoAnswer>> {
        match &self.server.way {
            Way::Http { upstream, target, account: Some(account), .. } => {
                self.send_with((upstream, target, account), (method, headers), body).await
            }
            Way::Http { upstream, target, secret, account: None } => {
                let headers = self.onward(&headers, secret.as_ref())?;
                let request = to_upstream((method, target), headers, body);
                let answered = upstream.send(self.permit, request).await;
                let response = answered.map_err(|error| self.not_reached(&error))?;
                self.judge(response.map(Body::Http), secret.as_ref())
            }
            Way::Program { program, secrets } => {
                let secrets = secrets
                    .iter()
                    .map(|(variable, secret)| Ok((variable.clone(), self.lease(secret)?)));
                let asking = Asking {
                    server: &self.server.name,
                    program,
                    secrets: secrets.collect::<Result<_, Box<NoAnswer>>>()?,
                    method,
                    headers: &headers,
                    body,
                };
                let answered = self.plane.programs.send(self.permit, asking).await;
                let response = answered.map_err(|error| self.not_reached(&error))?;
                self.judge(response.map(Body::Program), None)
            }
        }
    }

    fn not_reached(&self, error: &impl Display) -> Box<NoAnswer> {
        let (action, server) = (self.permit.action(), &self.server.name);
        tracing::warn!(%action, %server, %error, "server not reached");
        NoAnswer::broken(error)
    }

    fn judge(
        &self,
        response: Response<Body>,
        secret: Option<&SecretName>,
    ) -> Result<Answered, Box<NoAnswer>> {
        match head::judge(response.status(), response.headers(), secret) {
            Ok(form) => Ok((response, form)),
            Err(unfit) => {
                let (action, server) = (self.permit.action(), &self.server.name);
                let status = response.status();
                tracing::error!(%action, %server, %status, %unfit, "answer withheld");
                let mut no_answer = NoAnswer::broken(&unfit);
                no_answer.outcome.code = Some(status.as_u16());
                Err(no_answer)
            }
        }
    }

    /// The headers that go to the server, under our own credential.
    fn onward(
        &self,
        headers: &HeaderMap,
        secret: Option<&SecretName>,
    ) -> Result<HeaderMap, Box<NoAnswer>> {
        let Some(secret) = secret else {
            return head::onward(headers, None).ok_or_else(|| NoAnswer::broken(&"headers"));
        };
        let key = self.lease(secret)?;
        head::onward(headers, Some(&key)).ok_or_else(|| {
            let action = self.permit.action();
            tracing::error!(%action, %secret, "credential does not fit a header");
            NoAnswer::broken(&format_args!(
                "Provost's own credential is none; the operator must run \
                 `provost secret set {secret}`"
            ))
        })
    }

    /// What is stored under this name, for this action.
    fn lease(&self, secret: &SecretName) -> Result<SecretString, Box<NoAnswer>> {
        let lease = self.plane.vault.lease(self.permit, secret).map_err(|error| {
            let action = self.permit.action();
            tracing::error!(%action, %error, "no upstream credential");
            NoAnswer::broken(&format_args!("Provost cannot ask the MCP server: {error}"))
        })?;
        Ok(lease.expose().clone())
    }

    /// Sends a message of our own in the client's session, `method` if it is a request.
    async fn aside(
        &self,
        body: Bytes,
        method: Option<&'static str>,
    ) -> Result<Answered, Box<NoAnswer>> {
        let headers = head::aside(self.headers.clone(), method);
        self.send((Method::POST, headers), body).await
    }
}
