//! Tools and prompts that cannot answer before their client has (2026-07-28).
//!
//! Such an answer names what is wanted, and ends the request; the client asks again with its
//! responses, and with the sealed state that it was given.

use rmcp::{
    ErrorData, RoleServer,
    model::{InputRequiredResult, InputResponses, RequestStateCodec},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::server::typed;

/// What a request brings.
pub(crate) struct Input<'a> {
    /// The tool or prompt.
    pub(crate) name: &'a str,
    /// What the client was asked for.
    pub(crate) responses: Option<&'a InputResponses>,
    /// The state that the client was given.
    pub(crate) state: Option<&'a str>,
}

/// What comes of a request.
pub(crate) enum Answer {
    /// Something is wanted first.
    Wants(InputRequiredResult),
    /// Everything is there.
    Says(String),
}

/// Answers a request for one of the tools and prompts of this module.
///
/// # Errors
///
/// When the state is not one that was given out for this.
pub(crate) fn answer(
    input: &Input<'_>,
    states: &RequestStateCodec,
    context: &RequestContext<RoleServer>,
) -> Result<Option<Answer>, ErrorData> {
    let given = match input.state {
        None => None,
        Some(sealed) => Some(opened(states, sealed)?),
    };
    let (wants, state) = match input.name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            (vec![("user_name", form("What is your name?", "name", "string"))], None)
        }
        "test_input_required_result_prompt" => {
            let question = "What context should the prompt use?";
            (vec![("user_context", form(question, "context", "string"))], None)
        }
        "test_input_required_result_sampling" => {
            (vec![("capital_question", sample("What is the capital of France?", 100))], None)
        }
        "test_input_required_result_list_roots" => (vec![("client_roots", roots())], None),
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => {
            (vec![("confirm", form("Please confirm", "ok", "boolean"))], Some("confirm"))
        }
        "test_input_required_result_multiple_inputs" => {
            let wants = vec![
                ("user_name", form("What is your name?", "name", "string")),
                ("greeting", sample("Generate a greeting", 50)),
                ("client_roots", roots()),
            ];
            (wants, Some("several"))
        }
        "test_input_required_result_multi_round" => match given.as_deref() {
            None => {
                let question = "Step 1: What is your name?";
                (vec![("step1", form(question, "name", "string"))], Some("step1"))
            }
            Some(_) => {
                let question = "Step 2: What is your favorite color?";
                (vec![("step2", form(question, "color", "string"))], Some("step2"))
            }
        },
        "test_input_required_result_capabilities" => (possible(context), None),
        _ => return Ok(None),
    };
    if wants.iter().all(|(key, _)| answered(input, key)) && given.as_deref() == state {
        return Ok(Some(Answer::Says(told(input, state.is_some()))));
    }
    let wants: serde_json::Map<_, _> =
        wants.into_iter().map(|(key, request)| (key.to_owned(), request)).collect();
    let mut result = json!({"resultType": "input_required", "inputRequests": wants});
    if let (Some(members), Some(state)) = (result.as_object_mut(), state) {
        members.insert("requestState".to_owned(), json!(states.seal(state.as_bytes())));
    }
    Ok(Some(Answer::Wants(typed(result)?)))
}

fn opened(states: &RequestStateCodec, sealed: &str) -> Result<String, ErrorData> {
    let opened = states.open(sealed);
    let text = opened.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| ErrorData::invalid_params("requestState is not ours", None))
}

/// True if the client has answered this, and in the form of an answer.
fn answered(input: &Input<'_>, key: &str) -> bool {
    let response = input.responses.and_then(|all| all.get(key)).and_then(Value::as_object);
    response.is_some_and(|response| {
        let accepted = response.get("action").is_some_and(|action| action == "accept")
            && response.get("content").is_some_and(Value::is_object);
        accepted
            || response.get("role").is_some_and(Value::is_string)
            || response.get("roots").is_some_and(Value::is_array)
    })
}

/// Every answer of the client, in words.
fn told(input: &Input<'_>, sealed: bool) -> String {
    let mark = if sealed { "state-ok: " } else { "" };
    let responses = input.responses.map(|all| json!(all).to_string()).unwrap_or_default();
    format!("{mark}{responses}")
}

/// Only what this client has said it can answer.
fn possible(context: &RequestContext<RoleServer>) -> Vec<(&'static str, Value)> {
    let can = context.client_capabilities().unwrap_or_default();
    let mut wants = Vec::new();
    if can.sampling.is_some() {
        wants.push(("greeting", sample("Generate a greeting", 50)));
    }
    if can.elicitation.is_some() {
        wants.push(("user_name", form("What is your name?", "name", "string")));
    }
    wants
}

fn form(message: &str, field: &str, kind: &str) -> Value {
    json!({"method": "elicitation/create", "params": {
        "mode": "form",
        "message": message,
        "requestedSchema": {
            "type": "object",
            "properties": {field: {"type": kind}},
            "required": [field],
        },
    }})
}

fn sample(prompt: &str, tokens_max: u32) -> Value {
    json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
        "maxTokens": tokens_max,
    }})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}
