//! `/v1/mcp/servers/{name}/login`: a person's login at an MCP server, for Provost.
//!
//! How a login is done is the mcp plane's to know, which is above this crate: the binary puts
//! it in as [`Logins`]. No token passes here but as the sealed text that is kept.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use provost_api::{BeginMcpLogin, FinishMcpLogin, McpLogin, McpLoginBegun};
use provost_secrets::{GrantError, GrantName};
use secrecy::SecretString;

use crate::{
    App,
    error::ApiError,
    extract::{Body, Named},
    who::Who,
};

/// What a call of [`Logins`] gives, in time.
pub type LoginAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LoginFailed>> + Send + 'a>>;

/// Logins at MCP servers that want OAuth.
pub trait Logins: Send + Sync + fmt::Debug {
    /// Begins one: finds out what the person has to open.
    fn begin(&self, server: GrantName, asked: BeginMcpLogin) -> LoginAnswer<'_, McpLoginBegun>;

    /// Finishes one, with the address that the person's browser was sent back to.
    fn finish(
        &self,
        server: GrantName,
        redirected: SecretString,
    ) -> LoginAnswer<'_, LoginTaken>;
}

/// What a login gave.
#[derive(Debug)]
pub struct LoginTaken {
    /// To be sealed.
    pub grant: SecretString,
    /// What may be told of it.
    pub login: McpLogin,
}

/// A login that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct LoginFailed {
    /// Whether it is because there is no such server.
    pub kind: LoginFailure,
    /// Why, for the person.
    pub sentence: String,
}

/// In which way a login fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFailure {
    /// There is no server of that name that wants OAuth.
    NoSuchServer,
    /// It cannot be done, or was refused.
    Refused,
}

/// `POST /v1/mcp/servers/{name}/login`: begins a login; a person has to open what it says.
///
/// # Errors
///
/// - 404 `no-such`: no such server, or not one that wants OAuth.
/// - 409 `login-failed`: its authorization server was not found, or is not to be used.
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    Named(server): Named<GrantName>,
    Body(asked): Body<BeginMcpLogin>,
) -> Result<Json<McpLoginBegun>, ApiError> {
    Ok(Json(app.logins.begin(server, asked).await?))
}

/// `POST /v1/mcp/servers/{name}/login/finish`: exchanges what the browser brought back, and
/// keeps what comes of it; in force at the next action.
///
/// # Errors
///
/// - 404 `no-such`: no such server.
/// - 409 `login-failed`: no such login is under way, or it was refused.
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    who: Who,
    Named(server): Named<GrantName>,
    Body(asked): Body<FinishMcpLogin>,
) -> Result<Json<McpLogin>, ApiError> {
    let redirected = SecretString::from(asked.redirected.0);
    let LoginTaken { grant, login } = app.logins.finish(server.clone(), redirected).await?;
    let detail = [("issuer", login.issuer.clone()), ("scope", login.scopes.join(" "))];
    record(&app, &who, ("mcp.login", &server), detail).await?;
    let vault = Arc::clone(&app.vault);
    let keep = move || vault.keep_grant(&server, &grant);
    tokio::task::spawn_blocking(keep).await.map_err(ApiError::internal)??;
    Ok(Json(login))
}

/// `DELETE /v1/mcp/servers/{name}/login`: forgets what a login gave; actions that need it fail
/// from then on.
///
/// # Errors
///
/// - 404 `no-such`: nobody logged in there.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Named(server): Named<GrantName>,
) -> Result<StatusCode, ApiError> {
    record(&app, &who, ("mcp.logout", &server), []).await?;
    let vault = Arc::clone(&app.vault);
    let remove = move || vault.remove_grant(&server);
    tokio::task::spawn_blocking(remove).await.map_err(ApiError::internal)??;
    Ok(StatusCode::NO_CONTENT)
}

async fn record<const N: usize>(
    app: &App,
    who: &Who,
    (verb, server): (&str, &GrantName),
    detail: [(&str, String); N],
) -> Result<(), ApiError> {
    let detail = detail.into_iter().map(|(name, value)| (name.to_owned(), value));
    let detail: BTreeMap<_, _> = detail.collect();
    app.directory().record_admin(&who.by(), verb, &format!("mcp/{server}"), detail).await?;
    Ok(())
}

impl From<GrantError> for ApiError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NoSuch => Self::NoSuch { what: "login there".to_owned() },
            GrantError::Sealed(_)
            | GrantError::TooLong
            | GrantError::Replaced
            | GrantError::Io(_) => Self::internal(error),
        }
    }
}
