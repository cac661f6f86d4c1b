//! The approvals that count, in memory. Pure.

use std::collections::HashMap;

use provost_store::{ApprovalRow, ApprovalState};
use provost_types::{ActionId, AgentName, ApprovalId, Digest, Timestamp};
use tokio::sync::watch;

/// An approval, and those who wait for it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) row: ApprovalRow,
    pub(super) told: watch::Sender<ApprovalState>,
}

/// What an approval means for an action that is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Waiting,
    Denied,
    Approved,
}

/// Every approval that counts, and those that were spent lately: a call that is seen again
/// went ahead by one of these.
#[derive(Debug, Default)]
pub(super) struct Book {
    known: HashMap<ApprovalId, Known>,
    by_agent: HashMap<AgentName, Vec<ApprovalId>>,
    waiting: usize,
}

impl Book {
    pub(super) fn new(rows: Vec<ApprovalRow>) -> Self {
        let mut book = Self::default();
        for row in rows {
            let _standing = book.put(row);
        }
        book
    }

    /// Adds an approval; the receiver tells how it stands.
    pub(super) fn put(&mut self, row: ApprovalRow) -> watch::Receiver<ApprovalState> {
        let (told, standing) = watch::channel(row.state);
        self.waiting =
            self.waiting.saturating_add(usize::from(row.state == ApprovalState::Waiting));
        self.by_agent.entry(row.agent.clone()).or_default().push(row.id);
        self.known.insert(row.id, Known { row, told });
        self.show();
        standing
    }

    /// Puts a changed row in place of what was known, and tells those who wait.
    pub(super) fn change(&mut self, row: ApprovalRow) {
        let Some(known) = self.known.get_mut(&row.id) else { return };
        let waited = known.row.state == ApprovalState::Waiting;
        if waited && row.state != ApprovalState::Waiting {
            self.waiting = self.waiting.saturating_sub(1);
        }
        known.told.send_replace(row.state);
        let is_spent = row.state == ApprovalState::Used;
        let (id, is_over) = (row.id, row.closed_at.is_some() && !is_spent);
        known.row = row;
        if is_over {
            self.forget(id);
        }
        self.show();
    }

    pub(super) fn get(&self, id: ApprovalId) -> Option<ApprovalRow> {
        self.known.get(&id).map(|known| known.row.clone())
    }

    /// The one that says most about an action of `agent` that was admitted as `before`, or
    /// not yet, among those that fit.
    pub(super) fn find(
        &self,
        agent: &AgentName,
        before: Option<ActionId>,
        fits: impl Fn(&ApprovalRow) -> bool,
    ) -> Option<(Standing, ApprovalRow)> {
        let standing = |row: &ApprovalRow| match row.state {
            ApprovalState::Approved => Some(Standing::Approved),
            ApprovalState::Used if before.is_some() && row.used_by == before => {
                Some(Standing::Approved)
            }
            ApprovalState::Denied => Some(Standing::Denied),
            ApprovalState::Waiting => Some(Standing::Waiting),
            ApprovalState::Used
            | ApprovalState::Expired
            | ApprovalState::Cancelled
            | ApprovalState::Revoked => None,
        };
        let found = self.of(agent).filter_map(|known| {
            let standing = standing(&known.row)?;
            fits(&known.row).then_some((standing, &known.row))
        });
        let most = found.max_by_key(|(standing, row)| (*standing, row.id));
        most.map(|(standing, row)| (standing, row.clone()))
    }

    /// The one of `agent` that waits and is bound to the same.
    pub(super) fn waiting(&self, agent: &AgentName, binding: Digest) -> Option<&Known> {
        self.of(agent).find(|known| {
            known.row.state == ApprovalState::Waiting && known.row.binding == binding
        })
    }

    /// How many wait: all, and those of `agent`.
    pub(super) fn waiting_counts(&self, agent: &AgentName) -> (usize, usize) {
        let own = self.of(agent).filter(|known| known.row.state == ApprovalState::Waiting);
        (self.waiting, own.count())
    }

    /// Those that count, or were spent, and of which `test` holds.
    pub(super) fn select(&self, test: impl Fn(&ApprovalRow) -> bool) -> Vec<ApprovalRow> {
        let rows = self.known.values().map(|known| &known.row);
        let mut rows: Vec<_> = rows.filter(|row| test(row)).cloned().collect();
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// Forgets those that were spent and whose time is over.
    pub(super) fn forget_spent(&mut self, now: Timestamp) {
        let over =
            |row: &ApprovalRow| row.state == ApprovalState::Used && row.expires_at <= now;
        for row in self.select(over) {
            self.forget(row.id);
        }
    }

    fn of(&self, agent: &AgentName) -> impl Iterator<Item = &Known> {
        let ids = self.by_agent.get(agent).into_iter().flatten();
        ids.filter_map(|id| self.known.get(id))
    }

    fn forget(&mut self, id: ApprovalId) {
        let Some(known) = self.known.remove(&id) else { return };
        if let Some(ids) = self.by_agent.get_mut(&known.row.agent) {
            ids.retain(|one| *one != id);
            if ids.is_empty() {
                self.by_agent.remove(&known.row.agent);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and 20,000 fits")]
    fn show(&self) {
        metrics::gauge!("provost_approvals_waiting").set(self.waiting as f64);
    }
}
