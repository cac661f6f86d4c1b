//! `provost audit`: what was recorded, and the proof that it still is what was recorded.

mod lines;
mod pages;
mod query;
mod rows;
mod verify;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{Args, Subcommand};
use provost_api::{
    ActionEvents, Bodies, Checkpoint as Head, EVENT_KINDS, Event, EventPage, EventQuery, Proof,
};
use provost_ledger::{Checkpoint, Hash, LedgerVerifier, leaf_hash, verify_inclusion};
use provost_types::{ActionId, AgentName, ProjectName, SessionId};
use serde::Serialize;

pub(super) use lines::{effects, line, number, sentence, text};
pub(super) use pages::{Reached, collect, each};

use super::Invocation;
use crate::{
    client::{Client, with_query},
    exit::Exit,
};

/// Longest wait of one poll. Unit: seconds.
const POLL_S: u32 = 30;

/// The ledger: what was recorded, and the proof of it
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    Tail(Tail),
    Query(Box<query::Query>),
    Show(Show),
    Verify(verify::Verify),
    /// Prints the newest signed head of the ledger, for somebody else to keep
    #[command(after_long_help = "\
Example:
  provost audit checkpoint > monday.txt
  provost audit verify --since monday.txt")]
    Checkpoint,
}

/// Prints the newest events, and with `--follow` those that come
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Goes on printing events as they come
    #[arg(long, short)]
    follow: bool,
    /// How many to begin with
    #[arg(long, short = 'n', default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    lines: u32,
    /// Only events about this agent
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only events about this project
    #[arg(long)]
    project: Option<ProjectName>,
    /// Only events about this session
    #[arg(long)]
    session: Option<SessionId>,
    /// Only events of this kind
    #[arg(long, value_parser = EVENT_KINDS)]
    kind: Option<String>,
}

/// Shows everything recorded about one action
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The action
    action: ActionId,
    /// Adds, for each record, the proof that it is in the signed ledger, and checks it
    #[arg(long)]
    proof: bool,
    /// Adds what was asked and answered, where the project keeps it; the look is recorded
    #[arg(long)]
    bodies: bool,
}

/// Does one of them.
pub(crate) async fn run(asked: Audit, invocation: &Invocation) -> Result<Exit> {
    match asked {
        Audit::Tail(asked) => tail(asked, invocation).await,
        Audit::Query(asked) => query::run(*asked, invocation).await,
        Audit::Show(asked) => show(&asked, invocation).await,
        Audit::Verify(asked) => verify::run(&asked, invocation).await,
        Audit::Checkpoint => {
            let client = invocation.client().await?;
            let head: Head = client.get("/v1/checkpoint").await?;
            invocation.printer.answer(&head, |head| head.checkpoint.clone())?;
            Ok(Exit::Done)
        }
    }
}

async fn tail(asked: Tail, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let mut query = EventQuery {
        limit: Some(asked.lines),
        newest: Some(true),
        agent: asked.agent.map(|agent| agent.to_string()),
        project: asked.project.map(|project| project.to_string()),
        session: asked.session.map(|session| session.to_string()),
        kind: asked.kind,
        ..EventQuery::default()
    };
    loop {
        let page: EventPage = client.get(&with_query("/v1/events", &query)).await?;
        for event in &page.events {
            invocation.printer.item(event, line)?;
        }
        if !asked.follow {
            break;
        }
        ensure!(client.is_served(), "no server runs here, so nothing will come");
        query.newest = None;
        query.wait = Some(POLL_S);
        query.after = page.after.or(query.after);
    }
    Ok(Exit::Done)
}

/// The records of one action, each with its proof if that was asked for.
#[derive(Serialize)]
struct Shown {
    action: String,
    records: Vec<ShownRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bodies: Option<Bodies>,
}

#[derive(Serialize)]
struct ShownRecord {
    #[serde(flatten)]
    event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
}

async fn show(asked: &Show, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let found: ActionEvents = client.get(&format!("/v1/actions/{}", asked.action)).await?;
    let mut records = Vec::new();
    for event in found.events {
        let proof = if asked.proof { Some(proof(client, event.index).await?) } else { None };
        records.push(ShownRecord { event, proof });
    }
    let verifier = if asked.proof { Some(verify::verifier(None, invocation)?) } else { None };
    if let Some(verifier) = &verifier {
        for proof in records.iter().filter_map(|record| record.proof.as_ref()) {
            check(proof, verifier)
                .with_context(|| format!("record {} is not proven", proof.index))?;
        }
    }
    let bodies = match asked.bodies {
        true => Some(client.get(&format!("/v1/actions/{}/bodies", asked.action)).await?),
        false => None,
    };
    let shown = Shown { action: found.action, records, bodies };
    invocation.printer.answer(&shown, told)?;
    Ok(Exit::Done)
}

fn told(shown: &Shown) -> String {
    let records = shown.records.iter();
    let mut text: String =
        records.map(|record| lines::whole(&record.event, record.proof.as_ref())).collect();
    if let Some(bodies) = &shown.bodies {
        for (name, body) in [("request", &bodies.request), ("response", &bodies.response)] {
            let decoded = body.as_ref().map(|body| BASE64_STANDARD.decode(body));
            let body = match decoded {
                Some(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
                Some(Err(_)) | None => "not kept, or deleted".to_owned(),
            };
            text.push_str(&format!("{name} body:\n{body}\n"));
        }
    }
    text
}

async fn proof(client: &Client, index: u64) -> Result<Proof> {
    Ok(client.get(&format!("/v1/events/{index}/proof")).await?)
}

/// Checks, without asking anyone, that the record is in the ledger its checkpoint signs.
fn check(proof: &Proof, verifier: &LedgerVerifier) -> Result<()> {
    let head = Checkpoint::open(&proof.checkpoint, verifier)?;
    let entry = BASE64_STANDARD.decode(&proof.entry)?;
    let hashes: Vec<Hash> = proof
        .hashes
        .iter()
        .map(|hash| {
            let bytes = BASE64_STANDARD.decode(hash)?;
            bytes.try_into().map_err(|_| anyhow::anyhow!("a hash has 32 bytes"))
        })
        .collect::<Result<_>>()?;
    verify_inclusion(&hashes, proof.index, &leaf_hash(&entry), &head)?;
    Ok(())
}
