//! `/v1/secrets`: what upstream credentials there are; never what they are.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use provost_api::{List, PutSecret, Secret};
use provost_secrets::{SecretName, Vault, VaultError};
use secrecy::SecretString;

use crate::{
    App,
    error::ApiError,
    extract::{Body, Named},
    who::Who,
};

/// `GET /v1/secrets`: names and when each was last set.
///
/// # Errors
///
/// - 500 `internal`: the vault's folder cannot be read.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<List<Secret>>, ApiError> {
    let stored = on_disk(&app, Vault::names).await??;
    let items = stored.into_iter().map(|secret| Secret {
        name: secret.name.to_string(),
        set_at: secret.set_at.to_string(),
    });
    Ok(Json(List { items: items.collect() }))
}

/// `PUT /v1/secrets/{name}`: stores a value; in force at the next action.
///
/// # Errors
///
/// - 400 `malformed`: not a name; `invalid`: the value is blank, too long or not one line.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    who: Who,
    Named(name): Named<SecretName>,
    Body(asked): Body<PutSecret>,
) -> Result<StatusCode, ApiError> {
    let value = SecretString::from(asked.value.0);
    Vault::check(&value)?;
    record(&app, &who, "secret.set", &name).await?;
    on_disk(&app, move |vault| vault.set(&name, &value)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/secrets/{name}`: deletes a value; actions that need it fail from then on.
///
/// # Errors
///
/// - 404 `no-such`.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Named(name): Named<SecretName>,
) -> Result<StatusCode, ApiError> {
    if !app.vault.holds(&name) {
        return Err(VaultError::NoSuch { name }.into());
    }
    record(&app, &who, "secret.remove", &name).await?;
    on_disk(&app, move |vault| vault.remove(&name)).await??;
    Ok(StatusCode::NO_CONTENT)
}

async fn record(app: &App, who: &Who, verb: &str, name: &SecretName) -> Result<(), ApiError> {
    let subject = format!("secret/{name}");
    app.directory().record_admin(&who.by(), verb, &subject, BTreeMap::new()).await?;
    Ok(())
}

/// Runs `call` where it may block on the disk.
async fn on_disk<T: Send + 'static>(
    app: &App,
    call: impl FnOnce(&Vault) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let vault = Arc::clone(&app.vault);
    tokio::task::spawn_blocking(move || call(&vault)).await.map_err(ApiError::internal)
}
