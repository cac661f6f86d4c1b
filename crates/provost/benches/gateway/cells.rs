//! The main table: each kind of request, from so many connections, directly and through.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use anyhow::Result;

use crate::{
    load::{self, Seen, Target},
    stand::Stand,
    upstream,
};

/// How often all of it is measured. The best counts: the others measure the neighbours.
const ROUNDS: usize = 3;

/// Size of a large request's body, such as an agent's in mid-conversation. Unit: bytes.
const LARGE: usize = 64 << 10;

/// A model request that is answered with a call; see [`upstream`].
const CALL: &str = r#"{"model":"claude-sonnet-5+call","max_tokens":1024,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// A post as Claude Code makes it.
const HOOK: &str = r#"{"session_id":"0b0","cwd":"/work","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"git status && ls -l src | head"},"tool_use_id":"toolu_bench"}"#;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A short request, a JSON answer.
    Json,
    /// A short request, a stream of 50 events.
    Sse,
    /// A long request, a JSON answer.
    Large,
    /// A short request, a stream that is a call of `Bash`, held until decided.
    Call,
    /// A hook's post before a tool call. Directly: the same bytes to the scripted server.
    Hook,
    /// A `tools/call` of an MCP server over HTTP.
    Mcp,
}

/// One row.
pub(crate) struct Cell {
    kind: Kind,
    connections: usize,
    direct: Seen,
    through: Seen,
    /// Through a server whose ledger is in memory; from one connection only.
    unsynced: Option<Seen>,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Json, Self::Sse, Self::Large, Self::Call, Self::Hook, Self::Mcp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Sse => "sse",
            Self::Large => "large",
            Self::Call => "call",
            Self::Hook => "hook",
            Self::Mcp => "mcp",
        }
    }

    pub(crate) fn connections(self) -> &'static [usize] {
        match self {
            Self::Json | Self::Sse => &[1, 32, 64, 1000],
            Self::Large | Self::Call | Self::Hook | Self::Mcp => &[1, 32],
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Sse => "SSE, 50 events",
            Self::Large => "JSON, 64 KiB asked",
            Self::Call => "SSE with a tool call held",
            Self::Hook => "hook, PreToolUse",
            Self::Mcp => "MCP, tools/call",
        }
    }

    fn target(self, address: SocketAddr, credential: &str) -> Target {
        let to = |path: &str, body: &str| Target {
            address,
            request: request((address, path), credential, body),
        };
        match self {
            Self::Json | Self::Sse | Self::Large => {}
            Self::Call => return to("/v1/messages", CALL),
            Self::Hook => return to("/hook", HOOK),
            Self::Mcp => return to("/mcp/bench", upstream::MCP_CALL),
        }
        let stream = if self == Self::Sse { r#""stream":true,"# } else { "" };
        let said = "word ".repeat(if self == Self::Large { LARGE / 5 } else { 20 });
        let body = format!(
            r#"{{"model":"claude-sonnet-5","max_tokens":1024,{stream}"messages":[{{"role":"user","content":"{said}"}}]}}"#
        );
        to("/v1/messages", &body)
    }
}

/// A request as a client writes it.
pub(crate) fn request(
    (address, path): (SocketAddr, &str),
    credential: &str,
    body: &str,
) -> Arc<[u8]> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {credential}\r\n\
         anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2025-06-18\r\n\
         accept: application/json, text/event-stream\r\nuser-agent: bench\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat().into()
}

impl Cell {
    pub(crate) fn new(kind: Kind, connections: usize) -> Self {
        let (direct, through) = Default::default();
        Self { kind, connections, direct, through, unsynced: None }
    }
}

/// Fills in all cells, round after round.
pub(crate) async fn measure(
    cells: &mut [Cell],
    disk: &Stand,
    memory: Option<&Stand>,
) -> Result<()> {
    for _ in 0..ROUNDS {
        for cell in &mut *cells {
            let direct = cell.kind.target(disk.model, &disk.credential);
            let seen = load::run(&direct, cell.connections, None).await?;
            keep_better(&mut cell.direct, seen);
            let through = cell.kind.target(disk.gateway, &disk.credential);
            let seen = load::run(&through, cell.connections, Some(&disk.server)).await?;
            keep_better(&mut cell.through, seen);
            if let Some(memory) = memory.filter(|_| cell.connections == 1) {
                let through = cell.kind.target(memory.gateway, &memory.credential);
                let seen = load::run(&through, 1, Some(&memory.server)).await?;
                keep_better(cell.unsynced.get_or_insert_default(), seen);
            }
        }
    }
    Ok(())
}

fn keep_better(best: &mut Seen, seen: Seen) {
    if seen.rate > best.rate {
        *best = seen;
    }
}

/// The cells in Markdown. Unit: microseconds, where no other is named.
pub(crate) fn table(cells: &[Cell]) -> String {
    let mut text = String::from(
        "| request | connections | direct: requests/s | p50 / p99 | first byte p50 / p99 | \
         Provost: requests/s | p50 / p99 | first byte p50 / p99 | added p50 / p99 | \
         first byte +p50 / +p99 | beyond the sync +p50 / +p99 | CPU a request |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for cell in cells {
        let (direct, through) = (&cell.direct, &cell.through);
        let unsynced = cell.unsynced.as_ref().map(|seen| added(&seen.whole, &direct.whole));
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            text,
            "| {} | {} | {:.0} | {} | {} | {:.0} | {} | {} | {} | {} | {} | {:.0} |",
            cell.kind.title(),
            cell.connections,
            direct.rate,
            both(&direct.whole),
            both(&direct.first),
            through.rate,
            both(&through.whole),
            both(&through.first),
            added(&through.whole, &direct.whole),
            added(&through.first, &direct.first),
            unsynced.as_deref().unwrap_or("–"),
            through.cpu,
        );
    }
    text
}

fn both(waits: &crate::ticks::Waits) -> String {
    format!("{} / {}", waits.p50(), waits.p99())
}

fn added(through: &crate::ticks::Waits, direct: &crate::ticks::Waits) -> String {
    let p50 = through.p50().saturating_sub(direct.p50());
    format!("+{p50} / +{}", through.p99().saturating_sub(direct.p99()))
}
