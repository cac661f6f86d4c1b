//! The approvals that count, in memory. Pure.

use std::collections::HashMap;

use provost_store::{ApprovalRow, ApprovalState};
use provost_types::{ActionId, AgentName, ApprovalId, Timestamp};
use tokio::sync::watch;

/// An approval, and those who wait for it.
#[derive(Debug)]
struct Known {
    row: ApprovalRow,
    told: watch::Sender<ApprovalState>,
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
            book.set(row);
        }
        book
    }

    /// Puts an approval in place of what was known of it, and tells those who wait.
    pub(super) fn set(&mut self, row: ApprovalRow) {
        let waits = |row: &ApprovalRow| usize::from(row.state == ApprovalState::Waiting);
        let waited = self.known.get(&row.id).map_or(0, |known| waits(&known.row));
        self.waiting = self.waiting.saturating_sub(waited).saturating_add(waits(&row));
        let is_over = row.closed_at.is_some() && row.state != ApprovalState::Used;
        let (id, state) = (row.id, row.state);
        match self.known.get_mut(&id) {
            Some(known) => known.row = row,
            None => {
                self.by_agent.entry(row.agent.clone()).or_default().push(id);
                self.known.insert(id, Known { row, told: watch::Sender::new(state) });
            }
        }
        if let Some(known) = self.known.get(&id) {
            known.told.send_replace(state);
        }
        if is_over {
            self.forget(id);
        }
        self.show();
    }

    /// Tells how an approval stands, now and later.
    pub(super) fn standing(&self, id: ApprovalId) -> Option<watch::Receiver<ApprovalState>> {
        self.known.get(&id).map(|known| known.told.subscribe())
    }

    pub(super) fn get(&self, id: ApprovalId) -> Option<ApprovalRow> {
        self.known.get(&id).map(|known| known.row.clone())
    }

    /// The one that says most about an action of `agent` that was admitted as `before`, or
    /// not yet, among those that fit and whose time is not over.
    pub(super) fn find(
        &self,
        agent: &AgentName,
        (before, now): (Option<ActionId>, Timestamp),
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
            let counts = now < known.row.expires_at && fits(&known.row);
            counts.then_some((standing, &known.row))
        });
        let most = found.max_by_key(|(standing, row)| (*standing, row.id));
        most.map(|(standing, row)| (standing, row.clone()))
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
        let is_over = |known: &&Known| {
            known.row.state == ApprovalState::Used && known.row.expires_at <= now
        };
        let over: Vec<_> = self.known.values().filter(is_over).map(|it| it.row.id).collect();
        over.into_iter().for_each(|id| self.forget(id));
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

#[cfg(test)]
mod tests {
    use provost_store::{ApprovalRow, ApprovalState, Reach};
    use provost_types::{ActionId, ApprovalId, Digest, SessionId, Timestamp};

    use super::{Book, Standing};

    fn row(state: ApprovalState, expires_at: u64) -> ApprovalRow {
        ApprovalRow {
            id: ApprovalId::generate(),
            agent: "bot".parse().unwrap(),
            project: "finance".parse().unwrap(),
            session: SessionId::generate(),
            action: ActionId::generate(),
            binding: Digest([0; 32]),
            plane: "tool".to_owned(),
            verb: "call".to_owned(),
            resource_kind: "Tool::Tool".to_owned(),
            resource_id: "Bash".to_owned(),
            gates: Vec::new(),
            answers: Vec::new(),
            reach: Reach::Once,
            state,
            note: String::new(),
            requested_at: Timestamp(0),
            expires_at: Timestamp(expires_at),
            closed_at: None,
            used_by: None,
        }
    }

    #[test]
    fn what_says_most_counts_until_its_time_is_over() {
        let (waits, denied) = (row(ApprovalState::Waiting, 30), row(ApprovalState::Denied, 20));
        let approved = row(ApprovalState::Approved, 10);
        let agent = approved.agent.clone();
        let book = Book::new(vec![approved, denied, waits]);
        for (now, want) in [
            (9, Some(Standing::Approved)),
            (10, Some(Standing::Denied)),
            (20, Some(Standing::Waiting)),
            (30, None),
        ] {
            let found = book.find(&agent, (None, Timestamp(now)), |_| true);
            assert_eq!(found.map(|(standing, _)| standing), want, "now = {now}");
        }
    }

    #[test]
    fn what_was_spent_counts_for_the_action_it_was_spent_on() {
        let action = ActionId::generate();
        let used = ApprovalRow {
            used_by: Some(action),
            closed_at: Some(Timestamp(1)),
            ..row(ApprovalState::Used, 10)
        };
        let agent = used.agent.clone();
        let mut book = Book::new(vec![used]);
        let found = |book: &Book, before| {
            book.find(&agent, (before, Timestamp(5)), |_| true).map(|(standing, _)| standing)
        };
        assert_eq!(found(&book, Some(action)), Some(Standing::Approved));
        assert_eq!(found(&book, Some(ActionId::generate())), None);
        assert_eq!(found(&book, None), None);
        book.forget_spent(Timestamp(10));
        assert!(book.select(|_| true).is_empty());
    }

    #[test]
    fn those_who_wait_hear_of_each_change_and_are_counted() {
        let mut book = Book::default();
        let waits = row(ApprovalState::Waiting, 30);
        book.set(waits.clone());
        assert_eq!(book.waiting_counts(&waits.agent), (1, 1));
        let standing = book.standing(waits.id).unwrap();
        book.set(ApprovalRow { state: ApprovalState::Approved, ..waits.clone() });
        assert_eq!(*standing.borrow(), ApprovalState::Approved);
        assert_eq!(book.waiting_counts(&waits.agent), (0, 0));
        let over = ApprovalState::Expired;
        book.set(ApprovalRow { state: over, closed_at: Some(Timestamp(1)), ..waits.clone() });
        assert_eq!(*standing.borrow(), over, "the last word is heard though it is forgotten");
        assert!(book.get(waits.id).is_none());
    }
}
