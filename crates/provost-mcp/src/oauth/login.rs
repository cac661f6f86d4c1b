//! A person's login at an authorization server, from the address they open to the grant.
//!
//! Begun and finished in the server, so that no token is ever on the person's machine: their
//! browser brings back a code, which is worth nothing without the verifier that is kept here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use oauth2::{
    AuthUrl, ClientId, ClientSecret, CsrfToken, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, basic::BasicClient, url::Url,
};
use provost_gateway::is_loopback;
use provost_types::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Account, DiscoveryError, Known,
    client::{self, Client, Exchange, NotGiven, Shows, code},
    discovery::{self, AuthorizationServer, Found},
    grant::Grant,
};

/// How long a person may take. Ours: they may have to look for a second factor.
const LOGIN_MAX: Duration = Duration::from_secs(600);

/// Most logins under way. Ours: each is an administrator's.
const LOGINS_MAX: usize = 32;

/// Longest address that a browser brings back. Unit: bytes. Ours: codes are tokens at times.
const REDIRECTED_BYTES_MAX: usize = 16 * 1024;

/// The logins under way, for every server that wants OAuth.
#[derive(Debug)]
pub struct Logins {
    accounts: BTreeMap<String, Account>,
    under_way: Mutex<HashMap<String, UnderWay>>,
}

/// What a login begins with.
#[derive(Debug)]
pub struct Asked {
    /// Where the browser is sent back to: an address of the person's own machine.
    pub redirect: String,
    /// The secret of a client that was registered by hand, if it has one.
    pub client_secret: Option<SecretString>,
}

/// A login that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// What they open.
    pub url: String,
    /// By which their answer is known.
    pub state: String,
    /// Who asks them.
    pub issuer: String,
    /// As whom Provost asks.
    pub client: String,
    /// What it asks for.
    pub scopes: Vec<String>,
}

/// What a login gave.
#[derive(Debug)]
pub struct Taken {
    /// To be kept under the server's name.
    pub grant: SecretString,
    /// Who issued it.
    pub issuer: String,
    /// For what it is good.
    pub scopes: Vec<String>,
    /// When its access token ends.
    pub expires_at: Option<Timestamp>,
    /// Whether it can be renewed.
    pub renews: bool,
}

/// A login that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// There is no such server, or it has no OAuth.
    #[error("provost.toml has no MCP server of that name with `oauth = true`")]
    NoSuchServer,
    /// The browser would be sent elsewhere.
    #[error("the browser has to be sent back to an http address of its own machine")]
    Redirect,
    /// Too many.
    #[error("{LOGINS_MAX} logins are under way already; wait for some to end")]
    Many,
    /// The authorization server was not found, or is not to be used.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// There is no way to be its client.
    #[error(
        "the authorization server registers no clients by itself: register one there, and set \
         `oauth_client` to its id"
    )]
    NoClient,
    /// It gave no client, or no token.
    #[error(transparent)]
    NotGiven(#[from] NotGiven),
    /// What was brought back belongs to no login, or to one that is over.
    #[error("this address belongs to no login that is under way: begin anew")]
    Unknown,
    /// It is not what an authorization server sends back.
    #[error("this is not the address that the browser was sent back to")]
    Malformed,
    /// Somebody else answered. Source: RFC 9207, §2.4.
    #[error("the answer is another issuer's than the one that was asked")]
    OtherIssuer,
    /// The person, or their server, said no.
    #[error("the authorization server sent the browser back with `{0}`")]
    Denied(String),
    /// The grant has no form: cannot be.
    #[error("the grant cannot be written down")]
    Unwritten(#[source] serde_json::Error),
}

/// A login that a person is at.
#[derive(Debug)]
struct UnderWay {
    account: Account,
    began: Timestamp,
    redirect: Url,
    found: Found,
    client: Client,
    verifier: PkceCodeVerifier,
    scopes: Vec<String>,
}

impl Logins {
    /// Logins at these accounts.
    pub fn new(accounts: impl IntoIterator<Item = (String, Account)>) -> Self {
        Self { accounts: accounts.into_iter().collect(), under_way: Mutex::default() }
    }

    /// Finds out whom to ask, and as whom, and what a person has to open.
    ///
    /// # Errors
    ///
    /// [`LoginError`].
    pub async fn begin(&self, server: &str, asked: Asked) -> Result<Begun, LoginError> {
        let account = self.accounts.get(server).ok_or(LoginError::NoSuchServer)?;
        let Known { url, means, .. } = &*account.0;
        let redirect = loopback(&asked.redirect).ok_or(LoginError::Redirect)?;
        let found = discovery::discover(&means.errands, url).await?;
        let client = account.0.client(&found.server, &redirect, asked.client_secret).await?;
        let scopes = account.0.scopes(&found);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (opened, state) = BasicClient::new(ClientId::new(client.id.clone()))
            .set_auth_uri(AuthUrl::from_url(found.server.authorization.clone()))
            .set_redirect_uri(RedirectUrl::from_url(redirect.clone()))
            .authorize_url(CsrfToken::new_random)
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .add_extra_param("resource", found.resource.clone())
            .set_pkce_challenge(challenge)
            .url();
        let begun = Begun {
            url: opened.to_string(),
            state: state.secret().clone(),
            issuer: found.server.issuer.clone(),
            client: client.id.clone(),
            scopes: scopes.clone(),
        };
        let (account, began) = (account.clone(), means.clock.wall());
        self.note(
            begun.state.clone(),
            UnderWay { account, began, redirect, found, client, verifier, scopes },
        )?;
        Ok(begun)
    }

    fn note(&self, state: String, login: UnderWay) -> Result<(), LoginError> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let now = login.began;
        under_way.retain(|_, login| now.since(login.began) < LOGIN_MAX);
        if under_way.len() >= LOGINS_MAX {
            return Err(LoginError::Many);
        }
        under_way.insert(state, login);
        Ok(())
    }

    /// Takes the address that a browser was sent back to, once, and exchanges the code in it.
    ///
    /// # Errors
    ///
    /// [`LoginError`].
    pub async fn finish(
        &self,
        server: &str,
        redirected: &SecretString,
    ) -> Result<Taken, LoginError> {
        let answer = Answer::read(redirected.expose_secret())?;
        let login = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.remove(&answer.state).ok_or(LoginError::Unknown)?
        };
        let known = &login.account.0;
        let now = known.means.clock.wall();
        if known.name.as_str() != server || now.since(login.began) >= LOGIN_MAX {
            return Err(LoginError::Unknown);
        }
        let code = answer.code(&login)?;
        let exchange = Exchange {
            code,
            verifier: login.verifier,
            redirect: RedirectUrl::from_url(login.redirect),
            resource: login.found.resource.clone(),
        };
        let AuthorizationServer { token, issuer, .. } = login.found.server;
        let tokens = login.client.exchange(&known.means.errands, &token, exchange).await?;
        let mut grant = Grant {
            server: known.url.clone(),
            resource: login.found.resource,
            issuer,
            token_endpoint: token,
            client: login.client,
            access: tokens.access.clone(),
            refresh: None,
            expires_at: None,
            scopes: login.scopes,
        };
        grant.take(tokens, now);
        Ok(Taken {
            grant: grant.text().map_err(LoginError::Unwritten)?,
            issuer: grant.issuer,
            scopes: grant.scopes,
            expires_at: grant.expires_at.map(Timestamp),
            renews: grant.refresh.is_some(),
        })
    }
}

impl Known {
    /// As whom Provost asks at `server`. What was registered by hand comes first, then what
    /// the server reads at an address, then a registration for this login.
    /// Source: MCP 2025-11-25, "Client registration approaches".
    async fn client(
        &self,
        server: &AuthorizationServer,
        redirect: &Url,
        secret: Option<SecretString>,
    ) -> Result<Client, LoginError> {
        let by_document = self.client.as_deref().and_then(client::document);
        match (&self.client, &by_document, &server.registration) {
            (Some(id), None, _) => {
                let secret = secret.map(|secret| secret.expose_secret().to_owned());
                Ok(Client::registered(id, secret.map(ClientSecret::new), server))
            }
            (Some(id), Some(_), _) if server.takes_documents => {
                Ok(Client { id: id.clone(), secret: None, shows: Shows::Nothing })
            }
            (_, _, Some(place)) => {
                let errands = &self.means.errands;
                Ok(server.register(errands, (place, redirect.as_str())).await?)
            }
            (_, _, None) => Err(LoginError::NoClient),
        }
    }

    /// What is asked for: what the operator says, or else what the server names; and a
    /// refresh token, where that is a scope.
    fn scopes(&self, found: &Found) -> Vec<String> {
        let offline = "offline_access".to_owned();
        let mut scopes =
            if self.scopes.is_empty() { found.scopes.clone() } else { self.scopes.clone() };
        if self.scopes.is_empty() && found.server.offline && !scopes.contains(&offline) {
            scopes.push(offline);
        }
        scopes
    }
}

/// What a browser brought back.
struct Answer {
    at: Url,
    state: String,
    code: Option<String>,
    error: Option<String>,
    issuer: Option<String>,
}

impl Answer {
    fn read(redirected: &str) -> Result<Self, LoginError> {
        let redirected = redirected.trim();
        if redirected.len() > REDIRECTED_BYTES_MAX {
            return Err(LoginError::Malformed);
        }
        let mut at = Url::parse(redirected).map_err(|_| LoginError::Malformed)?;
        let given: Vec<(String, String)> = at.query_pairs().into_owned().collect();
        let one = |name: &str| {
            let mut values = given.iter().filter(|(given, _)| given == name);
            let value = values.next().map(|(_, value)| value.clone());
            // Two could be read in two ways.
            if values.next().is_some() { Err(LoginError::Malformed) } else { Ok(value) }
        };
        let state = one("state")?.ok_or(LoginError::Malformed)?;
        let (code, error, issuer) = (one("code")?, one("error")?, one("iss")?);
        at.set_query(None);
        at.set_fragment(None);
        Ok(Self { at, state, code, error, issuer })
    }

    /// The code, if this is the answer of whom `login` asked.
    fn code(self, login: &UnderWay) -> Result<String, LoginError> {
        if self.at != login.redirect {
            return Err(LoginError::Malformed);
        }
        let server = &login.found.server;
        match &self.issuer {
            Some(issuer) if *issuer != server.issuer => return Err(LoginError::OtherIssuer),
            None if server.says_who => return Err(LoginError::OtherIssuer),
            Some(_) | None => {}
        }
        match (self.error, self.code) {
            (Some(error), _) => Err(LoginError::Denied(code(&error))),
            (None, Some(code)) => Ok(code),
            (None, None) => Err(LoginError::Malformed),
        }
    }
}

/// An address of the machine that the browser runs on. Source: RFC 8252, §7.3.
fn loopback(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_here = url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
    let is_plain = url.query().is_none() && url.fragment().is_none();
    (is_here && is_plain && url.username().is_empty()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::{Answer, LoginError, loopback};

    #[test]
    fn a_browser_is_sent_back_to_its_own_machine() {
        for (text, want) in [
            ("http://127.0.0.1:4711/callback", true),
            ("http://[::1]:4711/callback", true),
            ("http://localhost:4711/callback", true),
            ("http://evil.example/callback", false),
            ("https://127.0.0.1:4711/callback", false),
            ("http://127.0.0.1:4711/callback?x=y", false),
            ("http://127.0.0.1@evil.example/", false),
            ("", false),
        ] {
            assert_eq!(loopback(text).is_some(), want, "{text}");
        }
    }

    #[test]
    fn an_answer_has_each_parameter_once() {
        let front = "http://127.0.0.1:1/callback";
        for (query, want) in [
            ("?code=c&state=s", true),
            ("?code=c&state=s&iss=https%3A%2F%2Fas", true),
            ("?error=access_denied&state=s", true),
            ("?code=c", false),
            ("?code=c&code=d&state=s", false),
            ("?code=c&state=s&state=t", false),
            ("?code=c&state=s&iss=a&iss=b", false),
        ] {
            assert_eq!(Answer::read(&format!("{front}{query}")).is_ok(), want, "{query}");
        }
        let long = format!("{front}?state=s&code={}", "c".repeat(20_000));
        assert!(matches!(Answer::read(&long), Err(LoginError::Malformed)));
    }
}
