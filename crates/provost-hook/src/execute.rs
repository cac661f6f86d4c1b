//! One admitted post: a tool call is decided, a result is recorded, the rest is noted.

use bytes::Bytes;
use http::Response;
use provost_gateway::{HttpFrame, ToolCall};
use provost_pipeline::{Malformed, Permit, Refusal, RefusalCode, Reply};
use provost_types::{Outcome, Status};

use crate::{
    patience::Patience,
    refuse,
    wire::{About, Post},
};

/// Does what `permit` is for.
pub(crate) async fn execute(
    permit: &Permit,
    (post, patience): (Result<&Post, &Malformed>, Patience),
    reply: &mut Reply<HttpFrame>,
) -> Outcome {
    let answer = match post {
        Ok(post) => answer(permit, post, (patience, reply)).await,
        // Cannot be: what is malformed was not admitted.
        Err(malformed) => {
            return Outcome::because(Status::Failed, malformed.message.clone());
        }
    };
    let mut outcome = Outcome::new(Status::Succeeded);
    outcome.code = Some(answer.status().as_u16());
    let mut sink = permit.result_sink();
    sink.update(answer.body()).await;
    sink.finish(&mut outcome).await;
    if reply.send(HttpFrame::Whole(answer)).await.is_err() {
        // The client waits no longer: Claude Code then runs the tool, or blocks, as it is set.
        outcome.status = Status::Aborted;
        outcome.reason = Some("the client left before it was answered".to_owned());
    }
    outcome
}

/// Whether the client ends here, and asks again when it is resumed.
fn is_put_off(refusal: &Refusal, patience: Patience) -> bool {
    refusal.code == RefusalCode::Held && patience == Patience::Defers
}

async fn answer(
    permit: &Permit,
    post: &Post,
    (patience, reply): (Patience, &Reply<HttpFrame>),
) -> Response<Bytes> {
    match &post.about {
        About::Call { id, name, input, folder } => {
            let call = ToolCall { id, name, input: input.get(), folder: folder.as_deref() };
            let mut action = call.action();
            action.correlation.client_session.clone_from(&post.client_session);
            action.correlation.subagent.clone_from(&post.subagent);
            return match permit.tool_call(action, patience.held(), reply.gone()).await {
                Ok(call) => refuse::allow(permit.action(), &call, input),
                Err(refusal) if is_put_off(&refusal, patience) => refuse::defer(&refusal),
                Err(refusal) => refuse::refuse(Some(&post.event), &refusal),
            };
        }
        About::Result { id, failed, result } => {
            permit.tool_result(id, *failed, result.get().as_bytes()).await;
        }
        About::Other => {}
    }
    refuse::no_opinion(permit.action())
}
