//! Provost's accounts with MCP servers that want OAuth, and a person's login at one.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use provost_admin::{LoginAnswer, LoginFailed, LoginFailure, LoginTaken};
use provost_api::{BeginMcpLogin, McpLogin, McpLoginBegun};
use provost_gateway::{EgressSetupError, Errands};
use provost_mcp::oauth::{
    Account, AccountMeans, AccountSpec, AccountSpecError, LoginAsked, LoginError, Logins,
};
use provost_secrets::{GrantName, Vault};
use provost_types::{Causes, Clock};
use secrecy::SecretString;
use tokio_util::task::TaskTracker;

use crate::config::{McpServer, McpWay};

/// An account that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("mcp.servers.{server}")]
pub(crate) struct AccountFault {
    server: String,
    #[source]
    source: AccountFaultKind,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountFaultKind {
    /// What is configured.
    #[error(transparent)]
    Spec(#[from] AccountSpecError),
    /// Its certificates.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

/// The account of every server that has one, by the server's name.
///
/// # Errors
///
/// [`AccountFault`].
pub(super) fn accounts(
    servers: &[McpServer],
    (vault, clock, tasks): (&Arc<Vault>, &Arc<dyn Clock>, &TaskTracker),
) -> Result<BTreeMap<String, Account>, AccountFault> {
    let mut accounts = BTreeMap::new();
    for server in servers {
        let McpWay::Http { url, ca_file, oauth: Some(oauth), .. } = &server.way else {
            continue;
        };
        let spec = AccountSpec {
            server: server.name.clone(),
            url: url.clone(),
            client: oauth.client.clone(),
            scopes: oauth.scopes.clone(),
        };
        let means = |errands| AccountMeans {
            errands,
            vault: Arc::clone(vault),
            clock: Arc::clone(clock),
            tasks: tasks.clone(),
        };
        let made = errands(ca_file.as_ref())
            .and_then(|errands| Ok(Account::new(spec, means(errands))?));
        let name = server.name.to_string();
        let account = made.map_err(|source| AccountFault { server: name.clone(), source })?;
        accounts.insert(name, account);
    }
    Ok(accounts)
}

fn errands(ca_file: Option<&PathBuf>) -> Result<Errands, AccountFaultKind> {
    Ok(Errands::new(ca_file.map(PathBuf::as_path))?)
}

/// Logins for the control API.
#[derive(Debug)]
pub(super) struct ApiLogins(Logins);

impl ApiLogins {
    /// Logins at these accounts.
    pub(super) fn new(accounts: &BTreeMap<String, Account>) -> Self {
        Self(Logins::new(accounts.clone()))
    }
}

impl provost_admin::Logins for ApiLogins {
    fn begin(&self, server: GrantName, asked: BeginMcpLogin) -> LoginAnswer<'_, McpLoginBegun> {
        Box::pin(async move {
            let asked = LoginAsked {
                redirect: asked.redirect,
                client_secret: asked.client_secret.map(|secret| secret.0.into()),
            };
            let begun = self.0.begin(server.as_str(), asked).await;
            let begun = begun.map_err(|error| failed(&server, &error))?;
            Ok(McpLoginBegun {
                url: begun.url,
                state: begun.state,
                issuer: begun.issuer,
                client: begun.client,
                scopes: begun.scopes,
            })
        })
    }

    fn finish(
        &self,
        server: GrantName,
        redirected: SecretString,
    ) -> LoginAnswer<'_, LoginTaken> {
        Box::pin(async move {
            let taken = self.0.finish(server.as_str(), &redirected).await;
            let taken = taken.map_err(|error| failed(&server, &error))?;
            let login = McpLogin {
                server: server.to_string(),
                issuer: taken.issuer,
                scopes: taken.scopes,
                expires_at: taken.expires_at.map(|at| at.to_string()),
                renews: taken.renews,
            };
            Ok(LoginTaken { grant: taken.grant, login })
        })
    }
}

/// The person who logs in administers the server, so they are told all that is known.
fn failed(server: &GrantName, error: &LoginError) -> LoginFailed {
    let is_unknown = matches!(error, LoginError::NoSuchServer);
    let kind = if is_unknown { LoginFailure::NoSuchServer } else { LoginFailure::Refused };
    let sentence = Causes(error).to_string();
    tracing::warn!(%server, %sentence, "login failed");
    LoginFailed { kind, sentence }
}
