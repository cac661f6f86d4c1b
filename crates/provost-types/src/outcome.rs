//! What came of an action.

use crate::Digest;

/// How an admitted action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The upstream did it.
    Succeeded,
    /// The upstream refused, failed, or could not be reached.
    Failed,
    /// Cut short: killed, the client left, or the server was stopping.
    Aborted,
    /// Found without an outcome after a crash.
    Unknown,
}

impl Status {
    /// The status's word in records and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// What an upstream said it used. Unit: tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input read at full price.
    pub input: u64,
    /// Output, thinking included.
    pub output: u64,
    /// Input read from the prompt cache.
    pub cache_read: u64,
    /// Input written to the prompt cache.
    pub cache_write: u64,
}

/// A tool call the model asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolUse {
    /// `tool_use` id: what hooks, MCP and the stream are joined by.
    pub id: String,
    /// The tool's name.
    pub name: String,
}

/// What came of one admitted action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The upstream's own result code (an HTTP status), where it answered.
    pub code: Option<u16>,
    /// Why, where it did not succeed: one sentence, without secrets or bodies.
    pub reason: Option<String>,
    /// What the upstream said it used, where it said so.
    pub usage: Option<Usage>,
    /// The model that answered, where the upstream named it.
    pub model: Option<String>,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// The tool calls in the answer, in order.
    pub tool_uses: Vec<ToolUse>,
    /// The upstream's id for the request, for its support desk.
    pub upstream_request: Option<String>,
    /// Keyed digest of the answer's bytes as they were sent on.
    pub result: Option<Digest>,
    /// Size of the answer. Unit: bytes.
    pub result_bytes: u64,
}

impl Outcome {
    /// An outcome that says how the action ended and nothing else.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            code: None,
            reason: None,
            usage: None,
            model: None,
            stop_reason: None,
            tool_uses: Vec::new(),
            upstream_request: None,
            result: None,
            result_bytes: 0,
        }
    }

    /// An outcome that says how the action ended and why.
    pub fn because(status: Status, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(status) }
    }
}
