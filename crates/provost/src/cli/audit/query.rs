//! `provost audit query`: what was done, by whom, to what, when.

use anyhow::Result;
use clap::Args;
use provost_api::{EVENT_KINDS, EventQuery};
use provost_types::{ActionId, AgentName, ProjectName, SessionId};

use super::{
    line,
    pages::{self, Reached},
};
use crate::{
    cli::{Invocation, period},
    exit::Exit,
};

const EXAMPLES: &str = "\
Examples:
  provost audit query --agent invoice-bot --from 14:00 --to 14:30
  provost audit query --project finance --decision denied --from 2026-11-25
  provost audit query --session ses_… --kind outcome --output json
  provost audit query --text 'Claude-Opus' --from 2h
  provost audit query --resource agent/invoice-bot --kind admin

Events are printed oldest first, one a line. To follow what comes, use `audit tail --follow`;
to see one action whole, `audit show`; to see a session as a story, `provost replay`.
";

/// Prints every event that fits, oldest first
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n{}", period::TIMES_TOLD))]
pub(crate) struct Query {
    /// Only events about this agent
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only events about this session
    #[arg(long)]
    session: Option<SessionId>,
    /// Only events about this project
    #[arg(long)]
    project: Option<ProjectName>,
    #[command(flatten)]
    period: period::Period,
    /// Only events of this action
    #[arg(long)]
    action: Option<ActionId>,
    /// Only events of this kind
    #[arg(long, value_parser = EVENT_KINDS)]
    kind: Option<String>,
    /// Only what was decided or came out so: `allow`; `deny` or another refusal's code such
    /// as `paused`; an outcome's `succeeded`, `failed`, `aborted` or `unknown`
    #[arg(long, value_name = "WORD")]
    decision: Option<String>,
    /// Only what was asked of this plane, such as `llm`
    #[arg(long)]
    plane: Option<String>,
    /// Only what is about something with this in its name, in either case: part of a model's
    /// name, or of `agent/NAME`
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
    /// Only events with this text anywhere in their entry, in either case; reads every entry
    /// that the other filters leave
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only events behind this index
    #[arg(long, value_name = "INDEX")]
    after: Option<u64>,
    /// How many at most
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Prints them.
pub(super) async fn run(asked: Query, invocation: &Invocation) -> Result<Exit> {
    let bounds = asked.period.bounds()?;
    let query = EventQuery {
        after: asked.after,
        agent: asked.agent.map(|agent| agent.to_string()),
        project: asked.project.map(|project| project.to_string()),
        session: asked.session.map(|session| session.to_string()),
        kind: asked.kind,
        action: asked.action.map(|action| action.to_string()),
        plane: asked.plane,
        result: asked.decision.map(recorded),
        resource: asked.resource,
        since: bounds.since.map(|since| since.to_string()),
        until: bounds.until.map(|until| until.to_string()),
        text: asked.text,
        ..EventQuery::default()
    };
    let client = invocation.client().await?;
    let mut count = 0_u64;
    let reached = pages::each(client, query, asked.limit.unwrap_or(u64::MAX), |event| {
        count = count.saturating_add(1);
        Ok(invocation.printer.item(&event, line)?)
    });
    match reached.await? {
        Reached::Limit(index) => invocation
            .printer
            .note(&format!("as many as asked for; --after {index} goes on behind them")),
        Reached::End if count == 0 => invocation.printer.note("no event fits"),
        Reached::End => {}
    }
    Ok(Exit::Done)
}

/// The word that records have for it: policy's `deny` is recorded as the refusal `denied`.
fn recorded(decision: String) -> String {
    match decision.as_str() {
        "deny" => "denied".to_owned(),
        _ => decision,
    }
}
