//! `provost replay`: a session told as a story, from the ledger.
//!
//! An action is one item, told when it was asked for, with what came of it. What the story is
//! made of is read from the control API; nothing is done again.

mod speed;
mod story;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use provost_api::{ActionEvents, Event, EventQuery, Session};
use provost_types::{SessionId, Timestamp};

use super::{
    Invocation, audit,
    audit::Reached,
    period::{Bounds, Period, TIMES_TOLD},
};
use crate::{client::Client, exit::Exit, printer::Output};
use speed::Speed;
use story::{Story, Teller};

/// Most events of a session that one story is made of; they are kept until it is told.
const EVENTS_MAX: u64 = 100_000;

/// How long behind a session's end a stop is still part of its story: a kill ends sessions
/// first and is recorded then.
const STOP_RECORDED_WITHIN: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  provost replay ses_…
  provost replay ses_… --from 14:00 --to 14:30
  provost replay ses_… --speed 10
  provost replay ses_… --output json | jq 'select(.kind == \"refusal\")'

Each item begins with how long after the session's begin it was: +MM:SS.mmm, or from an hour
on +H:MM:SS.mmm. With `--output json`, each item is one line: an action with the records of
its intent and its outcome, or a refusal, a stop, the session's begin or its end.
";

/// Tells what a session did, in order: what was asked, decided, done, refused and stopped
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n{TIMES_TOLD}"))]
pub(crate) struct Replay {
    /// The session
    session: SessionId,
    #[command(flatten)]
    period: Period,
    /// Waits between items as long as it took then, divided by this: 1, 10, 0.5; at once if
    /// it is left out
    #[arg(long, value_name = "N")]
    speed: Option<Speed>,
}

/// Tells it.
pub(crate) async fn run(asked: Replay, invocation: &Invocation) -> Result<Exit> {
    let bounds = asked.period.bounds()?;
    let (client, printer) = (invocation.client().await?, invocation.printer);
    let session: Session = client.get(&format!("/v1/sessions/{}", asked.session)).await?;
    let began = session.started_at.parse().context("the session has no begin")?;
    let (events, reached) = events(client, &session, bounds).await?;
    let mut story = Story::of(events);
    for item in story.open() {
        let found: ActionEvents = client.get(&format!("/v1/actions/{}", item.action())).await?;
        item.conclude(found.events);
    }
    if printer.output() == Output::Text {
        printer.item(&session, story::heading)?;
    }
    let teller = Teller { began };
    let mut last = None;
    for item in &story.items {
        if let Some(speed) = asked.speed {
            let at = item.at();
            let gap = last.map_or(Duration::ZERO, |last: Timestamp| at.since(last));
            tokio::time::sleep(speed.wait(gap)).await;
            last = Some(at);
        }
        printer.item(&teller.document(item), |_| teller.told(item))?;
    }
    if printer.output() == Output::Text {
        printer.note(&story.summary());
    }
    if reached != Reached::End {
        let last = story.items.last().map(|item| item.at().to_string()).unwrap_or_default();
        printer.note(&format!("the story is longer: --from {last} goes on"));
    }
    Ok(Exit::Done)
}

/// The session's own events, and the stops of what it is part of.
async fn events(
    client: &Client,
    session: &Session,
    bounds: Bounds,
) -> Result<(Vec<Event>, Reached)> {
    let [since, until] = [bounds.since, bounds.until].map(|at| at.map(|at| at.to_string()));
    let own = EventQuery {
        session: Some(session.id.clone()),
        since: since.clone(),
        until: until.clone(),
        ..EventQuery::default()
    };
    let (mut events, reached) = audit::collect(client, own, EVENTS_MAX).await?;
    let ended = session.ended_at.as_deref().map(str::parse::<Timestamp>).transpose()?;
    let ended = ended.map(|ended| ended.plus(STOP_RECORDED_WITHIN).to_string());
    // RFC 3339 as the ledger prints it sorts as the times do.
    let since = since.into_iter().chain([session.started_at.clone()]).max();
    let until = until.into_iter().chain(ended).min();
    if until.is_some() && since >= until {
        return Ok((events, reached));
    }
    let stops = EventQuery {
        kind: Some("admin".to_owned()),
        text: Some("\"verb\":\"run-state.".to_owned()),
        since,
        until,
        ..EventQuery::default()
    };
    let stops = audit::each(client, stops, EVENTS_MAX, |event| {
        if story::is_stop_above(&event, session) {
            events.push(event);
        }
        Ok(())
    });
    let _as_many_as_can_be_told = stops.await?;
    events.sort_by_key(|event| event.index);
    Ok((events, reached))
}
