//! What an agent asks to do, said the same way for every plane.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;

use crate::ActionId;

/// A kind of traffic. One gateway speaks each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plane {
    /// Model requests: Anthropic Messages and its relatives.
    Llm,
    /// Tool calls that a model asks for and a client makes.
    Tool,
    /// What Claude Code's hooks tell.
    Hook,
    /// The Model Context Protocol: tools, resources and prompts of servers.
    Mcp,
}

impl Plane {
    /// The plane's word in policies, records, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Tool => "tool",
            Self::Hook => "hook",
            Self::Mcp => "mcp",
        }
    }
}

impl fmt::Display for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is acted on, as a Cedar entity: a type from our schema and an id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// Cedar entity type, such as `Llm::Model`.
    pub kind: &'static str,
    /// Entity id, such as `claude-sonnet-5`.
    pub id: String,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.kind, self.id)
    }
}

/// One attribute of an action's context, in Cedar's types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `Bool`
    Bool(bool),
    /// `Long`
    Long(i64),
    /// `String`
    Text(String),
    /// `Set<String>`
    Texts(Vec<String>),
    /// An entity whose tags these are: texts under names that no schema knows beforehand.
    Tags(BTreeMap<String, String>),
}

/// Ids that tie records together: kept on the record, never trusted as identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Correlation {
    /// The client's own session id (`X-Claude-Code-Session-Id`, `metadata.user_id`).
    pub client_session: Option<String>,
    /// The subagent the client says it speaks for (`x-claude-code-agent-id`).
    pub subagent: Option<String>,
    /// The client's own request id (`x-client-request-id`).
    pub client_request: Option<String>,
    /// The tool call's id (`toolu_…`), the same wherever the call is seen.
    pub tool_use: Option<String>,
    /// The model request in whose answer the tool call was asked for.
    pub asked_in: Option<ActionId>,
}

/// One thing an agent asks to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Where it came in.
    pub plane: Plane,
    /// Verb, unique within the plane; with it the Cedar action `Llm::Action::"message"`.
    pub verb: &'static str,
    /// What it acts on.
    pub resource: Resource,
    /// What policies may look at, by attribute name, in the schema's types.
    pub context: Vec<(&'static str, Value)>,
    /// The exact bytes asked for. What is decided is digested, and what is digested is sent.
    pub arguments: Bytes,
    /// What the client says about itself.
    pub correlation: Correlation,
}
