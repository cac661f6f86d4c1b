//! Provost as a client of an authorization server: who it is there, and what it is given.

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use oauth2::{
    AccessToken, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, TokenResponse as _, TokenUrl,
    basic::{BasicClient, BasicRequestTokenError, BasicTokenResponse, BasicTokenType},
    url::Url,
};
use provost_gateway::{ErrandError, Errands};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::discovery::AuthorizationServer;

/// Longest token. Unit: bytes. Ours: it has to fit into a header, and a grant into the vault.
const TOKEN_BYTES_MAX: usize = 6 * 1024;

/// Longest code of an error that is repeated. Unit: characters.
const CODE_CHARS_MAX: usize = 64;

/// Who Provost is at an authorization server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Option<ClientSecret>,
    /// How it shows its secret.
    pub(super) shows: Shows,
}

/// How a client shows its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shows {
    /// It has none.
    Nothing,
    /// `client_secret_basic`
    Header,
    /// `client_secret_post`
    Body,
}

/// What a client is given.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) access: AccessToken,
    pub(super) refresh: Option<RefreshToken>,
    /// For how long. Unit: seconds.
    pub(super) lives_s: Option<u64>,
    pub(super) scopes: Option<Vec<String>>,
}

/// An authorization server that gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotGiven {
    /// It said no, with a code of OAuth's.
    #[error("the authorization server refused: {0}")]
    Refused(String),
    /// It was not reached.
    #[error("the authorization server was not reached")]
    Unreached(#[source] ErrandError),
    /// Its answer is none of OAuth's.
    #[error("the authorization server's answer is none that OAuth has")]
    Unread,
    /// What it gave cannot be used as a bearer token.
    #[error("the authorization server gave something that is no bearer token")]
    NoBearer,
}

impl NotGiven {
    /// Whether asking again can only be answered the same.
    pub(super) fn is_final(&self) -> bool {
        // The other codes are about the moment. Source: RFC 6749, §5.2; RFC 8707, §2.
        let about_us = ["unauthorized_client", "unsupported_grant_type"];
        matches!(self, Self::Refused(code)
            if code.starts_with("invalid_") || about_us.contains(&code.as_str()))
    }
}

/// The address of a client id metadata document, if `client` is one.
pub(super) fn document(client: &str) -> Option<Url> {
    let url = Url::parse(client).ok()?;
    (url.scheme() == "https" && url.path() != "/" && url.fragment().is_none()).then_some(url)
}

impl Client {
    /// A client that was registered by hand.
    pub(super) fn registered(
        id: &str,
        secret: Option<ClientSecret>,
        server: &AuthorizationServer,
    ) -> Self {
        let shows = match &secret {
            None => Shows::Nothing,
            Some(_) => server.shows(),
        };
        Self { id: id.to_owned(), secret, shows }
    }

    /// Exchanges a code for tokens.
    ///
    /// # Errors
    ///
    /// [`NotGiven`].
    pub(super) async fn exchange(
        &self,
        errands: &Errands,
        token: &Url,
        asked: Exchange,
    ) -> Result<Tokens, NotGiven> {
        let client = self.at(token);
        let given = client
            .exchange_code(AuthorizationCode::new(asked.code))
            .set_pkce_verifier(asked.verifier)
            .set_redirect_uri(std::borrow::Cow::Owned(asked.redirect))
            .add_extra_param("resource", asked.resource)
            .request_async(&|request| send(errands.clone(), request))
            .await;
        Tokens::read(given)
    }

    /// Exchanges a refresh token for others.
    ///
    /// # Errors
    ///
    /// [`NotGiven`].
    pub(super) async fn refresh(
        &self,
        errands: &Errands,
        token: &Url,
        (refresh, resource): (&RefreshToken, &str),
    ) -> Result<Tokens, NotGiven> {
        let client = self.at(token);
        let given = client
            .exchange_refresh_token(refresh)
            .add_extra_param("resource", resource.to_owned())
            .request_async(&|request| send(errands.clone(), request))
            .await;
        Tokens::read(given)
    }

    fn at(
        &self,
        token: &Url,
    ) -> BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>
    {
        let shows = match self.shows {
            Shows::Header => AuthType::BasicAuth,
            Shows::Nothing | Shows::Body => AuthType::RequestBody,
        };
        let client = BasicClient::new(ClientId::new(self.id.clone()))
            .set_auth_type(shows)
            .set_token_uri(TokenUrl::from_url(token.clone()));
        match &self.secret {
            Some(secret) => client.set_client_secret(secret.clone()),
            None => client,
        }
    }
}

/// A code, and what proves that it was meant for us.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) code: String,
    pub(super) verifier: PkceCodeVerifier,
    pub(super) redirect: RedirectUrl,
    pub(super) resource: String,
}

impl AuthorizationServer {
    /// How clients with a secret show it; in a header unless it takes that in bodies alone.
    fn shows(&self) -> Shows {
        let takes = |method: &str| match &self.methods {
            None => method == "client_secret_basic", // Source: RFC 8414, §2: the default.
            Some(methods) => methods.iter().any(|one| one == method),
        };
        if takes("client_secret_post") && !takes("client_secret_basic") {
            Shows::Body
        } else {
            Shows::Header
        }
    }

    /// Registers Provost as a client. Source: RFC 7591.
    ///
    /// # Errors
    ///
    /// [`NotGiven`].
    pub(super) async fn register(
        &self,
        errands: &Errands,
        (place, redirect): (&Url, &str),
    ) -> Result<Client, NotGiven> {
        #[derive(Deserialize)]
        struct Registered {
            client_id: String,
            client_secret: Option<ClientSecret>,
            token_endpoint_auth_method: Option<String>,
        }
        let is_public = self
            .methods
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|method| method == "none"));
        let method = match (is_public, self.shows()) {
            (true, _) => "none",
            (false, Shows::Body) => "client_secret_post",
            (false, Shows::Header | Shows::Nothing) => "client_secret_basic",
        };
        let body = json!({
            "client_name": "Provost",
            "application_type": "native",
            "redirect_uris": [redirect],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
        });
        let mut request = Request::post(place.as_str());
        if let Some(headers) = request.headers_mut() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        }
        let request =
            request.body(Bytes::from(body.to_string())).map_err(|_| NotGiven::Unread)?;
        let answer = errands.ask(request).await.map_err(NotGiven::Unreached)?;
        if !matches!(answer.status(), StatusCode::CREATED | StatusCode::OK) {
            return Err(refused(answer.body()));
        }
        let given: Registered =
            serde_json::from_slice(answer.body()).map_err(|_| NotGiven::Unread)?;
        let method = given.token_endpoint_auth_method.as_deref().unwrap_or(method);
        let shows = match (method, &given.client_secret) {
            (_, None) | ("none", _) => Shows::Nothing,
            ("client_secret_post", Some(_)) => Shows::Body,
            (_, Some(_)) => Shows::Header,
        };
        let secret = given.client_secret.filter(|_| shows != Shows::Nothing);
        Ok(Client { id: given.client_id, secret, shows })
    }
}

impl Tokens {
    fn read(
        given: Result<BasicTokenResponse, BasicRequestTokenError<ErrandError>>,
    ) -> Result<Self, NotGiven> {
        let given = given.map_err(|error| match error {
            RequestTokenError::ServerResponse(error) => {
                NotGiven::Refused(code(error.error().as_ref()))
            }
            RequestTokenError::Request(error) => NotGiven::Unreached(error),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => NotGiven::Unread,
        })?;
        let access = given.access_token();
        let is_visible = |token: &str| {
            let fits = (1..=TOKEN_BYTES_MAX).contains(&token.len());
            fits && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let refresh = given.refresh_token();
        if *given.token_type() != BasicTokenType::Bearer
            || !is_visible(access.secret())
            || refresh.is_some_and(|token| token.secret().len() > TOKEN_BYTES_MAX)
        {
            return Err(NotGiven::NoBearer);
        }
        let scopes = given.scopes();
        Ok(Self {
            access: access.clone(),
            refresh: refresh.cloned(),
            lives_s: given.expires_in().map(|lives| lives.as_secs()),
            scopes: scopes.map(|scopes| scopes.iter().map(|one| one.to_string()).collect()),
        })
    }
}

/// What an error of OAuth's is called, if it says so.
fn refused(body: &[u8]) -> NotGiven {
    #[derive(Deserialize)]
    struct Error {
        error: String,
    }
    match serde_json::from_slice::<Error>(body) {
        Ok(Error { error }) => NotGiven::Refused(code(&error)),
        Err(_) => NotGiven::Unread,
    }
}

/// A code as it may be shown. Source: RFC 6749, §5.2, has no other characters.
pub(super) fn code(text: &str) -> String {
    let is_shown = |one: &char| one.is_ascii_alphanumeric() || matches!(one, '_' | '-' | '.');
    text.chars().filter(is_shown).take(CODE_CHARS_MAX).collect()
}

async fn send(errands: Errands, request: HttpRequest) -> Result<HttpResponse, ErrandError> {
    Ok(errands.ask(request.map(Bytes::from)).await?.map(Vec::from))
}
