//! A tool call in a model's answer, as an action that policy can decide.

use bytes::Bytes;
use provost_pipeline::Refusal;
use provost_tools::{Effects, Risk, effects};
use provost_types::{Action, Correlation, Plane, Resource, Value};

use crate::{
    classify::{CORRELATION_BYTES_MAX, printable},
    wire::gate::Call,
};

/// Longest tool name that policy is asked about. Unit: bytes. Source: names are at most 128
/// (Messages API reference, `tools.name`).
const NAME_BYTES_MAX: usize = 128;

/// What stands for a name that is none; no policy names it.
const NO_NAME: &str = "?";

/// Most of a call's arguments repeated in a denial. Unit: characters.
const INPUT_CHARS_SHOWN: usize = 200;

/// What `call` would do.
pub(crate) fn action(call: &Call) -> Action {
    let risk = |risk: &Risk| risk.as_str().to_owned();
    let is_name = printable(&call.name, NAME_BYTES_MAX);
    let Effects { parsed, risks, programs, commands, reads, writes, hosts } =
        effects(&call.name, call.input.as_bytes(), None);
    let tool_use = printable(&call.id, CORRELATION_BYTES_MAX).then(|| call.id.clone());
    Action {
        plane: Plane::Tool,
        verb: "call",
        resource: Resource {
            kind: "Tool::Tool",
            id: if is_name { call.name.clone() } else { NO_NAME.to_owned() },
        },
        context: vec![
            ("parsed", Value::Bool(parsed)),
            ("risks", Value::Texts(risks.iter().map(risk).collect())),
            ("programs", Value::Texts(programs)),
            ("commands", Value::Texts(commands)),
            ("reads", Value::Texts(reads)),
            ("writes", Value::Texts(writes)),
            ("hosts", Value::Texts(hosts)),
        ],
        arguments: Bytes::from(call.input.clone()),
        correlation: Correlation { tool_use, ..Correlation::default() },
    }
}

/// What stands in the place of a denied call: for the model, and for whoever reads along.
pub(crate) fn denial(call: &Call, refusal: &Refusal) -> String {
    let mut input: String = call.input.chars().take(INPUT_CHARS_SHOWN).collect();
    if input.len() < call.input.len() {
        input.push('…');
    }
    format!(
        "[Provost did not let this tool call happen: {} {input}. Reason: {}. Do not try it in \
         another way; go on without it, or say what is needed. `provost audit show {}`]",
        call.name, refusal.message, refusal.action
    )
}
