//! `provost demo`, and the scripted agent it starts.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use secrecy::SecretString;

use super::{Invocation, variable};
use crate::{demo, exit::Exit};

/// Shows everything once, on temporary data, with no key, network or service
///
/// Starts the control plane, a scripted model and an agent: stock Claude Code if `claude` is on
/// the PATH, else a scripted one. Every command that is shown is really run.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leaves everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Uses the real API at this address, with the key in ANTHROPIC_API_KEY
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

/// Plays the scripted agent
#[derive(Debug, Args)]
pub(crate) struct DemoAgent {
    /// The model to ask
    #[arg(long)]
    model: String,
}

/// Plays the demo.
pub(crate) async fn run(asked: Demo, invocation: &Invocation) -> Result<Exit> {
    let upstream = match asked.upstream {
        None => None,
        Some(url) => {
            let key = variable("ANTHROPIC_API_KEY");
            let key = key.context("`--upstream` needs the real key in ANTHROPIC_API_KEY")?;
            Some((url, SecretString::from(key)))
        }
    };
    let asked = demo::Asked { keep: asked.keep, upstream, claude: claude_on_path() };
    demo::play(asked, invocation.printer).await?;
    Ok(Exit::Done)
}

/// Plays the agent of the demo.
pub(crate) async fn agent(asked: DemoAgent, invocation: &Invocation) -> Result<Exit> {
    let given = demo::Given {
        base_url: variable("ANTHROPIC_BASE_URL").context("start it with `provost run`")?,
        token: variable("ANTHROPIC_AUTH_TOKEN").context("start it with `provost run`")?.into(),
    };
    demo::scripted_agent(&given, &asked.model, invocation.printer).await?;
    Ok(Exit::Done)
}

/// Claude Code, where it is on the PATH.
pub(super) fn claude_on_path() -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("claude")).find(|file| file.is_file())
}
