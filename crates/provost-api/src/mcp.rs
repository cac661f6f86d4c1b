//! `/v1/mcp`: the tools of MCP servers.

use serde::{Deserialize, Serialize};

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
