//! Waiting for people: as long as the client does, and no longer than the action may live.

use std::{future::Future, time::Duration};

use provost_store::ApprovalState;
use provost_types::{ApprovalId, Decision};
use tokio::{sync::watch, time::Instant};

use crate::{RefusalCode, Stop, refusal::Reason, run_tree::Path};

/// A place in front of an approval that waits.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: ApprovalId,
    pub(super) standing: watch::Receiver<ApprovalState>,
}

impl Ticket {
    /// Resolves when the approval waits no longer, and says how it stands then.
    async fn settled(&mut self) -> ApprovalState {
        let settled = self.standing.wait_for(|state| *state != ApprovalState::Waiting).await;
        // An error: the approval is forgotten, so it does not wait either.
        settled.map_or(ApprovalState::Cancelled, |state| *state)
    }
}

/// How long somebody still waits for people, over all that they are asked.
#[derive(Debug)]
pub(crate) struct Waiting {
    until: Instant,
}

impl Waiting {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { until: Instant::now().checked_add(patience).unwrap_or_else(Instant::now) }
    }

    /// Waits until the approval is settled; then the action has to be decided again. `gone`
    /// resolves when nobody waits any more.
    ///
    /// # Errors
    ///
    /// Nobody answered in time, the patience is over, or the action has to stop: the reason
    /// says so to the agent.
    pub(crate) async fn settled(
        &self,
        mut ticket: Ticket,
        (path, decision): (&Path, &Decision),
        gone: impl Future<Output = ()>,
    ) -> Result<(), Reason> {
        let id = ticket.id;
        tokio::select! {
            biased;
            stop = path.stopped() => Err(stopped(&stop)),
            () = gone => Err(held(id, decision)),
            settled = tokio::time::timeout_at(self.until, ticket.settled()) => match settled {
                Ok(ApprovalState::Expired) => Err(unanswered(id)),
                Ok(_) => Ok(()),
                Err(_patience_is_over) => Err(held(id, decision)),
            },
        }
    }
}

fn stopped(stop: &Stop) -> Reason {
    let code = match stop {
        Stop::Killed(_) => RefusalCode::Killed,
        Stop::Ended(_) => RefusalCode::SessionOver,
        Stop::ShuttingDown => RefusalCode::Stopping,
    };
    Reason::new(code, stop.sentence())
}

/// What the agent is told of an action that waits.
fn held(approval: ApprovalId, decision: &Decision) -> Reason {
    let sentence = format!(
        "{}; approval {approval} waits for them (`provost approvals show {approval}`). Do not \
         try another way. Ask for the very same again once it is given",
        decision.reason
    );
    Reason::new(RefusalCode::Held, sentence)
}

/// What the agent is told where the time of the approval itself ran out.
fn unanswered(approval: ApprovalId) -> Reason {
    let sentence = format!("nobody answered approval {approval} in time, so it is denied");
    Reason::new(RefusalCode::Denied, sentence)
}
