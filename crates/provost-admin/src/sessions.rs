//! `/v1/sessions`

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use provost_api::{
    EndSession, List, NewSession, OpenedSession, Session, SessionQuery, SessionWatch,
};
use provost_pipeline::Terms;
use provost_store::SessionFilter;
use provost_types::{AgentName, SessionId};

use crate::{
    App, convert,
    error::{ApiError, in_force},
    extract::{Asked, Body, Named, limit, parsed_if},
    who::Who,
};

/// Longest time a watch waits before it says that nothing happened. Unit: seconds.
const WATCH_SECONDS: u64 = 30;

/// `POST /v1/sessions`: opens one; this answer is the only one that shows its credential.
///
/// # Errors
///
/// - 400 `invalid`: no agent named, or longer terms than the server allows.
/// - 403 `forbidden`: an agent's key opens only its own sessions.
/// - 404 `no-such`: the agent; 409 `over`: it is retired.
/// - 409 `stopped`: it, its project or everything is paused or killed.
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    who: Who,
    Body(asked): Body<NewSession>,
) -> Result<(StatusCode, Json<OpenedSession>), ApiError> {
    let agent = whose(&who, parsed_if(asked.agent.as_deref())?)?;
    let terms = terms(&asked, app.terms_max)?;
    let opened = app.directory().open_session(&who.by(), &agent, terms).await?;
    let credential = convert::sensitive(&opened.credential);
    let session = convert::session(opened.session);
    Ok((StatusCode::CREATED, Json(OpenedSession { session, credential })))
}

/// `GET /v1/sessions`: newest first.
///
/// # Errors
///
/// - 400 `malformed`: a filter.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<SessionQuery>,
) -> Result<Json<List<Session>>, ApiError> {
    let filter = SessionFilter {
        agent: parsed_if(asked.agent.as_deref())?,
        project: parsed_if(asked.project.as_deref())?,
        before: parsed_if(asked.before.as_deref())?,
    };
    let rows = app.directory().sessions(&filter, limit(asked.limit)?).await?;
    Ok(Json(List { items: rows.into_iter().map(convert::session).collect() }))
}

/// `GET /v1/sessions/{id}`: one session, live or over.
///
/// # Errors
///
/// - 404 `no-such`.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Named(id): Named<SessionId>,
) -> Result<Json<Session>, ApiError> {
    let row = app.directory().session(id).await?;
    Ok(Json(convert::session(row)))
}

/// `POST /v1/sessions/{id}/end`: ends it; what is in flight is cut.
///
/// # Errors
///
/// - 404 `no-such`: no live session.
/// - 503 `in-force-only`: it is over, but that is not recorded yet.
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    who: Who,
    Named(id): Named<SessionId>,
    Body(asked): Body<EndSession>,
) -> Result<StatusCode, ApiError> {
    let reason = asked.reason.as_deref().unwrap_or("it was ended");
    app.directory().end_session(&who.by(), id, reason).await.map_err(in_force)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/sessions/{id}/watch`: answers when it is over, or after 30 seconds.
///
/// # Errors
///
/// - 404 `no-such`.
pub(crate) async fn watch(
    State(app): State<Arc<App>>,
    Named(id): Named<SessionId>,
) -> Result<Json<SessionWatch>, ApiError> {
    let waited = tokio::select! {
        biased;
        () = app.stopping.cancelled() => None, // the session goes on without this server
        reason = app.directory().session_over(id) => Some(reason?),
        () = tokio::time::sleep(Duration::from_secs(WATCH_SECONDS)) => None,
    };
    Ok(Json(SessionWatch { over: waited.is_some(), reason: waited }))
}

/// Whose session is asked for: the key's own agent, or the one that a person names.
fn whose(who: &Who, named: Option<AgentName>) -> Result<AgentName, ApiError> {
    match (who, named) {
        (Who::AgentKey { agent, .. }, None) => Ok(agent.clone()),
        (Who::AgentKey { agent, .. }, Some(named)) if named == *agent => Ok(named),
        (Who::AgentKey { .. }, Some(_)) => Err(ApiError::NotYourAgent),
        (Who::Person { .. } | Who::Session(_), Some(named)) => Ok(named),
        (Who::Person { .. } | Who::Session(_), None) => {
            Err(ApiError::Invalid { field: "agent", problem: "say whose session" })
        }
    }
}

fn terms(asked: &NewSession, max: Terms) -> Result<Terms, ApiError> {
    Ok(Terms {
        idle_max: bounded("idle_max_s", asked.idle_max_s, max.idle_max)?,
        lifetime_max: bounded("lifetime_max_s", asked.lifetime_max_s, max.lifetime_max)?,
    })
}

fn bounded(
    field: &'static str,
    asked_s: Option<u64>,
    max: Duration,
) -> Result<Duration, ApiError> {
    let asked = asked_s.map_or(max, Duration::from_secs);
    if asked.is_zero() || asked > max {
        let problem = "use 1 to what the server's configuration allows";
        return Err(ApiError::Invalid { field, problem });
    }
    Ok(asked)
}
