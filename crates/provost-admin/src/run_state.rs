//! `/v1/run-state`: pause, kill, and their undoing.

use std::sync::Arc;

use axum::{Json, extract::State};
use provost_api::{List, RunStateEntry, SetRunState};
use provost_types::{Role, RunState};

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
    let (scope, state) = (parsed(&asked.scope)?, parsed(&asked.state)?);
    let set = match state {
        RunState::Running if !who.is(Role::Admin) => return Err(ApiError::OnlyAdminsResume),
        RunState::Running => {
            app.directory().set_run_state(&who.by(), scope, state, asked.reason).await?
        }
        RunState::Paused | RunState::Killed => app
            .directory()
            .set_run_state(&who.by(), scope, state, asked.reason)
            .await
            .map_err(in_force)?,
    };
    Ok(Json(convert::run_state(set)))
}
