//! The scripted model, as a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use provost_scripted::{Scene, Script, Scripted};

use crate::{process::Process, ticks};

/// Makes this program the model instead of the bench.
pub(crate) const ARGUMENT: &str = "be-the-upstream";

/// Serves until standard input ends, which it does when the bench does.
pub(crate) async fn serve() -> Result<()> {
    let script = Script::fixed().unless(|seen| {
        let body = std::str::from_utf8(&seen.body).ok()?;
        let (_, scene) = body.get(..120)?.split_once("+endless-")?;
        let every = Duration::from_millis(scene.split_once('"')?.0.parse().ok()?);
        let asked = seen.asked()?;
        let said = provost_scripted::Message::text(&asked.model, "");
        Some(Scene::Endless { every }.play(&asked, said))
    });
    let scripted = Scripted::start(script).await?;
    ticks::say(&scripted.address().to_string())?;
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    Ok(())
}

/// Starts the model; its process and where it listens.
pub(crate) fn start() -> Result<(Process, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
    Ok((Process(child), line.trim().parse()?))
}
