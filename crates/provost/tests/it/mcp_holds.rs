//! A call of an MCP tool that waits for people: stock Claude Code goes on where it waited.

use std::process::Stdio;

use serde_json::json;

use crate::{
    claude_code::result,
    mcp::{Form, Served, claude, told_to_model, wants_to_push},
    world::{eventually, told},
};

const GATE: &str = r#"
@id("hold-read") @approvers("approvers") @reason("pages are read with care")
forbid (principal, action == Mcp::Action::"call", resource == Mcp::Tool::"fake/read")
unless { context.approved };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_held_mcp_call_goes_on_in_the_same_request_once_it_is_approved() {
    for form in [Form::Json, Form::Stream] {
        let Some(served) = Served::start(wants_to_push(), form).await else { return };
        let world = &served.world;
        let before = world.done(&["policy", "show"]).await;
        world.policy("hold", GATE);
        eventually("the gate is in force", async || {
            (world.done(&["policy", "show"]).await != before).then_some(())
        })
        .await;
        let server = json!({"type": "http", "url": "${PROVOST_GATEWAY}/mcp/fake",
            "headers": {"Authorization": "Bearer ${PROVOST_CREDENTIAL}"}});
        let Some(mut command) = claude(&served, &server) else { return };
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = world.held().await;
        assert_eq!(served.notes(), "", "nothing was run");
        world.done(&["approvals", "approve", &id]).await;
        let output = run.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(result(&output)["result"], "I have read it.", "{}", told(&output));
        assert_eq!(served.notes(), "read acme/site\n", "{form:?}");
        let read = told_to_model(world);
        assert!(read[1].contains("acme/site holds a page"), "{read:#?}");
        assert!(world.events("alert").await.is_empty());
    }
}
