//! The control API behind the gateway's driver: the same limits and the same TLS.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE, request};
use http_body_util::Full;
use provost_admin::Router;
use provost_api::ErrorBody;
use provost_gateway::{HttpAsk, HttpFrame, Serve};
use provost_pipeline::{Malformed, MalformedKind, Reply};
use tower::ServiceExt as _;

use crate::client::collected;

/// Serves the control API; no caller is taken for local.
#[derive(Debug)]
pub(super) struct Control(Router);

impl Control {
    /// Serves this router.
    pub(super) const fn new(router: Router) -> Self {
        Self(router)
    }
}

impl Serve for Control {
    async fn run(&self, ask: HttpAsk, mut reply: Reply<HttpFrame>) {
        let HttpAsk { parts, body, .. } = ask;
        let answered =
            self.0.clone().oneshot(Request::from_parts(parts, Full::from(body))).await;
        let answer = match answered {
            Ok(answer) => collected(answer).await,
            Err(never) => match never {},
        };
        let frame = match answer {
            Ok(answer) => HttpFrame::Whole(answer),
            Err(error) => {
                tracing::error!(%error, "control answer not sent");
                HttpFrame::Abort
            }
        };
        if reply.send(frame).await.is_err() {
            tracing::debug!("control client left before its answer");
        }
    }

    async fn refuse(&self, _head: request::Parts, malformed: Malformed) -> HttpFrame {
        let (status, code) = match malformed.kind {
            MalformedKind::Syntax => (StatusCode::BAD_REQUEST, "malformed"),
            MalformedKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            MalformedKind::NotFound => (StatusCode::NOT_FOUND, "no-such-route"),
            MalformedKind::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
        };
        let body = ErrorBody { code: code.to_owned(), message: malformed.message };
        let mut answer =
            Response::new(Bytes::from(serde_json::to_vec(&body).unwrap_or_default()));
        *answer.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        HttpFrame::Whole(answer)
    }

    async fn note_headless(&self, malformed: Malformed) {
        tracing::debug!(message = malformed.message, "control request without a head");
    }
}
