//! `provost project`: groups of agents that share policies and keys.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use provost_api::{List, NewProject, Project as Known};
use provost_types::{ProjectName, RunState, Scope};

use super::{
    Invocation,
    stop::{self, Reason},
};
use crate::{exit::Exit, printer::Table};

/// Projects: groups of agents that share policies and keys
#[derive(Debug, Subcommand)]
pub(crate) enum Project {
    Create(Create),
    /// Lists projects, and what is kept of their bodies
    List,
    /// Refuses new actions of all its agents; what is in flight goes on
    Pause(Stop),
    /// Refuses new actions of all its agents and cuts those in flight
    Kill(Stop),
    /// Lets its agents act again; after a kill it takes an administrator
    Resume(Named),
}

/// Creates a project, with a policy file of its own
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name
    name: ProjectName,
    /// What is kept of requests and answers [default: the configuration's]
    #[arg(long, value_enum)]
    bodies: Option<Bodies>,
}

/// What is kept of requests and answers.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Bodies {
    /// Nothing, not even digests
    None,
    /// Keyed digests
    Digests,
    /// Digests, and the bodies themselves, encrypted
    Full,
}

/// Refuses new actions of the project's agents; a kill also cuts those in flight
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The project
    name: ProjectName,
    #[command(flatten)]
    reason: Reason,
}

/// Lets the project's agents act again
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The project
    name: ProjectName,
}

/// Does one of them.
pub(crate) async fn run(asked: Project, invocation: &Invocation) -> Result<Exit> {
    match asked {
        Project::Create(asked) => create(asked, invocation).await,
        Project::List => list(invocation).await,
        Project::Pause(Stop { name, reason }) => {
            stop::set(Scope::Project(name), RunState::Paused, reason, invocation).await
        }
        Project::Kill(Stop { name, reason }) => {
            stop::set(Scope::Project(name), RunState::Killed, reason, invocation).await
        }
        Project::Resume(Named { name }) => stop::resume(Scope::Project(name), invocation).await,
    }
}

async fn create(asked: Create, invocation: &Invocation) -> Result<Exit> {
    let bodies = match asked.bodies {
        Some(Bodies::None) => "none",
        Some(Bodies::Digests) => "digests",
        Some(Bodies::Full) => "full",
        None => &default_bodies(invocation)?,
    };
    let client = invocation.client().await?;
    let new = NewProject { name: asked.name.to_string(), bodies: Some(bodies.to_owned()) };
    let project: Known = client.post("/v1/projects", &new).await?;
    invocation.printer.answer(&project, |project| {
        format!("created project {} (bodies: {})", project.name, project.bodies)
    })?;
    Ok(Exit::Done)
}

/// What new projects keep: here the configuration says, elsewhere the server does.
pub(super) fn default_bodies(invocation: &Invocation) -> Result<String> {
    if invocation.is_remote() {
        return Ok("digests".to_owned());
    }
    Ok(invocation.config()?.bodies.mode)
}

async fn list(invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let projects: List<Known> = client.get("/v1/projects").await?;
    invocation.printer.answer(&projects, |projects| {
        let mut table = Table::new(["NAME", "BODIES", "CREATED"]);
        for one in &projects.items {
            table.row([&one.name, &one.bodies, &one.created_at]);
        }
        table.to_string()
    })?;
    Ok(Exit::Done)
}
