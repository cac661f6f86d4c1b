//! The grant in use: lent to an action, renewed in time, and once more when it is refused.
//!
//! One renewal at a time for each server, on a task of its own: a refresh token is good for
//! one use at most servers, so an agent that leaves must not leave the new one unwritten.

use std::{sync::Arc, time::Duration};

use oauth2::{AccessToken, RefreshToken};
use provost_pipeline::Permit;
use provost_secrets::GrantError;
use provost_types::Timestamp;
use secrecy::SecretString;
use tokio::sync::OwnedMutexGuard;

use super::{
    Account, Known,
    client::{NotGiven, Tokens},
    grant::Grant,
};

/// How long after a renewal that failed another is tried. Ours: a busy agent must not become
/// a busy client of the authorization server.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Longest scope that is repeated. Unit: characters.
const SCOPE_CHARS_MAX: usize = 200;

/// What is known of the renewals of one account.
#[derive(Debug, Default)]
pub(super) struct Renewing {
    /// The last that failed: of which access token, when, and whether for good.
    failed: Option<(AccessToken, Timestamp, Failure)>,
    /// One that was given and could not be kept: the refresh token that it was for is used up.
    unkept: Option<(RefreshToken, Grant)>,
}

/// Why there is no token to ask a server with. The text is fit for the agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Nobody logged in, or the login cannot be read.
    #[error(
        "Provost is not logged in at the MCP server; the operator must run \
         `provost mcp login {server}`"
    )]
    NoLogin {
        /// The server.
        server: String,
    },
    /// The login is for another address.
    #[error(
        "the MCP server has another address than the one Provost logged in for; the operator \
         must run `provost mcp login {server}`"
    )]
    Moved {
        /// The server.
        server: String,
    },
    /// The login is over.
    #[error(
        "Provost's login at the MCP server is over or was taken back; the operator must run \
         `provost mcp login {server}`"
    )]
    Over {
        /// The server.
        server: String,
    },
    /// It cannot be renewed now.
    #[error(
        "Provost cannot renew its login at the MCP server now; try again later, and if it \
         stays so the operator must look at Provost's log"
    )]
    NotNow,
    /// The login is good, and is for less.
    #[error(
        "Provost's login at the MCP server is not for this: it lacks the scope {scope}; the \
         operator must add it to `oauth_scopes` and run `provost mcp login {server}`"
    )]
    Scope {
        /// The server.
        server: String,
        /// What it wants.
        scope: String,
    },
}

/// In which way a renewal failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    ForGood,
    ForNow,
}

/// Why a renewed grant is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unkept {
    /// There is a newer login, or none any more.
    Replaced,
    /// The disk did not take it.
    Yet,
}

impl Account {
    /// An access token for the action of `permit`, renewed if it ends soon.
    ///
    /// # Errors
    ///
    /// [`AccountError`].
    pub(crate) async fn token(&self, permit: &Permit) -> Result<SecretString, AccountError> {
        let grant = self.0.lease(permit)?;
        if grant.is_fresh(self.0.now()) {
            return Ok(grant.token());
        }
        let renewed = self.renewed(permit, &grant.access).await;
        match renewed {
            Err(AccountError::NotNow) if grant.is_alive(self.0.now()) => Ok(grant.token()),
            renewed => renewed,
        }
    }

    /// Another access token than `refused`, which the server took for none.
    ///
    /// # Errors
    ///
    /// [`AccountError`].
    pub(crate) async fn token_after(
        &self,
        permit: &Permit,
        refused: &SecretString,
    ) -> Result<SecretString, AccountError> {
        use secrecy::ExposeSecret as _;
        let refused = AccessToken::new(refused.expose_secret().to_owned());
        self.renewed(permit, &refused).await
    }

    /// What is told when the server refuses what Provost is logged in as.
    pub(crate) fn over(&self) -> AccountError {
        self.0.over()
    }

    /// What is told when the server wants more than Provost was granted.
    pub(crate) fn lacks(&self, scope: Option<&str>) -> AccountError {
        let is_shown = |one: &char| one.is_ascii_graphic() || *one == ' ';
        let scope: Option<String> =
            scope.map(|scope| scope.chars().filter(is_shown).take(SCOPE_CHARS_MAX).collect());
        let scope = match scope {
            Some(scope) => format!("`{scope}`"),
            None => "that it does not name".to_owned(),
        };
        AccountError::Scope { server: self.0.name.to_string(), scope }
    }

    async fn renewed(
        &self,
        permit: &Permit,
        old: &AccessToken,
    ) -> Result<SecretString, AccountError> {
        let known = Arc::clone(&self.0);
        let renewing = Arc::clone(&known.renewing).lock_owned().await;
        let text = known.lease_text(permit)?;
        let grant = known.read(&text)?;
        if grant.access.secret() != old.secret() {
            return Ok(grant.token()); // somebody was first
        }
        let tasks = known.means.tasks.clone();
        let renewal = tasks.spawn(known.renew(renewing, (text, grant)));
        renewal.await.unwrap_or(Err(AccountError::NotNow))
    }
}

impl Known {
    fn now(&self) -> Timestamp {
        self.means.clock.wall()
    }

    fn over(&self) -> AccountError {
        AccountError::Over { server: self.name.to_string() }
    }

    fn lease(&self, permit: &Permit) -> Result<Grant, AccountError> {
        self.read(&self.lease_text(permit)?)
    }

    fn lease_text(&self, permit: &Permit) -> Result<SecretString, AccountError> {
        self.means.vault.lease_grant(permit, &self.name).map_err(|error| {
            let server = &self.name;
            tracing::error!(%server, %error, "no login; run: provost mcp login {server}");
            AccountError::NoLogin { server: server.to_string() }
        })
    }

    fn read(&self, text: &SecretString) -> Result<Grant, AccountError> {
        let server = self.name.to_string();
        let grant =
            Grant::read(text).map_err(|_| AccountError::NoLogin { server: server.clone() })?;
        if grant.server == self.url { Ok(grant) } else { Err(AccountError::Moved { server }) }
    }

    async fn renew(
        self: Arc<Self>,
        mut renewing: OwnedMutexGuard<Renewing>,
        (text, grant): (SecretString, Grant),
    ) -> Result<SecretString, AccountError> {
        let failed = |failure| match failure {
            Failure::ForGood => self.over(),
            Failure::ForNow => AccountError::NotNow,
        };
        if let Some((of, at, failure)) = &renewing.failed
            && of.secret() == grant.access.secret()
            && (*failure == Failure::ForGood || self.now().since(*at) < AGAIN_AFTER)
        {
            return Err(failed(*failure));
        }
        let renewed = self.renew_and_keep(&mut renewing, text, &grant).await;
        let result = match &renewed {
            Ok(_) => "renewed",
            Err(Failure::ForGood) => "over",
            Err(Failure::ForNow) => "failed",
        };
        let labels = [("server", self.name.to_string()), ("result", result.to_owned())];
        metrics::counter!("provost_mcp_login_renewals_total", &labels).increment(1);
        renewed.map_err(|failure| {
            renewing.failed = Some((grant.access.clone(), self.now(), failure));
            failed(failure)
        })
    }

    async fn renew_and_keep(
        &self,
        renewing: &mut Renewing,
        text: SecretString,
        grant: &Grant,
    ) -> Result<SecretString, Failure> {
        let server = &self.name;
        let Some(refresh) = &grant.refresh else {
            tracing::error!(%server, "login over; run: provost mcp login {server}");
            return Err(Failure::ForGood);
        };
        let kept = renewing.unkept.take().filter(|(of, _)| of.secret() == refresh.secret());
        let renewed = match kept {
            // With the end that it was given with, which is no later for having waited.
            Some((_, renewed)) => renewed,
            None => grant.renewed(self.ask(grant, refresh).await?, self.now()),
        };
        match self.keep(text, &renewed).await {
            Ok(()) => Ok(renewed.token()),
            Err(Unkept::Replaced) => Err(Failure::ForNow),
            Err(Unkept::Yet) => {
                renewing.unkept = Some((refresh.clone(), renewed));
                Err(Failure::ForNow)
            }
        }
    }

    /// Keeps a renewed grant. It is not used before it would survive a power cut, for the one
    /// before it is used up.
    async fn keep(&self, was: SecretString, renewed: &Grant) -> Result<(), Unkept> {
        let (vault, name) = (Arc::clone(&self.means.vault), self.name.clone());
        let fresh = renewed.text().map_err(|_| Unkept::Yet)?;
        let keep = move || vault.renew_grant(&name, &was, &fresh);
        let kept = tokio::task::spawn_blocking(keep).await;
        let server = &self.name;
        match kept {
            Ok(Ok(())) => {
                tracing::info!(%server, "login renewed");
                Ok(())
            }
            Ok(Err(GrantError::Replaced | GrantError::NoSuch)) => Err(Unkept::Replaced),
            kept => {
                tracing::error!(%server, ?kept, "renewed login not kept; trying again");
                Err(Unkept::Yet)
            }
        }
    }

    async fn ask(&self, grant: &Grant, refresh: &RefreshToken) -> Result<Tokens, Failure> {
        let (errands, endpoint) = (&self.means.errands, &grant.token_endpoint);
        let asked = (refresh, grant.resource.as_str());
        let given = grant.client.refresh(errands, endpoint, asked).await;
        given.map_err(|error: NotGiven| {
            let (server, issuer) = (&self.name, &grant.issuer);
            let cause = provost_types::Causes(&error);
            if error.is_final() {
                tracing::error!(%server, %issuer, %cause,
                    "login over; run: provost mcp login {server}");
                Failure::ForGood
            } else {
                tracing::warn!(%server, %issuer, %cause, "login not renewed");
                Failure::ForNow
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc, time::Duration};

    use http::StatusCode;
    use oauth2::{AccessToken, RefreshToken};
    use provost_gateway::Errands;
    use provost_scripted::{Play, Script, Scripted};
    use provost_secrets::Vault;
    use provost_store::MasterKey;
    use provost_types::{ManualClock, Timestamp};
    use secrecy::ExposeSecret as _;
    use tokio_util::task::TaskTracker;

    use super::{
        super::{
            AccountMeans, AccountSpec,
            client::{Client, Shows},
        },
        Account, AccountError, Grant,
    };

    const BEGIN_US: u64 = 1_000_000_000;

    fn grant(issuer: &str) -> Grant {
        let client = Client { id: "c".to_owned(), secret: None, shows: Shows::Nothing };
        Grant {
            server: format!("{issuer}/mcp").parse().unwrap(),
            resource: format!("{issuer}/mcp"),
            issuer: issuer.to_owned(),
            token_endpoint: format!("{issuer}/token").parse().unwrap(),
            client,
            access: AccessToken::new("old".to_owned()),
            refresh: Some(RefreshToken::new("r".to_owned())),
            expires_at: Some(BEGIN_US),
            scopes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_was_kept_late_ends_when_it_was_to_end() {
        let given = r#"{"access_token":"new","token_type":"bearer","expires_in":100}"#;
        let play = move |_: &_| Play::json(StatusCode::OK, given);
        let issuer = Scripted::start(Script::new(play)).await.unwrap();
        let old = grant(&issuer.base_url());
        let dir = tempfile::tempdir().unwrap();
        let (stored, aside) = (dir.path().join("vault"), dir.path().join("aside"));
        let master = Arc::new(MasterKey::create(&dir.path().join("master.age")).unwrap());
        let vault = Arc::new(Vault::open(&stored, master).unwrap());
        let name = "fake".parse().unwrap();
        vault.keep_grant(&name, &old.text().unwrap()).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(BEGIN_US)));
        let spec = AccountSpec {
            server: "fake".parse().unwrap(),
            url: old.server.to_string(),
            client: None,
            scopes: Vec::new(),
        };
        let means = AccountMeans {
            errands: Errands::new(None).unwrap(),
            vault: Arc::clone(&vault),
            clock: Arc::clone(&clock) as Arc<_>,
            tasks: TaskTracker::new(),
        };
        let known = Account::new(spec, means).unwrap().0;
        let renew = async || {
            let renewing = Arc::clone(&known.renewing).lock_owned().await;
            Arc::clone(&known).renew(renewing, (old.text().unwrap(), old.clone())).await
        };
        // A disk that cannot be read: a folder is where the file was.
        let file = fs::read_dir(&stored).unwrap().next().unwrap().unwrap().path();
        fs::rename(&file, &aside).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(renew().await.unwrap_err(), AccountError::NotNow);
        fs::remove_dir(&file).unwrap();
        fs::rename(&aside, &file).unwrap();
        clock.advance(Duration::from_secs(60));
        assert_eq!(renew().await.unwrap().expose_secret(), "new");
        assert_eq!(issuer.request_count("/token"), 1);
        let want = Grant {
            access: AccessToken::new("new".to_owned()),
            expires_at: Some(BEGIN_US + 100_000_000),
            ..old
        };
        // Only what is kept can be renewed.
        let want = want.text().unwrap();
        vault.renew_grant(&name, &want, &want).unwrap();
    }
}
