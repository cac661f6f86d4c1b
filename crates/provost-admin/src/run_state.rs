//! `/v1/run-state`: pause, kill, and their undoing.

use std::sync::Arc;

use axum::{Json, extract::State};
use provost_api::{List, RunStateEntry, SetRunState};
use provost_types::{Role, RunState, Scope};

use crate::{
    App, convert,
    error::{ApiError, in_force},
    extract::{Body, parsed},
    who::Who,
};

/// `GET /v1/run-state`: every scope that is not simply running.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<List<RunStateEntry>> {
    let rows = app.directory().run_states();
    Json(List { items: rows.into_iter().map(convert::run_state).collect() })
}

/// `PUT /v1/run-state`: pauses or kills a scope, or lets it run again.
///
/// # Errors
///
/// - 400 `malformed`: not a scope, not a state; `invalid`: no reason, or one too long.
/// - 403 `forbidden`: only an admin lets a scope run again.
/// - 404 `no-such`: nothing live of that name.
/// - 503 `in-force-only`: it is in force, but will not survive a restart: say it again.
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    Body(asked): Body<SetRunState>,
) -> Result<Json<RunStateEntry>, ApiError> {
    let (scope, state): (Scope, _) = (parsed(&asked.scope)?, parsed(&asked.state)?);
    if state == RunState::Running && !who.is(Role::Admin) {
        return Err(ApiError::OnlyAdminsResume);
    }
    let set =
        app.directory().set_run_state(&who.by(), scope.clone(), state, asked.reason).await;
    let set = set.map_err(|error| match state {
        RunState::Paused | RunState::Killed if holds(&app, &scope, state) => in_force(error),
        RunState::Running | RunState::Paused | RunState::Killed => error.into(),
    })?;
    Ok(Json(convert::run_state(set)))
}

fn holds(app: &App, scope: &Scope, state: RunState) -> bool {
    let states = app.directory().run_states();
    states.iter().any(|row| row.scope == *scope && row.state == state)
}
