//! Names that both ends of the Streamable HTTP transport use.

use http::HeaderName;

/// Names the client's session with the server, where a server has such.
pub const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The revision of the protocol that is spoken.
pub const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Where a client resumes a stream.
pub const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// Repeats the body's `method`.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// Repeats the name or URI in the body.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The first revision without sessions, in which headers repeat the body. Revisions are dates.
/// Source: MCP 2026-07-28, "Streamable HTTP".
pub const STATELESS: &str = "2026-07-28";
