//! What ends approvals by itself: time, a kill, the end of a session. And whom time adds.

use provost_store::{ApprovalRow, ApprovalState, GateRow, Reach};
use provost_types::{Causes, Timestamp};

use super::{Approvals, Step, subject};
use crate::{By, DirectoryError, LedgerDown};

/// An end that could not be written down; the next sweep tries again.
#[derive(Debug, thiserror::Error)]
enum EndError {
    #[error(transparent)]
    Ledger(#[from] LedgerDown),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Approvals {
    /// Ends what is over, and asks the next group where nobody answered.
    pub(crate) async fn sweep(&self) {
        let now = self.recorder.clock.wall();
        self.book.lock().forget_spent(now);
        let over = self.book.lock().select(|row| self.end_of(row, now).is_some());
        for row in over {
            if let Err(error) = self.end(&row, now).await {
                tracing::error!(approval = %row.id, error = %Causes(&error), "approval not ended yet");
                return;
            }
        }
        let late = self.book.lock().select(|row| !self.passed_on(row, now).is_empty());
        for row in late {
            if let Err(error) = self.pass_on(&row, now).await {
                tracing::error!(approval = %row.id, error = %Causes(&error), "approval not passed on yet");
                return;
            }
        }
    }

    async fn end(&self, row: &ApprovalRow, now: Timestamp) -> Result<(), EndError> {
        let _turn = self.changing.lock().await;
        // Somebody may have answered since.
        let Some(row) = self.book.lock().get(row.id) else { return Ok(()) };
        let Some((state, note)) = self.end_of(&row, now) else { return Ok(()) };
        let row = ApprovalRow { state, note: note.clone(), closed_at: Some(now), ..row };
        let name = if state == ApprovalState::Cancelled { "cancelled" } else { "expired" };
        let step = Step { name, by: By::provost().to_string(), told: [("why", note)] };
        self.record(&row, subject(&row), step, None).await?;
        self.keep(row).await.map_err(DirectoryError::from)?;
        Ok(())
    }

    /// How an approval ends now, if it does, and why.
    fn end_of(&self, row: &ApprovalRow, now: Timestamp) -> Option<(ApprovalState, String)> {
        if !row.state.is_live() {
            return None;
        }
        let killed = {
            let state = self.directory.state.read();
            state.tree.killed(&row.project, &row.agent, row.session)
        };
        if let (Some(sentence), true) = (killed, row.state != ApprovalState::Denied) {
            return Some((ApprovalState::Cancelled, sentence));
        }
        let is_session_over = row.state == ApprovalState::Approved
            && row.reach == Reach::Session
            && !self.directory.state.read().sessions.contains_key(&row.session);
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

    async fn pass_on(&self, row: &ApprovalRow, now: Timestamp) -> Result<(), EndError> {
        let _turn = self.changing.lock().await;
        let Some(mut row) = self.book.lock().get(row.id) else { return Ok(()) };
        let more = self.passed_on(&row, now);
        for (policy, group) in &more {
            let gates = row.gates.iter_mut().filter(|gate| gate.policy == *policy);
            gates.for_each(|gate| gate.groups.push(group.clone()));
        }
        let groups: Vec<&str> = more.iter().map(|(_, group)| group.as_str()).collect();
        let told = [("groups", groups.join(", "))];
        let step = Step { name: "escalated", by: By::provost().to_string(), told };
        self.record(&row, subject(&row), step, None).await?;
        self.keep(row).await.map_err(DirectoryError::from)?;
        Ok(())
    }

    /// The groups that have to be asked as well by now, each with its gate.
    fn passed_on(
        &self,
        row: &ApprovalRow,
        now: Timestamp,
    ) -> Vec<(provost_types::PolicyId, String)> {
        if row.state != ApprovalState::Waiting {
            return Vec::new();
        }
        let current = self.policies.current();
        let approvers = current.policies.approvers();
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
}
