//! `provost demo`: the whole of it in one terminal, with no key, no network and no service.
//!
//! Everything that is shown is done by the real commands of this same program, on a temporary
//! data directory; only the model is scripted, unless a real one is named.

mod agent;
mod stage;

use std::{fs, path::Path, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result, ensure};
use provost_scripted::{Script, Scripted};
use tokio::process::{Child, Command};

pub(crate) use agent::{Given, scripted_agent};
use stage::Stage;

use crate::printer::Printer;

/// The model that the starter policies permit, and one that they do not.
const PERMITTED: &str = "claude-sonnet-5";
const FORBIDDEN: &str = "claude-instant-1";
/// What the scripted endpoint streams without end, 25 events a second.
const ENDLESS: &str = "claude-sonnet-5+endless-40";

const AGENT: &str = "invoice-bot";

/// How long a stream is watched before it is killed.
const WATCH: Duration = Duration::from_secs(2);
/// Longest wait for what has to happen next.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the demo is asked to do.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Leave it running until interrupted.
    pub(crate) keep: bool,
    /// The real API, with its key, instead of the scripted one.
    pub(crate) upstream: Option<(String, secrecy::SecretString)>,
    /// Stock Claude Code, where it is installed.
    pub(crate) claude: Option<std::path::PathBuf>,
}

/// Plays the demo.
///
/// # Errors
///
/// A step did not end as it has to: the demo is also a test.
pub(crate) async fn play(asked: Asked, printer: Printer) -> Result<()> {
    let model =
        Scripted::start(Script::default()).await.context("cannot listen on loopback")?;
    let upstream =
        asked.upstream.as_ref().map_or_else(|| model.base_url(), |(url, _)| url.clone());
    let stage = Stage::build(printer, &upstream)?;
    let agent = Agent { claude: asked.claude.clone(), real: asked.upstream.is_some() };
    stage.say(&format!(
        "The agent is {}; the model is {}.\nData: {}",
        agent.name(),
        if agent.real { &upstream } else { "a script of ours on loopback" },
        stage.data().display()
    ));

    stage.chapter("A data directory, the real key, an agent");
    stage.done(&["init"]).await?;
    let key = asked.upstream.map_or_else(|| "sk-ant-api03-demo".into(), |(_, key)| key);
    stage.tell(&["secret", "set", "anthropic"], &key).await?;
    stage.done(&["agent", "create", AGENT, "--project", "finance"]).await?;

    stage.chapter("The control plane");
    let mut server = stage.serve().await?;
    let mut tail = stage.start(&["audit", "tail", "--follow", "-n", "1"])?;

    stage.chapter("A session: model calls and a tool call, each recorded before it happens");
    let ended = agent.run(&stage, PERMITTED).await?;
    ensure!(ended.success(), "the agent should have succeeded, and ended with {ended}");

    stage.chapter("A model that no policy permits: denied, with the reason");
    let ended = agent.run(&stage, FORBIDDEN).await?;
    ensure!(!ended.success(), "the agent should have been stopped");

    stage.chapter("A stream that is killed");
    kill(&stage, &agent, &model).await?;

    stage.chapter("What was recorded is what happened: the ledger, verified from its files");
    stage.settle().await?;
    stage.done(&["audit", "verify"]).await?;
    flip(&stage).await?;

    if asked.keep {
        stage.say("\nLeft running. Try the commands above with PROVOST_DATA_DIR set, or:");
        stage.say(&format!(
            "  PROVOST_DATA_DIR='{}' provost session list\n\nCtrl-C ends it and removes the data.",
            stage.data().display()
        ));
        tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")?;
    }
    end(&mut tail).await?;
    end(&mut server).await?;
    stage.say("\nDone. Nothing is left of it.");
    Ok(())
}

/// Whoever plays the agent.
struct Agent {
    claude: Option<std::path::PathBuf>,
    real: bool,
}

impl Agent {
    fn name(&self) -> &'static str {
        if self.claude.is_some() { "stock Claude Code" } else { "a script of ours" }
    }

    fn command(&self, stage: &Stage, model: &str) -> Result<Command> {
        let task = "Use Bash to run: echo hello from the agent. Then say what it printed.";
        let front = ["run", "--agent", AGENT, "--"];
        match &self.claude {
            Some(claude) => {
                let claude = claude.to_str().context("the path of claude is not UTF-8")?;
                let asked = ["-p", task, "--model", model, "--allowedTools", "Bash"];
                Ok(stage.command(&[&front[..], &[claude], &asked[..]].concat()))
            }
            None => {
                let program = stage.program()?;
                let asked = [program.as_str(), "demo-agent", "--model", model];
                Ok(stage.command(&[&front[..], &asked[..]].concat()))
            }
        }
    }

    async fn run(&self, stage: &Stage, model: &str) -> Result<ExitStatus> {
        let mut command = self.command(stage, model)?;
        stage.show(&command);
        let ended = command.status().await.context("the agent cannot be started")?;
        stage.settle().await?;
        Ok(ended)
    }
}

async fn kill(stage: &Stage, agent: &Agent, model: &Scripted) -> Result<()> {
    let name = if agent.real { PERMITTED } else { ENDLESS };
    let mut command = agent.command(stage, name)?;
    stage.show(&command);
    let mut running =
        command.kill_on_drop(true).spawn().context("the agent cannot be started")?;
    let streaming = async {
        while !agent.real && model.live_streams() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(WATCH).await;
    };
    tokio::time::timeout(PATIENCE, streaming).await.context("the stream never began")?;
    let Some(session) = stage.live_session().await? else {
        ensure!(agent.real, "no session is live");
        stage.say("The real model had answered before anybody could cut it.");
        return stage.settle().await;
    };
    stage.done(&["session", "kill", &session, "--reason", "shown in the demo"]).await?;
    let ended = tokio::time::timeout(PATIENCE, running.wait()).await;
    let ended = ended.context("the agent did not end")??;
    ensure!(!ended.success(), "the agent should have been killed");
    ensure!(agent.real || model.live_streams() == 0, "the stream should have been cut");
    stage.say(&format!("The stream is cut, and the agent ended with {ended}."));
    stage.settle().await
}

/// Flips one bit of one entry in a copy of the ledger, and shows that it is found.
async fn flip(stage: &Stage) -> Result<()> {
    let copy = stage.folder().join("copy");
    copy_folder(&stage.data().join("ledger"), &copy)?;
    let path = find_entries(&copy)?.context("the ledger has no entries yet")?;
    let mut bytes = fs::read(&path)?;
    let middle = bytes.len() / 2;
    let byte = bytes.get_mut(middle).context("the entries are empty")?;
    *byte ^= 1;
    fs::write(&path, bytes)?;
    let shown = path.strip_prefix(&copy).unwrap_or(&path).display();
    stage.say(&format!("\nOne bit of byte {middle} of {shown} is flipped in a copy:"));
    let copy = copy.to_str().context("the temporary folder is not UTF-8")?;
    let mut command = stage.command(&["audit", "verify", "--ledger", copy]);
    stage.show(&command);
    let ended = command.status().await?;
    ensure!(ended.code() == Some(1), "the change should have been found");
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// A bundle of entries, full or partial.
fn find_entries(ledger: &Path) -> Result<Option<std::path::PathBuf>> {
    let mut folders = vec![ledger.join("tile/entries")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() {
                return Ok(Some(path));
            }
            folders.push(path);
        }
    }
    Ok(None)
}

/// Asks a process of ours to end, and waits for it.
async fn end(child: &mut Child) -> Result<()> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGTERM)?;
    }
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    let _status = ended.context("a process of the demo does not end")??;
    Ok(())
}
