//! `/v1/agents`, `/v1/keys`

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use provost_api::{Agent, IssuedKey, Key, List, NewAgent, NewKey, RotateKey};
use provost_types::{AgentName, CredentialId};

use crate::{
    App, convert,
    error::ApiError,
    extract::{Body, Named, parsed},
    who::Who,
};

/// `GET /v1/agents`: every agent, retired ones included, by name.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<List<Agent>> {
    let rows = app.directory().agents();
    Json(List { items: rows.into_iter().map(convert::agent).collect() })
}

/// `POST /v1/agents`: creates one.
///
/// # Errors
///
/// - 400 `malformed`: not a name.
/// - 404 `no-such`: the project.
/// - 409 `taken`: the name is in use, or was.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Body(new): Body<NewAgent>,
) -> Result<(StatusCode, Json<Agent>), ApiError> {
    let (name, project) = (parsed(&new.name)?, parsed(&new.project)?);
    let row = app.directory().create_agent(&who.by(), name, project).await?;
    Ok((StatusCode::CREATED, Json(convert::agent(row))))
}

/// `DELETE /v1/agents/{name}`: retires one for good; its keys and sessions end with it.
///
/// # Errors
///
/// - 404 `no-such`; 409 `over`: it is retired already.
pub(crate) async fn retire(
    State(app): State<Arc<App>>,
    who: Who,
    Named(name): Named<AgentName>,
) -> Result<StatusCode, ApiError> {
    app.directory().retire_agent(&who.by(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/agents/{name}/keys`: its keys, newest first, revoked ones included.
///
/// # Errors
///
/// - 404 `no-such`: the agent.
pub(crate) async fn keys(
    State(app): State<Arc<App>>,
    Named(name): Named<AgentName>,
) -> Result<Json<List<Key>>, ApiError> {
    let rows = app.directory().keys(&name)?;
    Ok(Json(List { items: rows.into_iter().map(convert::key).collect() }))
}

/// `POST /v1/agents/{name}/keys`: makes a key; this answer is the only one that shows it.
///
/// # Errors
///
/// - 400 `invalid`: the label or the expiry.
/// - 404 `no-such`: the agent; 409 `over`: it is retired.
pub(crate) async fn create_key(
    State(app): State<Arc<App>>,
    who: Who,
    Named(name): Named<AgentName>,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Json<IssuedKey>), ApiError> {
    let now = app.pipeline.clock().wall();
    let expires_at = new.expires_in_s.map(|seconds| now.plus(Duration::from_secs(seconds)));
    let issued = app.directory().create_key(&who.by(), &name, new.label, expires_at).await?;
    Ok((StatusCode::CREATED, Json(convert::issued_key(&issued))))
}

/// `POST /v1/keys/{id}/rotate`: makes a key in another's place, which ends after the grace.
///
/// # Errors
///
/// - 404 `no-such`: no agent's key; 409 `over`: it is revoked or has expired.
pub(crate) async fn rotate_key(
    State(app): State<Arc<App>>,
    who: Who,
    Named(id): Named<CredentialId>,
    Body(asked): Body<RotateKey>,
) -> Result<(StatusCode, Json<IssuedKey>), ApiError> {
    let grace = Duration::from_secs(asked.grace_s);
    let issued = app.directory().rotate_key(&who.by(), id, grace).await?;
    Ok((StatusCode::CREATED, Json(convert::issued_key(&issued))))
}

/// `DELETE /v1/keys/{id}`: revokes it at once; sessions it opened end with it.
///
/// # Errors
///
/// - 404 `no-such`.
pub(crate) async fn revoke_key(
    State(app): State<Arc<App>>,
    who: Who,
    Named(id): Named<CredentialId>,
) -> Result<StatusCode, ApiError> {
    app.directory().revoke(&who.by(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
