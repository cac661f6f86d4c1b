//! Tools of MCP servers: the definition that was accepted, and the one that waits for a person.

use std::sync::Arc;

use provost_types::{Digest, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{
    Store, StoreError,
    columns::{self, Columns, read_all},
};

/// Longest definition of a tool. Unit: bytes. Ours: a model reads all of it. The schema
/// says it a second time.
pub const TOOL_DEFINITION_BYTES_MAX: usize = 256 << 10;

/// What a server says of a tool, in its one canonical form, and the digest of that.
#[derive(Clone, Debug, PartialEq, Eq)]
// INVARIANT: `digest` is the SHA-256 of `bytes`.
pub struct ToolDefinition {
    digest: Digest,
    bytes: Arc<[u8]>,
}

impl ToolDefinition {
    /// The definition with these canonical bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest(Sha256::digest(&bytes).into()), bytes }
    }

    /// The SHA-256 of its bytes: what it is told apart by.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
}

/// A tool of an MCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRow {
    /// The server, as the configuration calls it.
    pub server: String,
    /// The tool, as the server calls it: hostile text.
    pub tool: String,
    /// The definition that counts.
    pub accepted: ToolDefinition,
    /// Who accepted it: `human/ada`, or `provost` at first sight.
    pub accepted_by: String,
    /// When.
    pub accepted_at: Timestamp,
    /// What the server says of it since, if that differs: the tool is held.
    pub waiting: Option<WaitingDefinition>,
}

/// A definition that differs from the accepted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingDefinition {
    /// The definition.
    pub definition: ToolDefinition,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Store {
    /// Writes down tools, all of them or none; each takes the place of what was known of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only; it refuses a definition of more than
    /// [`TOOL_DEFINITION_BYTES_MAX`].
    pub async fn put_tools(&self, tools: &[ToolRow]) -> Result<(), StoreError> {
        let mut transaction = self.begin("write down tools").await?;
        for row in tools {
            let waiting = row.waiting.as_ref();
            let upsert = sqlx::query(
                "INSERT INTO mcp_tool (server, tool, digest, definition, accepted_by, \
                 accepted_at, waiting_digest, waiting_definition, waiting_since) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (server, tool) DO UPDATE SET digest = excluded.digest, \
                 definition = excluded.definition, accepted_by = excluded.accepted_by, \
                 accepted_at = excluded.accepted_at, \
                 waiting_digest = excluded.waiting_digest, \
                 waiting_definition = excluded.waiting_definition, \
                 waiting_since = excluded.waiting_since",
            )
            .bind(columns::text(&row.server))
            .bind(columns::text(&row.tool))
            .bind(hex::encode(row.accepted.digest.0))
            .bind(row.accepted.bytes.as_ref())
            .bind(columns::text(&row.accepted_by))
            .bind(columns::time(row.accepted_at))
            .bind(waiting.map(|waiting| hex::encode(waiting.definition.digest.0)))
            .bind(waiting.map(|waiting| waiting.definition.bytes.as_ref()))
            .bind(waiting.map(|waiting| columns::time(waiting.since)));
            transaction.run(upsert).await?;
        }
        transaction.commit().await
    }

    /// Every tool, by server and name.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database; [`StoreError::Unreadable`] also for a definition that
    /// is not the one its digest is of.
    pub async fn tools(&self) -> Result<Vec<ToolRow>, StoreError> {
        let rows = self.read("list tools", sqlx::query("SELECT * FROM mcp_tool")).await?;
        let mut tools = read_all("mcp_tool", &rows, tool)?;
        tools.sort_by(|a, b| (&a.server, &a.tool).cmp(&(&b.server, &b.tool)));
        Ok(tools)
    }
}

fn tool(row: Columns<'_>) -> Result<ToolRow, StoreError> {
    let waiting = match row.maybe_time("waiting_since")? {
        Some(since) => {
            let definition = definition(row, "waiting_digest", "waiting_definition")?;
            Some(WaitingDefinition { definition, since })
        }
        None => None,
    };
    Ok(ToolRow {
        server: row.text("server")?.to_owned(),
        tool: row.text("tool")?.to_owned(),
        accepted: definition(row, "digest", "definition")?,
        accepted_by: row.text("accepted_by")?.to_owned(),
        accepted_at: row.time("accepted_at")?,
        waiting,
    })
}

fn definition(
    row: Columns<'_>,
    digest: &'static str,
    bytes: &'static str,
) -> Result<ToolDefinition, StoreError> {
    let definition = ToolDefinition::new(row.bytes(bytes)?);
    if definition.digest.0 != row.digest(digest)? {
        return Err(row.unreadable(digest));
    }
    Ok(definition)
}
