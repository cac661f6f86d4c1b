//! Access tokens of MCP clients: whose count, and where the issuer's keys are had.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header::ACCEPT};
use provost_gateway::Errands;
use provost_mcp::{Protected, oauth::keys_of};
use provost_pipeline::{AccessTokens, KeySource, KeysAnswer, KeysUnavailable, Trust};

use crate::{app::Core, config::Config};

/// Trusts the access tokens of the configured issuer, if there is one; what clients are told
/// then. `listening` is the gateway's address on this machine.
pub(super) fn trust(
    core: &Core,
    config: &Config,
    listening: String,
) -> Result<Option<Protected>> {
    let Some(oauth) = &config.oauth else { return Ok(None) };
    let errands = Errands::new(oauth.ca_file.as_deref()).context("oauth.ca_file")?;
    let public_url = oauth.public_url.clone().unwrap_or(listening);
    let trust = Trust {
        issuer: oauth.issuer.clone(),
        algorithms: oauth.algorithms.clone(),
        claim: oauth.claim,
        agents: oauth.agents.clone(),
        public_url: public_url.clone(),
        terms: config.session,
    };
    let source =
        IssuerKeys { errands, issuer: oauth.issuer.clone(), jwks_url: oauth.jwks_url.clone() };
    let clock = Arc::clone(core.pipeline.clock());
    core.pipeline.directory().trust(AccessTokens::new(trust, Arc::new(source), clock));
    let (issuer, scopes) = (oauth.issuer.clone(), oauth.scopes.clone());
    Ok(Some(Protected { public_url, issuer, scopes }))
}

/// The keys that an issuer publishes.
#[derive(Debug)]
struct IssuerKeys {
    errands: Errands,
    issuer: String,
    jwks_url: Option<String>,
}

/// It answered, and not with its keys.
#[derive(Debug, thiserror::Error)]
#[error("the issuer's keys are answered for with status {0}")]
struct NoKeys(StatusCode);

impl KeySource for IssuerKeys {
    fn fetch(&self) -> KeysAnswer<'_> {
        Box::pin(async move {
            let place = match &self.jwks_url {
                Some(place) => place.clone(),
                None => keys_of(&self.errands, &self.issuer)
                    .await
                    .map_err(|error| KeysUnavailable(error.into()))?,
            };
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = place
                .parse()
                .map_err(|error: http::uri::InvalidUri| KeysUnavailable(error.into()))?;
            let json = HeaderValue::from_static("application/json, application/jwk-set+json");
            request.headers_mut().insert(ACCEPT, json);
            let answer = self.errands.ask(request).await;
            let answer = answer.map_err(|error| KeysUnavailable(error.into()))?;
            if answer.status() != StatusCode::OK {
                return Err(KeysUnavailable(NoKeys(answer.status()).into()));
            }
            Ok(answer.into_body().to_vec())
        })
    }
}
