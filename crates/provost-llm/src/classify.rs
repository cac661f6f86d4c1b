//! What a request would do, as an action that policy can decide.
//!
//! Pure. A path or a header that two readers could read in two ways is refused, for the
//! upstream gets both as they came.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};
use provost_gateway::{CORRELATION_BYTES_MAX, printable};
use provost_pipeline::{Malformed, MalformedKind};
use provost_types::{Action, Correlation, Plane, Resource, Value};

use crate::wire::{
    coding::Coding,
    request::{self, MODEL_BYTES_MAX, Request},
};

/// Most betas that one request may name. Ours: Claude Code sends about a dozen.
const BETAS_MAX: usize = 64;

/// Longest name of a beta. Unit: bytes. Ours: the longest in use is below 48.
const BETA_BYTES_MAX: usize = 128;

/// Most of an unknown path that is repeated to the client. Unit: characters.
const PATH_CHARS_SHOWN: usize = 80;

/// The one catalog there is: the upstream's list of models.
const CATALOG: &str = "models";

/// Says what a request would do.
///
/// # Errors
///
/// [`Malformed`], with what is wrong and how to put it right.
pub(crate) fn classify(parts: &Parts, body: &Bytes) -> Result<Action, Malformed> {
    let route = Route::of(parts.uri.path())?;
    if parts.method != route.method() {
        let message = format!("{} is not possible here: use {}", parts.method, route.method());
        return Err(Malformed { message, kind: MalformedKind::Method });
    }
    if Coding::of(&parts.headers) != Some(Coding::Identity) {
        return Err(syntax("the body is compressed: send it without `content-encoding`"));
    }
    match route {
        Route::Message => message(parts, body),
        Route::CountTokens => count_tokens(parts, body),
        Route::Models => list_models(parts, body),
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Message,
    CountTokens,
    Models,
}

impl Route {
    fn of(path: &str) -> Result<Self, Malformed> {
        match path {
            "/v1/messages" => Ok(Self::Message),
            "/v1/messages/count_tokens" => Ok(Self::CountTokens),
            "/v1/models" => Ok(Self::Models),
            _ if is_odd(path) => Err(syntax(
                "the path is written in an unusual way: leave out `%`, `\\`, `//` and `..`",
            )),
            _ => match path.strip_prefix("/v1/models/") {
                Some(id) if printable(id, MODEL_BYTES_MAX) && !id.contains('/') => {
                    Ok(Self::Models)
                }
                _ => Err(not_found(path)),
            },
        }
    }

    const fn method(self) -> Method {
        match self {
            Self::Message | Self::CountTokens => Method::POST,
            Self::Models => Method::GET,
        }
    }
}

/// Whether some reader could take `path` for another one.
fn is_odd(path: &str) -> bool {
    path.contains(['%', '\\'])
        || path.split('/').skip(1).any(|segment| matches!(segment, "." | ".."))
        || path.contains("//")
}

fn not_found(path: &str) -> Malformed {
    let message = if path.starts_with("/v1/messages/batches") {
        "Provost does not carry the Batches API: send each request to POST /v1/messages".into()
    } else {
        let shown: String = path.chars().take(PATH_CHARS_SHOWN).collect();
        format!(
            "Provost has no `{shown}` here: it carries POST /v1/messages, \
             POST /v1/messages/count_tokens, GET /v1/models and GET /v1/models/ID"
        )
    };
    Malformed { message, kind: MalformedKind::NotFound }
}

fn message(parts: &Parts, body: &Bytes) -> Result<Action, Malformed> {
    let asked = read(body)?;
    let mut context = vec![
        ("model", Value::Text(asked.model.clone())),
        ("stream", Value::Bool(asked.stream)),
        ("betas", Value::Texts(betas(&parts.headers)?)),
        ("tools", Value::Long(i64::try_from(asked.tools).unwrap_or(i64::MAX))),
    ];
    context.extend(asked.max_tokens.map(|tokens| ("max_tokens", Value::Long(tokens))));
    Ok(on_model("message", parts, body, asked, context))
}

fn count_tokens(parts: &Parts, body: &Bytes) -> Result<Action, Malformed> {
    let asked = read(body)?;
    let context = vec![
        ("model", Value::Text(asked.model.clone())),
        ("betas", Value::Texts(betas(&parts.headers)?)),
    ];
    Ok(on_model("count_tokens", parts, body, asked, context))
}

fn list_models(parts: &Parts, body: &Bytes) -> Result<Action, Malformed> {
    if !body.is_empty() {
        return Err(syntax("this request has no body: leave it out"));
    }
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    Ok(Action {
        plane: Plane::Llm,
        verb: "list_models",
        resource: Resource { kind: "Llm::Catalog", id: CATALOG.to_owned() },
        context: Vec::new(),
        arguments: Bytes::copy_from_slice(target.as_bytes()),
        correlation: correlation(&parts.headers, None),
    })
}

fn on_model(
    verb: &'static str,
    parts: &Parts,
    body: &Bytes,
    asked: Request,
    context: Vec<(&'static str, Value)>,
) -> Action {
    Action {
        plane: Plane::Llm,
        verb,
        resource: Resource { kind: "Llm::Model", id: asked.model },
        context,
        arguments: body.clone(),
        correlation: correlation(&parts.headers, asked.client_session),
    }
}

fn read(body: &Bytes) -> Result<Request, Malformed> {
    request::read(body).map_err(|error| syntax(&error.to_string()))
}

/// Every beta of every `anthropic-beta` header, sorted, each once.
fn betas(headers: &HeaderMap) -> Result<Vec<String>, Malformed> {
    let mut betas = BTreeSet::new();
    for header in headers.get_all("anthropic-beta") {
        let Ok(list) = header.to_str() else {
            return Err(syntax("`anthropic-beta` must be plain ASCII"));
        };
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !printable(name, BETA_BYTES_MAX) {
                return Err(syntax(
                    "`anthropic-beta` must be a comma-separated list of names without spaces, \
                     each at most 128 bytes",
                ));
            }
            betas.insert(name.to_owned());
        }
    }
    if betas.len() > BETAS_MAX {
        return Err(syntax("`anthropic-beta` may name at most 64 betas"));
    }
    Ok(betas.into_iter().collect())
}

/// What the client says about itself. An id that is overlong, given twice or not printable is
/// dropped: it identifies nothing, and nothing depends on it.
fn correlation(headers: &HeaderMap, in_body: Option<String>) -> Correlation {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let text = values.next()?.to_str().ok()?;
        (values.next().is_none() && printable(text, CORRELATION_BYTES_MAX))
            .then(|| text.to_owned())
    };
    Correlation {
        client_session: one("x-claude-code-session-id").or(in_body),
        subagent: one("x-claude-code-agent-id"),
        client_request: one("x-client-request-id"),
        ..Correlation::default()
    }
}

fn syntax(message: &str) -> Malformed {
    Malformed { message: message.to_owned(), kind: MalformedKind::Syntax }
}

#[cfg(test)]
mod tests;
