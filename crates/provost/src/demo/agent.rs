//! A scripted agent, for where Claude Code is not installed: asks the model, runs the one
//! command it may run, and asks again.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};

use crate::printer::Printer;

/// Most turns before the agent gives up.
const TURNS_MAX: u32 = 5;

/// What the agent was given by `provost run`.
#[derive(Debug)]
pub(crate) struct Given {
    /// `ANTHROPIC_BASE_URL`
    pub(crate) base_url: String,
    /// `ANTHROPIC_AUTH_TOKEN`
    pub(crate) token: secrecy::SecretString,
}

/// Plays the agent.
///
/// # Errors
///
/// The gateway refused, in its own words.
pub(crate) async fn scripted_agent(given: &Given, model: &str, printer: Printer) -> Result<()> {
    let mut messages = vec![json!({"role": "user", "content": "Say hello with echo."})];
    for _ in 0..TURNS_MAX {
        let answer = ask(given, model, &messages).await?;
        let blocks = answer
            .get("content")
            .and_then(Value::as_array)
            .context("the answer has no content")?;
        let calls: Vec<&Value> =
            blocks.iter().filter(|block| text(block, "/type") == "tool_use").collect();
        if calls.is_empty() {
            for block in blocks {
                printer.note(&format!("agent: {}", text(block, "/text")));
            }
            return Ok(());
        }
        let results = calls.iter().map(|call| tool_result(call, printer));
        let results = results.collect::<Result<Vec<_>>>()?;
        messages.push(json!({"role": "assistant", "content": blocks}));
        messages.push(json!({"role": "user", "content": results}));
    }
    bail!("the model asked for {TURNS_MAX} tool calls and never answered")
}

/// Runs the one command this agent knows: `echo`.
fn tool_result(call: &Value, printer: Printer) -> Result<Value> {
    let command = text(call, "/input/command");
    printer.note(&format!("agent: runs `{command}`"));
    let words = command.strip_prefix("echo ").context("this agent knows only `echo`")?;
    Ok(json!({
        "type": "tool_result",
        "tool_use_id": text(call, "/id"),
        "content": format!("{words}\n"),
    }))
}

async fn ask(given: &Given, model: &str, messages: &[Value]) -> Result<Value> {
    let body = json!({
        "model": model,
        "max_tokens": 1000,
        "tools": [{
            "name": "Bash",
            "description": "Runs a command",
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
        }],
        "messages": messages,
    });
    let token = secrecy::ExposeSecret::expose_secret(&given.token);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/v1/messages", given.base_url))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::from(body.to_string())))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.context("the gateway cannot be reached")?;
    let status = answer.status();
    let bytes = answer.into_body().collect().await.context("the answer was cut")?.to_bytes();
    let answer = serde_json::from_slice(&bytes).unwrap_or_else(|_| last_event(&bytes));
    let message = text(&answer, "/error/message");
    ensure!(status.is_success() && message.is_empty(), "{status}: {message}");
    Ok(answer)
}

/// The data of the last event, if the answer is a stream.
fn last_event(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    let data = text.lines().rev().find_map(|line| line.strip_prefix("data: "));
    data.and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default()
}

/// The text at a JSON pointer (RFC 6901); empty if there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
