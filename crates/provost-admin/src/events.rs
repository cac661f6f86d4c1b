//! `/v1/events`, `/v1/actions`, `/v1/checkpoint`: what was recorded, and the proof of it.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use provost_api::{ActionEvents, Bodies, Checkpoint, Event, EventPage, EventQuery, Proof};
use provost_types::ActionId;

use crate::{
    App,
    error::ApiError,
    extract::{Asked, Named, limit, wait},
    ledger::{Entry, Found, LedgerReadError, decode},
    search::Search,
    who::Who,
};

/// `GET /v1/events`: one page, oldest first; waits for the first event if told to.
///
/// # Errors
///
/// - 400 `malformed`, `invalid`: a filter or a limit, by its name.
/// - 503 `ledger-unavailable`, `database-unavailable`.
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<EventQuery>,
) -> Result<Json<EventPage>, ApiError> {
    let (search, limit, wait) = (Search::read(&asked)?, limit(asked.limit)?, wait(asked.wait)?);
    let found = if asked.newest == Some(true) {
        app.ledger.newest(&search, limit).await?
    } else {
        app.ledger.oldest(&search, limit).await?
    };
    let found = if found.entries.is_empty() && found.at_end && !wait.is_zero() {
        first_behind(&app, &search, found.next, limit, wait).await?
    } else {
        found
    };
    Ok(Json(EventPage {
        events: events(found.entries)?,
        after: found.next.checked_sub(1),
        size: app.ledger.journal.size(),
    }))
}

/// `GET /v1/actions/{id}`: everything recorded about one action, oldest first.
///
/// # Errors
///
/// - 404 `no-such`: nothing was recorded under this id.
pub(crate) async fn of_action(
    State(app): State<Arc<App>>,
    Named(action): Named<ActionId>,
) -> Result<Json<ActionEvents>, ApiError> {
    let entries = app.ledger.of_action(action).await?;
    if entries.is_empty() {
        return Err(ApiError::NoSuch { what: format!("action {action}") });
    }
    Ok(Json(ActionEvents { action: action.to_string(), events: events(entries)? }))
}

/// `GET /v1/actions/{id}/bodies`: what was asked and answered; the look is recorded first.
///
/// # Errors
///
/// - 404 `no-such`: nothing was recorded under this id, or nobody was recognised behind it.
/// - 503 `ledger-unavailable`: the look cannot be recorded.
pub(crate) async fn bodies(
    State(app): State<Arc<App>>,
    who: Who,
    Named(action): Named<ActionId>,
) -> Result<Json<Bodies>, ApiError> {
    let project = app.ledger.project_of(action).await?;
    let project =
        project.ok_or_else(|| ApiError::NoSuch { what: format!("action {action}") })?;
    let read = app.pipeline.read_bodies(&who.by(), action, &project).await?;
    let encoded = |body: Option<Vec<u8>>| body.map(|bytes| BASE64_STANDARD.encode(bytes));
    Ok(Json(Bodies {
        action: action.to_string(),
        request: encoded(read.request),
        response: encoded(read.response),
    }))
}

/// `GET /v1/events/{index}/proof`: an entry and its inclusion in a signed head.
///
/// # Errors
///
/// - 404 `no-such`: the ledger is shorter.
/// - 503 `ledger-unavailable`: no head covers it, because none could be written.
pub(crate) async fn proof(
    State(app): State<Arc<App>>,
    Named(index): Named<u64>,
) -> Result<Json<Proof>, ApiError> {
    let inclusion = app.ledger.inclusion(index).await?;
    let inclusion =
        inclusion.ok_or_else(|| ApiError::NoSuch { what: format!("event {index}") })?;
    Ok(Json(Proof {
        index,
        entry: BASE64_STANDARD.encode(inclusion.entry),
        hashes: inclusion.hashes.iter().map(|hash| BASE64_STANDARD.encode(hash)).collect(),
        checkpoint: inclusion.checkpoint,
    }))
}

/// `GET /v1/checkpoint`: the newest signed head, which may be a second behind the ledger.
///
/// # Errors
///
/// - 404 `no-such`: none was signed yet.
pub(crate) async fn checkpoint(
    State(app): State<Arc<App>>,
) -> Result<Json<Checkpoint>, ApiError> {
    let checkpoint = app.ledger.sealer.checkpoint();
    let checkpoint =
        checkpoint.ok_or_else(|| ApiError::NoSuch { what: "checkpoint yet".to_owned() })?;
    Ok(Json(Checkpoint { checkpoint, size: app.ledger.journal.size() }))
}

/// Waits for an entry that fits, from `next` on; gives none if there is none in time.
async fn first_behind(
    app: &App,
    search: &Search,
    mut next: u64,
    limit: u32,
    wait: Duration,
) -> Result<Found, LedgerReadError> {
    let mut grown = app.ledger.journal.grown();
    let late = tokio::time::sleep(wait);
    tokio::pin!(late);
    loop {
        grown.mark_unchanged();
        let found = app.ledger.scan(search, next, limit).await?;
        next = found.next;
        // A scan that ends before the ledger does is over for this call: the caller goes on.
        if !found.entries.is_empty() || !found.at_end {
            return Ok(found);
        }
        tokio::select! {
            biased;
            () = app.stopping.cancelled() => return Ok(found),
            () = &mut late => return Ok(found),
            changed = grown.changed() => if changed.is_err() { return Ok(found) },
        }
    }
}

fn events(entries: Vec<Entry>) -> Result<Vec<Event>, ApiError> {
    entries.into_iter().map(event).collect()
}

fn event(entry: Entry) -> Result<Event, ApiError> {
    let event = decode(entry.position, &entry.bytes)?;
    Ok(Event {
        index: entry.position,
        at: event.at.to_string(),
        kind: event.kind().to_owned(),
        entry: serde_json::from_slice(&entry.bytes).map_err(ApiError::internal)?,
    })
}
