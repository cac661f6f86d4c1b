//! What a request would do, as an action that policy can decide. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, request::Parts};
use provost_gateway::{CORRELATION_BYTES_MAX, printable};
use provost_pipeline::{Malformed, MalformedKind};
use provost_types::{Action, Correlation, Plane, Resource, Value};
use serde_json::value::RawValue;

use crate::{
    Server,
    wire::{
        head::{self, Head, HeadError},
        json,
        jsonrpc::{self, Message, MessageError, Params, folds_to},
        tools::is_name,
    },
};

/// Longest URI of a resource. Unit: bytes. Ours.
const URI_BYTES_MAX: usize = 2048;

/// Longest argument that policy is shown. Unit: bytes. Ours: policy asks for names and paths,
/// and the ledger keeps what policy saw.
const ARGUMENT_BYTES_MAX: usize = 4096;

/// Where the client names the model's tool call. Source: measured with Claude Code 2.1.330.
const TOOL_USE: &str = "claudecode/toolUseId";

/// What one HTTP request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What stands in front of it.
    pub(crate) head: Head,
    /// What it is.
    pub(crate) what: What,
}

/// Methods that the revisions without sessions have no more.
/// Source: MCP 2026-07-28, "Subscriptions".
pub(crate) const ENDED: [&str; 2] = ["resources/subscribe", "resources/unsubscribe"];

/// What one HTTP request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `POST`: one message.
    Post(Message),
    /// `GET`: the stream of what the server sends of its own accord.
    Listen,
    /// `DELETE`: the end of the client's session with the server.
    End,
}

/// Why a request means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskedError {
    /// Not a method of this route.
    #[error("{0} is not possible here: use POST, GET or DELETE")]
    Method(Method),
    /// A query behind the path, or a body where there is none.
    #[error("{0}: leave it out")]
    TooMuch(&'static str),
    /// All servers at once are asked in a session that is not known.
    #[error(
        "there is no such session with all MCP servers, or it is another agent's: initialize a \
         new one"
    )]
    NoSession,
    /// Likewise, in none.
    #[error("`mcp-session-id` must be there: initialize a session first")]
    Sessionless,
    /// The head.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The message.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl AskedError {
    /// As the pipeline tells it.
    pub(crate) fn malformed(&self) -> Malformed {
        let kind = match self {
            Self::Method(_) => MalformedKind::Method,
            Self::NoSession => MalformedKind::NotFound,
            Self::TooMuch(_) | Self::Sessionless | Self::Head(_) | Self::Message(_) => {
                MalformedKind::Syntax
            }
        };
        Malformed { message: self.to_string(), kind }
    }
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// [`AskedError`], with what is wrong and how to put it right.
    pub(crate) fn read(parts: &Parts, body: &[u8]) -> Result<Self, AskedError> {
        if parts.uri.query().is_some() {
            return Err(AskedError::TooMuch("the path is followed by a query"));
        }
        let what = match parts.method {
            Method::POST => {
                head::check_body(&parts.headers)?;
                What::Post(jsonrpc::read_asked(body)?)
            }
            _ if !body.is_empty() => {
                return Err(AskedError::TooMuch("this request has no body"));
            }
            Method::GET => What::Listen,
            Method::DELETE => What::End,
            _ => return Err(AskedError::Method(parts.method.clone())),
        };
        let head = Head::read(&parts.headers)?;
        if let What::Post(message) = &what {
            head.check(message)?;
        }
        Ok(Self { head, what })
    }

    /// Whether a tool is called.
    pub(crate) fn is_call(&self) -> bool {
        matches!(&self.what, What::Post(Message::Request { method, .. })
            if method == "tools/call")
    }

    /// Says what it would do on `server`; `body` is the whole of it.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with what is wrong and how to put it right.
    pub(crate) fn action(&self, server: &Server, body: &Bytes) -> Result<Action, Malformed> {
        let on = On { server, body };
        match &self.what {
            What::Listen => Ok(on.server("listen", Vec::new())),
            What::End => Ok(on.server("open", Vec::new())),
            What::Post(Message::Request { method, .. })
                if self.head.is_stateless() && ENDED.contains(&method.as_str()) =>
            {
                Err(unknown(method))
            }
            What::Post(Message::Request { method, params, .. }) => on.request(method, params),
            What::Post(Message::Notification { method, .. }) => on.notification(method),
            What::Post(Message::Answer { .. }) => Ok(on.server("answer", Vec::new())),
        }
    }
}

/// What an action is on, and its bytes.
struct On<'a> {
    server: &'a Server,
    body: &'a Bytes,
}

impl On<'_> {
    fn request(&self, method: &str, params: &Params) -> Result<Action, Malformed> {
        let list = |what| Ok(self.server("list", vec![text("what", what)]));
        let task = |what| Ok(self.server("task", vec![text("what", what)]));
        match method {
            "initialize" | "server/discover" | "ping" | "logging/setLevel" => {
                Ok(self.server("open", Vec::new()))
            }
            "tools/list" => list("tools"),
            "resources/list" => list("resources"),
            "resources/templates/list" => list("templates"),
            "prompts/list" => list("prompts"),
            "tools/call" => self.call(params),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                self.resource("read", params.string("uri"))
            }
            "prompts/get" => self.prompt("get", params.string("name")),
            "completion/complete" => match params.string_in("ref", "type").as_deref() {
                Some("ref/prompt") => self.prompt("complete", params.string_in("ref", "name")),
                Some("ref/resource") => {
                    self.resource("complete", params.string_in("ref", "uri"))
                }
                _ => Err(syntax("`ref.type` must be \"ref/prompt\" or \"ref/resource\"")),
            },
            "tasks/get" => task("get"),
            "tasks/result" => task("result"),
            "tasks/update" => task("update"),
            "tasks/cancel" => task("cancel"),
            "tasks/list" => task("list"),
            "subscriptions/listen" => Ok(self.server("listen", Vec::new())),
            _ => Err(unknown(method)),
        }
    }

    fn notification(&self, method: &str) -> Result<Action, Malformed> {
        match method {
            "notifications/initialized" => Ok(self.server("open", Vec::new())),
            _ if method.starts_with("notifications/") => {
                Ok(self.server("notify", vec![text("what", method)]))
            }
            _ => Err(unknown(method)),
        }
    }

    fn call(&self, params: &Params) -> Result<Action, Malformed> {
        let name = named("name", params.string("name"))?;
        let arguments = params.raw("arguments").unwrap_or_else(|| "{}".to_owned());
        let shown = shown(&arguments, &self.server.arguments)?;
        let mut action = self.on("Mcp::Tool", &name, "call");
        action.context = vec![("arguments", Value::Tags(shown))];
        action.arguments = Bytes::from(arguments);
        action.correlation.tool_use = tool_use(params);
        Ok(action)
    }

    fn prompt(&self, verb: &'static str, name: Option<String>) -> Result<Action, Malformed> {
        Ok(self.on("Mcp::Prompt", &named("name", name)?, verb))
    }

    fn resource(&self, verb: &'static str, uri: Option<String>) -> Result<Action, Malformed> {
        let is_uri = |uri: &String| {
            (1..=URI_BYTES_MAX).contains(&uri.len()) && !uri.chars().any(char::is_control)
        };
        let uri = uri.filter(is_uri).ok_or_else(|| {
            syntax(&format!("`uri` must be a text of 1 to {URI_BYTES_MAX} bytes"))
        })?;
        if climbs(&uri) {
            return Err(syntax("`uri` must not have `.` or `..` as a segment, nor `\\`"));
        }
        Ok(self.on("Mcp::Resource", &uri, verb))
    }

    fn server(&self, verb: &'static str, context: Vec<(&'static str, Value)>) -> Action {
        let resource = Resource { kind: "Mcp::Server", id: self.server.name.to_string() };
        Action {
            plane: Plane::Mcp,
            verb,
            resource,
            context,
            arguments: self.body.clone(),
            correlation: Correlation::default(),
        }
    }

    fn on(&self, kind: &'static str, name: &str, verb: &'static str) -> Action {
        let id = format!("{}/{name}", self.server.name);
        Action { resource: Resource { kind, id }, ..self.server(verb, Vec::new()) }
    }
}

/// The call of a tool, its arguments unknown: for asking whether it could be allowed at all.
pub(crate) fn any_call(server: &Server, tool: &str) -> Action {
    let mut action = On { server, body: &Bytes::new() }.on("Mcp::Tool", tool, "call");
    action.context = vec![("arguments", Value::Tags(BTreeMap::new()))];
    action
}

/// What a server asks the client for, by its method; `ask` is the whole of it.
pub(crate) fn server_asks(server: &Server, method: &str, ask: &str) -> Action {
    let body = Bytes::copy_from_slice(ask.as_bytes());
    On { server, body: &body }.server("ask", vec![text("what", method)])
}

/// The id of the model's tool call that a call's parameters name.
pub(crate) fn tool_use(params: &Params) -> Option<String> {
    let id = params.string_in("_meta", TOOL_USE);
    id.filter(|id| printable(id, CORRELATION_BYTES_MAX))
}

/// The arguments that policy may see: texts as they are, all else as JSON.
fn shown(arguments: &str, wanted: &[String]) -> Result<BTreeMap<String, String>, Malformed> {
    let members = json::members(arguments)
        .map_err(|_no_object| syntax("`arguments` must be a JSON object"))?;
    let mut shown = BTreeMap::new();
    for (key, value) in members {
        let Some(name) = wanted.iter().find(|name| folds_to(&key, name)) else { continue };
        if *name != key {
            let message =
                "an argument differs from `{}` in upper and lower case only: write `{}`";
            return Err(syntax(&message.replace("{}", name)));
        }
        let value = as_text(value);
        if value.len() > ARGUMENT_BYTES_MAX {
            let message = format!(
                "the argument `{name}`, which policy decides on, is longer than \
                 {ARGUMENT_BYTES_MAX} bytes"
            );
            return Err(syntax(&message));
        }
        shown.insert(key, value);
    }
    Ok(shown)
}

fn as_text(value: &RawValue) -> String {
    if let Some(text) = json::string(value) {
        return text;
    }
    let canonical = json::canonical(value.get()).and_then(|json| String::from_utf8(json).ok());
    canonical.unwrap_or_else(|| value.get().to_owned())
}

/// Whether a server could take a URI for one elsewhere than it begins.
fn climbs(uri: &str) -> bool {
    let plain = uri.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    let plain = plain.replace("%5c", "\\");
    plain.contains('\\') || plain.split(['/', '?', '#']).any(|part| matches!(part, "." | ".."))
}

fn named(field: &str, name: Option<String>) -> Result<String, Malformed> {
    name.filter(|name| is_name(name))
        .ok_or_else(|| syntax(&format!("`{field}` must be a name of 1 to 256 bytes")))
}

fn text(name: &'static str, value: &str) -> (&'static str, Value) {
    (name, Value::Text(value.to_owned()))
}

pub(crate) fn unknown(method: &str) -> Malformed {
    let message = format!("Provost does not carry `{method}`: it knows no such method of MCP");
    Malformed { message, kind: MalformedKind::NotFound }
}

pub(crate) fn syntax(message: &str) -> Malformed {
    Malformed { message: message.to_owned(), kind: MalformedKind::Syntax }
}

#[cfg(test)]
mod tests;
