//! One row, one request, one action.

use bytes::Bytes;
use http::{Method, Request, request::Parts};
use provost_pipeline::MalformedKind;
use provost_types::{Action, Correlation, Value};

use super::{BETAS_MAX, classify};

const BODY: &str =
    r#"{"model":"m","max_tokens":5,"stream":true,"tools":[{},{}],"messages":[]}"#;

fn parts(method: Method, target: &str, headers: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri(target);
    let request =
        headers.iter().fold(request, |request, &(name, value)| request.header(name, value));
    request.body(()).unwrap().into_parts().0
}

fn post(target: &str, body: &'static str, headers: &[(&str, &str)]) -> Action {
    classify(&parts(Method::POST, target, headers), &Bytes::from_static(body.as_bytes()))
        .unwrap()
}

/// The action, as one line.
fn line(action: &Action) -> String {
    let Action { plane, verb, resource, context, arguments, .. } = action;
    let context: Vec<_> =
        context.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let arguments = String::from_utf8_lossy(arguments);
    format!("{plane} {verb} {resource} [{}] {arguments}", context.join(" "))
}

#[test]
fn every_verb() {
    let message = concat!(
        r#"llm message Llm::Model::"m" [model=Text("m") stream=Bool(true) betas=Texts([]) "#,
        "tools=Long(2) max_tokens=Long(5)] "
    )
    .to_owned()
        + BODY;
    let count = r#"llm count_tokens Llm::Model::"m" [model=Text("m") betas=Texts([])] "#
        .to_owned()
        + BODY;
    for (target, want) in [
        ("/v1/messages", &message),
        ("/v1/messages?beta=true", &message),
        ("http://gateway:8080/v1/messages?x=y&x=z", &message),
        ("/v1/messages/count_tokens?beta=true", &count),
    ] {
        assert_eq!(&line(&post(target, BODY, &[])), want, "target = {target}");
    }
    for target in ["/v1/models", "/v1/models?limit=1000", "/v1/models/claude-opus-5-5?x"] {
        let action = classify(&parts(Method::GET, target, &[]), &Bytes::new()).unwrap();
        assert_eq!(
            line(&action),
            format!(r#"llm list_models Llm::Catalog::"models" [] {target}"#)
        );
    }
    let bare = post("/v1/messages", r#"{"model":"m"}"#, &[]);
    assert_eq!(
        bare.context,
        [
            ("model", Value::Text("m".to_owned())),
            ("stream", Value::Bool(false)),
            ("betas", Value::Texts(Vec::new())),
            ("tools", Value::Long(0)),
        ]
    );
}

#[test]
fn what_is_no_route_of_ours_is_refused() {
    use MalformedKind::{Method as Verb, NotFound, Syntax};
    for (method, target, kind, words) in [
        (Method::GET, "/v1/messages", Verb, "use POST"),
        (Method::OPTIONS, "/v1/messages", Verb, "use POST"),
        (Method::POST, "/v1/models", Verb, "use GET"),
        (Method::DELETE, "/v1/models/m", Verb, "use GET"),
        (Method::POST, "/", NotFound, "Provost has no `/` here"),
        (Method::POST, "/v1/complete", NotFound, "Provost has no `/v1/complete` here"),
        (Method::POST, "/v1/files", NotFound, "POST /v1/messages"),
        (Method::POST, "/v1/messages/", NotFound, "POST /v1/messages"),
        (Method::POST, "/V1/messages", NotFound, "POST /v1/messages"),
        (Method::GET, "/v1/models/", NotFound, "GET /v1/models"),
        (Method::GET, "/v1/models/a/b", NotFound, "GET /v1/models"),
        (Method::POST, "/v1/messages/batches", NotFound, "Batches API"),
        (Method::GET, "/v1/messages/batches/b/results", NotFound, "Batches API"),
        (Method::POST, "/v1/messages%2Fcount_tokens", Syntax, "unusual way"),
        (Method::POST, "/v1/%6dessages", Syntax, "unusual way"),
        (Method::POST, "//v1/messages", Syntax, "unusual way"),
        (Method::POST, "/v1//messages", Syntax, "unusual way"),
        (Method::POST, "/v1/x/../messages", Syntax, "unusual way"),
        (Method::POST, "/v1/./messages", Syntax, "unusual way"),
        (Method::GET, "/v1/models/..", Syntax, "unusual way"),
    ] {
        let got = classify(&parts(method, target, &[]), &Bytes::from_static(BODY.as_bytes()));
        let got = got.unwrap_err();
        assert_eq!(got.kind, kind, "target = {target}");
        assert!(got.message.contains(words), "target = {target}, message = {}", got.message);
    }
}

#[test]
fn unclear_requests_are_refused() {
    for (headers, body, words) in [
        (&[("content-encoding", "gzip")][..], BODY, "content-encoding"),
        (&[("content-encoding", "identity, gzip")], BODY, "content-encoding"),
        (&[], r#"{"model":"m","max_tokens":-1}"#, "`max_tokens` must be a whole number"),
        (&[("anthropic-beta", "a b")], BODY, "`anthropic-beta`"),
        (&[("anthropic-beta", "caf\u{e9}")], BODY, "`anthropic-beta`"),
        (&[("anthropic-beta", &"b".repeat(129))], BODY, "`anthropic-beta`"),
    ] {
        let parts = parts(Method::POST, "/v1/messages", headers);
        let got = classify(&parts, &Bytes::from_static(body.as_bytes())).unwrap_err();
        assert_eq!(got.kind, MalformedKind::Syntax, "headers = {headers:?}");
        assert!(got.message.contains(words), "message = {}", got.message);
    }
    let body = Bytes::from_static(BODY.as_bytes());
    assert!(classify(&parts(Method::GET, "/v1/models", &[]), &body).is_err());
}

#[test]
fn betas_are_one_sorted_set() {
    let many = |count: usize| (0..count).map(|n| format!("b{n}")).collect::<Vec<_>>().join(",");
    for (headers, want) in [
        (&[("anthropic-beta", "b, a,,b ,")][..], &["a", "b"][..]),
        (&[("anthropic-beta", "c"), ("anthropic-beta", "a,c")], &["a", "c"]),
        (&[("anthropic-beta", "")], &[]),
    ] {
        let action = post("/v1/messages/count_tokens", BODY, headers);
        let want = Value::Texts(want.iter().map(|&beta| beta.to_owned()).collect());
        assert_eq!(action.context.last(), Some(&("betas", want)), "headers = {headers:?}");
    }
    let body = Bytes::from_static(BODY.as_bytes());
    for (count, fits) in [(BETAS_MAX, true), (BETAS_MAX + 1, false)] {
        let parts = parts(Method::POST, "/v1/messages", &[("anthropic-beta", &many(count))]);
        assert_eq!(classify(&parts, &body).is_ok(), fits, "count = {count}");
    }
}

#[test]
fn correlation_is_kept_where_it_prints() {
    const NAMED: &str =
        r#"{"model":"m","metadata":{"user_id":"{\"session_id\":\"from-body\"}"}}"#;
    let long = "x".repeat(129);
    for (headers, want) in [
        (&[][..], (Some("from-body"), None, None)),
        (
            &[
                ("x-claude-code-session-id", "s"),
                ("x-claude-code-agent-id", "a"),
                ("x-client-request-id", "r"),
            ],
            (Some("s"), Some("a"), Some("r")),
        ),
        (&[("x-claude-code-session-id", "a b")], (Some("from-body"), None, None)),
        (&[("x-claude-code-agent-id", &long)], (Some("from-body"), None, None)),
        (
            &[("x-client-request-id", "r"), ("x-client-request-id", "s")],
            (Some("from-body"), None, None),
        ),
    ] {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (client_session, subagent, client_request) = want;
        let want = Correlation {
            client_session: owned(client_session),
            subagent: owned(subagent),
            client_request: owned(client_request),
            ..Correlation::default()
        };
        assert_eq!(post("/v1/messages", NAMED, headers).correlation, want, "{headers:?}");
    }
}
