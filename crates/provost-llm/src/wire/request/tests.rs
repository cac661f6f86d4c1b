//! One row, one body, one reading.

use proptest::prelude::*;

use super::{Field, Request, RequestError, read};

fn named(model: &str) -> Request {
    Request { model: model.to_owned(), ..Request::default() }
}

#[test]
fn what_is_decided_on_is_read_and_the_rest_is_left_alone() {
    for (body, want) in [
        (r#"{"model":"m"}"#, named("m")),
        (r#" {"model":"m"} "#, named("m")),
        ("\r\n\t{\"model\":\"m\"}\n", named("m")),
        (r#"{"model":"m","stream":true}"#, Request { stream: true, ..named("m") }),
        (r#"{"model":"m","stream":false,"max_tokens":null,"tools":null}"#, named("m")),
        (r#"{"model":"m","max_tokens":0}"#, Request { max_tokens: Some(0), ..named("m") }),
        (
            r#"{"max_tokens":9007199254740991,"model":"m"}"#,
            Request { max_tokens: Some(9_007_199_254_740_991), ..named("m") },
        ),
        (
            r#"{"model":"m","tools":[{"name":"a"},{"name":"b","defer_loading":true},3]}"#,
            Request { tools: 3, ..named("m") },
        ),
        // An escaped key is the same key.
        (r#"{"mod\u0065l":"\u006d"}"#, named("m")),
        // Unknown fields, unknown roles, and keys given twice where we decide nothing.
        (
            r#"{"model":"m","messages":[{"role":"system","model":1,"model":2}],"k":1,"k":2}"#,
            named("m"),
        ),
        (r#"{"model":"m","metadata":{"user_id":"someone"}}"#, named("m")),
        (r#"{"model":"m","metadata":{"user_id":7}}"#, named("m")),
        (r#"{"model":"m","metadata":"x"}"#, named("m")),
        (
            r#"{"model":"m","metadata":{"user_id":"{\"device_id\":1,\"session_id\":\"s1\"}"}}"#,
            Request { client_session: Some("s1".to_owned()), ..named("m") },
        ),
        // An id that would not print is dropped, not refused.
        (r#"{"model":"m","metadata":{"user_id":"{\"session_id\":\"a\\nb\"}"}}"#, named("m")),
    ] {
        assert_eq!(read(body.as_bytes()), Ok(want), "body = {body}");
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    let broken = |line, column| RequestError::NotJson { line, column };
    for (body, want) in [
        (&b""[..], RequestError::NotAnObject),
        (b"  ", RequestError::NotAnObject),
        (b"[]", RequestError::NotAnObject),
        (b"\"model\"", RequestError::NotAnObject),
        (b"null", RequestError::NotAnObject),
        (b"\xef\xbb\xbf{\"model\":\"m\"}", RequestError::ByteOrderMark),
        (b"{\"model\":\"\xff\"}", RequestError::NotUtf8 { at: 10 }),
        // Not UTF-8 in a field that is not ours.
        (b"{\"model\":\"m\",\"x\":\"\xc3\"}", RequestError::NotUtf8 { at: 18 }),
        (b"{\"model\":\"m\"", broken(1, 12)),
        (b"{\"model\":\"m\"}{}", broken(1, 14)),
        (b"{\"model\":\"m\"} x", broken(1, 15)),
        (b"{\"model\":\"m\",}", broken(1, 14)),
        (b"{\"model\":\"m\",\"x\":01}", broken(1, 19)),
        (b"{\"model\":\"m\",\n\"x\":NaN}", broken(2, 5)),
        (b"{model:\"m\"}", broken(1, 2)),
        (b"{\"model\":\"a\",\"model\":\"b\"}", RequestError::Twice(Field::Model)),
        (b"{\"model\":\"a\",\"model\":\"a\"}", RequestError::Twice(Field::Model)),
        (b"{\"model\":null,\"model\":\"a\"}", RequestError::Twice(Field::Model)),
        (b"{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", RequestError::Twice(Field::Model)),
        (b"{\"stream\":true,\"stream\":true}", RequestError::Twice(Field::Stream)),
        (b"{\"max_tokens\":1,\"max_tokens\":2}", RequestError::Twice(Field::MaxTokens)),
        (b"{\"tools\":[],\"tools\":[1]}", RequestError::Twice(Field::Tools)),
        (b"{\"metadata\":{},\"metadata\":{}}", RequestError::Twice(Field::Metadata)),
        (b"{\"model\":\"a\",\"Model\":\"b\"}", RequestError::Case(Field::Model)),
        (b"{\"MAX_TOKENS\":1,\"model\":\"b\"}", RequestError::Case(Field::MaxTokens)),
    ] {
        assert_eq!(read(body), Err(want), "body = {}", body.escape_ascii());
    }
}

#[test]
fn a_value_that_cannot_be_decided_on_is_refused_by_name() {
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(257));
    for (body, want) in [
        (r#"{}"#, Field::Model),
        (r#"{"model":null}"#, Field::Model),
        (r#"{"model":""}"#, Field::Model),
        (r#"{"model":7}"#, Field::Model),
        (r#"{"model":["m"]}"#, Field::Model),
        (r#"{"model":"a\u0000b"}"#, Field::Model),
        (r#"{"model":"clаude"}"#, Field::Model), // a Cyrillic `а`
        (r#"{"model":"m "}"#, Field::Model),     // a trailing space that a reader may trim
        (&long, Field::Model),
        (r#"{"model":"m","stream":"true"}"#, Field::Stream),
        (r#"{"model":"m","stream":1}"#, Field::Stream),
        (r#"{"model":"m","max_tokens":-1}"#, Field::MaxTokens),
        (r#"{"model":"m","max_tokens":-0}"#, Field::MaxTokens),
        (r#"{"model":"m","max_tokens":1.0}"#, Field::MaxTokens),
        (r#"{"model":"m","max_tokens":1e3}"#, Field::MaxTokens),
        (r#"{"model":"m","max_tokens":"1"}"#, Field::MaxTokens),
        (r#"{"model":"m","max_tokens":9007199254740992}"#, Field::MaxTokens),
        (r#"{"model":"m","max_tokens":18446744073709551615}"#, Field::MaxTokens),
        (r#"{"model":"m","max_tokens":99999999999999999999999}"#, Field::MaxTokens),
        (r#"{"model":"m","tools":{}}"#, Field::Tools),
        (r#"{"model":"m","tools":"x"}"#, Field::Tools),
    ] {
        assert_eq!(read(body.as_bytes()), Err(RequestError::Value(want)), "body = {body}");
    }
}

#[test]
fn nesting_is_bounded_by_the_body_not_by_the_stack() {
    let deep = 1_000_000;
    let body =
        format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(deep), "]".repeat(deep));
    assert_eq!(read(body.as_bytes()), Ok(named("m")));
    let unclosed = format!(r#"{{"model":"m","messages":{}"#, r#"{"a":"#.repeat(deep));
    assert!(read(unclosed.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _read = read(&body);
    }

    #[test]
    fn no_bytes_inside_an_object_panic(
        inside in r#"["\\{}\[\],:a-z0-9.\-\u{0}-\u{ff}]{0,80}"#,
    ) {
        let _read = read(format!(r#"{{"model":{inside}}}"#).as_bytes());
    }

    /// What serde_json's own value says, where it reads the body at all.
    #[test]
    fn agrees_with_a_full_reader(
        model in "[a-z0-9.-]{1,20}",
        stream in any::<bool>(),
        max_tokens in 0..=super::MAX_TOKENS_MAX,
        tools in 0_usize..5,
    ) {
        let tool = serde_json::json!({"name": "t", "input_schema": {"max_tokens": -1}});
        let body = serde_json::json!({
            "tools": vec![tool; tools], "max_tokens": max_tokens,
            "stream": stream, "model": model,
        });
        let max_tokens = Some(max_tokens);
        let want = Request { model, stream, max_tokens, tools, client_session: None };
        prop_assert_eq!(read(body.to_string().as_bytes()), Ok(want));
    }
}
