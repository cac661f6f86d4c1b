//! `provost session`: bounded runs of agents, looked at and stopped.

use anyhow::Result;
use clap::{Args, Subcommand};
use provost_api::{EndSession, Event, EventQuery, List, Session as Known, SessionQuery};
use provost_types::{AgentName, ProjectName, RunState, Scope, SessionId};
use serde::Serialize;

use super::{
    Invocation,
    audit::{self, Reached},
    stop::{self, Reason},
};
use crate::{
    client::with_query,
    exit::Exit,
    printer::{Table, fields},
};

/// Most events of a session that are shown with it.
const EVENTS_SHOWN_MAX: u64 = 1000;

/// Sessions: bounded runs of agents
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    List(Listed),
    Show(Named),
    Kill(Stop),
    End(Stop),
}

/// Lists sessions, newest first
#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// Only this agent's
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only this project's
    #[arg(long)]
    project: Option<ProjectName>,
    /// Of those, only what has not ended
    #[arg(long)]
    live: bool,
    /// Only those opened before this one
    #[arg(long, value_name = "SESSION")]
    before: Option<SessionId>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// Shows a session and what it did; `provost replay` tells it as a story
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The session
    id: SessionId,
}

/// Ends a session; what is in flight is cut
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The session
    id: SessionId,
    #[command(flatten)]
    reason: Reason,
}

/// Does one of them.
pub(crate) async fn run(asked: Session, invocation: &Invocation) -> Result<Exit> {
    match asked {
        Session::List(asked) => list(asked, invocation).await,
        Session::Show(Named { id }) => show(id, invocation).await,
        Session::Kill(Stop { id, reason }) => {
            stop::set(Scope::Session(id), RunState::Killed, reason, invocation).await
        }
        Session::End(Stop { id, reason }) => {
            let client = invocation.client().await?;
            let end = EndSession { reason: Some(reason.text().to_owned()) };
            let () = client.post(&format!("/v1/sessions/{id}/end"), &end).await?;
            invocation.printer.answer(&(), |()| format!("ended {id}"))?;
            Ok(Exit::Done)
        }
    }
}

async fn list(asked: Listed, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let query = SessionQuery {
        agent: asked.agent.map(|agent| agent.to_string()),
        project: asked.project.map(|project| project.to_string()),
        before: asked.before.map(|before| before.to_string()),
        limit: Some(asked.limit),
    };
    let mut sessions: List<Known> = client.get(&with_query("/v1/sessions", &query)).await?;
    sessions.items.retain(|one| !asked.live || one.ended_at.is_none());
    invocation.printer.answer(&sessions, |sessions| {
        let mut table =
            Table::new(["SESSION", "AGENT", "PROJECT", "STARTED", "LAST SEEN", "ENDED"]);
        for one in &sessions.items {
            let ended = one.ended_at.as_deref().unwrap_or_default();
            table.row([
                &one.id,
                &one.agent,
                &one.project,
                &one.started_at,
                &one.last_seen_at,
                ended,
            ]);
        }
        table.to_string()
    })?;
    Ok(Exit::Done)
}

/// A session and what it did.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    session: Known,
    events: Vec<Event>,
}

async fn show(id: SessionId, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let session: Known = client.get(&format!("/v1/sessions/{id}")).await?;
    let query = EventQuery { session: Some(id.to_string()), ..EventQuery::default() };
    let (events, reached) = audit::collect(client, query, EVENTS_SHOWN_MAX).await?;
    let shown = Shown { session, events };
    invocation.printer.answer(&shown, |shown| {
        let session = &shown.session;
        let idle_max = format!("{} s", session.idle_max_s);
        let mut text = fields([
            ("session", Some(&session.id)),
            ("agent", Some(&session.agent)),
            ("project", Some(&session.project)),
            ("opened by", Some(&session.opened_by)),
            ("started", Some(&session.started_at)),
            ("last seen", Some(&session.last_seen_at)),
            ("longest silence", Some(&idle_max)),
            ("ends at the latest", Some(&session.expires_at)),
            ("ended", session.ended_at.as_deref()),
            ("because", session.end_reason.as_deref()),
        ]);
        text.push('\n');
        for event in &shown.events {
            text.push_str(&audit::line(event));
            text.push('\n');
        }
        if reached != Reached::End {
            text.push_str("… and more: `provost audit query --session` shows all of it\n");
        }
        text
    })?;
    Ok(Exit::Done)
}
