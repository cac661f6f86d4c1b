//! From a server's address to the authorization server that it trusts.
//!
//! Source: MCP 2025-11-25, "Authorization"; RFC 9728; RFC 8414; OpenID Connect Discovery 1.0.

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use oauth2::url::Url;
use provost_gateway::{ErrandError, Errands, is_loopback};
use serde::{Deserialize, de::DeserializeOwned};

use super::Challenge;

/// Where the metadata of a resource is, below its host. Source: RFC 9728, §3.
const RESOURCE: &str = "/.well-known/oauth-protected-resource";
/// Where that of an authorization server is. Source: RFC 8414, §3.
const SERVER: &str = "/.well-known/oauth-authorization-server";
/// Likewise. Source: OpenID Connect Discovery 1.0, §4.
const OPENID: &str = "/.well-known/openid-configuration";

/// Asked without a token, one after the other, to be told where one is to be had: some servers
/// let anybody begin.
const PROBES: [&str; 2] = [
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"provost","version":"0"}}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
];

/// Whom to ask for a token, and what for.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What the token is to be for. Source: RFC 8707.
    pub(super) resource: String,
    pub(super) server: AuthorizationServer,
    /// The scopes that the resource names.
    pub(super) scopes: Vec<String>,
}

/// An authorization server, by its own metadata.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationServer {
    pub(super) issuer: String,
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) registration: Option<Url>,
    /// Takes the address of a metadata document as a client's id.
    pub(super) takes_documents: bool,
    /// Says in its answers who it is. Source: RFC 9207.
    pub(super) says_who: bool,
    /// How clients show who they are; `None`: it does not say.
    pub(super) methods: Option<Vec<String>>,
    /// Has a scope for refresh tokens.
    pub(super) offline: bool,
}

/// No authorization server was found that can be used. Texts of servers are not repeated.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Somebody was not reached.
    #[error("{0} was not reached")]
    Unreached(Url, #[source] ErrandError),
    /// Something answered with a status that says nothing.
    #[error("{0} answered with status {1}")]
    Status(Url, u16),
    /// Something that should be metadata is none.
    #[error("{0} is no metadata of OAuth")]
    Unread(Url, #[source] serde_json::Error),
    /// The server says that its metadata is with somebody else.
    #[error("the MCP server names metadata on another host than its own")]
    Elsewhere,
    /// Its metadata is about another.
    #[error("{0} is the metadata of another resource")]
    OtherResource(Url),
    /// It names none.
    #[error("the MCP server names no authorization server")]
    None,
    /// An address that would be used is no https URL.
    #[error("the MCP server, or its authorization server, names an address that is not https")]
    Address,
    /// Nothing is where the metadata of an authorization server should be.
    #[error("{0} has no metadata: neither OAuth's nor OpenID Connect's")]
    NoMetadata(Url),
    /// The metadata is somebody else's.
    #[error("{0} is the metadata of another issuer")]
    OtherIssuer(Url),
    /// It would let others redeem a code. Source: MCP 2025-11-25, "Authorization code
    /// protection".
    #[error("the authorization server does not say that it takes PKCE with S256")]
    NoPkce,
}

#[derive(Deserialize)]
struct ResourceMetadata {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

#[derive(Deserialize)]
struct ServerMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Finds out whom the server at `url` trusts.
///
/// # Errors
///
/// [`DiscoveryError`].
pub(super) async fn discover(errands: &Errands, url: &Url) -> Result<Found, DiscoveryError> {
    let challenge = challenge(errands, url).await?;
    let Some(metadata) = resource(errands, url, &challenge).await? else {
        // Source: MCP 2025-03-26, "Authorization": the server speaks for itself.
        let server = server(errands, &origin(url), url).await?;
        return Ok(Found { resource: url.to_string(), server, scopes: scopes(&challenge) });
    };
    let issuer = metadata.authorization_servers.first().ok_or(DiscoveryError::None)?;
    let issuer = endpoint(issuer, url).ok_or(DiscoveryError::Address)?;
    let server = server(errands, &issuer, url).await?;
    let scopes = match scopes(&challenge) {
        wanted if wanted.is_empty() => metadata.scopes_supported,
        wanted => wanted,
    };
    Ok(Found { resource: metadata.resource, server, scopes })
}

fn scopes(challenge: &Challenge) -> Vec<String> {
    let scopes = challenge.scope.as_deref().unwrap_or_default().split_whitespace();
    scopes.map(str::to_owned).collect()
}

/// What the server says to somebody without a token.
async fn challenge(errands: &Errands, url: &Url) -> Result<Challenge, DiscoveryError> {
    for body in PROBES {
        let mut probe = request(url, body.into());
        *probe.method_mut() = http::Method::POST;
        let both = HeaderValue::from_static("application/json, text/event-stream");
        probe.headers_mut().insert(ACCEPT, both);
        let json = HeaderValue::from_static("application/json");
        probe.headers_mut().insert(CONTENT_TYPE, json);
        let answer = match ask(errands, url, probe).await {
            Ok(answer) => answer,
            // It does answer: with a stream, or with all its tools.
            Err(DiscoveryError::Unreached(_, ErrandError::Slow | ErrandError::Large)) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Ok(Challenge::of(answer.headers()).unwrap_or_default());
        }
    }
    Ok(Challenge::default())
}

async fn resource(
    errands: &Errands,
    url: &Url,
    challenge: &Challenge,
) -> Result<Option<ResourceMetadata>, DiscoveryError> {
    let places = match &challenge.resource_metadata {
        Some(named) => {
            let named = endpoint(named, url).ok_or(DiscoveryError::Address)?;
            if named.origin() != url.origin() {
                return Err(DiscoveryError::Elsewhere);
            }
            vec![named]
        }
        None => {
            let path = url.path().trim_end_matches('/');
            let mut places = vec![at(url, &format!("{RESOURCE}{path}")), at(url, RESOURCE)];
            places.dedup();
            places
        }
    };
    for place in places {
        if let Some(metadata) = metadata::<ResourceMetadata>(errands, &place).await? {
            let is_it = covers(&metadata.resource, url);
            return if is_it {
                Ok(Some(metadata))
            } else {
                Err(DiscoveryError::OtherResource(place))
            };
        }
    }
    Ok(None)
}

/// Whether `resource` is the server at `url`, or something it is a part of.
fn covers(resource: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let above = resource.path().trim_end_matches('/');
    let below = url.path().strip_prefix(above);
    resource.origin() == url.origin()
        && resource.query().is_none()
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn server(
    errands: &Errands,
    issuer: &Url,
    resource: &Url,
) -> Result<AuthorizationServer, DiscoveryError> {
    for place in places(issuer) {
        if let Some(metadata) = metadata::<ServerMetadata>(errands, &place).await? {
            // Source: RFC 8414, §3.3: another's metadata would lead codes to another.
            if Url::parse(&metadata.issuer).ok().as_ref() != Some(issuer) {
                return Err(DiscoveryError::OtherIssuer(place));
            }
            return metadata.checked(resource);
        }
    }
    Err(DiscoveryError::NoMetadata(issuer.clone()))
}

/// Where an issuer may have its metadata, in the order to ask.
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut places = vec![
        at(issuer, &format!("{SERVER}{path}")),
        at(issuer, &format!("{OPENID}{path}")),
        at(issuer, &format!("{path}{OPENID}")),
    ];
    places.dedup();
    places
}

/// Where an issuer publishes its keys.
///
/// # Errors
///
/// [`DiscoveryError`].
pub async fn keys_of(errands: &Errands, issuer: &str) -> Result<String, DiscoveryError> {
    #[derive(Deserialize)]
    struct KeysMetadata {
        issuer: String,
        jwks_uri: String,
    }
    let url = Url::parse(issuer).map_err(|_| DiscoveryError::Address)?;
    for place in places(&url) {
        if let Some(metadata) = metadata::<KeysMetadata>(errands, &place).await? {
            if metadata.issuer != issuer {
                return Err(DiscoveryError::OtherIssuer(place));
            }
            let keys = endpoint(&metadata.jwks_uri, &url);
            return keys.map(|_| metadata.jwks_uri).ok_or(DiscoveryError::Address);
        }
    }
    Err(DiscoveryError::NoMetadata(url))
}

impl ServerMetadata {
    fn checked(self, resource: &Url) -> Result<AuthorizationServer, DiscoveryError> {
        if !self.code_challenge_methods_supported.iter().any(|method| method == "S256") {
            return Err(DiscoveryError::NoPkce);
        }
        let place = |text: &str| endpoint(text, resource).ok_or(DiscoveryError::Address);
        Ok(AuthorizationServer {
            authorization: place(&self.authorization_endpoint)?,
            token: place(&self.token_endpoint)?,
            registration: self.registration_endpoint.as_deref().map(place).transpose()?,
            issuer: self.issuer,
            takes_documents: self.client_id_metadata_document_supported,
            says_who: self.authorization_response_iss_parameter_supported,
            methods: self.token_endpoint_auth_methods_supported,
            offline: self.scopes_supported.iter().any(|scope| scope == "offline_access"),
        })
    }
}

/// A URL that may be asked for the sake of the server at `server`: https, or on this machine
/// where the server is too.
pub(super) fn endpoint(text: &str, server: &Url) -> Option<Url> {
    let is_here = |url: &Url| url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
    let url = Url::parse(text).ok()?;
    let is_private = url.scheme() == "https" || (is_here(&url) && is_here(server));
    let is_plain = url.username().is_empty() && url.password().is_none();
    let fits = is_private && is_plain && url.fragment().is_none() && url.host_str().is_some();
    fits.then_some(url)
}

fn origin(url: &Url) -> Url {
    at(url, "/")
}

/// Another path on the same host, without a query.
fn at(url: &Url, path: &str) -> Url {
    let mut place = url.clone();
    place.set_query(None);
    place.set_fragment(None);
    place.set_path(path);
    place
}

/// The metadata at a place; nothing if the place has none.
async fn metadata<T: DeserializeOwned>(
    errands: &Errands,
    place: &Url,
) -> Result<Option<T>, DiscoveryError> {
    let mut request = request(place, Bytes::new());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = ask(errands, place, request).await?;
    match answer.status() {
        StatusCode::OK => serde_json::from_slice(answer.body())
            .map(Some)
            .map_err(|source| DiscoveryError::Unread(place.clone(), source)),
        status if status.is_client_error() => Ok(None),
        status => Err(DiscoveryError::Status(place.clone(), status.as_u16())),
    }
}

async fn ask(
    errands: &Errands,
    place: &Url,
    request: Request<Bytes>,
) -> Result<http::Response<Bytes>, DiscoveryError> {
    let answered = errands.ask(request).await;
    answered.map_err(|source| DiscoveryError::Unreached(place.clone(), source))
}

fn request(place: &Url, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    // Every URL without a fragment is a URI.
    *request.uri_mut() = place.as_str().parse().unwrap_or_default();
    request
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use oauth2::url::Url;
    use provost_gateway::Errands;
    use provost_scripted::{Play, Script, Scripted, Seen};

    use super::{covers, endpoint, keys_of};

    #[test]
    fn tokens_go_where_nobody_listens() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (far, here) = (url("https://mcp.example/mcp"), url("http://127.0.0.1:9/mcp"));
        for (text, far_may, here_may) in [
            ("https://as.example/token", true, true),
            ("http://as.example/token", false, false),
            ("http://127.0.0.1:8/token", false, true), // a server far away must not reach in
            ("https://user:pw@as.example/token", false, false),
            ("https://as.example/token#x", false, false),
            ("file:///etc/passwd", false, false),
            ("token", false, false),
        ] {
            assert_eq!(endpoint(text, &far).is_some(), far_may, "{text}");
            assert_eq!(endpoint(text, &here).is_some(), here_may, "{text}");
        }
    }

    #[tokio::test]
    async fn keys_are_where_they_may_be_asked_for() {
        const PLACES: [(&str, bool); 5] = [
            ("http://127.0.0.1:8/jwks", true),
            ("https://as.example/jwks", true),
            ("http://as.example/jwks", false),
            ("https://user:pw@as.example/jwks", false),
            ("jwks", false),
        ];
        let issuer = |seen: &Seen| {
            let (_, number) = seen.path.rsplit_once('/').unwrap();
            let host = seen.headers["host"].to_str().unwrap();
            let (keys, _) = PLACES[number.parse::<usize>().unwrap()];
            let metadata =
                format!(r#"{{"issuer":"http://{host}/{number}","jwks_uri":"{keys}"}}"#);
            Play::json(StatusCode::OK, metadata)
        };
        let server = Scripted::start(Script::new(issuer)).await.unwrap();
        let errands = Errands::new(None).unwrap();
        for (number, (keys, may)) in PLACES.into_iter().enumerate() {
            let issuer = format!("{}/{number}", server.base_url());
            let found = keys_of(&errands, &issuer).await.ok();
            assert_eq!(found.as_deref(), may.then_some(keys), "{keys}");
        }
    }

    #[test]
    fn metadata_is_of_the_server_or_of_what_it_is_a_part_of() {
        let server = Url::parse("https://h/a/mcp").unwrap();
        for (resource, want) in [
            ("https://h/a/mcp", true),
            ("https://h/a/", true),
            ("https://h", true),
            ("https://h/a/m", false),
            ("https://h/a/mcp/b", false),
            ("https://h:8443/a/mcp", false),
            ("http://h/a/mcp", false),
            ("https://other/a/mcp", false),
            ("https://h/a/mcp?x", false),
            ("", false),
        ] {
            assert_eq!(covers(resource, &server), want, "{resource}");
        }
    }
}
