//! `/v1/mcp`: the tools of MCP servers.

use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// `GET /v1/mcp/tools`: which ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpToolQuery {
    /// Only those of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// A tool, without its definitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpTool {
    /// The server, as the configuration calls it.
    pub server: String,
    /// The tool, as the server calls it: hostile text.
    pub tool: String,
    /// `accepted`, or `held`: the server changed its definition, and nobody accepted that yet.
    pub state: String,
    /// Digest of the accepted definition.
    pub digest: String,
    /// Who accepted it: `human/ada`, or `provost` when it was first seen.
    pub accepted_by: String,
    /// When.
    pub accepted_at: String,
    /// Of a held tool: digest of the definition that waits.
    pub waiting_digest: Option<String>,
    /// Of a held tool: when the server first said that.
    pub waiting_since: Option<String>,
}

/// `GET /v1/mcp/tools/{server}/{name}`: a tool with what the server says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpToolDefinitions {
    /// The tool.
    pub tool: McpTool,
    /// The accepted definition: the very JSON text that `digest` is the SHA-256 of.
    pub accepted: String,
    /// The definition that waits, likewise.
    pub waiting: Option<String>,
}

/// `POST /v1/mcp/tools/{server}/{name}/accept`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptMcpTool {
    /// Digest of the definition that was looked at. Must be the one that waits.
    pub digest: String,
}

/// `POST /v1/mcp/servers/{name}/login`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginMcpLogin {
    /// Where the browser is sent back to: `http` on its own machine.
    pub redirect: String,
    /// The secret of a client that was registered by hand, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Sensitive>,
}

/// A login that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpLoginBegun {
    /// What they have to open in a browser.
    pub url: String,
    /// The `state` by which the browser's way back is known.
    pub state: String,
    /// The authorization server that will ask them.
    pub issuer: String,
    /// As whom Provost asks there.
    pub client: String,
    /// What it asks for.
    pub scopes: Vec<String>,
}

/// `POST /v1/mcp/servers/{name}/login/finish`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishMcpLogin {
    /// The whole address that the browser was sent back to.
    pub redirected: Sensitive,
}

/// What Provost is logged in for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpLogin {
    /// The server, as the configuration calls it.
    pub server: String,
    /// The authorization server that it trusts.
    pub issuer: String,
    /// What Provost may do there.
    pub scopes: Vec<String>,
    /// When the access token ends, if that is said.
    pub expires_at: Option<String>,
    /// Whether Provost can renew it; otherwise a person has to log in again then.
    pub renews: bool,
}
