//! Tool calls of stock Claude Code, decided in the model's stream alone.

use http::StatusCode;
use provost_scripted::{Block, Message, Play, Script, Step};
use serde_json::{Value, json};

use crate::{
    claude_code::{claude, ended, result},
    client,
    world::{MODEL, World, told},
};

/// A model that wants to push; that, denied, says hello instead; and that is content then.
pub(crate) fn wants_to_push() -> Script {
    Script::new(|seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        let new = messages.iter().rev().take_while(|message| message["role"] != "assistant");
        let mut blocks = new.filter_map(|message| message["content"].as_array()).flatten();
        let result = blocks.find(|block| block["type"] == "tool_result");
        let call = |id: &str, command: &str| Block::ToolUse {
            id: id.to_owned(),
            name: "Bash".to_owned(),
            input: json!({"command": command, "description": "as asked"}),
        };
        let text = |text: &str| Block::Text { text: text.to_owned() };
        let blocks = match result {
            _ if !offered => vec![text("A title")],
            None => vec![text("I push it."), call("toolu_push", "touch pushed && git push")],
            Some(denied) if denied["is_error"] == true => {
                vec![text("Then I only say hello."), call("toolu_hello", "echo hello")]
            }
            Some(_) => vec![text("All is done that I may do.")],
        };
        let waits = blocks.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        let stop_reason = if waits { "tool_use" } else { "end_turn" };
        // Claude Code takes messages of one id for one message.
        let id = format!("msg_{}", seen.order);
        let message = Message { id, blocks, stop_reason, ..Message::text(MODEL, "") };
        match body["stream"] == true {
            true => Play::stream(message.events().into_iter().map(Step::Send)),
            false => Play::json(StatusCode::OK, message.json()),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_is_not_made_the_model_reads_why_and_the_run_goes_on() {
    let Some(program) = client::claude() else { return };
    let mut world = World::start_without_pushes(wants_to_push()).await;
    let output = ended(claude(&world, &program, MODEL)).await;
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(result(&output)["result"], "All is done that I may do.", "{}", told(&output));
    assert!(!world.folder().join("home/pushed").exists(), "nothing of the call was made");

    // The model was told in the words of the policy.
    let told_so = world.upstream.requests().iter().any(|seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        body.contains("nobody pushes from here") && body.contains("toolu_push")
    });
    assert!(told_so);

    let refusals = world.events("refusal").await;
    let refused = &refusals[0]["record"]["refusal"];
    assert_eq!((refusals.len(), &refused["code"]), (1, &json!("denied")), "{refusals:?}");
    assert_eq!(refused["intent"]["correlation"]["tool_use"], "toolu_push");
    assert_eq!(refused["intent"]["decision"]["policies"], json!(["base.push", "no-push"]));
    assert_eq!(refused["intent"]["context"]["commands"], json!(["git push", "touch"]));
    let (intents, outcomes) = world.concluded().await;
    let call = |event: &&Value| event["record"]["intent"]["plane"] == "tool";
    let calls: Vec<_> = intents.iter().filter(call).collect();
    assert_eq!(calls.len(), 1, "{intents:?}");
    assert_eq!(calls[0]["record"]["intent"]["correlation"]["tool_use"], "toolu_hello");
    let action = &calls[0]["subject"]["action"];
    let outcome = outcomes.iter().find(|event| event["subject"]["action"] == *action).unwrap();
    assert_eq!(outcome["record"]["outcome"]["status"], "succeeded");
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}
