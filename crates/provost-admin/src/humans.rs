//! `/v1/humans`, `/v1/me`

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use provost_api::{Human, IssuedToken, List, Me, NewHuman};

use crate::{
    App, convert,
    error::ApiError,
    extract::{Body, Named, parsed},
    who::Who,
};

/// `GET /v1/me`: who the server takes the caller for.
///
/// # Errors
///
/// - 403 `forbidden`: the credential is not a person's.
pub(crate) async fn me(who: Who) -> Result<Json<Me>, ApiError> {
    match who {
        Who::Person { person, role } => {
            Ok(Json(Me { name: person.by().to_string(), role: role.as_str().to_owned() }))
        }
        Who::AgentKey { .. } | Who::Session(_) => Err(ApiError::NotAPerson),
    }
}

/// `GET /v1/humans`: everyone, removed ones included, by name.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<List<Human>> {
    let rows = app.directory().humans();
    Json(List { items: rows.into_iter().map(convert::human).collect() })
}

/// `POST /v1/humans`: adds someone; this answer is the only one that shows their token.
///
/// # Errors
///
/// - 400 `malformed`: not a role; `invalid`: the name.
/// - 409 `taken`: somebody has that name.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Body(new): Body<NewHuman>,
) -> Result<(StatusCode, Json<IssuedToken>), ApiError> {
    let role = parsed(&new.role)?;
    let (row, issued) = app.directory().create_human(&who.by(), new.name, role).await?;
    let token = convert::sensitive(&issued.token);
    Ok((StatusCode::CREATED, Json(IssuedToken { human: convert::human(row), token })))
}

/// `DELETE /v1/humans/{name}`: removes someone; their tokens stop counting at once.
///
/// # Errors
///
/// - 404 `no-such`.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Named(name): Named<String>,
) -> Result<StatusCode, ApiError> {
    app.directory().remove_human(&who.by(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
