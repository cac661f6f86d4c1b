//! The keys of an issuer: fetched, kept for a while, and asked for again when one is missing.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};
use provost_types::{Causes, Clock, Monotonic};
use tokio::sync::Mutex;

use super::TokenError;

/// How long keys count without being looked at again: so long may one that its issuer took
/// back be used. Ours.
const FRESH: Duration = Duration::from_secs(600);

/// How long they count while the issuer cannot be asked. Ours.
const STALE_MAX: Duration = Duration::from_secs(3600);

/// Shortest time between two questions, whoever sends tokens with keys nobody has. Ours.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Most keys of an issuer. Ours: they have some two or three.
const KEYS_MAX: usize = 64;

/// What a [`KeySource`] gives, in time.
pub type KeysAnswer<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<u8>, KeysUnavailable>> + Send + 'a>>;

/// Where an issuer's keys are had.
pub trait KeySource: Send + Sync + fmt::Debug {
    /// Fetches the JSON Web Key Set of the issuer, as it is published now.
    fn fetch(&self) -> KeysAnswer<'_>;
}

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the issuer's keys cannot be had")]
pub struct KeysUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The keys that are known.
#[derive(Debug)]
pub(super) struct Keys {
    source: Arc<dyn KeySource>,
    known: RwLock<Known>,
    /// When it was asked last. Held while asking: one at a time.
    asked: Mutex<Option<Monotonic>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, (Jwk, DecodingKey)>,
    at: Option<Monotonic>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.keys()).finish()
    }
}

impl Keys {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        Self { source, known: RwLock::default(), asked: Mutex::default() }
    }

    /// Whether they count without being looked at.
    pub(super) fn are_fresh(&self, now: Monotonic) -> bool {
        self.age(now).is_some_and(|age| age < FRESH)
    }

    /// The key of this id, for this algorithm; and whether keys were fetched to find it.
    ///
    /// # Errors
    ///
    /// [`TokenError::Key`], [`TokenError::NoKeys`], [`TokenError::Algorithm`].
    pub(super) async fn find(
        &self,
        id: &str,
        algorithm: Algorithm,
        clock: &dyn Clock,
    ) -> Result<(DecodingKey, bool), TokenError> {
        let mut renewed = false;
        if !self.are_fresh(clock.monotonic()) || self.get(id).is_none() {
            renewed = self.ask(clock).await;
        }
        if self.age(clock.monotonic()).is_none_or(|age| age >= STALE_MAX) {
            return Err(TokenError::NoKeys);
        }
        let (jwk, key) = self.get(id).ok_or(TokenError::Key)?;
        let named = jwk.common.key_algorithm;
        let is_for = named.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
        if key.family() == algorithm.family() && is_for {
            Ok((key, renewed))
        } else {
            Err(TokenError::Algorithm)
        }
    }

    fn get(&self, id: &str) -> Option<(Jwk, DecodingKey)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.keys.get(id).cloned()
    }

    fn age(&self, now: Monotonic) -> Option<Duration> {
        let at = self.known.read().unwrap_or_else(PoisonError::into_inner).at?;
        Some(since(now, at))
    }

    /// Asks the issuer, unless it was asked a moment ago; whether it answered.
    async fn ask(&self, clock: &dyn Clock) -> bool {
        let mut asked = self.asked.lock().await;
        let now = clock.monotonic();
        if asked.is_some_and(|at| since(now, at) < ASK_EVERY) {
            return false;
        }
        *asked = Some(now);
        let fetched = self.source.fetch().await.and_then(|json| {
            serde_json::from_slice::<JwkSet>(&json)
                .map_err(|error| KeysUnavailable(error.into()))
        });
        match fetched {
            Ok(set) => {
                let keys = usable(set);
                tracing::info!(keys = keys.len(), "keys of the issuer of access tokens read");
                let known = Known { keys, at: Some(now) };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
                true
            }
            Err(error) => {
                let cause = Causes(&error);
                tracing::error!(%cause, "no keys of the issuer of access tokens");
                false
            }
        }
    }
}

fn since(now: Monotonic, at: Monotonic) -> Duration {
    Duration::from_micros(now.0.saturating_sub(at.0))
}

/// Public keys for signatures, that have an id. A secret is none, whoever publishes it.
fn usable(set: JwkSet) -> HashMap<String, (Jwk, DecodingKey)> {
    let is_for_signing =
        |jwk: &Jwk| matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    set.keys
        .into_iter()
        .filter(is_for_signing)
        .take(KEYS_MAX)
        .filter_map(|jwk| {
            let key = DecodingKey::from_jwk(&jwk).ok()?;
            let is_public = key.family() != AlgorithmFamily::Hmac;
            let id = jwk.common.key_id.clone().filter(|_| is_public)?;
            Some((id, (jwk, key)))
        })
        .collect()
}
