//! `provost serve`: the control plane, until it is told to stop.

use anyhow::Result;
use clap::Args;

use super::Invocation;
use crate::{
    exit::{Exit, Misuse},
    serve,
};

/// Serves the gateway and the control API until told to stop
///
/// SIGTERM and SIGINT stop it in order: no new actions, those in flight end or are cut after
/// `limits.drain_s`, and everything recorded is signed. A second one cuts them at once.
#[derive(Debug, Args)]
pub(crate) struct Serve {}

/// Serves.
pub(crate) async fn run(_asked: &Serve, invocation: &Invocation) -> Result<Exit> {
    if invocation.is_remote() {
        return Err(Misuse("a server runs on its own data directory").into());
    }
    let config = invocation.config()?;
    serve::serve(&invocation.data, &config, invocation.printer).await?;
    Ok(Exit::Done)
}
