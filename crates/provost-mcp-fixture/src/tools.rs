//! The tools: what is said of them, and what they do.

// Sampling and logging are deprecated from 2026-07-28 on, and asked for before.
#![expect(deprecated, reason = "the older revisions are tested as well")]

use std::time::Duration;

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
        LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    content::{PIXEL, SILENCE, text, words},
    server::{Change, Server, is_stateless, result, typed},
};

/// Between the messages of one call, so that they are sent apart. Source: the scenarios.
const PAUSE: Duration = Duration::from_millis(50);
/// When a client whose stream was ended asks for the rest.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// Streams of one session that may be open when one of them is ended.
const STREAMS_MAX: u64 = 64;

/// Tools that take no arguments: name and description.
const PLAIN: &[(&str, &str)] = &[
    ("test_simple_text", "Answers with text"),
    ("test_image_content", "Answers with a picture"),
    ("test_audio_content", "Answers with a sound"),
    ("test_embedded_resource", "Answers with a resource"),
    ("test_multiple_content_types", "Answers with text, a picture and a resource"),
    ("test_tool_with_logging", "Logs while it works"),
    ("test_tool_with_progress", "Says how far it is while it works"),
    ("test_error_handling", "Fails"),
    ("test_elicitation_sep1034_defaults", "Asks with defaults"),
    ("test_elicitation_sep1330_enums", "Asks for choices"),
    ("test_reconnection", "Ends its stream before it answers"),
    ("test_missing_capability", "Needs a client that samples"),
    ("test_logging_tool", "Logs if the request lets it"),
    ("test_streaming_elicitation", "Asks for a name"),
    ("test_trigger_tool_change", "Says that the tools have changed"),
    ("test_trigger_prompt_change", "Says that the prompts have changed"),
    ("test_input_required_result_elicitation", "Asks for a name"),
    ("test_input_required_result_sampling", "Asks for a sample"),
    ("test_input_required_result_list_roots", "Asks for roots"),
    ("test_input_required_result_request_state", "Asks, and gives a state"),
    ("test_input_required_result_multiple_inputs", "Asks for three things"),
    ("test_input_required_result_multi_round", "Asks twice"),
    ("test_input_required_result_tampered_state", "Asks, and guards its state"),
    ("test_input_required_result_capabilities", "Asks for what the client can do"),
];

/// The answer to `tools/list`.
pub(crate) fn list() -> Value {
    let tool = |name: &str, description: &str, schema: Value| json!({"name": name, "description": description, "inputSchema": schema});
    let takes = |argument: &str, schema: Value| json!({"type": "object", "properties": {argument: schema}, "required": [argument]});
    let plain = PLAIN.iter().map(|(name, description)| {
        tool(name, description, json!({"type": "object", "properties": {}}))
    });
    let string = json!({"type": "string"});
    let mut tools: Vec<Value> = plain.collect();
    tools.extend([
        tool("test_sampling", "Asks for a sample", takes("prompt", string.clone())),
        tool("test_elicitation", "Asks the user", takes("message", string)),
        tool(
            "test_headers",
            "Takes an argument that is in a header as well",
            takes("region", json!({"type": "string", "x-mcp-header": "Region"})),
        ),
        tool("json_schema_2020_12_tool", "Has a schema with much in it", rich_schema()),
    ]);
    json!({"tools": tools})
}

/// The words of the newer JSON Schema that have to arrive as they are.
fn rich_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {
            "properties": {"contactMethod": {"const": "phone"}},
            "required": ["contactMethod"],
        },
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

/// Runs a tool.
///
/// # Errors
///
/// When there is no such tool, or the client cannot do what it needs.
pub(crate) async fn call(
    server: &Server,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let argument = |name: &str| -> String {
        let arguments = request.arguments.as_ref();
        let value = arguments.and_then(|all| all.get(name)).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    match request.name.as_ref() {
        "test_tool_with_logging" | "test_logging_tool" => logs(context).await,
        "test_tool_with_progress" => progresses(context).await,
        "test_sampling" => samples(context, &argument("prompt")).await,
        "test_elicitation" => asks(context, &argument("message"), &person()).await,
        "test_elicitation_sep1034_defaults" => {
            asks(context, "Correct what is wrong", &defaults()).await
        }
        "test_elicitation_sep1330_enums" => asks(context, "Choose", &choices()).await,
        "test_reconnection" => ends_its_stream(server, context).await,
        "test_missing_capability" => {
            let can = context.client_capabilities().unwrap_or_default();
            let needed = typed::<ClientCapabilities>(json!({"sampling": {}}))?;
            match can.sampling {
                Some(_) => says("The client samples."),
                None => Err(ErrorData::missing_required_client_capability(needed)),
            }
        }
        "test_trigger_tool_change" => changes(server, context, Change::Tools).await,
        "test_trigger_prompt_change" => changes(server, context, Change::Prompts).await,
        "test_headers" => says(&argument("region")),
        "json_schema_2020_12_tool" => says("The arguments were valid."),
        name => still(name),
    }
}

/// Tools whose answer is always the same.
fn still(name: &str) -> Result<CallToolResponse, ErrorData> {
    let image = json!({"type": "image", "data": PIXEL, "mimeType": "image/png"});
    let resource = |resource: Value| json!({"type": "resource", "resource": resource});
    let content = match name {
        "test_simple_text" => vec![words("This is a simple text response for testing.")],
        "test_image_content" => vec![image],
        "test_audio_content" => {
            vec![json!({"type": "audio", "data": SILENCE, "mimeType": "audio/wav"})]
        }
        "test_embedded_resource" => {
            let content = "This is an embedded resource content.";
            vec![resource(text("test://embedded-resource", content))]
        }
        "test_multiple_content_types" => vec![
            words("Multiple content types test:"),
            image,
            resource(json!({
                "uri": "test://mixed-content-resource",
                "mimeType": "application/json",
                "text": json!({"test": "data", "value": 123}).to_string(),
            })),
        ],
        "test_error_handling" => {
            let content = words("This tool intentionally returns an error for testing");
            return complete(json!({"content": [content], "isError": true}));
        }
        unknown => {
            let reason = format!("no such tool: {unknown}");
            return Err(ErrorData::invalid_params(reason, None));
        }
    };
    complete(json!({"content": content}))
}

/// A result that is one block of text.
pub(crate) fn says(text: &str) -> Result<CallToolResponse, ErrorData> {
    complete(json!({"content": [words(text)]}))
}

fn complete(value: Value) -> Result<CallToolResponse, ErrorData> {
    result::<CallToolResult>(value).map(CallToolResponse::Complete)
}

/// The client could not be told or asked.
fn unheard(error: &rmcp::ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

async fn logs(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    // Without sessions there is no level but the one that a request brings.
    let heard = !is_stateless(context) || context.meta.log_level().is_some();
    let steps = ["Tool execution started", "Tool processing data", "Tool execution completed"];
    for step in steps {
        if heard {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(step));
            let sent = context.peer.notify_logging_message(message).await;
            sent.map_err(|error| unheard(&error))?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    says("The tool has logged.")
}

async fn progresses(
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    for progress in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let told = ProgressNotificationParam::new(token, progress).with_total(100.0);
            let sent = context.peer.notify_progress(told).await;
            sent.map_err(|error| unheard(&error))?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    says("The tool has come to its end.")
}

async fn samples(
    context: &RequestContext<RoleServer>,
    prompt: &str,
) -> Result<CallToolResponse, ErrorData> {
    let asked = typed(json!({
        "messages": [{"role": "user", "content": words(prompt)}],
        "maxTokens": 100,
    }))?;
    let sampled = context.peer.create_message(asked).await;
    let sampled = sampled.map_err(|error| unheard(&error))?;
    let sampled = serde_json::to_value(sampled).unwrap_or_default();
    let text = sampled.pointer("/content/text").and_then(Value::as_str);
    says(&format!("LLM response: {}", text.unwrap_or_default()))
}

async fn asks(
    context: &RequestContext<RoleServer>,
    message: &str,
    schema: &Value,
) -> Result<CallToolResponse, ErrorData> {
    let asked = json!({"mode": "form", "message": message, "requestedSchema": schema});
    let answered = context.peer.create_elicitation(typed(asked)?).await;
    let answered = answered.map_err(|error| unheard(&error))?;
    let answered = serde_json::to_value(answered).unwrap_or_default();
    let member = |name: &str| answered.get(name).cloned().unwrap_or_default();
    let action = member("action");
    says(&format!(
        "Elicitation completed: action={}, content={}",
        action.as_str().unwrap_or_default(),
        member("content")
    ))
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    })
}

fn defaults() -> Value {
    json!({"type": "object", "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": true},
    }})
}

fn choices() -> Value {
    let options = json!(["option1", "option2", "option3"]);
    let titled = json!([
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"},
    ]);
    json!({"type": "object", "properties": {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }})
}

/// Ends the stream of this very call; its answer goes to whoever asks for the rest.
async fn ends_its_stream(
    server: &Server,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let head = context.extensions.get::<http::request::Parts>();
    let id = head.and_then(|head| head.headers.get("mcp-session-id"));
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    if let Some(session) = server.shared.sessions.sessions.read().await.get(id) {
        // Nobody tells a tool which stream is its own, so all of them end.
        for stream in 0..STREAMS_MAX {
            session.close_sse_stream(stream, Some(RETRY_AFTER)).await.ok();
        }
    }
    tokio::time::sleep(PAUSE).await;
    says("The tool has answered on another stream.")
}

/// Tells those who listen, in the way of either era, that a list has changed.
async fn changes(
    server: &Server,
    context: &RequestContext<RoleServer>,
    change: Change,
) -> Result<CallToolResponse, ErrorData> {
    // Nobody may be listening, which is not an error.
    server.shared.changes.send(change).ok();
    if !is_stateless(context) {
        let sent = match change {
            Change::Tools => context.peer.notify_tool_list_changed().await,
            Change::Prompts => context.peer.notify_prompt_list_changed().await,
        };
        sent.map_err(|error| unheard(&error))?;
    }
    says("It has changed.")
}
