//! `/v1/projects`

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use provost_api::{List, NewProject, Project};
use provost_store::BodyMode;

use crate::{
    App, convert,
    error::ApiError,
    extract::{Body, parsed, parsed_if},
    who::Who,
};

/// `GET /v1/projects`: every project, by name.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<List<Project>> {
    let rows = app.directory().projects();
    Json(List { items: rows.into_iter().map(convert::project).collect() })
}

/// `POST /v1/projects`: creates one, with its keys and its starter policy file.
///
/// # Errors
///
/// - 400 `malformed`: not a name, not a body mode.
/// - 409 `taken`: there is one of that name.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Body(new): Body<NewProject>,
) -> Result<(StatusCode, Json<Project>), ApiError> {
    let bodies = parsed_if(new.bodies.as_deref())?.unwrap_or(BodyMode::Digests);
    let row = app.directory().create_project(&who.by(), parsed(&new.name)?, bodies).await?;
    Ok((StatusCode::CREATED, Json(convert::project(row))))
}
