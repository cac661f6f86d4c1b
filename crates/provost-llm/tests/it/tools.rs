//! Tool calls in answers: what leaves, what the model is told, and what is recorded.

use provost_ledger::{Event, Record};
use provost_scripted::{Block, Message, Script};
use serde_json::{Value, json};

use crate::world::{Form, World, message, post, tell};

const MODEL: &str = "claude-opus-5-5";

/// Everything but Bash.
const NO_BASH: &str = r#"
    permit (principal, action, resource);
    @id("no-bash") @reason("ask a person to run it")
    forbid (principal, action == Tool::Action::"call", resource == Tool::Tool::"Bash");
"#;

fn call(id: &str, name: &str) -> Block {
    let input = json!({"file_path": "/tmp/a", "command": "ls"});
    Block::ToolUse { id: id.to_owned(), name: name.to_owned(), input }
}

/// Asks for `calls` first; says "Then not." when it is told that they were denied.
fn script(calls: Vec<Block>) -> Script {
    Script::new(move |seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let stream = body["stream"] == true;
        let last = body["messages"].as_array().unwrap().last().unwrap().clone();
        if last["content"][0]["type"] == "tool_result" {
            return Message::text(MODEL, "Then not.").play(stream);
        }
        let front = Message::tool_use(MODEL, "x", "y", json!({}));
        Message { blocks: calls.clone(), ..front }.play(stream)
    })
}

/// The blocks of an answer in either form, each on one line.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<Value> = Vec::new();
    if let Ok(whole) = serde_json::from_str::<Value>(text) {
        blocks = whole["content"].as_array().unwrap().clone();
    }
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let data: Value = serde_json::from_str(data).unwrap();
        if data["type"] == "content_block_start" {
            assert_eq!(data["index"], blocks.len(), "numbered in order");
            blocks.push(data["content_block"].clone());
        }
        if let Some(more) = data["delta"]["text"].as_str() {
            let block = blocks.last_mut().unwrap();
            let said = block["text"].as_str().unwrap().to_owned() + more;
            block["text"] = said.into();
        }
    }
    let tell = |block: &Value| match block["type"].as_str().unwrap() {
        "text" => block["text"].as_str().unwrap().to_owned(),
        kind => format!("{kind} {}", block["name"].as_str().unwrap()),
    };
    blocks.iter().map(tell).collect()
}

/// What was recorded of tool calls, each on one line.
async fn recorded(world: &World) -> Vec<String> {
    let mut asked = std::collections::HashMap::new();
    let mut lines = Vec::new();
    for entry in world.journal.read(0, 10_000).await.unwrap() {
        let event = Event::decode(&entry).unwrap();
        match event.record {
            Record::Intent(intent) if intent.plane == "tool" => {
                let id = intent.correlation.tool_use.unwrap();
                assert!(intent.correlation.asked_in.is_some());
                lines.push(format!("allowed {} {id}", intent.resource_id));
                asked.insert(event.subject.action.unwrap(), id);
            }
            Record::Refusal(refused) => {
                let intent = refused.intent.unwrap();
                lines.push(format!("{} {}", refused.code, intent.resource_id));
            }
            Record::Outcome(outcome) => {
                if let Some(id) = asked.get(&event.subject.action.unwrap()) {
                    lines.push(format!("{} {id}", outcome.status.as_str()));
                }
            }
            Record::Intent(_) | Record::Admin(_) | Record::Session(_) | Record::Server(_) => {}
            Record::Approval(approval) => lines.push(format!("approval {}", approval.step)),
            Record::Witness(_) | Record::Alert(_) => lines.push("does not fit".to_owned()),
        }
    }
    lines
}

#[tokio::test]
async fn a_denied_call_never_leaves_and_the_model_goes_on() {
    for form in [Form::Json, Form::Stream] {
        let world = World::governed(script(vec![call("toolu_1", "Bash")]), NO_BASH).await;
        let (got, outcome) = world.message(MODEL, form).await;
        let blocks = blocks(got.text());
        assert_eq!(blocks.len(), 2, "{form:?}: {}", got.text());
        assert!(blocks[0].starts_with("[Provost did not let this tool call happen: Bash"));
        assert!(blocks[0].contains("ask a person to run it"), "{}", blocks[0]);
        assert_eq!(blocks[1], "Then not.");
        assert!(!got.text().contains("toolu_1"), "{}", got.text());
        let want = "succeeded 200 in=50 out=24 Bash(toolu_1) end_turn";
        assert_eq!(tell(outcome.as_ref()), want, "{form:?}");
        assert_eq!(recorded(&world).await, ["denied Bash"], "{form:?}");
        // The model was told, behind the conversation that the client knows.
        let asked = world.upstream.requests().pop().unwrap();
        let asked: Value = serde_json::from_slice(&asked.body).unwrap();
        let messages = asked["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[1]["content"][0]["id"], "toolu_1");
        assert_eq!(messages[2]["content"][0]["tool_use_id"], "toolu_1");
        world.close().await;
    }
}

#[tokio::test]
async fn among_several_calls_only_the_denied_is_replaced() {
    for form in [Form::Json, Form::Stream] {
        let calls = vec![call("a", "Read"), call("b", "Bash"), call("c", "Read")];
        let world = World::governed(script(calls), NO_BASH).await;
        let (got, _) = world.message(MODEL, form).await;
        let blocks = blocks(got.text());
        assert_eq!((&*blocks[0], &*blocks[2]), ("tool_use Read", "tool_use Read"));
        assert!(blocks[1].starts_with("[Provost"), "{blocks:?}");
        let want = ["allowed Read a", "denied Bash", "allowed Read c"];
        assert_eq!(recorded(&world).await, want, "{form:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn a_result_closes_its_call_once() {
    let world =
        World::governed(script(vec![call("a", "Read"), call("b", "Read")]), NO_BASH).await;
    world.message(MODEL, Form::Stream).await;
    let results = json!({"model": MODEL, "max_tokens": 9, "messages": [
        {"role": "user", "content": "hello"},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "x"},
            {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": true},
            {"type": "tool_result", "tool_use_id": "unheard-of", "content": "x"},
        ]},
    ]});
    for _ in 0..2 {
        world.ask(post("/v1/messages", results.to_string())).await;
    }
    let lines = recorded(&world).await;
    let closed: Vec<_> = lines.iter().filter(|line| !line.starts_with("allowed")).collect();
    assert_eq!(closed, ["succeeded a", "failed b", "does not fit"]);
    world.close().await;
}

#[tokio::test]
async fn a_model_that_insists_is_stopped() {
    let insists = Script::new(|seen| {
        let stream = seen.body.windows(13).any(|window| window == br#""stream":true"#);
        Message::tool_use(MODEL, "toolu_1", "Bash", json!({"command": "ls"})).play(stream)
    });
    for form in [Form::Json, Form::Stream] {
        let world = World::governed(insists.clone(), NO_BASH).await;
        let (got, outcome) = world.ask(message(MODEL, form)).await;
        assert_eq!(blocks(got.text()).len(), 5, "{}", got.text());
        assert!(got.text().contains(r#""end_turn""#), "{}", got.text());
        assert_eq!(world.upstream.requests().len(), 5);
        assert!(tell(outcome.as_ref()).starts_with("succeeded 200 in=125 out=60"));
        world.close().await;
    }
}
