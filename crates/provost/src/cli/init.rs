//! `provost init`: a data directory, keys, starter policies, and the first administrator.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use provost_api::{IssuedToken, NewHuman};
use provost_types::Role;
use serde::Serialize;
use uuid::Uuid;

use super::{Invocation, variable};
use crate::{
    exit::{Exit, Misuse},
    init,
};

/// Makes a data directory: keys, starter policies, the first administrator's token
///
/// Never overwrites anything: on a directory that is complete it says so and fails, and one
/// whose making was interrupted it completes.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The first administrator's name [default: the user's]
    #[arg(long, value_name = "NAME")]
    admin: Option<String>,
    /// What the ledger is called in its checkpoints [default: one made up]
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
}

/// What was made.
#[derive(Serialize)]
struct Made {
    data_dir: PathBuf,
    files: Vec<PathBuf>,
    admin: IssuedToken,
}

/// Makes it.
pub(crate) async fn run(asked: &Init, invocation: &Invocation) -> Result<Exit> {
    if invocation.is_remote() {
        return Err(Misuse("a data directory is made on its own machine").into());
    }
    let config = invocation.config()?;
    let origin = asked.origin.clone().unwrap_or_else(made_up);
    let files = init::make(&invocation.data, &config, &origin)?;

    let name = asked.admin.clone().or_else(|| variable("USER"));
    let new = NewHuman {
        name: name.unwrap_or_else(|| "admin".to_owned()),
        role: Role::Admin.as_str().to_owned(),
    };
    let client = invocation.client().await?;
    let admin: IssuedToken = client
        .post("/v1/humans", &new)
        .await
        .context("the first administrator could not be made; try: provost human create")?;

    let made = Made { data_dir: invocation.data.path().to_owned(), files, admin };
    invocation.printer.answer(&made, |made| {
        let mut text = format!("made the data directory {}\n", made.data_dir.display());
        text.extend(made.files.iter().map(|file| format!("  {}\n", file.display())));
        text.push_str(&format!(
            "\nadministrator {}, token (shown this once):\n\n  {}\n\n\
             Keep {} safe and apart: nothing sealed can be read without it.\n\
             Next: provost secret set anthropic; provost agent create NAME --project NAME; \
             provost serve\n",
            made.admin.human.name,
            made.admin.token.0,
            config.master_file.display(),
        ));
        text
    })?;
    Ok(Exit::Done)
}

fn made_up() -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("provost-{}", id.chars().skip(20).collect::<String>())
}
