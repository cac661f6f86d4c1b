//! `provost approvals`: held actions, looked at and answered.

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use provost_api::{
    AnswerApproval, Approval, ApprovalCard, ApprovalExtent, ApprovalPage, ApprovalQuery,
    ApprovalVerdict, RevokeApproval,
};
use provost_oversight::{Size, card, visible};
use provost_store::ApprovalState;
use provost_types::{AgentName, ApprovalId, ProjectName};

use super::{Invocation, period};
use crate::{
    client::{Client, with_query},
    exit::Exit,
    printer::Table,
};

/// Longest wait of one poll. Unit: seconds.
const POLL_S: u32 = 30;

/// Most that are looked at in one poll.
const POLL_ITEMS: u32 = 1000;

/// Lines that are shown of each of the agent's texts unless all are asked for. Ours.
const LINES_SHOWN: usize = 200;

/// Approvals: actions that wait for a person, and what people say to them
#[derive(Debug, Subcommand)]
#[command(visible_alias = "approval")]
pub(crate) enum Approvals {
    List(Listed),
    Show(Show),
    Approve(Approve),
    Deny(Answered),
    Revoke(Answered),
    Watch(Watch),
}

/// Lists what waits, newest first
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  provost approvals list
  provost approvals list --state denied --agent invoice-bot
  provost approvals list --all")]
pub(crate) struct Listed {
    /// Whatever its state
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only what is in this state
    #[arg(long, default_value = "waiting", value_parser = states())]
    state: String,
    #[command(flatten)]
    of: Of,
    /// Only older ones than this
    #[arg(long, value_name = "APPROVAL")]
    before: Option<ApprovalId>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// Whose.
#[derive(Clone, Debug, Args)]
pub(crate) struct Of {
    /// Only this agent's
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only this project's
    #[arg(long)]
    project: Option<ProjectName>,
}

/// Shows a held action: what it would do, who may answer, what happens otherwise
///
/// Lines that begin with `│` or `┊` are the agent's own words; no other line is. Only who may
/// answer sees the arguments, and that they looked is recorded.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The approval
    id: ApprovalId,
    /// Shows all of a long text
    #[arg(long)]
    whole: bool,
}

/// Lets a held action go ahead, once
///
/// It is decided again by policy before it runs. `--session` and `--pattern` let others like it
/// go ahead too.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A pattern names arguments with globs, in which `*` is a piece of one word: no space, no quote,
nothing that a shell reads. Every other argument has to be as it was.

Examples:
  provost approvals approve apr_…
  provost approvals approve apr_… --session
  provost approvals approve apr_… --pattern 'command=git push origin *' --for 2h")]
pub(crate) struct Approve {
    /// The approval
    id: ApprovalId,
    /// Every time it is asked for with the same arguments, until its session ends
    #[arg(long)]
    session: bool,
    /// Every time its arguments fit this; can be given for several arguments
    #[arg(long, value_name = "NAME=GLOB", requires = "lasts", conflicts_with = "session")]
    pattern: Vec<String>,
    /// For how long the pattern counts, such as `2h`; at most 30d
    #[arg(id = "lasts", long = "for", value_name = "TIME", requires = "pattern",
          value_parser = period::duration)]
    lasts: Option<Duration>,
    /// Why, in one sentence
    #[arg(long)]
    comment: Option<String>,
}

/// Denies a held action, or takes back a yes that still counts
#[derive(Debug, Args)]
pub(crate) struct Answered {
    /// The approval
    id: ApprovalId,
    /// Why, in one sentence: the agent is told
    #[arg(long)]
    comment: Option<String>,
}

/// Prints what waits, and then each that comes, until it is interrupted
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    of: Of,
}

/// Does one of them.
pub(crate) async fn run(asked: Approvals, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let printer = invocation.printer;
    match asked {
        Approvals::List(asked) => {
            let page: ApprovalPage =
                client.get(&with_query("/v1/approvals", &asked.query())).await?;
            printer.answer(&page, |page| listed(&page.items))?;
        }
        Approvals::Show(Show { id, whole }) => {
            let shown: ApprovalCard = client.get(&format!("/v1/approvals/{id}")).await?;
            let size = if whole { Size::Whole } else { Size::Lines(LINES_SHOWN) };
            printer.answer(&shown, |shown| card(shown, size))?;
        }
        Approvals::Approve(asked) => {
            let (id, answer) = asked.answer()?;
            answered(id, &answer, invocation).await?;
        }
        Approvals::Deny(Answered { id, comment }) => {
            let (verdict, extent) = (ApprovalVerdict::Deny, None);
            let answer = AnswerApproval { verdict, comment, extent };
            answered(id, &answer, invocation).await?;
        }
        Approvals::Revoke(Answered { id, comment }) => {
            let path = format!("/v1/approvals/{id}/revoke");
            let revoked: Approval = client.post(&path, &RevokeApproval { comment }).await?;
            printer.answer(&revoked, standing)?;
        }
        Approvals::Watch(Watch { of }) => watch(of, client, invocation).await?,
    }
    Ok(Exit::Done)
}

/// The states that an approval can be in.
fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(ApprovalState::ALL.map(ApprovalState::as_str))
}

impl Listed {
    fn query(self) -> ApprovalQuery {
        ApprovalQuery {
            state: (!self.all).then_some(self.state),
            before: self.before.map(|before| before.to_string()),
            limit: Some(self.limit),
            ..self.of.query()
        }
    }
}

impl Of {
    fn query(self) -> ApprovalQuery {
        ApprovalQuery {
            agent: self.agent.map(|agent| agent.to_string()),
            project: self.project.map(|project| project.to_string()),
            ..ApprovalQuery::default()
        }
    }
}

impl Approve {
    fn answer(self) -> Result<(ApprovalId, AnswerApproval)> {
        let extent = match (self.session, self.pattern.is_empty()) {
            (true, _) => ApprovalExtent::Session,
            (false, true) => ApprovalExtent::Once,
            (false, false) => ApprovalExtent::Pattern {
                arguments: globs(&self.pattern)?,
                lasts_s: self.lasts.map(|lasts| lasts.as_secs()),
            },
        };
        let (verdict, comment) = (ApprovalVerdict::Approve, self.comment);
        Ok((self.id, AnswerApproval { verdict, comment, extent: Some(extent) }))
    }
}

fn globs(patterns: &[String]) -> Result<BTreeMap<String, String>> {
    let mut globs = BTreeMap::new();
    for pattern in patterns {
        let named = pattern.split_once('=').filter(|(name, _)| !name.is_empty());
        ensure!(named.is_some(), "`{pattern}` is no NAME=GLOB, as in 'command=git push *'");
        let (name, glob) = named.unwrap_or_default();
        let before = globs.insert(name.to_owned(), glob.to_owned());
        ensure!(before.is_none(), "`{name}` has two patterns; give one");
    }
    Ok(globs)
}

async fn answered(
    id: ApprovalId,
    answer: &AnswerApproval,
    invocation: &Invocation,
) -> Result<()> {
    let path = format!("/v1/approvals/{id}/answer");
    let approval: Approval = invocation.client().await?.post(&path, answer).await?;
    invocation.printer.answer(&approval, standing)?;
    Ok(())
}

/// Prints each that waits once.
async fn watch(of: Of, client: &Client, invocation: &Invocation) -> Result<()> {
    let state = Some("waiting".to_owned());
    let mut query = ApprovalQuery { state, limit: Some(POLL_ITEMS), ..of.query() };
    let mut printed = BTreeSet::new();
    loop {
        let page: ApprovalPage = client.get(&with_query("/v1/approvals", &query)).await?;
        for approval in page.items.iter().rev() {
            if !printed.contains(&approval.id) {
                invocation.printer.item(approval, coming)?;
            }
        }
        printed = page.items.into_iter().map(|approval| approval.id).collect();
        ensure!(client.is_served(), "no server runs here, so nothing will come");
        (query.seen, query.wait) = (Some(page.changes), Some(POLL_S));
    }
}

fn listed(approvals: &[Approval]) -> String {
    let mut table =
        Table::new(["APPROVAL", "STATE", "AGENT", "ACTION", "ON", "HELD BY", "UNTIL"]);
    for one in approvals {
        let gates = visible(&one.gates.join(", "));
        table.row([
            &one.id,
            &one.state,
            &one.agent,
            &format!("{} {}", one.plane, one.verb),
            &visible(&one.resource_id),
            &gates,
            &one.expires_at,
        ]);
    }
    table.to_string()
}

fn coming(one: &Approval) -> String {
    format!(
        "{} {} waits: {} wants to {} {}; provost approvals show {}",
        one.requested_at,
        one.id,
        one.agent,
        one.verb,
        visible(&one.resource_id),
        one.id
    )
}

/// How it stands after an answer.
fn standing(approval: &Approval) -> String {
    let note = visible(&approval.note);
    let colon = if note.is_empty() { "; others have to agree" } else { ": " };
    format!("{} {}{colon}{note}", approval.id, approval.state)
}

#[cfg(test)]
mod tests {
    use super::globs;

    #[test]
    fn patterns_are_names_with_globs() {
        let read = |patterns: &[&str]| {
            let owned: Vec<String> = patterns.iter().map(|one| (*one).to_owned()).collect();
            globs(&owned).map(|globs| format!("{globs:?}")).map_err(|error| error.to_string())
        };
        for (patterns, want) in [
            (&["command=git push *"][..], Ok(r#"{"command": "git push *"}"#)),
            (&["a=b=c", "d="], Ok(r#"{"a": "b=c", "d": ""}"#)),
            (&["command"], Err("`command` is no NAME=GLOB, as in 'command=git push *'")),
            (&["=x"], Err("`=x` is no NAME=GLOB, as in 'command=git push *'")),
            (&["a=1", "a=2"], Err("`a` has two patterns; give one")),
        ] {
            let want = want.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(read(patterns), want, "{patterns:?}");
        }
    }
}
