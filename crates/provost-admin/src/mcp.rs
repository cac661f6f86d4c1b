//! `/v1/mcp/tools`: what MCP servers say of their tools, and a person's yes to a change.

use std::sync::Arc;

use axum::{Json, extract::State};
use provost_api::{AcceptMcpTool, List, McpTool, McpToolDefinitions, McpToolQuery};
use provost_store::{ToolDefinition, ToolRow};

use crate::{
    App, convert,
    error::ApiError,
    extract::{Asked, Body, Pair, parsed},
    who::Who,
};

/// `GET /v1/mcp/tools`: every tool that was ever offered, by server and name.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<McpToolQuery>,
) -> Json<List<McpTool>> {
    let rows = app.directory().tools(asked.server.as_deref());
    Json(List { items: rows.iter().map(convert::tool).collect() })
}

/// `GET /v1/mcp/tools/{server}/{name}`: a tool with its definitions.
///
/// # Errors
///
/// - 404 `no-such`.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Pair(server, tool): Pair<String, String>,
) -> Result<Json<McpToolDefinitions>, ApiError> {
    let row = app.directory().tool(&server, &tool)?;
    Ok(Json(McpToolDefinitions {
        tool: convert::tool(&row),
        accepted: text(&row.accepted),
        waiting: row.waiting.as_ref().map(|waiting| text(&waiting.definition)),
    }))
}

/// `POST /v1/mcp/tools/{server}/{name}/accept`: accepts the definition that waits.
///
/// # Errors
///
/// - 400 `malformed`: not a digest.
/// - 404 `no-such`.
/// - 409 `not-held`: nothing waits; `changed-again`: another definition waits by now.
pub(crate) async fn accept(
    State(app): State<Arc<App>>,
    who: Who,
    Pair(server, tool): Pair<String, String>,
    Body(asked): Body<AcceptMcpTool>,
) -> Result<Json<McpTool>, ApiError> {
    let digest = parsed(&asked.digest)?;
    let row: ToolRow = app.directory().accept_tool(&who.by(), &server, &tool, digest).await?;
    Ok(Json(convert::tool(&row)))
}

/// The text of a definition; only text is pinned.
fn text(definition: &ToolDefinition) -> String {
    String::from_utf8_lossy(definition.bytes()).into_owned()
}
