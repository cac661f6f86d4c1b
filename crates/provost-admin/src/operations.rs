//! `/healthz`, `/readyz`, `/metrics`: for the machines that keep the server running.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use provost_api::ErrorBody;

use crate::App;

/// Prometheus' text format, version 0.0.4.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: whether it can do its work.
///
/// # Errors
///
/// - 503 `not-ready`: the sentences say what is in the way.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let obstacles = (app.readiness)();
    if obstacles.is_empty() {
        return "ready\n".into_response();
    }
    let body = ErrorBody { code: "not-ready".to_owned(), message: obstacles.join("; ") };
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// `GET /metrics`: everything counted and timed, for Prometheus.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, METRICS_TYPE)], (app.metrics)())
}
