//! `provost agent`: non-human identities and their keys.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use provost_api::{
    Agent as Known, IssuedKey, Key as KnownKey, List, NewAgent, NewKey, NewProject, Project,
    RotateKey,
};
use provost_types::{AgentName, CredentialId, ProjectName, RunState, Scope};

use super::{
    Invocation,
    period::duration,
    project::default_bodies,
    stop::{self, Reason},
};
use crate::{client::Client, exit::Exit, printer::Table};

/// Agents: non-human identities, each in one project
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    Create(Create),
    /// Lists agents, each with its project
    List,
    /// Retires an agent for good: its sessions end, its keys are revoked, its name stays taken
    Retire(Named),
    /// Refuses the agent's new actions; what is in flight goes on
    Pause(Stop),
    /// Refuses the agent's new actions and cuts those in flight
    Kill(Stop),
    /// Lets the agent act again; after a kill it takes an administrator
    Resume(Named),
    /// Keys an agent opens its own sessions with, where no person or socket does
    #[command(subcommand)]
    Key(Key),
}

/// Creates an agent, and its project too if there is none of that name
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name, never used again once taken
    name: AgentName,
    /// The project it belongs to
    #[arg(long)]
    project: ProjectName,
}

/// One agent
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The agent
    name: AgentName,
}

/// Refuses the agent's new actions; a kill also cuts those in flight
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The agent
    name: AgentName,
    #[command(flatten)]
    reason: Reason,
}

/// Keys an agent opens its own sessions with, where no person or socket does
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    Create(NewKeyOf),
    /// Lists an agent's keys: label, expiry, last use, never the key itself
    List(Named),
    Rotate(Rotate),
    Revoke(Revoke),
}

/// Makes a key and prints it, once
#[derive(Debug, Args)]
pub(crate) struct NewKeyOf {
    /// The agent
    name: AgentName,
    /// What people call it, such as the machine it is for
    #[arg(long)]
    label: String,
    /// How long it is good for, such as 90d; for good if left out
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires_in: Option<Duration>,
}

/// Makes a new key in place of one, and prints it, once
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The old key's id
    key: CredentialId,
    /// How long the old key stays good beside the new one, such as 1h
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    grace: Duration,
}

/// Revokes a key: it is refused from the next request on
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The key's id
    key: CredentialId,
}

/// Does one of them.
pub(crate) async fn run(asked: Agent, invocation: &Invocation) -> Result<Exit> {
    match asked {
        Agent::Create(asked) => create(asked, invocation).await,
        Agent::List => list(invocation).await,
        Agent::Retire(Named { name }) => {
            let client = invocation.client().await?;
            let () = client.delete(&format!("/v1/agents/{name}")).await?;
            invocation.printer.answer(&(), |()| format!("retired agent {name}"))?;
            Ok(Exit::Done)
        }
        Agent::Pause(Stop { name, reason }) => {
            stop::set(Scope::Agent(name), RunState::Paused, reason, invocation).await
        }
        Agent::Kill(Stop { name, reason }) => {
            stop::set(Scope::Agent(name), RunState::Killed, reason, invocation).await
        }
        Agent::Resume(Named { name }) => stop::resume(Scope::Agent(name), invocation).await,
        Agent::Key(asked) => key(asked, invocation).await,
    }
}

async fn create(asked: Create, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    ensure_project(client, &asked.project, invocation).await?;
    let new = NewAgent { name: asked.name.to_string(), project: asked.project.to_string() };
    let agent: Known = client.post("/v1/agents", &new).await?;
    invocation.printer.answer(&agent, |agent| {
        format!("created agent {} in project {}", agent.name, agent.project)
    })?;
    Ok(Exit::Done)
}

/// Creates the project of a new agent, and says so, unless it is there.
async fn ensure_project(
    client: &Client,
    project: &ProjectName,
    invocation: &Invocation,
) -> Result<()> {
    let projects: List<Project> = client.get("/v1/projects").await?;
    if projects.items.iter().any(|one| one.name == project.as_str()) {
        return Ok(());
    }
    let bodies = Some(default_bodies(invocation)?);
    let new = NewProject { name: project.to_string(), bodies };
    let _created: Project = client.post("/v1/projects", &new).await?;
    invocation.printer.note(&format!("created project {project}, which was not there yet"));
    Ok(())
}

async fn list(invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let agents: List<Known> = client.get("/v1/agents").await?;
    invocation.printer.answer(&agents, |agents| {
        let mut table = Table::new(["NAME", "PROJECT", "CREATED", "RETIRED"]);
        for one in &agents.items {
            let retired = one.retired_at.as_deref().unwrap_or_default();
            table.row([&one.name, &one.project, &one.created_at, retired]);
        }
        table.to_string()
    })?;
    Ok(Exit::Done)
}

async fn key(asked: Key, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let printer = invocation.printer;
    match asked {
        Key::Create(NewKeyOf { name, label, expires_in }) => {
            let new = NewKey { label, expires_in_s: expires_in.map(|time| time.as_secs()) };
            let issued = client.post(&format!("/v1/agents/{name}/keys"), &new).await?;
            show_once(&issued, invocation)?;
        }
        Key::List(Named { name }) => {
            let keys: List<KnownKey> = client.get(&format!("/v1/agents/{name}/keys")).await?;
            printer.answer(&keys, key_table)?;
        }
        Key::Rotate(Rotate { key, grace }) => {
            let rotate = RotateKey { grace_s: grace.as_secs() };
            let issued = client.post(&format!("/v1/keys/{key}/rotate"), &rotate).await?;
            show_once(&issued, invocation)?;
        }
        Key::Revoke(Revoke { key }) => {
            let () = client.delete(&format!("/v1/keys/{key}")).await?;
            printer.answer(&(), |()| format!("revoked {key}"))?;
        }
    }
    Ok(Exit::Done)
}

fn show_once(issued: &IssuedKey, invocation: &Invocation) -> Result<()> {
    let printer = invocation.printer;
    printer.note(&format!(
        "key {} is shown this once; it is for PROVOST_AGENT_KEY, where `provost run` starts",
        issued.credential
    ));
    printer.answer(issued, |issued| issued.key.0.clone())?;
    Ok(())
}

fn key_table(keys: &List<KnownKey>) -> String {
    let mut table = Table::new(["KEY", "LABEL", "CREATED", "LAST USED", "EXPIRES", "REVOKED"]);
    for one in &keys.items {
        let [used, expires, revoked] = [&one.last_used_at, &one.expires_at, &one.revoked_at]
            .map(|time| time.as_deref().unwrap_or_default());
        table.row([&one.credential, &one.label, &one.created_at, used, expires, revoked]);
    }
    table.to_string()
}
