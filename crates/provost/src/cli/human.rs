//! `provost human`: people who may use the control API.

use anyhow::Result;
use clap::{Args, Subcommand};
use provost_api::{Human as Known, IssuedToken, List, NewHuman};
use provost_types::Role;

use super::Invocation;
use crate::{client::percent_encoded, exit::Exit, printer::Table};

/// People who may use the control API, each with a role
#[derive(Debug, Subcommand)]
pub(crate) enum Human {
    Create(Create),
    /// Lists people with their roles
    List,
    Remove(Remove),
}

/// Adds a person and prints their token, once
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What the ledger calls the person
    name: String,
    /// admin, operator, approver or auditor
    #[arg(long, value_parser = |text: &str| text.parse::<Role>())]
    role: Role,
}

/// Removes a person; their token stops being accepted at once
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The person
    name: String,
}

/// Does one of them.
pub(crate) async fn run(asked: Human, invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let printer = invocation.printer;
    match asked {
        Human::Create(Create { name, role }) => {
            let new = NewHuman { name, role: role.as_str().to_owned() };
            let issued: IssuedToken = client.post("/v1/humans", &new).await?;
            printer.note("the token is shown this once; it is for PROVOST_TOKEN");
            printer.answer(&issued, |issued| issued.token.0.clone())?;
        }
        Human::List => {
            let people: List<Known> = client.get("/v1/humans").await?;
            printer.answer(&people, |people| {
                let mut table = Table::new(["NAME", "ROLE", "ADDED", "REMOVED"]);
                for one in &people.items {
                    let removed = one.removed_at.as_deref().unwrap_or_default();
                    table.row([&one.name, &one.role, &one.created_at, removed]);
                }
                table.to_string()
            })?;
        }
        Human::Remove(Remove { name }) => {
            let () = client.delete(&format!("/v1/humans/{}", percent_encoded(&name))).await?;
            printer.answer(&(), |()| format!("removed {name}"))?;
        }
    }
    Ok(Exit::Done)
}
