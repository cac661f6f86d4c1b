//! Which blocks of the ledger speak of whom: the coarse half of the event index.
//!
//! An index of its own for each feature of each event costs more than all else about the
//! event. A list of blocks costs one row a block, and leaves few events to look through.

use std::collections::BTreeSet;

use provost_ledger::TILE_WIDTH;
use sqlx::AssertSqlSafe;

use super::{
    EventFilter, Order, Store, StoreError, Transaction, columns,
    columns::{Columns, read_all},
    filter::Filter,
    row::{COMMON_KINDS, EventRow},
};

/// Events a block holds: as many as a bundle of entries.
pub(super) const BLOCK_LEN: i64 = TILE_WIDTH as i64;

/// Events searched at once where no list of blocks leads to them.
const STRETCH_LEN: i64 = 65_536;

/// Most blocks whose numbers are fetched at once.
const BLOCKS_MAX: u32 = 64;

/// A word that events can be found by, and the block of one that bears it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mention {
    /// `agent/NAME`, `project/NAME`, `session/ID` or `kind/KIND`.
    pub(super) word: String,
    /// Its number: positions divided by [`BLOCK_LEN`].
    pub(super) block: i64,
}

impl Mention {
    /// The position of the block's first event.
    pub(super) fn first(&self) -> i64 {
        self.block.saturating_mul(BLOCK_LEN)
    }

    /// The position of the block's last event.
    pub(super) fn last(&self) -> i64 {
        self.first().saturating_add(BLOCK_LEN).saturating_sub(1)
    }
}

/// What `rows` mention, once each. The kinds of nearly every event are no words.
pub(super) fn mentions(rows: &[EventRow]) -> Vec<Mention> {
    let mut seen = BTreeSet::new();
    for row in rows {
        let block = row.position.div_euclid(BLOCK_LEN);
        let [kind, _, agent, project, session, ..] = &row.texts;
        let rare = kind.as_deref().filter(|kind| !COMMON_KINDS.contains(kind));
        for (column, value) in [
            ("agent", agent.as_deref()),
            ("project", project.as_deref()),
            ("session", session.as_deref()),
            ("kind", rare),
        ] {
            seen.extend(value.map(|value| (block, column, value)));
        }
    }
    let mention = |(block, column, value)| Mention { word: format!("{column}/{value}"), block };
    seen.into_iter().map(mention).collect()
}

impl Store {
    /// Positions of at most `limit` entries that fit.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn events(
        &self,
        filter: &EventFilter,
        order: Order,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let mut range = filter.range();
        let word = match filter.word() {
            // One action's events are found by the action's own index.
            Some(word) if filter.action.is_none() => word,
            _ if filter.is_searching() => {
                return self.events_by_stretch(filter, range, order, limit).await;
            }
            _ => return self.events_within(filter, range, order, limit).await,
        };
        let mut found = Vec::new();
        loop {
            let blocks = self.blocks(&word, range, order).await?;
            for block in &blocks {
                let wanted = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
                if wanted == 0 {
                    return Ok(found);
                }
                let first = block.saturating_mul(BLOCK_LEN);
                let after = first.saturating_add(BLOCK_LEN);
                let within = (range.0.max(first), range.1.min(after));
                found.extend(self.events_within(filter, within, order, wanted).await?);
                match order {
                    Order::OldestFirst => range.0 = after,
                    Order::NewestFirst => range.1 = first,
                }
            }
            if blocks.len() < BLOCKS_MAX as usize {
                return Ok(found);
            }
        }
    }

    /// Searches all events, a stretch at a time: a search through millions would outlast the
    /// wait for an answer.
    async fn events_by_stretch(
        &self,
        filter: &EventFilter,
        mut range: (i64, i64),
        order: Order,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        range.1 = range.1.min(columns::count(self.indexed_up_to().await?));
        let mut found = Vec::new();
        while range.0 < range.1 {
            let wanted = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
            if wanted == 0 {
                break;
            }
            let stretch = match order {
                Order::OldestFirst => {
                    (range.0, range.1.min(range.0.saturating_add(STRETCH_LEN)))
                }
                Order::NewestFirst => {
                    (range.0.max(range.1.saturating_sub(STRETCH_LEN)), range.1)
                }
            };
            found.extend(self.events_within(filter, stretch, order, wanted).await?);
            match order {
                Order::OldestFirst => range.0 = stretch.1,
                Order::NewestFirst => range.1 = stretch.0,
            }
        }
        Ok(found)
    }

    async fn events_within(
        &self,
        filter: &EventFilter,
        range: (i64, i64),
        order: Order,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let order = match order {
            Order::OldestFirst => "ORDER BY position",
            Order::NewestFirst => "ORDER BY position DESC",
        };
        let select = filter.select(range, &self.0.backend).into_statement(order, limit);
        let rows = self.read("list events", select).await?;
        read_all("event", &rows, |row| row.count("position"))
    }

    /// The next blocks in `order` that mention `word` and have part in a range of positions.
    async fn blocks(
        &self,
        word: &str,
        (from, before): (i64, i64),
        order: Order,
    ) -> Result<Vec<i64>, StoreError> {
        let order = match order {
            Order::OldestFirst => "ORDER BY block",
            Order::NewestFirst => "ORDER BY block DESC",
        };
        let mut select = Filter::new("SELECT block FROM event_block WHERE TRUE");
        select.text("word =", Some(word));
        select.number("block >=", Some(from.div_euclid(BLOCK_LEN)));
        select.number("block <=", Some(before.saturating_sub(1).div_euclid(BLOCK_LEN)));
        let rows = self.read("list events", select.into_statement(order, BLOCKS_MAX)).await?;
        read_all("event_block", &rows, |row| row.value("block"))
    }

    /// Every mention in the blocks from `first` to `last`.
    pub(super) async fn mentioned(
        &self,
        first: i64,
        last: i64,
    ) -> Result<BTreeSet<Mention>, StoreError> {
        let select = sqlx::query(
            "SELECT word, block FROM event_block WHERE block >= $1 AND block <= $2",
        );
        let rows = self.read("check the event index", select.bind(first).bind(last)).await?;
        Ok(read_all("event_block", &rows, mention)?.into_iter().collect())
    }

    /// Whether the rows of the block bear out that it is listed.
    pub(super) async fn is_mentioned(&self, mention: &Mention) -> Result<bool, StoreError> {
        let (comparison, value) = match mention.word.split_once('/') {
            Some(("agent", name)) => ("agent =", name),
            Some(("project", name)) => ("project =", name),
            Some(("session", id)) => ("session =", id),
            Some(("kind", kind)) if !COMMON_KINDS.contains(&kind) => ("kind =", kind),
            _ => return Ok(false),
        };
        let mut select = Filter::new("SELECT position FROM event WHERE TRUE");
        select.text(comparison, Some(value));
        select.number("position >=", Some(mention.first()));
        select.number("position <=", Some(mention.last()));
        let select = select.into_statement("", 1);
        Ok(!self.read("check the event index", select).await?.is_empty())
    }
}

/// Reads a row of table `event_block`.
pub(super) fn mention(row: Columns<'_>) -> Result<Mention, StoreError> {
    Ok(Mention { word: row.text("word")?.to_owned(), block: row.value("block")? })
}

impl Transaction {
    /// Adds what `rows` mention.
    pub(super) async fn add_mentions(&mut self, rows: &[EventRow]) -> Result<(), StoreError> {
        for mentions in super::index::batches(&mentions(rows)) {
            let mut insert = sqlx::query(AssertSqlSafe(format!(
                "INSERT INTO event_block (word, block) VALUES {} ON CONFLICT DO NOTHING",
                self.placeholder.list(mentions.len(), 2)
            )));
            for mention in mentions {
                insert = insert.bind(&mention.word).bind(mention.block);
            }
            self.run(insert).await?;
        }
        Ok(())
    }
}
