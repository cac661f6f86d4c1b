//! One row for each method, both eras.

use bytes::Bytes;
use http::{Request, request::Parts};
use provost_types::Value;

use super::{Asked, any_call, climbs};
use crate::Server;

fn parts(method: &str, target: &str) -> Parts {
    let request = Request::builder().method(method).uri(target);
    let request = request.header("content-type", "application/json");
    request.body(()).unwrap().into_parts().0
}

/// The action of a request on server `s`, or why there is none, on one line.
fn told(parts: &Parts, body: &str) -> String {
    let server = Server::named("s", &["repo", "n"]);
    let body = Bytes::copy_from_slice(body.as_bytes());
    let asked = match Asked::read(parts, &body) {
        Ok(asked) => asked,
        Err(error) => return format!("! {:?}: {error}", error.malformed().kind),
    };
    match asked.action(&server, &body) {
        Err(malformed) => format!("! {:?}: {malformed}", malformed.kind),
        Ok(action) => {
            let mut line = format!("{} {}", action.verb, action.resource);
            for (name, value) in &action.context {
                match value {
                    Value::Text(text) => line.push_str(&format!(" {name}={text}")),
                    Value::Bool(_) | Value::Long(_) | Value::Texts(_) | Value::Tags(_) => {
                        line.push_str(&format!(" {name}={value:?}"));
                    }
                }
            }
            line.extend(action.correlation.tool_use.map(|id| format!(" {id}")));
            line
        }
    }
}

fn post(body: &str) -> String {
    told(&parts("POST", "/mcp/s"), body)
}

fn request(method: &str, params: &str) -> String {
    post(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#))
}

fn notification(method: &str) -> String {
    post(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))
}

#[test]
fn without_sessions_there_is_no_subscribing() {
    for (version, method, want) in [
        ("2025-11-25", "resources/subscribe", "! Syntax: `uri` must be"),
        ("2026-07-28", "resources/subscribe", "! NotFound: "),
        ("2026-07-28", "resources/unsubscribe", "! NotFound: "),
        ("2026-07-28", "resources/templates/list", "list Mcp::Server::\"s\""),
    ] {
        let mut parts = parts("POST", "/mcp/s");
        for (name, value) in [("mcp-protocol-version", version), ("mcp-method", method)] {
            parts.headers.insert(name, http::HeaderValue::from_static(value));
        }
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
        let told = told(&parts, &body);
        assert!(told.starts_with(want), "{version} {method}: {told}");
    }
}

#[test]
fn a_row_for_each_method() {
    let on = |verb: &str| format!("{verb} Mcp::Server::\"s\"");
    for (method, params, want) in [
        ("initialize", "{}", on("open")),
        ("server/discover", "{}", on("open")),
        ("ping", "{}", on("open")),
        ("logging/setLevel", r#"{"level":"debug"}"#, on("open")),
        ("tools/list", "{}", on("list") + " what=tools"),
        ("resources/list", r#"{"cursor":"x"}"#, on("list") + " what=resources"),
        ("resources/templates/list", "{}", on("list") + " what=templates"),
        ("prompts/list", "{}", on("list") + " what=prompts"),
        ("tools/call", r#"{"name":"t"}"#, r#"call Mcp::Tool::"s/t" arguments=Tags({})"#.into()),
        ("resources/read", r#"{"uri":"x:/a"}"#, r#"read Mcp::Resource::"s/x:/a""#.into()),
        ("resources/subscribe", r#"{"uri":"x:a"}"#, r#"read Mcp::Resource::"s/x:a""#.into()),
        ("resources/unsubscribe", r#"{"uri":"x:a"}"#, r#"read Mcp::Resource::"s/x:a""#.into()),
        ("prompts/get", r#"{"name":"p"}"#, r#"get Mcp::Prompt::"s/p""#.into()),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p"}}"#,
            r#"complete Mcp::Prompt::"s/p""#.into(),
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"x:{a}"}}"#,
            r#"complete Mcp::Resource::"s/x:{a}""#.into(),
        ),
        ("tasks/get", "{}", on("task") + " what=get"),
        ("tasks/result", "{}", on("task") + " what=result"),
        ("tasks/update", "{}", on("task") + " what=update"),
        ("tasks/cancel", "{}", on("task") + " what=cancel"),
        ("tasks/list", "{}", on("task") + " what=list"),
        ("subscriptions/listen", "{}", on("listen")),
    ] {
        assert_eq!(request(method, params), want, "{method}");
    }
    for (method, want) in [
        ("notifications/initialized", on("open")),
        ("notifications/cancelled", on("notify") + " what=notifications/cancelled"),
        ("notifications/progress", on("notify") + " what=notifications/progress"),
        (
            "notifications/roots/list_changed",
            on("notify") + " what=notifications/roots/list_changed",
        ),
    ] {
        assert_eq!(notification(method), want, "{method}");
    }
    assert_eq!(post(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), on("answer"));
    assert_eq!(post(r#"{"jsonrpc":"2.0","id":1,"error":{}}"#), on("answer"));
    assert_eq!(told(&parts("GET", "/mcp/s"), ""), on("listen"));
    assert_eq!(told(&parts("DELETE", "/mcp/s"), ""), on("open"));
}

#[test]
fn what_is_not_known_is_refused() {
    for (got, want) in [
        (request("tools/evil", "{}"), "! NotFound: Provost does not carry `tools/evil`"),
        (request("Tools/call", "{}"), "! NotFound"),
        (request("notifications/initialized", "{}"), "! NotFound"),
        (notification("tools/call"), "! NotFound"), // some servers would do it
        (request("sampling/createMessage", "{}"), "! NotFound"),
        (post("[]"), "! Syntax: a batch"),
        (post(""), "! Syntax"),
        (request("tools/call", "{}"), "! Syntax: `name`"),
        (request("tools/call", r#"{"name":""}"#), "! Syntax: `name`"),
        (request("tools/call", r#"{"name":7}"#), "! Syntax: `name`"),
        (request("tools/call", r#"{"name":"a\n"}"#), "! Syntax: `name`"),
        (request("tools/call", r#"{"name":"a","arguments":[]}"#), "! Syntax: `arguments`"),
        (request("resources/read", r#"{"uri":"x:/a/../b"}"#), "! Syntax: `uri`"),
        (request("resources/read", r#"{"uri":""}"#), "! Syntax: `uri`"),
        (request("completion/complete", r#"{"ref":{"type":"x"}}"#), "! Syntax: `ref.type`"),
        (told(&parts("PUT", "/mcp/s"), ""), "! Method"),
        (told(&parts("GET", "/mcp/s"), "{}"), "! Syntax"),
        (told(&parts("GET", "/mcp/s?a=b"), ""), "! Syntax"),
    ] {
        assert!(got.starts_with(want), "{got:?} does not begin with {want:?}");
    }
}

#[test]
fn policy_sees_the_arguments_the_operator_names() {
    let call = |arguments: &str| {
        request("tools/call", &format!(r#"{{"name":"t","arguments":{arguments}}}"#))
    };
    for (arguments, want) in [
        ("{}", "Tags({})"),
        (r#"{"repo":"a/b","body":"x"}"#, r#"Tags({"repo": "a/b"})"#),
        (r#"{"n":5,"repo":""}"#, r#"Tags({"n": "5", "repo": ""})"#),
        (r#"{"n":[ 1, {"b":1,"a":2} ]}"#, r#"Tags({"n": "[1,{\"a\":2,\"b\":1}]"})"#),
        (r#"{"n":null}"#, r#"Tags({"n": "null"})"#),
        (r#"{"rep\u006f":"a"}"#, r#"Tags({"repo": "a"})"#),
    ] {
        assert_eq!(call(arguments), format!(r#"call Mcp::Tool::"s/t" arguments={want}"#));
    }
    assert!(call(r#"{"repo":"a","Repo":"b"}"#).contains("case only: write `repo`"));
    let long = format!(r#"{{"repo":"{}"}}"#, "a".repeat(5000));
    assert!(call(&long).contains("longer than 4096 bytes"));
}

#[test]
fn a_call_bears_the_models_id_and_its_own_arguments() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t",
        "arguments":{ "a" : 1 },"_meta":{"claudecode/toolUseId":"toolu_1"}}}"#;
    assert!(post(body).ends_with(" toolu_1"));
    let body = Bytes::from_static(body.as_bytes());
    let asked = Asked::read(&parts("POST", "/mcp/s"), &body).unwrap();
    let action = asked.action(&Server::named("s", &[]), &body).unwrap();
    assert_eq!(action.arguments, r#"{ "a" : 1 }"#);
    let any = any_call(&Server::named("s", &[]), "t");
    assert_eq!((any.verb, any.resource), (action.verb, action.resource));
}

#[test]
fn uris_that_climb() {
    for (uri, want) in [
        ("file:///a/b.txt", false),
        ("file:///a/..b", false),
        ("file:///a/../b", true),
        ("file:///a/./b", true),
        ("file:///a/%2E%2e/b", true),
        ("file:///a%2f..%2Fb", true),
        ("file:///a\\b", true),
        ("file:///a%5cb", true),
        ("..", true),
        ("x:a?b=..", false),
        ("github://repo/{path}", false),
    ] {
        assert_eq!(climbs(uri), want, "{uri}");
    }
}
