//! The default script and what the endpoint keeps.

use http::{Method, StatusCode};
use provost_scripted::{Play, Script, Scripted};
use serde_json::{Value, json};

use crate::client::{ask, question, read, send};

fn turn(tools: &[&str], results: &[Value], stream: bool) -> Value {
    let mut request = question("claude-opus-5-5", stream);
    request["tools"] = tools.iter().map(|name| json!({ "name": name })).collect();
    for result in results {
        let messages = request["messages"].as_array_mut().unwrap();
        messages.push(json!({ "role": "assistant", "content": [{ "type": "tool_use" }] }));
        let block = json!({ "type": "tool_result", "tool_use_id": "t", "content": result });
        messages.push(json!({ "role": "user", "content": [block] }));
        messages.push(json!({ "role": "system", "content": "a reminder" }));
    }
    request
}

#[tokio::test]
async fn an_agent_with_a_shell_is_led_through_the_commands() {
    let scripted = Scripted::start(Script::conversation(["first", "second"])).await.unwrap();
    let one = json!("one");
    let two = json!([{ "type": "text", "text": "two" }]);

    for (tools, results, want) in [
        (&["Read", "Bash"][..], &[][..], "first"),
        (&["Bash"], std::slice::from_ref(&one), "second"),
        (&["Bash"], &[one.clone(), two.clone()], "The command printed: two"),
        (&["Read"], &[], "This is the scripted model."), // no shell: nothing to run
        (&[], &[], "This is the scripted model."),       // a side request
    ] {
        let reply = ask(&scripted, turn(tools, results, false)).await.json();
        let block = &reply["content"][0];
        let (said, stop) = match block["type"].as_str().unwrap() {
            "tool_use" => (&block["input"]["command"], "tool_use"),
            _ => (&block["text"], "end_turn"),
        };
        assert_eq!((said, &reply["stop_reason"]), (&json!(want), &json!(stop)));
    }
    scripted.stop().await;
}

#[tokio::test]
async fn a_stream_carries_the_same_call_as_the_whole_reply() {
    let scripted = Scripted::start(Script::default()).await.unwrap();
    let reply = ask(&scripted, turn(&["Bash"], &[], true)).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream; charset=utf-8");
    let events = reply.events();
    assert_eq!(events.first().map(String::as_str), Some("message_start"));
    assert_eq!(events.last().map(String::as_str), Some("message_stop"));

    let text = reply.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let values = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
    let partial = values.filter_map(|v| Some(v["delta"]["partial_json"].as_str()?.to_owned()));
    let input: Value = serde_json::from_str(&partial.collect::<String>()).unwrap();
    assert_eq!(input["command"], "echo hello from the agent");
}

#[tokio::test]
async fn every_route_answers_in_the_apis_own_form() {
    let scripted = Scripted::start(Script::default()).await.unwrap();
    for (method, path, body, status, key) in [
        (Method::HEAD, "/", "", 200, None),
        (Method::GET, "/v1/models?limit=1000", "", 200, Some("/data/0/id")),
        (Method::POST, "/v1/messages/count_tokens", "{\"a\":1}", 200, Some("/input_tokens")),
        (Method::POST, "/v1/messages", "not json", 400, Some("/error/type")),
        (Method::POST, "/v1/messages", "{\"model\":\"m+odd\"}", 404, Some("/error/message")),
        (Method::GET, "/v2", "", 404, Some("/error/type")),
    ] {
        let reply = read(send(scripted.address(), method, path, body).await.unwrap()).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        assert!(reply.headers.contains_key("request-id"), "{path}");
        if let Some(key) = key {
            assert!(reply.json().pointer(key).is_some(), "{path}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn requests_are_kept_as_they_came_up_to_the_bound_and_counted_beyond() {
    let scripted = Scripted::start(Script::default().seen_max(1)).await.unwrap();
    let body = question("claude-opus-5-5", false);
    drop(ask(&scripted, body.clone()).await);
    drop(ask(&scripted, body.clone()).await);

    let requests = scripted.requests();
    let [seen] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((seen.order, &seen.method), (1, &Method::POST));
    assert_eq!(
        (seen.path.as_str(), seen.query.as_deref()),
        ("/v1/messages", Some("beta=true"))
    );
    assert_eq!(seen.header("host"), Some("scripted"));
    assert_eq!(seen.body, body.to_string());
    assert_eq!(scripted.request_count("/v1/messages"), 2);
    assert_eq!(scripted.request_count("/v1/models"), 0);
    scripted.requests_reach(2).await;
}

#[tokio::test]
async fn a_closure_may_answer_before_the_script_does() {
    let script = Script::default().unless(|seen| {
        let forbidden = seen.header("x-api-key").is_none() && seen.path == "/v1/messages";
        forbidden.then(|| Play::error(StatusCode::UNAUTHORIZED, "no key"))
    });
    let scripted = Scripted::start(script).await.unwrap();
    let reply = ask(&scripted, question("m", false)).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.json()["error"]["type"], "authentication_error");
}

#[tokio::test]
async fn the_fixed_script_answers_600_bytes_or_50_events() {
    let scripted = Scripted::start(Script::fixed()).await.unwrap();
    let whole = ask(&scripted, question("m", false)).await;
    assert!((550..=650).contains(&whole.body.len()), "{} bytes", whole.body.len());
    assert_eq!(whole.json()["type"], "message");
    assert_eq!(ask(&scripted, question("m", true)).await.events().len(), 50);
    assert!(scripted.requests().is_empty());
}
