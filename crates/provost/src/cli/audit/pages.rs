//! Going through the ledger page by page, to the end that it had at the beginning.

use anyhow::{Result, ensure};
use provost_api::{Event, EventPage, EventQuery};

use crate::client::{Client, with_query};

/// Most events of one page.
const PAGE_EVENTS_MAX: u64 = 1_000;

/// How far a reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Everything that fits was read.
    End,
    /// As much was read as was asked for; the last event of it has this index.
    Limit(u64),
}

/// Gives `take` every event that fits, oldest first, `limit` at most.
///
/// # Errors
///
/// The server does not answer, or `take` gives up.
pub(crate) async fn each(
    client: &Client,
    mut query: EventQuery,
    limit: u64,
    mut take: impl FnMut(Event) -> Result<()>,
) -> Result<Reached> {
    let (mut left, mut end) = (limit, None);
    loop {
        query.limit = u32::try_from(left.min(PAGE_EVENTS_MAX)).ok();
        let page: EventPage = client.get(&with_query("/v1/events", &query)).await?;
        // What is recorded while we read, reading among it, would never end.
        let end = *end.get_or_insert(page.size);
        for event in page.events.into_iter().filter(|event| event.index < end) {
            let index = event.index;
            take(event)?;
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(Reached::Limit(index));
            }
        }
        let next = page.after.map_or(0, |after| after.saturating_add(1));
        if next >= end {
            return Ok(Reached::End);
        }
        ensure!(page.after > query.after, "the server's pages do not go on");
        query.after = page.after;
    }
}

/// Every event that fits, oldest first, `limit` at most.
///
/// # Errors
///
/// The server does not answer.
pub(crate) async fn collect(
    client: &Client,
    query: EventQuery,
    limit: u64,
) -> Result<(Vec<Event>, Reached)> {
    let mut events = Vec::new();
    let reached = each(client, query, limit, |event| {
        events.push(event);
        Ok(())
    });
    let reached = reached.await?;
    Ok((events, reached))
}
