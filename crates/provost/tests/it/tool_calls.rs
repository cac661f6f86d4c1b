//! Tool calls of stock Claude Code, decided in the model's stream alone.

use provost_scripted::Script;
use serde_json::{Value, json};

use crate::{
    claude_code::{claude, ended, result},
    client,
    turn::{self, bash, text},
    world::{MODEL, World, told},
};

/// A model that wants to push; that, denied, says hello instead; and that is content then.
pub(crate) fn wants_to_push() -> Script {
    turn::model(|turn| match turn.result {
        _ if !turn.is_offered => vec![text("A title")],
        None => vec![text("I push it."), bash("toolu_push", "touch pushed && git push")],
        Some(denied) if denied["is_error"] == true => {
            vec![text("Then I only say hello."), bash("toolu_hello", "echo hello")]
        }
        Some(_) => vec![text("All is done that I may do.")],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_is_not_made_the_model_reads_why_and_the_run_goes_on() {
    let Some(program) = client::claude() else { return };
    let mut world = World::start_without_pushes(wants_to_push()).await;
    let output = ended(claude(&world, &program, MODEL)).await;
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(result(&output)["result"], "All is done that I may do.", "{}", told(&output));
    assert!(!world.pushed(), "nothing of the call was made");

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
