//! Tokens that count, and every way in which one may not.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use provost_types::{Clock, ManualClock, Timestamp};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

use super::{
    AccessTokens, AgentClaim, KeySource, KeysAnswer, KeysUnavailable, SignedWith, TokenError,
    Trust,
};
use crate::Terms;

/// 2026-11-25T00:00:00Z. Unit: seconds.
const NOW: u64 = 1_795_564_800;
const PATH: &str = "/mcp/github";
const RESOURCE: &str = "https://provost.example/mcp/github";

/// A key pair of an issuer's.
struct Pair {
    key: EncodingKey,
    point: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        Self { key, point: pair.der_bytes().to_vec() }
    }

    fn jwk(&self, id: &str) -> Value {
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&self.point[range]);
        json!({"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256", "use": "sig",
            "x": part(1..33), "y": part(33..65)})
    }

    fn sign(&self, claims: &Value) -> String {
        encode(&header("k1", "at+jwt", Algorithm::ES256), claims, &self.key).unwrap()
    }
}

fn header(kid: &str, typ: &str, algorithm: Algorithm) -> Header {
    let (kid, typ) = (Some(kid.to_owned()), Some(typ.to_owned()));
    Header { kid, typ, ..Header::new(algorithm) }
}

/// What an issuer publishes, and how often it was asked.
#[derive(Debug, Default)]
struct Published {
    keys: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

impl Published {
    fn publish(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = Some(json!({"keys": keys}));
    }
}

impl KeySource for Published {
    fn fetch(&self) -> KeysAnswer<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let keys = self.keys.lock().unwrap().clone();
        Box::pin(async move {
            let keys = keys.ok_or_else(|| KeysUnavailable("it is down".into()))?;
            Ok(keys.to_string().into_bytes())
        })
    }
}

struct World {
    pair: Pair,
    published: Arc<Published>,
    clock: Arc<ManualClock>,
    tokens: AccessTokens,
}

impl World {
    fn new() -> Self {
        let (pair, published) = (Pair::new(), Arc::new(Published::default()));
        published.publish(&[pair.jwk("k1")]);
        let clock = Arc::new(ManualClock::at(Timestamp(NOW * 1_000_000)));
        let trust = Trust {
            issuer: "https://as.example".to_owned(),
            algorithms: vec![SignedWith::Es256, SignedWith::EdDsa],
            claim: AgentClaim::Subject,
            agents: HashMap::from([("ada".to_owned(), "invoice-bot".parse().unwrap())]),
            public_url: "https://provost.example".to_owned(),
            terms: Terms {
                idle_max: Duration::from_secs(60),
                lifetime_max: Duration::from_secs(3600),
            },
        };
        let source = Arc::clone(&published) as Arc<dyn KeySource>;
        let tokens = AccessTokens::new(trust, source, Arc::clone(&clock) as Arc<dyn Clock>);
        Self { pair, published, clock, tokens }
    }

    async fn verify(&self, token: &str) -> Result<String, TokenError> {
        let verified = self.tokens.verify(&token.to_owned().into(), PATH).await;
        verified.map(|verified| verified.agent.to_string())
    }
}

/// The claims of a good token, with some changed; `null` takes one out.
fn claims(changed: Value) -> Value {
    let mut claims = json!({"iss": "https://as.example", "aud": RESOURCE, "sub": "ada",
        "client_id": "c", "iat": NOW, "exp": NOW + 300, "jti": "j1"});
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[tokio::test]
async fn claims_have_to_be_all_there_and_right() {
    let world = World::new();
    let others = "https://provost.example/mcp/other";
    for (changed, want) in [
        (json!({}), None),
        (json!({"aud": [others, RESOURCE]}), None),
        (json!({"exp": NOW - 29}), None), // the issuer's clock may be behind
        (json!({"exp": NOW as f64 + 0.5}), None),
        (json!({"nbf": NOW + 29}), None),
        (json!({"iss": "https://as.example/"}), Some(TokenError::Issuer)),
        (json!({"iss": "https://evil.example"}), Some(TokenError::Issuer)),
        (json!({"iss": null}), Some(TokenError::Claims)),
        (json!({"aud": others}), Some(TokenError::Audience)),
        (json!({"aud": "https://provost.example"}), Some(TokenError::Audience)),
        (json!({"aud": []}), Some(TokenError::Audience)),
        (json!({"aud": null}), Some(TokenError::Claims)),
        (json!({"exp": NOW - 30}), Some(TokenError::Expired)),
        (json!({"exp": null}), Some(TokenError::Claims)),
        (json!({"exp": -1}), Some(TokenError::Claims)),
        (json!({"exp": "tomorrow"}), Some(TokenError::Claims)),
        (json!({"nbf": NOW + 60}), Some(TokenError::Early)),
        (json!({"sub": "eve"}), Some(TokenError::Nobody)),
        (json!({"sub": "c"}), Some(TokenError::Nobody)), // a client's id is no subject
        (json!({"sub": null}), Some(TokenError::Claims)),
        (json!({"jti": null}), Some(TokenError::Claims)),
        (json!({"jti": ""}), Some(TokenError::Claims)),
        (json!({"jti": "j".repeat(300)}), Some(TokenError::Claims)),
        (json!({"cnf": {"jkt": "x"}}), Some(TokenError::Bound)),
    ] {
        let got = world.verify(&world.pair.sign(&claims(changed.clone()))).await;
        match want {
            None => assert_eq!(got.as_deref(), Ok("invoice-bot"), "{changed}"),
            Some(want) => assert_eq!(got, Err(want), "{changed}"),
        }
    }
}

#[tokio::test]
async fn a_signature_counts_only_with_a_published_key_and_as_it_was_meant() {
    let world = World::new();
    let good = claims(json!({}));
    let signed = |header: Header, key: &EncodingKey| encode(&header, &good, key).unwrap();
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let ours = world.pair.sign(&good);
    let (front, _) = ours.rsplit_once('.').unwrap();
    let foreign = claims(json!({"sub": "eve"}));
    let altered = world.pair.sign(&foreign);
    let altered = {
        let (_, signature) = altered.rsplit_once('.').unwrap();
        format!("{front}.{signature}")
    };
    let none = |alg: &str| {
        format!("{}.{}.", part(&json!({"alg": alg, "typ": "at+jwt", "kid": "k1"})), part(&good))
    };
    // The public key as a secret: what a verifier that believes the header would check with.
    let secret = EncodingKey::from_secret(&world.pair.point);
    let es256 = |kid: &str, typ: &str| header(kid, typ, Algorithm::ES256);
    let critical = Header { crit: Some(vec!["exp".to_owned()]), ..es256("k1", "at+jwt") };
    for (name, token, want) in [
        ("good", ours.clone(), None),
        ("the long type", signed(es256("k1", "application/AT+JWT"), &world.pair.key), None),
        ("none", none("none"), Some(TokenError::Unread)),
        ("nOnE", none("nOnE"), Some(TokenError::Unread)),
        ("no signature", none("ES256"), Some(TokenError::Signature)),
        (
            "HS256 with the public key",
            signed(header("k1", "at+jwt", Algorithm::HS256), &secret),
            Some(TokenError::Algorithm),
        ),
        ("another's signature", altered, Some(TokenError::Signature)),
        ("another's key", Pair::new().sign(&good), Some(TokenError::Signature)),
        (
            "an unknown key",
            signed(es256("k2", "at+jwt"), &world.pair.key),
            Some(TokenError::Key),
        ),
        (
            "no key's id",
            signed(Header { kid: None, ..es256("", "at+jwt") }, &world.pair.key),
            Some(TokenError::Key),
        ),
        ("an id token", signed(es256("k1", "JWT"), &world.pair.key), Some(TokenError::Type)),
        (
            "no type",
            signed(Header { typ: None, ..es256("k1", "") }, &world.pair.key),
            Some(TokenError::Type),
        ),
        ("something critical", signed(critical, &world.pair.key), Some(TokenError::Algorithm)),
        ("a huge one", format!("{front}.{}", "A".repeat(20_000)), Some(TokenError::TooLong)),
        ("no JWT", "eyJ.x.y".to_owned(), Some(TokenError::Unread)),
    ] {
        let got = world.verify(&token).await;
        match want {
            None => assert_eq!(got.as_deref(), Ok("invoice-bot"), "{name}"),
            Some(want) => assert_eq!(got, Err(want), "{name}"),
        }
    }
}

#[tokio::test]
async fn a_token_is_for_one_resource_and_for_its_time_however_often_it_is_shown() {
    let world = World::new();
    let token = world.pair.sign(&claims(json!({})));
    for _ in 0..2 {
        assert!(world.verify(&token).await.is_ok());
        let elsewhere = world.tokens.verify(&token.clone().into(), "/mcp/other").await;
        assert_eq!(elsewhere.unwrap_err(), TokenError::Audience);
    }
    world.clock.advance(Duration::from_secs(330));
    assert_eq!(world.verify(&token).await, Err(TokenError::Expired));
}

#[tokio::test]
async fn keys_are_asked_for_once_a_minute_and_those_taken_back_end() {
    let world = World::new();
    let asked = || world.published.asked.load(Ordering::SeqCst);
    let long = world.pair.sign(&claims(json!({"exp": NOW + 100_000})));
    assert!(world.verify(&long).await.is_ok());
    assert_eq!(asked(), 1);

    // Whoever sends keys nobody has makes us ask no more than once a minute.
    let other = Pair::new();
    let unknown = |jti: u64| {
        let header = header("k2", "at+jwt", Algorithm::ES256);
        encode(&header, &claims(json!({"jti": jti.to_string()})), &other.key).unwrap()
    };
    for jti in 0..5 {
        assert_eq!(world.verify(&unknown(jti)).await, Err(TokenError::Key));
    }
    assert_eq!(asked(), 1);
    world.clock.advance(Duration::from_secs(60));
    world.published.publish(&[world.pair.jwk("k1"), other.jwk("k2")]);
    assert!(world.verify(&unknown(9)).await.is_ok(), "a new key is found");
    assert_eq!(asked(), 2);

    // The issuer is down: its keys count for a while, and then no more.
    *world.published.keys.lock().unwrap() = None;
    world.clock.advance(Duration::from_secs(601));
    assert!(world.verify(&long).await.is_ok());
    world.clock.advance(Duration::from_secs(3000));
    assert_eq!(world.verify(&long).await, Err(TokenError::NoKeys));

    // A key that was taken back, though the token was verified with it before.
    world.clock.advance(Duration::from_secs(60));
    world.published.publish(&[other.jwk("k2")]);
    assert_eq!(world.verify(&long).await, Err(TokenError::Key));
}

#[tokio::test]
async fn a_published_secret_is_no_key() {
    let world = World::new();
    let secret = json!({"kty": "oct", "kid": "k1", "k": "c2VjcmV0", "use": "sig"});
    let sealing = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "enc",
        "x": world.pair.jwk("k1")["x"], "y": world.pair.jwk("k1")["y"]});
    world.published.publish(&[secret, sealing]);
    let token = world.pair.sign(&claims(json!({})));
    assert_eq!(world.verify(&token).await, Err(TokenError::Key));
}

#[test]
fn only_what_has_the_form_of_one_is_taken_for_a_token() {
    for (text, want) in [
        ("eyJhbGciOiJub25lIn0.e30.", true),
        ("eyJhbGciOiJub25lIn0.e30", false),
        ("pvs_0000000000000000000000_0", false),
        ("a.b.c", false),
        ("", false),
    ] {
        assert_eq!(AccessTokens::is_one(&text.to_owned().into()), want, "{text}");
    }
}
