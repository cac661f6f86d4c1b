//! `provost secret`: upstream credentials, which go in and never come out.

use std::io::{self, IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use provost_api::{List, PutSecret, Secret as Stored, Sensitive};
use provost_secrets::{SecretName, VALUE_BYTES_MAX};

use super::Invocation;
use crate::{exit::Exit, printer::Table};

/// Credentials that Provost calls upstreams with
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    Set(Set),
    /// Lists the names of the secrets and when each was set, never what they are
    List,
    Remove(Remove),
}

/// Stores a credential, read from standard input; takes effect at the next request
///
/// It is encrypted to the master key and never shown again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  provost secret set anthropic            # asks, without showing what is typed
  provost secret set anthropic < key.txt")]
pub(crate) struct Set {
    /// What the configuration calls it, such as `anthropic`
    name: SecretName,
}

/// Forgets a credential
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its name
    name: SecretName,
}

/// Does one of them.
pub(crate) async fn run(asked: Secret, invocation: &Invocation) -> Result<Exit> {
    let printer = invocation.printer;
    match asked {
        Secret::Set(Set { name }) => {
            let value = read_value(|prompt| printer.note(prompt), name.as_str())?;
            let client = invocation.client().await?;
            let () = client.put(&format!("/v1/secrets/{name}"), &PutSecret { value }).await?;
            printer.answer(&(), |()| format!("stored {name}"))?;
        }
        Secret::List => {
            let client = invocation.client().await?;
            let stored: List<Stored> = client.get("/v1/secrets").await?;
            printer.answer(&stored, |stored| {
                let mut table = Table::new(["NAME", "SET"]);
                stored.items.iter().for_each(|one| table.row([&one.name, &one.set_at]));
                table.to_string()
            })?;
        }
        Secret::Remove(Remove { name }) => {
            let client = invocation.client().await?;
            let () = client.delete(&format!("/v1/secrets/{name}")).await?;
            printer.answer(&(), |()| format!("removed {name}"))?;
        }
    }
    Ok(Exit::Done)
}

/// Reads the value; a terminal does not show what is typed, and one line is all of it.
pub(super) fn read_value(prompt: impl Fn(&str), name: &str) -> Result<Sensitive> {
    let stdin = io::stdin();
    let mut text = String::new();
    if stdin.is_terminal() {
        prompt(&format!("{name} (not shown):"));
        let shown = tcgetattr(&stdin).context("cannot ask the terminal")?;
        let mut hidden = shown.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&stdin, SetArg::TCSAFLUSH, &hidden).context("cannot hide what is typed")?;
        let read = stdin.read_line(&mut text);
        tcsetattr(&stdin, SetArg::TCSAFLUSH, &shown).context("cannot restore the terminal")?;
        read.context("cannot read the value")?;
    } else {
        // One byte more than may be stored and a line end, so that too much is noticed.
        let bytes_max = VALUE_BYTES_MAX.saturating_add(2);
        let mut input = stdin.lock().take(u64::try_from(bytes_max)?);
        input.read_to_string(&mut text).context("cannot read the value")?;
    }
    let value = text.trim_end_matches(['\r', '\n']);
    ensure!(!value.is_empty(), "nothing was given on standard input");
    Ok(Sensitive(value.to_owned()))
}
