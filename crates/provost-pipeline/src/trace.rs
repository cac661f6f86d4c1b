//! One span for each action, with the names of OpenTelemetry's GenAI conventions.
//!
//! Spans have a target of their own: where no collector is configured they are disabled and
//! cost nothing. They hold what the ledger holds, never a body.
//!
//! Source of the names: OpenTelemetry semantic conventions, `gen_ai.*` registry, 2026.

use provost_ledger::Intent;
use provost_types::{ActionId, Outcome, Status};
use tracing::{Span, field::Empty};

use crate::{Caller, Refusal};

/// The target of every span that is for a collector: filters select by it.
pub const TARGET: &str = "provost::trace";

/// Begins the span of an admitted action.
pub(crate) fn begin(action: ActionId, caller: &Caller, intent: &Intent) -> Span {
    let name = operation(&intent.verb);
    tracing::info_span!(
        target: TARGET,
        "action",
        otel.name = %format_args!("{name} {}", intent.resource_id),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = name,
        gen_ai.provider.name = "anthropic",
        gen_ai.request.model = %intent.resource_id,
        gen_ai.agent.id = %caller.agent,
        gen_ai.conversation.id = intent.correlation.client_session,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        error.r#type = Empty,
        provost.action = %action,
        provost.session = %caller.session,
        provost.project = %caller.project,
        provost.decision = intent.decision.verdict.as_str(),
        provost.policy_version = %intent.decision.version,
        provost.outcome = Empty,
    )
}

/// Writes what came of the action into its span.
pub(crate) fn end(span: &Span, outcome: &Outcome) {
    if span.is_disabled() {
        return;
    }
    span.record("provost.outcome", outcome.status.as_str());
    if let Some(model) = &outcome.model {
        span.record("gen_ai.response.model", model);
    }
    if let Some(reason) = &outcome.stop_reason {
        span.record("gen_ai.response.finish_reasons", reason);
    }
    if let Some(usage) = outcome.usage {
        span.record("gen_ai.usage.input_tokens", usage.input);
        span.record("gen_ai.usage.output_tokens", usage.output);
        span.record("gen_ai.usage.cache_read.input_tokens", usage.cache_read);
        span.record("gen_ai.usage.cache_creation.input_tokens", usage.cache_write);
    }
    if outcome.status != Status::Succeeded {
        span.record("otel.status_code", "ERROR");
        match outcome.code {
            Some(code) => span.record("error.type", code),
            None => span.record("error.type", outcome.status.as_str()),
        };
    }
}

/// One span for an action that was refused.
pub(crate) fn refused(refusal: &Refusal, caller: Option<&Caller>) {
    let _ended = tracing::info_span!(
        target: TARGET,
        "refusal",
        otel.status_code = "ERROR",
        error.r#type = refusal.code.as_str(),
        gen_ai.agent.id = caller.map(|caller| tracing::field::display(&caller.agent)),
        provost.action = %refusal.action,
        provost.decision = "deny",
    );
}

/// The convention's word for a verb.
fn operation(verb: &str) -> &str {
    if verb == "message" { "chat" } else { verb }
}
