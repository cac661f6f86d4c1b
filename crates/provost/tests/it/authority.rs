//! An authorization server on loopback that is as strict as the documents, and an MCP server
//! that trusts it.
//!
//! Source: OAuth 2.1 draft; RFC 7591, 7636, 8414, 8707, 9068, 9207, 9728.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use provost_mcp_fixture::Fixture;
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// An authorization server. Ends when dropped.
pub(crate) struct Authority {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    address: SocketAddr,
    key: EncodingKey,
    jwk: Value,
    state: Mutex<State>,
}

/// What it knows, and what tests may turn.
#[derive(Default)]
pub(crate) struct State {
    /// Addresses that each client may be sent back to.
    clients: HashMap<String, Vec<String>>,
    /// The secrets of clients that have one.
    pub(crate) secrets: HashMap<String, String>,
    codes: HashMap<String, Grant>,
    refreshing: HashMap<String, Grant>,
    /// Access tokens that count.
    pub(crate) access: HashSet<String>,
    /// Codes and refresh tokens that were used: a second use is an attack.
    used: HashSet<String>,
    /// What was wrong with requests.
    pub(crate) faults: Vec<String>,
    /// How long access tokens live. Unit: seconds.
    pub(crate) lives_s: u64,
    /// How many were given against a refresh token.
    pub(crate) refreshed: usize,
    /// Answers to renewals that are no yes: a status each.
    pub(crate) unwilling: Option<(u16, &'static str)>,
    /// Names its issuer wrong when it sends a browser back.
    pub(crate) lies: bool,
    /// Offers registration no more.
    pub(crate) closed: bool,
    /// Clients by the address of their metadata document count.
    pub(crate) documents: bool,
    given: u64,
}

#[derive(Clone)]
struct Grant {
    client: String,
    redirect: String,
    challenge: String,
    resource: String,
    scope: String,
}

impl Authority {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.der_bytes();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
            "kid": "k1", "x": part(1..33), "y": part(33..65)});
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let state = Mutex::new(State { lives_s: 3600, ..State::default() });
        let shared = Arc::new(Shared { address, key, jwk, state });
        let of_service = Arc::clone(&shared);
        let serving = serve(listener, move |ask| {
            let shared = Arc::clone(&of_service);
            async move { shared.answer(ask).await }
        });
        Self { shared, serving }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// A client that somebody registered by hand.
    pub(crate) fn register(&self, id: &str, redirect: &str) {
        self.state().clients.insert(id.to_owned(), vec![redirect.to_owned()]);
    }

    /// A token with these claims, signed with its key.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.shared.sign(claims)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some("k1".to_owned()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, claims, &self.key).unwrap()
    }

    async fn answer(&self, ask: Request<Incoming>) -> Response<Body> {
        let (head, body) = ask.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let issuer = self.issuer();
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/.well-known/oauth-authorization-server") => {
                let state = self.state.lock().unwrap();
                let registration = (!state.closed).then(|| format!("{issuer}/register"));
                told(
                    200,
                    &json!({"issuer": issuer,
                    "authorization_endpoint": format!("{issuer}/authorize"),
                    "token_endpoint": format!("{issuer}/token"),
                    "registration_endpoint": registration,
                    "jwks_uri": format!("{issuer}/jwks"),
                    "response_types_supported": ["code"],
                    "grant_types_supported": ["authorization_code", "refresh_token"],
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
                    "client_id_metadata_document_supported": state.documents,
                    "scopes_supported": ["tools", "offline_access"],
                    "authorization_response_iss_parameter_supported": true}),
                )
            }
            (&Method::GET, "/jwks") => told(200, &json!({"keys": [self.jwk]})),
            (&Method::POST, "/register") => self.register(&body),
            (&Method::GET, "/authorize") => {
                self.authorize(head.uri.query().unwrap_or_default())
            }
            (&Method::POST, "/token") => {
                let basic = head.headers.get(header::AUTHORIZATION);
                let basic = basic.map(|value| value.to_str().unwrap().to_owned());
                self.token(std::str::from_utf8(&body).unwrap(), basic)
            }
            _ => told(404, &json!({})),
        }
    }

    fn register(&self, body: &[u8]) -> Response<Body> {
        let asked: Value = serde_json::from_slice(body).unwrap();
        let mut state = self.state.lock().unwrap();
        let redirects: Vec<String> =
            serde_json::from_value(asked["redirect_uris"].clone()).unwrap();
        let id = format!("client-{}", state.clients.len());
        state.clients.insert(id.clone(), redirects.clone());
        let mut answer = asked;
        answer["client_id"] = json!(id);
        answer["token_endpoint_auth_method"] = json!("none");
        told(201, &answer)
    }

    fn authorize(&self, query: &str) -> Response<Body> {
        let given = form(query);
        let of = |name: &str| given.get(name).cloned().unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let client = of("client_id");
        let is_document = state.documents && client.starts_with("https://");
        let known = is_document
            || state.clients.get(&client).is_some_and(|all| all.contains(&of("redirect_uri")));
        for (fault, is_right) in [
            ("client or redirect_uri", known),
            ("response_type", of("response_type") == "code"),
            ("code_challenge_method", of("code_challenge_method") == "S256"),
            ("code_challenge", of("code_challenge").len() == 43),
            ("state", of("state").len() >= 16),
            ("resource", of("resource").starts_with("http")),
        ] {
            if !is_right {
                state.faults.push(format!("authorize: {fault}: {query}"));
                return told(400, &json!({"error": "invalid_request"}));
            }
        }
        state.given += 1;
        let code = format!("code-{}", state.given);
        let grant = Grant {
            client,
            redirect: of("redirect_uri"),
            challenge: of("code_challenge"),
            resource: of("resource"),
            scope: of("scope"),
        };
        state.codes.insert(code.clone(), grant);
        let issuer = if state.lies { "http://127.0.0.1:1".to_owned() } else { self.issuer() };
        let back = oauth2::url::Url::parse_with_params(
            &of("redirect_uri"),
            [("code", code), ("state", of("state")), ("iss", issuer)],
        );
        let mut response = told(302, &json!({}));
        let location = back.unwrap().to_string().parse().unwrap();
        response.headers_mut().insert(header::LOCATION, location);
        response
    }

    fn token(&self, body: &str, basic: Option<String>) -> Response<Body> {
        let given = form(body);
        let of = |name: &str| given.get(name).cloned().unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let refuse = |state: &mut State, fault: String, error: &str| {
            state.faults.push(format!("token: {fault}"));
            told(400, &json!({"error": error}))
        };
        let client = match basic.as_deref().and_then(|basic| basic.strip_prefix("Basic ")) {
            Some(coded) => {
                let pair = String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap();
                let (id, secret) = pair.split_once(':').unwrap();
                // Source: RFC 6749, §2.3.1: both are encoded like a form's.
                let decoded = form(&format!("id={id}&secret={secret}"));
                if state.secrets.get(&decoded["id"]) != Some(&decoded["secret"]) {
                    return refuse(&mut state, "client secret".to_owned(), "invalid_client");
                }
                decoded["id"].clone()
            }
            None => of("client_id"),
        };
        let grant_type = of("grant_type");
        let token = of(if grant_type == "refresh_token" { "refresh_token" } else { "code" });
        if grant_type == "refresh_token"
            && let Some((status, error)) = state.unwilling
        {
            return told(status, &json!({"error": error}));
        }
        if !state.used.insert(token.clone()) {
            return refuse(&mut state, format!("{token} again"), "invalid_grant");
        }
        let grant = match grant_type.as_str() {
            "authorization_code" => state.codes.remove(&token),
            "refresh_token" => state.refreshing.remove(&token),
            _ => None,
        };
        let Some(grant) = grant else {
            return refuse(&mut state, format!("no {grant_type} {token}"), "invalid_grant");
        };
        let verified = URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier")));
        let is_code = grant_type == "authorization_code";
        for (fault, is_right) in [
            ("client", client == grant.client),
            ("resource", of("resource") == grant.resource),
            ("redirect_uri", !is_code || of("redirect_uri") == grant.redirect),
            ("code_verifier", !is_code || verified == grant.challenge),
        ] {
            if !is_right {
                return refuse(&mut state, format!("{fault}: {body}"), "invalid_grant");
            }
        }
        state.refreshed += usize::from(!is_code);
        self.give(&mut state, grant)
    }

    fn give(&self, state: &mut State, grant: Grant) -> Response<Body> {
        state.given += 1;
        let number = state.given;
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let access = self.sign(&json!({"iss": self.issuer(), "aud": grant.resource,
            "sub": "ada", "client_id": grant.client, "scope": grant.scope,
            "iat": now, "exp": now + state.lives_s, "jti": format!("jti-{number}")}));
        let refresh = format!("refresh-{number}");
        state.access.insert(access.clone());
        let scope = grant.scope.clone();
        state.refreshing.insert(refresh.clone(), grant);
        told(
            200,
            &json!({"access_token": access, "token_type": "Bearer",
            "expires_in": state.lives_s, "refresh_token": refresh, "scope": scope}),
        )
    }
}

/// An MCP server that lets in bearers of an authority's tokens, and notes what it is shown.
/// Ends when dropped.
pub(crate) struct Guarded {
    address: SocketAddr,
    gate: Arc<Gate>,
    serving: JoinHandle<()>,
    _fixture: Fixture,
}

struct Gate {
    authority: Arc<Shared>,
    address: SocketAddr,
    fixture: String,
    shown: Mutex<Vec<String>>,
    /// Wants this scope of every request.
    wants: Mutex<Option<&'static str>>,
}

impl Guarded {
    /// Starts one that trusts `authority`.
    pub(crate) async fn start(authority: &Authority) -> Self {
        let fixture = Fixture::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(Gate {
            authority: Arc::clone(&authority.shared),
            address,
            fixture: fixture.url(),
            shown: Mutex::default(),
            wants: Mutex::default(),
        });
        let of_service = Arc::clone(&gate);
        let serving = serve(listener, move |ask| {
            let gate = Arc::clone(&of_service);
            async move { gate.answer(ask).await }
        });
        Self { address, gate, serving, _fixture: fixture }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Every credential that it was shown.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.gate.shown.lock().unwrap().clone()
    }

    /// Wants another scope from now on.
    pub(crate) fn want(&self, scope: &'static str) {
        *self.gate.wants.lock().unwrap() = Some(scope);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Gate {
    async fn answer(&self, mut ask: Request<Incoming>) -> Response<Body> {
        let here = format!("http://{}", self.address);
        if ask.uri().path() == "/.well-known/oauth-protected-resource/mcp" {
            return told(
                200,
                &json!({"resource": format!("{here}/mcp"),
                "authorization_servers": [self.authority.issuer()],
                "scopes_supported": ["tools"], "bearer_methods_supported": ["header"]}),
            );
        }
        let shown = ask.headers_mut().remove(header::AUTHORIZATION);
        let shown = shown.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        if !shown.is_empty() {
            self.shown.lock().unwrap().push(shown.clone());
        }
        let token = shown.strip_prefix("Bearer ").unwrap_or_default();
        let metadata = format!("{here}/.well-known/oauth-protected-resource/mcp");
        let wants = *self.wants.lock().unwrap();
        let refusal = if !self.authority.state.lock().unwrap().access.contains(token) {
            Some((401, format!("Bearer resource_metadata=\"{metadata}\"")))
        } else {
            wants.map(|scope| {
                (403, format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
            })
        };
        if let Some((status, challenge)) = refusal {
            let mut response = told(status, &json!({"error": "no"}));
            let challenge = challenge.parse().unwrap();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return response;
        }
        *ask.uri_mut() = self.fixture.parse().unwrap();
        ask.headers_mut().remove(header::HOST);
        let client = Client::builder(TokioExecutor::new()).build_http::<Incoming>();
        let answer = client.request(ask).await.unwrap();
        answer.map(|body| body.map_err(Into::into).boxed_unsync())
    }
}

fn serve<F>(
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |ask| {
                let answered = answer(ask);
                async move { Ok::<_, hyper::Error>(answered.await) }
            });
            let talk = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A connection that breaks is the client's affair.
            tokio::spawn(async move { talk.await.ok() });
        }
    })
}

fn told(status: u16, body: &Value) -> Response<Body> {
    let body = Full::from(body.to_string()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let json = "application/json".parse().unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn form(text: &str) -> HashMap<String, String> {
    let url = oauth2::url::Url::parse(&format!("http://h/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}
