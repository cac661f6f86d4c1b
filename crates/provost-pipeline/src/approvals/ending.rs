//! What ends approvals by itself: time, a kill, the end of a session. And whom time adds.

use provost_decide::Approvers;
use provost_store::{ApprovalRow, ApprovalState, GateRow, Reach};
use provost_types::{Causes, PolicyId, Timestamp};

use super::{Approvals, NotChanged, Step, subject};
use crate::{By, directory::State};

impl Approvals {
    /// Ends what is over, and asks the next group where nobody answered.
    pub(crate) async fn sweep(&self) {
        let now = self.recorder.clock.wall();
        self.book.lock().forget_spent(now);
        let over = {
            let state = self.directory.state.read();
            self.book.lock().select(|row| end_of(row, &state, now).is_some())
        };
        for row in over {
            if let Err(error) = self.end(&row, now).await {
                tracing::error!(approval = %row.id, error = %Causes(&error), "approval not ended yet");
                return;
            }
        }
        let loaded = self.directory.policies.current();
        let approvers = loaded.policies.approvers();
        let late = self.book.lock().select(|row| !passed_on(row, approvers, now).is_empty());
        for row in late {
            if let Err(error) = self.pass_on(&row, approvers, now).await {
                tracing::error!(approval = %row.id, error = %Causes(&error), "approval not passed on yet");
                return;
            }
        }
    }

    async fn end(&self, row: &ApprovalRow, now: Timestamp) -> Result<(), NotChanged> {
        let _turn = self.changing.lock().await;
        // Somebody may have answered since.
        let Some(row) = self.book.lock().get(row.id) else { return Ok(()) };
        let end = end_of(&row, &self.directory.state.read(), now);
        let Some((state, note)) = end else { return Ok(()) };
        let row = ApprovalRow { state, note: note.clone(), closed_at: Some(now), ..row };
        let name = if state == ApprovalState::Cancelled { "cancelled" } else { "expired" };
        let step = Step::new(name, By::provost().to_string(), vec![("why", note)]);
        self.put_down(row.clone(), subject(&row), step).await
    }

    async fn pass_on(
        &self,
        row: &ApprovalRow,
        approvers: &Approvers,
        now: Timestamp,
    ) -> Result<(), NotChanged> {
        let _turn = self.changing.lock().await;
        let Some(mut row) = self.book.lock().get(row.id) else { return Ok(()) };
        let more = passed_on(&row, approvers, now);
        for (policy, group) in &more {
            let gates = row.gates.iter_mut().filter(|gate| gate.policy == *policy);
            gates.for_each(|gate| gate.groups.push(group.clone()));
        }
        let groups: Vec<&str> = more.iter().map(|(_, group)| group.as_str()).collect();
        let told = vec![("groups", groups.join(", "))];
        let step = Step::new("escalated", By::provost().to_string(), told);
        self.put_down(row.clone(), subject(&row), step).await
    }
}

/// How an approval ends now, if it does, and why.
fn end_of(row: &ApprovalRow, state: &State, now: Timestamp) -> Option<(ApprovalState, String)> {
    if !row.state.is_live() {
        return None;
    }
    let killed = state.tree.killed(&row.project, &row.agent, row.session);
    if let (Some(sentence), true) = (killed, row.state != ApprovalState::Denied) {
        return Some((ApprovalState::Cancelled, sentence));
    }
    let is_session_over = row.state == ApprovalState::Approved
        && row.reach == Reach::Session
        && !state.sessions.contains_key(&row.session);
    if is_session_over {
        return Some((ApprovalState::Expired, "its session is over".to_owned()));
    }
    let why = match row.state {
        ApprovalState::Waiting => "nobody answered in time",
        ApprovalState::Approved => "its time is over",
        ApprovalState::Denied
        | ApprovalState::Used
        | ApprovalState::Expired
        | ApprovalState::Cancelled
        | ApprovalState::Revoked => "the time of the no is over",
    };
    (row.expires_at <= now).then(|| (ApprovalState::Expired, why.to_owned()))
}

/// The groups that have to be asked as well by now, each with its gate.
fn passed_on(
    row: &ApprovalRow,
    approvers: &Approvers,
    now: Timestamp,
) -> Vec<(PolicyId, String)> {
    if row.state != ApprovalState::Waiting {
        return Vec::new();
    }
    let next_of = |gate: &GateRow| -> Vec<String> {
        let due = gate.groups.iter().filter_map(|name| {
            let (then, after) = approvers.next(name)?;
            let quiet = approvers.group(name).and_then(|group| group.quiet);
            let is_due = now.since(row.requested_at) >= after
                || quiet.is_some_and(|quiet| quiet.covers(now));
            (is_due && !gate.groups.iter().any(|one| one == then)).then(|| then.to_owned())
        });
        let mut due: Vec<_> = due.collect();
        due.sort();
        due.dedup();
        due
    };
    let of_gate = |gate: &GateRow| {
        let policy = gate.policy.clone();
        next_of(gate).into_iter().map(move |group| (policy.clone(), group))
    };
    row.gates.iter().flat_map(of_gate).collect()
}
