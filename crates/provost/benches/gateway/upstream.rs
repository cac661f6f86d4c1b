//! The scripted model, as a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::StatusCode;
use provost_scripted::{Message, Play, Scene, Script, Scripted, Step};
use serde_json::{Value, json};

use crate::{process::Process, ticks};

/// A call of that server's tool.
pub(crate) const MCP_CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{"path":"src/main.rs"}}}"#;

/// Makes this program the model instead of the bench.
pub(crate) const ARGUMENT: &str = "be-the-upstream";

/// Serves until standard input ends, which it does when the bench does.
pub(crate) async fn serve() -> Result<()> {
    let call = call_events();
    let script = Script::fixed().unless(move |seen| {
        match seen.path.as_str() {
            "/hook" => return Some(Play::json(StatusCode::OK, "{}")),
            "/mcp/bench" => return Some(mcp(&seen.body)),
            _ => {}
        }
        if seen.body.starts_with(br#"{"model":"claude-sonnet-5+call""#) {
            return Some(Play::stream(call.clone().into_iter().map(Step::Send)));
        }
        let body = std::str::from_utf8(&seen.body).ok()?;
        let (_, scene) = body.get(..120)?.split_once("+endless-")?;
        let every = Duration::from_millis(scene.split_once('"')?.0.parse().ok()?);
        let asked = seen.asked()?;
        let said = provost_scripted::Message::text(&asked.model, "");
        Some(Scene::Endless { every }.play(&asked, said))
    });
    let scripted = Scripted::start(script).await?;
    ticks::say(&scripted.address().to_string())?;
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    Ok(())
}

/// A call of `Bash`, as events.
fn call_events() -> Vec<Bytes> {
    let input = json!({"command": "git status && ls -l src | head"});
    Message::tool_use("claude-sonnet-5", "toolu_bench", "Bash", input).events()
}

/// An MCP server without sessions and with one tool.
fn mcp(body: &[u8]) -> Play {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let result = match asked.get("method").and_then(Value::as_str) {
        Some("tools/list") => json!({"tools": [{"name": "look", "description": "looks",
            "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}}}]}),
        _ => json!({"content": [{"type": "text", "text": "word ".repeat(20)}]}),
    };
    let id = asked.get("id").cloned().unwrap_or_default();
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
    Play::json(StatusCode::OK, answer.to_string())
}

/// Starts the model; its process and where it listens.
pub(crate) fn start() -> Result<(Process, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
    Ok((Process(child), line.trim().parse()?))
}
