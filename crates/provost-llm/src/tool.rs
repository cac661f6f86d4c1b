//! What a model and its client are told of a tool call that was denied.

use provost_pipeline::Refusal;

use crate::wire::gate::Call;

/// Most of a call's arguments repeated in a denial. Unit: characters.
const INPUT_CHARS_SHOWN: usize = 200;

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
