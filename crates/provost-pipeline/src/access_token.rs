//! Access tokens of MCP clients: JWTs of one authorization server that the operator trusts.
//!
//! Checked here and nowhere else: signature, issuer, audience, times, and the agent that the
//! operator named for the subject. What is not certain is refused. Source: RFC 9068, RFC 8725.

mod keys;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use provost_types::{AgentName, Clock, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use keys::Keys;
pub use keys::{KeySource, KeysAnswer, KeysUnavailable};

use crate::{By, Terms};

/// Longest token that is looked at. Unit: bytes. Ours: those with many groups have some 4 KiB.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the issuer's clock may be from ours. Unit: seconds. Ours.
const LEEWAY_S: u64 = 30;

/// Most verified tokens that are remembered. Ours: some hundred bytes each.
const KNOWN_MAX: usize = 4096;

/// Longest identifier of a token, and longest subject. Unit: bytes. Ours.
const ID_BYTES_MAX: usize = 256;

/// The types that a header may say. Source: RFC 9068, §2.1; RFC 7515, §4.1.9.
const TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];

/// Whose tokens count, what they have to say, and who is who.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Who issues them: `iss`, exactly.
    pub issuer: String,
    /// How they may be signed.
    pub algorithms: Vec<SignedWith>,
    /// Which claim says who an agent is.
    pub claim: AgentClaim,
    /// The agent of each value of that claim. Who is not here is nobody.
    pub agents: HashMap<String, AgentName>,
    /// The address of the gateway, without a path: what tokens are for begins with it.
    pub public_url: String,
    /// How long sessions of such tokens may last.
    pub terms: Terms,
}

/// Which claim says who an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentClaim {
    /// `sub`
    Subject,
    /// `client_id`
    Client,
}

/// How a token may be signed. Only with keys of which the public half is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedWith {
    /// ECDSA with P-256.
    Es256,
    /// ECDSA with P-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// RSA with SHA-256.
    Rs256,
}

/// A token that proves nothing. Never repeats anything of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// It is no JWT that can be read.
    #[error("this access token cannot be read")]
    Unread,
    /// It is longer than any.
    #[error("this access token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// It is not for this use.
    #[error("this is no access token: its type is not `at+jwt`")]
    Type,
    /// It is signed with something that does not count here.
    #[error("this access token is not signed in a way that counts here")]
    Algorithm,
    /// No key of the issuer's has its id.
    #[error("this access token is signed with a key that its issuer does not publish")]
    Key,
    /// The issuer's keys are not known now.
    #[error("the keys of this access token's issuer cannot be had now; try again later")]
    NoKeys,
    /// The signature is wrong.
    #[error("the signature of this access token is wrong")]
    Signature,
    /// A claim that it needs is missing or has no sense.
    #[error("this access token lacks a claim that it needs")]
    Claims,
    /// Somebody else issued it.
    #[error("this access token is another issuer's")]
    Issuer,
    /// It is for something else.
    #[error("this access token is not for this resource")]
    Audience,
    /// It is over.
    #[error("this access token has expired")]
    Expired,
    /// It does not count yet.
    #[error("this access token does not count yet")]
    Early,
    /// It counts only with a proof that cannot be checked here.
    #[error("this access token is bound to a key of its bearer's, which Provost cannot check")]
    Bound,
    /// It names nobody.
    #[error("this access token names no agent of Provost's")]
    Nobody,
}

/// What a verified token says.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) agent: AgentName,
    /// What the session's credential is known by: the token's issuer and id.
    pub(crate) key: [u8; 32],
    /// When it does not count any more, leeway included.
    pub(crate) until: Timestamp,
    /// Whose it is, for the ledger.
    pub(crate) by: By,
    audience: Vec<String>,
}

/// The one issuer whose tokens count, and what is known of its keys and tokens.
pub struct AccessTokens {
    trust: Trust,
    keys: Keys,
    /// What was verified with the keys that are known now, by the token's digest.
    known: Mutex<HashMap<[u8; 32], Arc<Verified>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    client_id: Option<String>,
    exp: f64,
    nbf: Option<f64>,
    jti: String,
    cnf: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl AccessTokens {
    /// Trusts the issuer of `trust`, whose keys `source` knows.
    pub fn new(trust: Trust, source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { trust, keys: Keys::new(source), known: Mutex::default(), clock }
    }

    /// Whether `token` has the form of such a token: three parts, the first an object.
    pub(crate) fn is_one(token: &SecretString) -> bool {
        let token = token.expose_secret();
        token.starts_with("eyJ") && token.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// How long sessions may last.
    pub(crate) fn terms(&self) -> Terms {
        self.trust.terms
    }

    /// Verifies a token that is shown to the resource at `path`; fetches keys if it has to.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub(crate) async fn verify(
        &self,
        token: &SecretString,
        path: &str,
    ) -> Result<Arc<Verified>, TokenError> {
        let known = self.known().get(&digest(token)).cloned();
        match known.filter(|_| self.keys.are_fresh(self.clock.monotonic())) {
            Some(known) => return self.check(&known, path).map(|()| known),
            None if token.expose_secret().len() > TOKEN_BYTES_MAX => {
                return Err(TokenError::TooLong);
            }
            None => {}
        }
        let header = decode_header(token.expose_secret()).map_err(|_| TokenError::Unread)?;
        let kind = header.typ.as_deref().unwrap_or_default();
        if !TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Err(TokenError::Type);
        }
        let allowed = self.trust.algorithms.iter().any(|one| one.algorithm() == header.alg);
        if !allowed || header.crit.is_some() || header.enc.is_some() {
            return Err(TokenError::Algorithm);
        }
        let id = header.kid.as_deref().ok_or(TokenError::Key)?;
        let (key, renewed) = self.keys.find(id, header.alg, self.clock.as_ref()).await?;
        if renewed {
            // What was verified with keys that are gone has to be verified again.
            self.known().clear();
        }
        let claims =
            decode::<Claims>(token.expose_secret(), &key, &signature_alone(header.alg));
        let claims = claims.map_err(|error| {
            let is_form = matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_));
            if is_form { TokenError::Claims } else { TokenError::Signature }
        })?;
        let verified = Arc::new(self.read(claims.claims)?);
        self.check(&verified, path)?;
        self.remember(digest(token), Arc::clone(&verified));
        Ok(verified)
    }

    /// A token that was verified a moment ago.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub(crate) fn verified(
        &self,
        token: &SecretString,
        path: &str,
    ) -> Result<Arc<Verified>, TokenError> {
        let known = self.known().get(&digest(token)).cloned().ok_or(TokenError::NoKeys)?;
        self.check(&known, path).map(|()| known)
    }

    /// What is checked each time a token is shown.
    fn check(&self, verified: &Verified, path: &str) -> Result<(), TokenError> {
        let resource = format!("{}{path}", self.trust.public_url);
        if !verified.audience.contains(&resource) {
            return Err(TokenError::Audience);
        }
        if self.clock.wall() >= verified.until {
            return Err(TokenError::Expired);
        }
        Ok(())
    }

    fn read(&self, claims: Claims) -> Result<Verified, TokenError> {
        if claims.iss != self.trust.issuer {
            return Err(TokenError::Issuer);
        }
        if claims.cnf.is_some() {
            return Err(TokenError::Bound);
        }
        let now = self.clock.wall();
        let leeway = Duration::from_secs(LEEWAY_S);
        let early = claims.nbf.map(time).transpose()?.is_some_and(|at| now.plus(leeway) < at);
        if early {
            return Err(TokenError::Early);
        }
        let named = match self.trust.claim {
            AgentClaim::Subject => Some(&claims.sub),
            AgentClaim::Client => claims.client_id.as_ref(),
        };
        let agent = named.and_then(|named| self.trust.agents.get(named));
        let fits = |text: &str| (1..=ID_BYTES_MAX).contains(&text.len());
        if !fits(&claims.jti) || !fits(&claims.sub) {
            return Err(TokenError::Claims);
        }
        Ok(Verified {
            agent: agent.cloned().ok_or(TokenError::Nobody)?,
            key: key(&claims.iss, &claims.jti),
            until: time(claims.exp)?.plus(leeway),
            by: By::token(&claims.iss, &claims.sub),
            audience: match claims.aud {
                Audience::One(one) => vec![one],
                Audience::Many(many) => many,
            },
        })
    }

    fn remember(&self, digest: [u8; 32], verified: Arc<Verified>) {
        let now = self.clock.wall();
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, one| now < one.until);
        }
        // What was just verified is asked for again at once: any other may go for it.
        let any = known.keys().next().copied().filter(|_| known.len() >= KNOWN_MAX);
        any.map(|any| known.remove(&any));
        known.insert(digest, verified);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Verified>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessTokens({})", self.trust.issuer)
    }
}

impl SignedWith {
    /// Every way there is.
    pub const ALL: [Self; 5] =
        [Self::Es256, Self::Es384, Self::EdDsa, Self::Ps256, Self::Rs256];

    /// Its name. Source: RFC 7518, §3.1; RFC 8037, §3.1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Ps256 => Algorithm::PS256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

/// Leaves everything but the signature to us: the library reads a clock of its own.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// A time as claims have it: seconds, perhaps with a fraction.
fn time(seconds: f64) -> Result<Timestamp, TokenError> {
    let since = Duration::try_from_secs_f64(seconds).map_err(|_| TokenError::Claims)?;
    Ok(Timestamp::default().plus(since))
}

fn digest(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret()).into()
}

/// What stands for a token in the place of a credential's digest. No text of a credential of
/// ours begins like this.
fn key(issuer: &str, id: &str) -> [u8; 32] {
    Sha256::digest(format!("access token\n{issuer}\n{id}")).into()
}

#[cfg(test)]
mod tests;
