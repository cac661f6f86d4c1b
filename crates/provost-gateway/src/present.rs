//! Which credential a request carries, on every plane that is spoken over HTTP.
//!
//! Anthropic's clients send `x-api-key`, `Authorization: Bearer`, or both with one value.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use provost_pipeline::Presented;
use secrecy::SecretString;

/// Longest credential looked at. Unit: bytes. Ours have fewer than 100; an access token of an
/// authorization server may have 8 KiB.
const CREDENTIAL_BYTES_MAX: usize = 8 * 1024 + 1;

/// Finds the one credential of a request. Pure.
pub fn present(headers: &HeaderMap) -> Presented {
    let mut found: Option<&[u8]> = None;
    for name in [AUTHORIZATION.as_str(), "x-api-key"] {
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Presented::Conflicting;
        }
        let token = token(value);
        if token.is_empty() {
            continue;
        }
        if found.is_some_and(|other| other != token) {
            return Presented::Conflicting;
        }
        found = Some(token);
    }
    found.map_or(Presented::Nothing, |token| {
        // What is too long, or no text, is no credential of ours; the verifier says so.
        let token = token.get(..CREDENTIAL_BYTES_MAX).unwrap_or(token);
        Presented::Token(SecretString::from(String::from_utf8_lossy(token).as_ref()))
    })
}

/// Finds the one credential of a request where that may be an access token, too: in
/// `Authorization` alone, for the resource at `path`. Pure.
pub fn present_at(headers: &HeaderMap, path: &str) -> Presented {
    let presented = present(headers);
    if let Presented::Token(token) = presented {
        return if headers.contains_key(AUTHORIZATION) {
            Presented::TokenAt { token, path: path.to_owned() }
        } else {
            Presented::Token(token)
        };
    }
    presented
}

/// The value without the word `Bearer`; a value of another scheme stays as it is.
fn token(value: &HeaderValue) -> &[u8] {
    let value = value.as_bytes();
    match value.split_at_checked("bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value.trim_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use provost_pipeline::Presented;
    use secrecy::ExposeSecret;

    use super::present;

    #[test]
    fn one_credential_or_none() {
        for (headers, want) in [
            (&[][..], "nothing"),
            (&[("authorization", "Bearer a")], "a"),
            (&[("authorization", "bearer  a ")], "a"),
            (&[("x-api-key", "a")], "a"),
            (&[("x-api-key", "a"), ("authorization", "Bearer a")], "a"),
            (&[("x-api-key", ""), ("authorization", "Bearer a")], "a"),
            (&[("x-api-key", "a"), ("authorization", "Bearer ")], "a"),
            (&[("x-api-key", ""), ("authorization", "")], "nothing"),
            (&[("x-api-key", "a"), ("authorization", "Bearer b")], "conflicting"),
            (&[("x-api-key", "a"), ("authorization", "Basic YQ==")], "conflicting"),
            (&[("x-api-key", "a"), ("x-api-key", "a")], "conflicting"),
            (&[("x-api-key", "a"), ("x-api-key", "")], "conflicting"),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], "conflicting"),
            (&[("authorization", "Basic YQ==")], "Basic YQ=="), // Not one of ours: refused.
            (&[("authorization", "Bearera")], "Bearera"),
            (&[("proxy-authorization", "Bearer a")], "nothing"),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|&(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect();
            let got = match present(&headers) {
                Presented::Token(token) | Presented::TokenAt { token, .. } => {
                    token.expose_secret().to_owned()
                }
                Presented::Nothing => "nothing".to_owned(),
                Presented::Conflicting => "conflicting".to_owned(),
            };
            assert_eq!(got, want, "headers = {headers:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_panic() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_bytes(&[0xff; 20_000]).unwrap());
        assert!(matches!(present(&headers), Presented::Token(_)));
    }
}
