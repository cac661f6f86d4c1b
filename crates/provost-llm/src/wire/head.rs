//! Heads of requests and answers: which headers go on, and which answers are passed at all.
//!
//! All headers go on, except what is listed here.

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
        EXPECT, FORWARDED, HOST, SET_COOKIE, VIA,
    },
};
use provost_gateway::{Form, strip_hop_by_hop};
use provost_secrets::SecretName;
use secrecy::{ExposeSecret, SecretString};

use super::coding::Coding;

/// Where Anthropic's API takes its key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Keeps a buffering proxy in front of us from holding a stream back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a request says to Provost and not to the upstream, or what is said anew.
const ENDS_HERE: [HeaderName; 9] = [
    HOST,
    AUTHORIZATION,
    API_KEY,
    COOKIE,
    EXPECT,
    FORWARDED,
    VIA,
    CONTENT_LENGTH,
    ACCEPT_ENCODING,
];

/// The headers of the request that goes upstream; `None` if the key cannot stand in a header.
pub(crate) fn onward(mut headers: HeaderMap, key: &SecretString) -> Option<HeaderMap> {
    strip_hop_by_hop(&mut headers);
    for name in ENDS_HERE {
        headers.remove(name);
    }
    let addresses: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in addresses {
        headers.remove(name);
    }
    let mut key = HeaderValue::from_str(key.expose_secret()).ok()?;
    key.set_sensitive(true);
    headers.insert(API_KEY, key);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if headers.contains_key(CONTENT_TYPE) {
        // The body was read as JSON in UTF-8; nobody shall read it as anything else.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Some(headers)
}

/// The headers of the answer that goes back to the client.
pub(crate) fn back(mut headers: HeaderMap, body: Body) -> HeaderMap {
    strip_hop_by_hop(&mut headers);
    headers.remove(SET_COOKIE);
    if body.coding != Coding::Identity {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    if body.form == Form::Stream {
        // The stream may end in an event of ours.
        headers.remove(CONTENT_LENGTH);
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    headers
}

/// How an answer's body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) form: Form,
    pub(crate) coding: Coding,
}

/// An answer that must not reach the agent as it is. Its text is what the agent is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// 401: as it stands, the agent would think that its own key is bad.
    #[error(
        "The upstream refused Provost's own credential, not yours; \
         the operator must run `provost secret set {secret}`."
    )]
    Credential {
        /// The credential's name.
        secret: SecretName,
    },
    /// 403: likewise.
    #[error(
        "The upstream does not let Provost's own credential do this; \
         the operator must look at what `{secret}` is allowed."
    )]
    Forbidden {
        /// The credential's name.
        secret: SecretName,
    },
    /// 3xx: clients follow, with their credential and the body, to where Provost is not.
    #[error("The upstream sent a redirect, which Provost does not follow.")]
    Redirect,
    /// An encoding that cannot be read beside the stream.
    #[error("The upstream encoded its answer in a way Provost cannot read.")]
    Coding,
    /// 2xx, but no Messages answer: SDKs would report success with rubbish.
    #[error("The upstream answered with neither JSON nor an event stream.")]
    Form,
}

/// Says how to read an answer, if it is one to pass on. `secret` is the credential it was
/// asked for with.
///
/// # Errors
///
/// [`Unfit`], by its variants.
pub(crate) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    secret: &SecretName,
) -> Result<Body, Unfit> {
    let form = Form::of(headers);
    match status {
        StatusCode::UNAUTHORIZED => Err(Unfit::Credential { secret: secret.clone() }),
        StatusCode::FORBIDDEN => Err(Unfit::Forbidden { secret: secret.clone() }),
        _ if status.is_redirection() || status.is_informational() => Err(Unfit::Redirect),
        _ if status.is_success() && form == Form::Other => Err(Unfit::Form),
        _ => Coding::of(headers).map(|coding| Body { form, coding }).ok_or(Unfit::Coding),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};

    use super::{Body, Coding, Form, Unfit, back, judge, onward};

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|&(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect()
    }

    /// Names and values in the order they are kept.
    fn list(headers: &HeaderMap) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn the_agents_own_goes_on_and_what_ends_here_does_not() {
        let given = headers(&[
            ("host", "gateway"),
            ("authorization", "Bearer pvs_1"),
            ("x-api-key", "pvs_1"),
            ("cookie", "a=b"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("anthropic-version", "2023-06-01"),
            ("user-agent", "claude-cli/2.1.330 (external, sdk-cli)"),
            ("x-claude-code-session-id", "s"),
            ("x-stainless-retry-count", "0"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("content-length", "7"),
            ("content-type", "application/json; charset=utf-16"),
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("keep-alive", "1"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("via", "1.1 x"),
        ]);
        let mut got = onward(given, &"sk-ant-1".into()).unwrap();
        assert!(got.get("x-api-key").unwrap().is_sensitive());
        got.remove("x-api-key");
        let mut got = list(&got);
        got.sort_unstable();
        assert_eq!(
            got,
            [
                ("accept-encoding", "identity"),
                ("anthropic-beta", "a"),
                ("anthropic-beta", "b"),
                ("anthropic-version", "2023-06-01"),
                ("content-type", "application/json"),
                ("user-agent", "claude-cli/2.1.330 (external, sdk-cli)"),
                ("x-claude-code-session-id", "s"),
                ("x-stainless-retry-count", "0"),
            ]
        );
    }

    #[test]
    fn a_key_that_cannot_stand_in_a_header_goes_nowhere() {
        assert!(onward(HeaderMap::new(), &"sk\n1".into()).is_none());
    }

    #[test]
    fn an_answers_headers_go_back() {
        let given = [
            ("request-id", "req_1"),
            ("retry-after", "5"),
            ("content-length", "7"),
            ("set-cookie", "a=b"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
        ];
        let body = |form, coding| Body { form, coding };
        let json = back(headers(&given), body(Form::Json, Coding::Identity));
        let want = [("request-id", "req_1"), ("retry-after", "5"), ("content-length", "7")];
        assert_eq!(list(&json), want);
        let decoded = back(headers(&given), body(Form::Json, Coding::Gzip));
        assert_eq!(list(&decoded), [("request-id", "req_1"), ("retry-after", "5")]);
        let stream = back(headers(&given), body(Form::Stream, Coding::Identity));
        let want = [("request-id", "req_1"), ("retry-after", "5"), ("x-accel-buffering", "no")];
        assert_eq!(list(&stream), want);
    }

    #[test]
    fn forms_by_content_type() {
        for (value, want) in [
            ("application/json", Form::Json),
            ("Application/JSON; charset=utf-8", Form::Json),
            ("text/event-stream; charset=utf-8", Form::Stream),
            ("text/html", Form::Other),
            ("", Form::Other),
        ] {
            let headers: HeaderMap =
                [(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(Form::of(&headers), want, "value = {value}");
        }
        assert_eq!(Form::of(&HeaderMap::new()), Form::Other);
    }

    #[test]
    fn answers_that_are_not_passed() {
        let json = ("content-type", "application/json");
        let secret = "anthropic".parse().unwrap();
        let body = |form, coding| Ok(Body { form, coding });
        for (status, given, want) in [
            (200, &[json][..], body(Form::Json, Coding::Identity)),
            (
                200,
                &[("content-type", "text/event-stream"), ("content-encoding", "br")],
                body(Form::Stream, Coding::Brotli),
            ),
            (429, &[json], body(Form::Json, Coding::Identity)),
            (502, &[("content-type", "text/html")], body(Form::Other, Coding::Identity)),
            (200, &[("content-type", "text/html")], Err(Unfit::Form)),
            (200, &[], Err(Unfit::Form)),
            (200, &[json, ("content-encoding", "gzip, br")], Err(Unfit::Coding)),
            (500, &[json, ("content-encoding", "x")], Err(Unfit::Coding)),
            (307, &[("location", "https://elsewhere")], Err(Unfit::Redirect)),
            (304, &[], Err(Unfit::Redirect)),
            (101, &[], Err(Unfit::Redirect)),
            (401, &[json], Err(Unfit::Credential { secret: "anthropic".parse().unwrap() })),
            (403, &[json], Err(Unfit::Forbidden { secret: "anthropic".parse().unwrap() })),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status, &headers(given), &secret), want, "{status} {given:?}");
        }
    }
}
