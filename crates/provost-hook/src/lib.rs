//! Claude Code's hooks: early decision and second witness of local tools.
//!
//! Emits `report`, one for each post, and decides the tool calls that `PreToolUse` tells of as
//! actions of plane `tool`. Context and early refusal, not the boundary: a client that does
//! not post is not stopped here. Source: the hooks reference of Claude Code, and
//! measurements with 2.1.330, where any status but 200 lets the tool run.

mod classify;
mod execute;
mod patience;
mod refuse;
mod wire;

use provost_gateway::{HttpAsk, HttpFrame, HttpPlane};
use provost_pipeline::{Gateway, Malformed, Permit, Presented, Refusal, Reply};
use provost_types::{Action, Outcome};

use patience::Patience;
pub use patience::{DEFER_HEADER, WAIT_HEADER};
use wire::Post;

/// Where hooks are posted to.
pub const PATH: &str = "/hook";

/// The hook plane; it has no upstream.
#[derive(Clone, Copy, Debug)]
pub struct HookPlane;

impl HttpPlane for HookPlane {
    type Gateway = Hook;

    fn gateway(&self, ask: &HttpAsk) -> Hook {
        Hook { post: Post::read(&ask.body) }
    }
}

/// One post's gateway: what was posted, as far as it could be read.
#[derive(Debug)]
pub struct Hook {
    post: Result<Post, Malformed>,
}

impl Gateway for Hook {
    type Ask = HttpAsk;
    type Answer = HttpFrame;

    fn present(&self, ask: &HttpAsk) -> Presented {
        provost_gateway::present(&ask.parts.headers)
    }

    fn classify(&self, ask: &HttpAsk) -> Result<Action, Malformed> {
        classify::classify(&ask.parts, self.post.as_ref(), &ask.body)
    }

    async fn execute(
        &mut self,
        permit: &Permit,
        ask: HttpAsk,
        reply: &mut Reply<HttpFrame>,
    ) -> Outcome {
        let patience = Patience::of(&ask.parts.headers);
        execute::execute(permit, (self.post.as_ref(), patience), reply).await
    }

    fn refuse(&self, refusal: &Refusal) -> HttpFrame {
        let event = self.post.as_ref().ok().map(|post| post.event.as_str());
        HttpFrame::Whole(refuse::refuse(event, refusal))
    }
}
