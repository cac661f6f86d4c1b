//! `/v1/approvals`: held actions, what people have to know of them, and what they say.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use provost_api::{
    AnswerApproval, Approval, ApprovalAnswer, ApprovalCard, ApprovalExtent, ApprovalGate,
    ApprovalPage, ApprovalQuery, ApprovalStanding, ApprovalStateQuery, ApprovalVerdict,
    RevokeApproval,
};
use provost_decide::Policies;
use provost_pipeline::{Answer, AnswerError, Extent};
use provost_store::{AnswerRow, ApprovalFilter, ApprovalRow, ApprovalState, GateRow};
use provost_types::{ApprovalId, Role, SessionId};

use crate::{
    App, convert,
    error::ApiError,
    extract::{Asked, Body, Named, Pair, limit, parsed_in, wait},
    who::Who,
};

/// `GET /v1/approvals`: newest first; waits for a change if told to.
///
/// # Errors
///
/// - 400 `malformed`, `invalid`: a filter, a limit or a wait.
/// - 503 `database-unavailable`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<ApprovalQuery>,
) -> Result<Json<ApprovalPage>, ApiError> {
    let filter = ApprovalFilter {
        agent: parsed_in("agent", asked.agent.as_deref())?,
        project: parsed_in("project", asked.project.as_deref())?,
        state: parsed_in("state", asked.state.as_deref())?,
        before: parsed_in("before", asked.before.as_deref())?,
    };
    let (limit, wait) = (limit(asked.limit)?, wait(asked.wait)?);
    if let Some(seen) = asked.seen {
        until_changed(&app, seen, wait).await;
    }
    // Counted first: what changes meanwhile is told at the next call.
    let changes = *app.pipeline.approvals().changes().borrow();
    let rows = app.pipeline.approvals().approvals(&filter, limit).await?;
    Ok(Json(ApprovalPage { items: rows.iter().map(convert::approval).collect(), changes }))
}

/// `GET /v1/approvals/{id}`: all that somebody has to know who answers. That they saw the
/// arguments is recorded.
///
/// # Errors
///
/// - 404 `no-such`.
/// - 503 `ledger-unavailable`: the look cannot be recorded; `database-unavailable`.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Named(id): Named<ApprovalId>,
) -> Result<Json<ApprovalCard>, ApiError> {
    let approvals = app.pipeline.approvals();
    let row = approvals.approval(id).await?;
    // An auditor cannot answer, whatever groups name them.
    let may_answer = !who.is(Role::Auditor) && approvals.may_answer(who.person()?, &row).await;
    let (arguments_state, arguments) = if may_answer || who.is(Role::Admin) {
        match approvals.arguments(&who.by(), &row).await {
            Ok(Some(arguments)) => ("shown", Some(readable(arguments))),
            Ok(None) => ("gone", None),
            Err(AnswerError::Unreadable(_)) => ("unreadable", None),
            Err(error) => return Err(error.into()),
        }
    } else {
        ("hidden", None)
    };
    let current = app.pipeline.policies().current();
    Ok(Json(ApprovalCard {
        approval: convert::approval(&row),
        gates: row.gates.iter().map(|gate| self::gate(gate, &row, &current.policies)).collect(),
        answers: row.answers.iter().map(said).collect(),
        may_answer,
        arguments,
        arguments_state: arguments_state.to_owned(),
        otherwise: otherwise(&row),
    }))
}

/// `POST /v1/approvals/{id}/answer`: one person's yes or no.
///
/// # Errors
///
/// - 400 `malformed`, `invalid`: the comment, the extent, a pattern that does not fit;
///   `unreadable`: nobody can look at the arguments, so nobody can approve them.
/// - 403 `not-approver`: the caller is in none of the groups; `own-session`.
/// - 404 `no-such`.
/// - 409 `settled`: somebody was first, or it is too late; `answered-already`.
/// - 503 `ledger-unavailable`, `database-unavailable`: nothing was answered.
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    who: Who,
    Named(id): Named<ApprovalId>,
    Body(asked): Body<AnswerApproval>,
) -> Result<Json<Approval>, ApiError> {
    let answer = read(asked)?;
    let row = app.pipeline.approvals().answer(who.person()?, id, answer).await?;
    Ok(Json(convert::approval(&row)))
}

/// `POST /v1/approvals/{id}/revoke`: takes back a yes that still counts.
///
/// # Errors
///
/// - 400 `invalid`: the comment.
/// - 403, 404, 503: as for an answer.
/// - 409 `settled`: it does not count, or not any more.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    who: Who,
    Named(id): Named<ApprovalId>,
    Body(asked): Body<RevokeApproval>,
) -> Result<Json<Approval>, ApiError> {
    let comment = asked.comment.unwrap_or_default();
    let row = app.pipeline.approvals().revoke(who.person()?, id, comment).await?;
    Ok(Json(convert::approval(&row)))
}

/// `GET /v1/sessions/{id}/approvals/{approval}`: how an approval of the session's own agent
/// stands; waits until it waits no longer if told to.
///
/// # Errors
///
/// - 404 `no-such`: the session or the approval, or it is another agent's.
pub(crate) async fn standing(
    State(app): State<Arc<App>>,
    Pair(session, id): Pair<SessionId, ApprovalId>,
    Asked(asked): Asked<ApprovalStateQuery>,
) -> Result<Json<ApprovalStanding>, ApiError> {
    let wait = wait(asked.wait)?;
    let agent = app.directory().session(session).await?.agent;
    let mut changes = app.pipeline.approvals().changes();
    let late = tokio::time::sleep(wait);
    tokio::pin!(late);
    loop {
        changes.mark_unchanged();
        let row = app.pipeline.approvals().approval(id).await?;
        if row.agent != agent {
            return Err(AnswerError::NoSuch(id).into());
        }
        let is_over = row.state != ApprovalState::Waiting || wait.is_zero();
        let standing = ApprovalStanding {
            id: row.id.to_string(),
            state: row.state.as_str().to_owned(),
            note: row.note,
        };
        if is_over {
            return Ok(Json(standing));
        }
        tokio::select! {
            biased;
            () = app.stopping.cancelled() => return Ok(Json(standing)),
            () = &mut late => return Ok(Json(standing)),
            changed = changes.changed() => if changed.is_err() { return Ok(Json(standing)) },
        }
    }
}

/// Waits until the count of changes is not `seen`, the time is over, or the server stops.
async fn until_changed(app: &App, seen: u64, wait: Duration) {
    let mut changes = app.pipeline.approvals().changes();
    tokio::select! {
        biased;
        () = app.stopping.cancelled() => {}
        _other = changes.wait_for(|count| *count != seen) => {}
        () = tokio::time::sleep(wait) => {}
    }
}

fn read(asked: AnswerApproval) -> Result<Answer, ApiError> {
    let comment = asked.comment.unwrap_or_default();
    match (asked.verdict, asked.extent) {
        (ApprovalVerdict::Deny, None) => Ok(Answer::No { comment }),
        (ApprovalVerdict::Deny, Some(_)) => {
            Err(ApiError::Invalid { field: "extent", problem: "only a yes reaches so far" })
        }
        (ApprovalVerdict::Approve, extent) => {
            let extent = match extent.unwrap_or_default() {
                ApprovalExtent::Once => Extent::Once,
                ApprovalExtent::Session => Extent::Session,
                ApprovalExtent::Pattern { arguments, lasts_s } => {
                    let problem = "say for how many seconds";
                    let lasts =
                        lasts_s.ok_or(ApiError::Invalid { field: "lasts_s", problem })?;
                    Extent::Pattern { arguments, lasts: Duration::from_secs(lasts) }
                }
            };
            Ok(Answer::Yes { extent, comment })
        }
    }
}

/// Bytes as the text they are; what is none, escaped, so that nothing is left out.
fn readable(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
}

fn gate(asked: &GateRow, row: &ApprovalRow, current: &Policies) -> ApprovalGate {
    let agreed = row.answers.iter().filter(|one| one.yes && one.gates.contains(&asked.policy));
    let same = current.gate(&asked.policy).filter(|gate| gate.text == asked.text);
    ApprovalGate {
        policy: asked.policy.to_string(),
        changed: same.is_none(),
        reason: same.and_then(|gate| gate.reason),
        groups: asked.groups.clone(),
        quorum: asked.quorum,
        agreed: u32::try_from(agreed.count()).unwrap_or(u32::MAX),
    }
}

fn said(answer: &AnswerRow) -> ApprovalAnswer {
    ApprovalAnswer {
        by: answer.by.clone(),
        at: answer.at.to_string(),
        verdict: if answer.yes { ApprovalVerdict::Approve } else { ApprovalVerdict::Deny },
        comment: answer.comment.clone(),
    }
}

/// What happens if nobody does anything.
fn otherwise(row: &ApprovalRow) -> String {
    let at = row.expires_at;
    match row.state {
        ApprovalState::Waiting => format!("denied at {at}"),
        ApprovalState::Approved => format!("the yes counts until {at}"),
        ApprovalState::Denied => format!("the no counts until {at}; then it is asked anew"),
        ApprovalState::Used
        | ApprovalState::Expired
        | ApprovalState::Cancelled
        | ApprovalState::Revoked => "nothing: it is over".to_owned(),
    }
}
