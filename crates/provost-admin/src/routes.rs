//! Every route, and who may call it. There is no other place that says either.

use std::sync::Arc;

use axum::{
    Router,
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    handler::Handler,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, get, on},
};
use provost_types::Role;

use crate::{
    App, agents, approvals,
    error::ApiError,
    events, humans, logins, mcp, operations, policies, projects, run_state, secrets, sessions,
    who::{Accepts, Who},
};

const ADMIN: &[Accepts] = &[Accepts::Role(Role::Admin)];
const ADMIN_AUDITOR: &[Accepts] = &[Accepts::Role(Role::Admin), Accepts::Role(Role::Auditor)];
const ADMIN_OPERATOR: &[Accepts] = &[Accepts::Role(Role::Admin), Accepts::Role(Role::Operator)];
/// Whether they may answer is the gates' to say, by their groups.
const ANSWERERS: &[Accepts] =
    &[Accepts::Role(Role::Admin), Accepts::Role(Role::Operator), Accepts::Role(Role::Approver)];
const EVERYONE: &[Accepts] = &[
    Accepts::Role(Role::Admin),
    Accepts::Role(Role::Operator),
    Accepts::Role(Role::Approver),
    Accepts::Role(Role::Auditor),
];
const EVERYONE_OR_ITSELF: &[Accepts] = &[
    Accepts::Role(Role::Admin),
    Accepts::Role(Role::Operator),
    Accepts::Role(Role::Approver),
    Accepts::Role(Role::Auditor),
    Accepts::OwnSession,
];
const STARTERS: &[Accepts] =
    &[Accepts::Role(Role::Admin), Accepts::Role(Role::Operator), Accepts::AgentKey];
const STOPPERS: &[Accepts] =
    &[Accepts::Role(Role::Admin), Accepts::Role(Role::Operator), Accepts::OwnSession];

/// One route: what it answers, and to whom.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) accepts: &'static [Accepts],
    handler: MethodRouter<Arc<App>>,
}

/// Every route that takes a proven caller.
#[rustfmt::skip] // a table
pub(crate) fn table() -> Vec<Route> {
    vec![
        route("GET",    "/v1/me",                    EVERYONE,           humans::me),
        route("GET",    "/v1/humans",                ADMIN_AUDITOR,      humans::list),
        route("POST",   "/v1/humans",                ADMIN,              humans::create),
        route("DELETE", "/v1/humans/{name}",         ADMIN,              humans::remove),
        route("GET",    "/v1/projects",              EVERYONE,           projects::list),
        route("POST",   "/v1/projects",              ADMIN,              projects::create),
        route("GET",    "/v1/agents",                EVERYONE,           agents::list),
        route("POST",   "/v1/agents",                ADMIN,              agents::create),
        route("DELETE", "/v1/agents/{name}",         ADMIN,              agents::retire),
        route("GET",    "/v1/agents/{name}/keys",    EVERYONE,           agents::keys),
        route("POST",   "/v1/agents/{name}/keys",    ADMIN,              agents::create_key),
        route("POST",   "/v1/keys/{id}/rotate",      ADMIN,              agents::rotate_key),
        route("DELETE", "/v1/keys/{id}",             ADMIN,              agents::revoke_key),
        route("GET",    "/v1/sessions",              EVERYONE,           sessions::list),
        route("POST",   "/v1/sessions",              STARTERS,           sessions::open),
        route("GET",    "/v1/sessions/{id}",         EVERYONE_OR_ITSELF, sessions::show),
        route("POST",   "/v1/sessions/{id}/end",     STOPPERS,           sessions::end),
        route("GET",    "/v1/sessions/{id}/watch",   EVERYONE_OR_ITSELF, sessions::watch),
        route("GET",    "/v1/run-state",             EVERYONE,           run_state::list),
        route("PUT",    "/v1/run-state",             ADMIN_OPERATOR,     run_state::set),
        route("GET",    "/v1/events",                EVERYONE,           events::page),
        route("GET",    "/v1/events/{index}/proof",  EVERYONE,           events::proof),
        route("GET",    "/v1/actions/{id}",          EVERYONE,           events::of_action),
        route("GET",    "/v1/actions/{id}/bodies",   ADMIN_AUDITOR,      events::bodies),
        route("GET",    "/v1/checkpoint",            EVERYONE,           events::checkpoint),
        route("GET",    "/v1/policies",              EVERYONE,           policies::show),
        route("POST",   "/v1/policies/explain",      EVERYONE,           policies::explain),
        route("GET",    "/v1/mcp/tools",             EVERYONE,           mcp::list),
        route("GET",    "/v1/mcp/tools/{server}/{name}", EVERYONE,       mcp::show),
        route("POST",   "/v1/mcp/tools/{server}/{name}/accept", ADMIN,   mcp::accept),
        route("POST",   "/v1/mcp/servers/{name}/login", ADMIN,           logins::begin),
        route("POST",   "/v1/mcp/servers/{name}/login/finish", ADMIN,    logins::finish),
        route("DELETE", "/v1/mcp/servers/{name}/login", ADMIN,           logins::remove),
        route("GET",    "/v1/approvals",             EVERYONE,           approvals::list),
        route("GET",    "/v1/approvals/{id}",        EVERYONE,           approvals::show),
        route("POST",   "/v1/approvals/{id}/answer", ANSWERERS,          approvals::answer),
        route("POST",   "/v1/approvals/{id}/revoke", ANSWERERS,          approvals::revoke),
        route("GET",    "/v1/sessions/{id}/approvals/{approval}", EVERYONE_OR_ITSELF,
                                                                         approvals::standing),
        route("GET",    "/v1/secrets",               EVERYONE,           secrets::list),
        route("PUT",    "/v1/secrets/{name}",        ADMIN,              secrets::put),
        route("DELETE", "/v1/secrets/{name}",        ADMIN,              secrets::remove),
    ]
}

/// The control API over `app`.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let Route { method, path, accepts, handler } = route;
        let gate = Gate { app: Arc::clone(&app), method, path, accepts };
        let guarded = handler.route_layer(middleware::from_fn_with_state(gate, guard));
        router = router.route(path, guarded);
    }
    router
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .fallback(async || ApiError::NoSuchRoute)
        .method_not_allowed_fallback(async || ApiError::Method)
        .with_state(app)
}

fn route<H: Handler<T, Arc<App>>, T: 'static>(
    method: &'static str,
    path: &'static str,
    accepts: &'static [Accepts],
    handler: H,
) -> Route {
    let filter = match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    };
    Route { method, path, accepts, handler: on(filter, handler) }
}

#[derive(Clone)]
struct Gate {
    app: Arc<App>,
    method: &'static str,
    path: &'static str,
    accepts: &'static [Accepts],
}

/// Stands before every handler of the table: proves who calls, and lets in whom it accepts.
async fn guard(
    State(gate): State<Gate>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let id = params.iter().flatten().find_map(|(name, value)| (name == "id").then_some(value));
    let response = match admit(&gate, id, request) {
        Ok(request) if gate.method == "GET" => next.run(request).await,
        // A change is made to its end, whether or not the caller waits for it.
        Ok(request) => match gate.app.changes.spawn(next.run(request)).await {
            Ok(response) => response,
            Err(error) => ApiError::internal(error).into_response(),
        },
        Err(error) => {
            tracing::info!(method = gate.method, route = gate.path, %error, "call turned away");
            error.into_response()
        }
    };
    let labels = [
        ("method", gate.method.to_owned()),
        ("route", gate.path.to_owned()),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("provost_api_requests_total", &labels).increment(1);
    response
}

fn admit(gate: &Gate, id: Option<&str>, request: Request) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    let who = Who::prove(gate.app.directory(), &parts)?;
    if !who.is_among(gate.accepts, id) {
        let accepted: Vec<_> = gate.accepts.iter().map(|one| one.as_str()).collect();
        return Err(ApiError::Forbidden { accepted: accepted.join(" or ") });
    }
    parts.extensions.insert(who);
    Ok(Request::from_parts(parts, body))
}
