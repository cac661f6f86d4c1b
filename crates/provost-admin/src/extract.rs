//! Reading requests: the body, the query, the one name in the path.

use std::{fmt::Display, str::FromStr, time::Duration};

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::{error::ApiError, who::Who};

/// Largest request body. Unit: bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Longest time a request body may take to arrive. Unit: seconds.
const BODY_SECONDS_MAX: u64 = 10;

/// Longest wait for something to happen. Unit: seconds.
const WAIT_SECONDS_MAX: u32 = 30;

/// A JSON body. No body at all counts as `{}`.
pub(crate) struct Body<T>(pub(crate) T);

/// The query, in the form of `T`.
pub(crate) struct Asked<T>(pub(crate) T);

/// The path's one parameter, in its text form.
pub(crate) struct Named<T>(pub(crate) T);

/// The path's two parameters, in the forms of their own.
pub(crate) struct Pair<A, B>(pub(crate) A, pub(crate) B);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let bytes = read(request).await?;
        let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(json).map(Self).map_err(ApiError::malformed)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let Query(asked) = Query::try_from_uri(&parts.uri)
            .map_err(|rejection| ApiError::malformed(rejection.body_text()))?;
        Ok(Self(asked))
    }
}

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::malformed(rejection.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error| ApiError::malformed(format!("in the path: {error}")))
    }
}

impl<S, A, B> FromRequestParts<S> for Pair<A, B>
where
    S: Send + Sync,
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((outer, inner)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::malformed(rejection.body_text()))?;
        Ok(Self(parsed(&outer)?, parsed(&inner)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = ApiError;

    /// Gives what the route's gate proved; a route without a gate has no callers.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or(ApiError::NoCredential)
    }
}

async fn read(request: Request) -> Result<Bytes, ApiError> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let read = tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), body).await;
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(ApiError::TooLarge { bytes_max: BODY_BYTES_MAX })
        }
        Ok(Err(error)) => Err(ApiError::malformed(error)),
        Err(_) => Err(ApiError::TooSlow { seconds_max: BODY_SECONDS_MAX }),
    }
}

/// A field of a body or query in its domain form.
pub(crate) fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(ApiError::malformed)
}

/// The same for a field that may be left out.
pub(crate) fn parsed_if<T: FromStr<Err: Display>>(
    text: Option<&str>,
) -> Result<Option<T>, ApiError> {
    text.map(parsed).transpose()
}

/// The same; an error names the field.
pub(crate) fn parsed_in<T: FromStr<Err: Display>>(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, ApiError> {
    let parse = |text: &str| {
        text.parse().map_err(|error| ApiError::malformed(format!("{field}: {error}")))
    };
    text.map(parse).transpose()
}

/// How many items a page may have: 1 to 1,000; 100 unless told.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(100) {
        limit @ 1..=1000 => Ok(limit),
        _ => Err(ApiError::Invalid { field: "limit", problem: "use 1 to 1,000" }),
    }
}

/// How long a call waits for something to happen: 0 to 30 seconds; not at all unless told.
pub(crate) fn wait(asked: Option<u32>) -> Result<Duration, ApiError> {
    match asked.unwrap_or_default() {
        seconds @ 0..=WAIT_SECONDS_MAX => Ok(Duration::from_secs(seconds.into())),
        _ => Err(ApiError::Invalid { field: "wait", problem: "use 0 to 30 seconds" }),
    }
}
