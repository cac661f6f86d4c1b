//! `/v1/policies`: the rules in force, and why they answer as they do.

use std::sync::Arc;

use axum::{Json, extract::State};
use provost_api::{
    ExplainAction, Explanation, PolicyDecision, PolicyFile, PolicyPart, PolicySet, PolicyTrace,
    RefusedPolicySet,
};
use provost_decide::{Query, Trace};
use provost_ledger::{Intent, Record};
use provost_types::{ActionId, AgentName, Decision, ProjectName};

use crate::{
    App,
    error::ApiError,
    extract::{Body, parsed},
    ledger::decode,
};

/// A decision as it was recorded, with all that policy saw.
struct Asked {
    agent: AgentName,
    project: ProjectName,
    intent: Intent,
}

/// `GET /v1/policies`: the set in force, and the newer one that was refused, if there is one.
pub(crate) async fn show(State(app): State<Arc<App>>) -> Json<PolicySet> {
    let (current, refused) =
        (app.pipeline.policies().current(), app.pipeline.policies().refused());
    Json(PolicySet {
        version: current.policies.version().to_string(),
        count: u64::try_from(current.policies.len()).unwrap_or(u64::MAX),
        files: current.files.iter().map(|name| PolicyFile { name: name.clone() }).collect(),
        loaded_at: current.at.to_string(),
        refused: refused.map(|refused| RefusedPolicySet {
            at: refused.at.to_string(),
            findings: refused.findings.iter().map(ToString::to_string).collect(),
        }),
    })
}

/// `POST /v1/policies/explain`: asks what an action asked once more, and takes the answer
/// apart.
///
/// # Errors
///
/// - 400 `malformed`: not an action's id.
/// - 404 `no-such`: nothing recorded, or refused before policy was asked.
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    Body(asked): Body<ExplainAction>,
) -> Result<Json<Explanation>, ApiError> {
    let action = parsed(&asked.action)?;
    let asked = recorded(&app, action).await?;
    let current = app.pipeline.policies().current();
    let explained = tokio::task::spawn_blocking(move || {
        let Asked { agent, project, intent } = asked;
        let context: Vec<_> =
            intent.context.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let explanation = current.policies.explain(&Query {
            agent: &agent,
            project: &project,
            plane: &intent.plane,
            verb: &intent.verb,
            resource_kind: &intent.resource_kind,
            resource_id: &intent.resource_id,
            context: &context,
        });
        convert(action, intent.decision, explanation)
    });
    Ok(Json(explained.await.map_err(ApiError::internal)?))
}

/// The decision of `action`, from the ledger.
async fn recorded(app: &App, action: ActionId) -> Result<Asked, ApiError> {
    for entry in app.ledger.of_action(action).await? {
        let event = decode(entry.position, &entry.bytes)?;
        let intent = match event.record {
            Record::Intent(intent) => Some(intent),
            Record::Refusal(refused) => refused.intent,
            Record::Approval(approval) => approval.intent,
            Record::Outcome(_)
            | Record::Admin(_)
            | Record::Session(_)
            | Record::Server(_)
            | Record::Witness(_)
            | Record::Alert(_) => None,
        };
        if let (Some(agent), Some(project), Some(intent)) =
            (event.subject.agent, event.subject.project, intent)
        {
            return Ok(Asked { agent, project, intent });
        }
    }
    Err(ApiError::NoSuch { what: format!("decision about {action}") })
}

fn convert(
    action: ActionId,
    recorded: Decision,
    explanation: provost_decide::Explanation,
) -> Explanation {
    let text = explanation.to_string();
    let now = explanation.decision;
    Explanation {
        action: action.to_string(),
        question: explanation.question,
        recorded: decision(recorded),
        now: decision(now),
        determining: explanation.determining.into_iter().map(trace).collect(),
        changes: explanation.changes,
        nearest: explanation.nearest.into_iter().map(trace).collect(),
        text,
    }
}

fn decision(decision: Decision) -> PolicyDecision {
    PolicyDecision {
        verdict: decision.verdict.as_str().to_owned(),
        reason: decision.reason,
        policies: decision.policies.iter().map(ToString::to_string).collect(),
        version: decision.version.to_string(),
    }
}

fn trace(trace: Trace) -> PolicyTrace {
    let applies = trace.applies();
    let part = |part: provost_decide::Part| PolicyPart {
        text: part.text,
        truth: part.truth.as_str().to_owned(),
    };
    PolicyTrace {
        id: trace.id.to_string(),
        effect: trace.effect.as_str().to_owned(),
        file: trace.file,
        line: trace.line,
        applies,
        parts: trace.parts.into_iter().map(part).collect(),
    }
}
