//! The Anthropic Python SDK under `provost run`: JSON, streams, a tool loop, refusals.

use provost_scripted::Script;
use serde_json::Value;

use crate::{
    client,
    world::{AGENT, MODEL, World, told},
};

/// The loop a user of the SDK writes: ask, run the tool, answer, ask again.
const LOOP: &str = r#"
import sys, anthropic
client = anthropic.Anthropic()
tools = [{"name": "Bash", "description": "Runs a command",
          "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}]
messages = [{"role": "user", "content": "Say hello with echo."}]
for turn in range(4):
    asked = dict(model=sys.argv[1], max_tokens=1000, tools=tools, messages=messages)
    if sys.argv[2] == "stream":
        with client.messages.stream(**asked) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(**asked)
    messages.append({"role": "assistant", "content": answer.content})
    calls = [block for block in answer.content if block.type == "tool_use"]
    if not calls:
        print("answer:", "".join(block.text for block in answer.content if block.type == "text"))
        sys.exit(0)
    messages.append({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": call.id, "content": "hello from the agent\n"}
        for call in calls]})
sys.exit("never done")
"#;

/// Says which error the SDK raises, and how often it asked.
const REFUSED: &str = r#"
import sys, anthropic
try:
    anthropic.Anthropic().messages.create(
        model=sys.argv[1], max_tokens=10, messages=[{"role": "user", "content": "hello"}])
except anthropic.APIStatusError as error:
    print(type(error).__name__, error.status_code, error.message)
"#;

async fn python(world: &World, script: &str, arguments: &[&str]) -> Option<String> {
    let program = client::python()?;
    let front = ["run", "--agent", AGENT, "--", program.to_str().unwrap(), "-c", script];
    let output = world.run(&[&front[..], arguments].concat()).await;
    assert!(output.status.success(), "{}", told(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_completes_a_loop_with_a_tool_call() {
    let mut world = World::start(Script::default()).await;
    for how in ["json", "stream"] {
        let Some(said) = python(&world, LOOP, &[MODEL, how]).await else { return };
        assert!(said.contains("answer:"), "{how}: {said}");
    }
    let (intents, outcomes) = world.concluded().await;
    let is_call = |event: &&Value| event["record"]["intent"]["plane"] == "tool";
    let calls: Vec<_> =
        intents.iter().filter(is_call).map(|event| &event["subject"]["action"]).collect();
    assert_eq!((intents.len(), calls.len()), (6, 2), "two turns and a tool call, twice");
    for outcome in &outcomes {
        let is_call = calls.contains(&&outcome["subject"]["action"]);
        let outcome = &outcome["record"]["outcome"];
        assert_eq!(outcome["status"], "succeeded", "{outcome}");
        if is_call {
            continue; // what the client says of it: neither tokens nor a status of HTTP
        }
        assert!(outcome["usage"]["input"].as_u64().unwrap() > 0, "{outcome}");
        assert!(outcome["usage"]["output"].as_u64().unwrap() > 0, "{outcome}");
        assert!(outcome["result"].is_string(), "{outcome}");
    }
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_raises_at_the_first_request_with_our_words() {
    let world = World::start(Script::default()).await;
    let Some(said) = python(&world, REFUSED, &["gpt-9"]).await else { return };
    assert!(said.starts_with("PermissionDeniedError 403"), "{said}");
    assert!(said.contains("gpt-9"), "{said}");
    assert_eq!(world.events("refusal").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_upstream_is_never_reported_as_whole() {
    let world = World::start(Script::default()).await;
    for scene in ["eof-mid-stream", "close-mid-stream", "reset-mid-stream"] {
        let script = r#"
import sys, anthropic
try:
    with anthropic.Anthropic(max_retries=0).messages.stream(
            model=sys.argv[1], max_tokens=10,
            messages=[{"role": "user", "content": "hello"}]) as stream:
        print("whole:", stream.get_final_message().stop_reason)
except Exception as error:
    print("broken:", type(error).__name__)
"#;
        let model = format!("{MODEL}+{scene}");
        let Some(said) = python(&world, script, &[&model]).await else { return };
        assert!(said.starts_with("broken:"), "{scene}: {said}");
    }
}
