//! `[oauth]`: whose access tokens count, and which agent each of their subjects is.

use std::{collections::HashMap, ops::Range, path::PathBuf};

use provost_pipeline::{AgentClaim, SignedWith};
use provost_types::AgentName;
use toml::{Spanned, de::DeValue};

use super::{
    Reader, keys,
    settings::{Fault, Origin, Problem},
};

/// `[oauth]`, when an issuer is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OAuth {
    /// Who issues access tokens.
    pub(crate) issuer: String,
    /// Where its keys are, if not where its metadata says.
    pub(crate) jwks_url: Option<String>,
    /// Certificates to trust for it beside the public ones.
    pub(crate) ca_file: Option<PathBuf>,
    /// The gateway's address as clients know it, without a path, if not the one it listens on.
    pub(crate) public_url: Option<String>,
    /// Which claim says who an agent is.
    pub(crate) claim: AgentClaim,
    /// The agent of each value of that claim.
    pub(crate) agents: HashMap<String, AgentName>,
    /// How tokens may be signed.
    pub(crate) algorithms: Vec<SignedWith>,
    /// What clients should ask for.
    pub(crate) scopes: Vec<String>,
}

/// What is told of a table that is none of names.
const AGENTS: &str = "`oauth.agents` is a table of `\"subject\" = \"agent\"`";

/// Reads `[oauth.agents]`; faults are added to `faults`.
pub(super) fn agents(
    table: &Spanned<DeValue<'_>>,
    at: impl Fn(Range<usize>) -> Origin,
    faults: &mut Vec<Fault>,
) -> HashMap<String, AgentName> {
    let mut agents = HashMap::new();
    let mut fault = |span| {
        faults.push(Fault { origin: at(span), problem: Problem::Together(AGENTS) });
    };
    let DeValue::Table(entries) = table.get_ref() else {
        fault(table.span());
        return agents;
    };
    for (subject, agent) in entries {
        match agent.get_ref().as_str().and_then(|name| name.parse().ok()) {
            Some(agent) => drop(agents.insert(subject.get_ref().to_string(), agent)),
            None => fault(agent.span()),
        }
    }
    agents
}

impl Reader<'_> {
    /// Whose access tokens count.
    pub(super) fn oauth(&self) -> Result<Option<OAuth>, Problem> {
        let given = |key: &keys::Key| self.settings.text(key).map(str::to_owned);
        let agents = self.settings.agents.clone();
        let Some(issuer) = given(&keys::OAUTH_ISSUER) else {
            return if agents.is_empty() {
                Ok(None)
            } else {
                Err(Problem::Together("`[oauth.agents]` needs `oauth.issuer`"))
            };
        };
        if agents.is_empty() {
            return Err(Problem::Together("`oauth.issuer` needs agents in `[oauth.agents]`"));
        }
        let claim = match self.text(&keys::OAUTH_CLAIM)?.as_str() {
            "client_id" => AgentClaim::Client,
            _ => AgentClaim::Subject,
        };
        let algorithms = self.text(&keys::OAUTH_ALGORITHMS)?;
        let algorithms = algorithms.split_whitespace().map(|name| {
            let known = SignedWith::ALL.into_iter().find(|one| one.as_str() == name);
            known.ok_or(Problem::Together(
                "`oauth.algorithms` has to be some of ES256, ES384, EdDSA, PS256, RS256",
            ))
        });
        let public_url = given(&keys::OAUTH_PUBLIC);
        let without_slash = |url: String| url.trim_end_matches('/').to_owned();
        let scopes = given(&keys::OAUTH_SCOPES).unwrap_or_default();
        Ok(Some(OAuth {
            issuer,
            jwks_url: given(&keys::OAUTH_JWKS),
            ca_file: self.file(&keys::OAUTH_CA),
            public_url: public_url.map(without_slash),
            claim,
            agents,
            algorithms: algorithms.collect::<Result<_, _>>()?,
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        }))
    }
}
