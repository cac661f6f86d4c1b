//! The event index: finds ledger entries by action, agent, project, session and kind.

use provost_types::{ActionId, AgentName, ProjectName, SessionId};

use super::{Store, StoreError};

/// Which events to list. Every field that is there must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this agent's.
    pub agent: Option<AgentName>,
    /// Only this project's.
    pub project: Option<ProjectName>,
    /// Only this session's.
    pub session: Option<SessionId>,
    /// Only of this kind, as `Event::kind` says it.
    pub kind: Option<String>,
    /// Only those from this position on, itself included.
    pub from: Option<u64>,
    /// Only those before this position.
    pub before: Option<u64>,
}

/// Which end of a list comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ascending positions.
    OldestFirst,
    /// Descending positions.
    NewestFirst,
}

/// A row that says what the ledger head was when it was last signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Number of entries it covers.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

impl Store {
    /// Number of ledger entries indexed: the position of the next one to index.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn indexed_up_to(&self) -> Result<u64, StoreError> {
        todo!()
    }

    /// Positions of the entries of one action, ascending.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn find_by_action(&self, _action: ActionId) -> Result<Vec<u64>, StoreError> {
        todo!()
    }

    /// Positions of at most `limit` entries that fit.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn events(
        &self,
        _filter: &EventFilter,
        _order: Order,
        _limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        todo!()
    }

    /// Intents that have no outcome yet, by position. Complete up to `indexed_up_to`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn open_intents(&self) -> Result<Vec<(u64, ActionId)>, StoreError> {
        todo!()
    }

    /// Forgets the index, so that it can be rebuilt from the ledger.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn clear_index(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Keeps the newest signed checkpoint; one that covers less than the kept one is refused
    /// silently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn put_checkpoint(&self, _size: u64, _note: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// The newest signed checkpoint kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError> {
        todo!()
    }
}
