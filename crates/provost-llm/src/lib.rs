//! The llm plane: Anthropic Messages, as JSON and as event streams.
//!
//! Emits `message`, `count_tokens` and `list_models`. Bytes pass unchanged in both directions:
//! prompt caches and signatures depend on them, and clients send fields no parser knows yet.
//! Requests are read for what policy decides on, answers for what the ledger keeps and for
//! tool calls, which leave when they are decided. Nothing here rewrites a prompt, a model's
//! name or a beta: what it will not carry, it refuses. Of an answer, only a denied tool call is
//! replaced.

mod classify;
mod execute;
mod probe;
mod refuse;
mod tool;
mod wire;

use std::sync::Arc;

use http::request;
use provost_gateway::{Governed, HttpAsk, HttpFrame, HttpPlane, Serve, Upstream};
use provost_pipeline::{Gateway, Malformed, Permit, Pipeline, Presented, Refusal, Reply};
use provost_secrets::{SecretName, Vault};
use provost_types::{Action, Outcome};

/// The llm plane and what it needs. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct LlmPlane {
    upstream: Upstream,
    vault: Arc<Vault>,
    secret: SecretName,
}

impl LlmPlane {
    /// The plane in front of `upstream`, asked with the credential stored as `secret`.
    pub fn new(upstream: Upstream, vault: Arc<Vault>, secret: SecretName) -> Self {
        Self { upstream, vault, secret }
    }
}

impl HttpPlane for LlmPlane {
    type Gateway = Llm;

    fn gateway(&self, _ask: &HttpAsk) -> Llm {
        Llm { plane: self.clone() }
    }
}

/// What a listener of the llm plane serves: actions through the pipeline, probes without.
#[derive(Clone, Debug)]
pub struct LlmService(Governed<LlmPlane>);

impl LlmService {
    /// Serves `plane` through `pipeline`.
    pub fn new(pipeline: Arc<Pipeline>, plane: LlmPlane) -> Self {
        Self(Governed { pipeline, plane })
    }
}

impl Serve for LlmService {
    async fn run(&self, ask: HttpAsk, mut reply: Reply<HttpFrame>) {
        match probe::answer(&ask.parts) {
            Some(yes) => drop(reply.send(HttpFrame::Whole(yes)).await),
            None => self.0.run(ask, reply).await,
        }
    }

    async fn refuse(&self, head: request::Parts, malformed: Malformed) -> HttpFrame {
        self.0.refuse(head, malformed).await
    }

    async fn note_headless(&self, malformed: Malformed) {
        self.0.note_headless(malformed).await;
    }
}

/// One request's gateway; keeps nothing.
#[derive(Clone, Debug)]
pub struct Llm {
    plane: LlmPlane,
}

impl Gateway for Llm {
    type Ask = HttpAsk;
    type Answer = HttpFrame;

    fn present(&self, ask: &HttpAsk) -> Presented {
        provost_gateway::present(&ask.parts.headers)
    }

    fn classify(&self, ask: &HttpAsk) -> Result<Action, Malformed> {
        classify::classify(&ask.parts, &ask.body)
    }

    async fn execute(
        &mut self,
        permit: &Permit,
        ask: HttpAsk,
        reply: &mut Reply<HttpFrame>,
    ) -> Outcome {
        execute::execute(&self.plane, permit, ask, reply).await
    }

    fn refuse(&self, refusal: &Refusal) -> HttpFrame {
        HttpFrame::Whole(refuse::refuse(refusal))
    }
}
