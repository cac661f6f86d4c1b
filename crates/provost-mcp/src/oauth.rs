//! OAuth towards servers: Provost is the client, a person logs in once, and every agent's
//! request goes on with the token that came of it.
//!
//! `login` finds the authorization server and gets the grant, `renew` lends its access token
//! and keeps it fresh. What is asked of an authorization server goes through
//! [`provost_gateway::Errands`]; no agent is told a token, and no token of an agent's is sent.

mod challenge;
mod client;
mod discovery;
mod grant;
mod login;
mod renew;

use std::sync::Arc;

use oauth2::url::Url;
use provost_gateway::Errands;
use provost_secrets::{GrantName, Vault};
use provost_types::Clock;
use tokio_util::task::TaskTracker;

pub(crate) use challenge::Challenge;
pub use discovery::{DiscoveryError, keys_of};
pub use login::{Asked as LoginAsked, Begun, LoginError, Logins, Taken};
pub use renew::AccountError;
use renew::Renewing;

use crate::ServerName;

/// Provost's account with a server that wants OAuth: where it is, as whom Provost asks, and
/// the grant of the last login. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct Account(Arc<Known>);

/// What an account is made of.
#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// The server.
    pub server: ServerName,
    /// Its address.
    pub url: String,
    /// As whom Provost asks: a registered client id, or the https address of a client id
    /// metadata document. Without it Provost registers itself.
    pub client: Option<String>,
    /// What is asked for; by default what the server names.
    pub scopes: Vec<String>,
}

/// What an account works with.
#[derive(Clone, Debug)]
pub struct AccountMeans {
    /// The way to authorization servers.
    pub errands: Errands,
    /// Where the grant is.
    pub vault: Arc<Vault>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where renewals run: they end, whether or not the agent that needed one waits.
    pub tasks: TaskTracker,
}

#[derive(Debug)]
struct Known {
    name: GrantName,
    url: Url,
    client: Option<String>,
    scopes: Vec<String>,
    means: AccountMeans,
    renewing: Arc<tokio::sync::Mutex<Renewing>>,
}

/// An account that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountSpecError {
    /// Tokens would cross a network in the clear.
    #[error("a server that wants OAuth has to be https, or on this machine")]
    Address,
    /// Authorization servers fetch it.
    #[error("the address of a client id metadata document has to be https, with a path")]
    Document,
}

impl Account {
    /// The account of a server.
    ///
    /// # Errors
    ///
    /// [`AccountSpecError`].
    pub fn new(spec: AccountSpec, means: AccountMeans) -> Result<Self, AccountSpecError> {
        let url = Url::parse(&spec.url).map_err(|_| AccountSpecError::Address)?;
        let url = discovery::endpoint(url.as_str(), &url).ok_or(AccountSpecError::Address)?;
        let client = spec.client;
        if client.as_deref().is_some_and(|client| client.contains("://"))
            && client.as_deref().and_then(client::document).is_none()
        {
            return Err(AccountSpecError::Document);
        }
        let name = spec.server.as_str().parse().map_err(|_| AccountSpecError::Address)?;
        let renewing = Arc::default();
        Ok(Self(Arc::new(Known { name, url, client, scopes: spec.scopes, means, renewing })))
    }
}
