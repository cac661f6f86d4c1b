//! Where the demo plays: a temporary folder, and this program's own commands in it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use provost_api::{List, Session};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

use super::PATIENCE;
use crate::{printer::Printer, run_file::RunFile};

/// How often something that has to happen is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Time for the followed ledger to be printed before the next chapter begins.
const SETTLE: Duration = Duration::from_millis(1_500);

/// A temporary folder, and how commands are run in it.
pub(super) struct Stage {
    folder: TempDir,
    printer: Printer,
    upstream: String,
}

impl Stage {
    pub(super) fn build(printer: Printer, upstream: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        Ok(Self { folder, printer, upstream: upstream.to_owned() })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// This program's path.
    pub(super) fn program(&self) -> Result<String> {
        let program = std::env::current_exe().context("this program has no path")?;
        program.into_os_string().into_string().ok().context("this program's path is not UTF-8")
    }

    pub(super) fn say(&self, text: &str) {
        for line in text.split('\n') {
            self.printer.note(line);
        }
    }

    pub(super) fn chapter(&self, title: &str) {
        self.say(&format!(
            "\n── {title} {}",
            "─".repeat(76_usize.saturating_sub(title.chars().count()))
        ));
    }

    /// A command of this program on the demo's data directory.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| "provost".into());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PROVOST_DATA_DIR", self.data())
            .env("PROVOST_LLM_UPSTREAM", &self.upstream)
            .env("PROVOST_LISTEN_GATEWAY", "127.0.0.1:0")
            .env("PROVOST_LISTEN_CONTROL", "127.0.0.1:0")
            .env("HOME", self.folder())
            .env_remove("PROVOST_SERVER")
            .env_remove("PROVOST_TOKEN")
            .stdin(Stdio::null());
        command
    }

    /// Prints a command as somebody would type it.
    pub(super) fn show(&self, command: &Command) {
        let words = command.as_std().get_args().map(|word| {
            let word = word.to_string_lossy();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:".contains(c);
            if word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
        });
        let words: Vec<String> = words.collect();
        self.say(&format!("\n$ provost {}", words.join(" ")));
    }

    /// Shows and runs a command that has to succeed.
    pub(super) async fn done(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(arguments);
        self.show(&command);
        let ended = command.status().await?;
        ensure!(ended.success(), "`provost {}` ended with {ended}", arguments.join(" "));
        Ok(())
    }

    /// The same, with a secret on its standard input.
    pub(super) async fn tell(&self, arguments: &[&str], secret: &SecretString) -> Result<()> {
        let mut command = self.command(arguments);
        self.show(&command);
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("the command has no standard input")?;
        stdin.write_all(secret.expose_secret().as_bytes()).await?;
        drop(stdin);
        let ended = child.wait().await?;
        ensure!(ended.success(), "`provost {}` ended with {ended}", arguments.join(" "));
        Ok(())
    }

    /// Shows and starts a command that goes on.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command(arguments);
        self.show(&command);
        Ok(command.kill_on_drop(true).spawn()?)
    }

    /// Starts the server and waits until it answers.
    pub(super) async fn serve(&self) -> Result<Child> {
        let log = self.folder().join("server.log");
        let mut command = self.command(&["serve"]);
        self.show(&command);
        command.stdout(Stdio::inherit()).stderr(File::create(&log)?).kill_on_drop(true);
        let mut child = command.spawn()?;
        let run_file = self.data().join("run.json");
        let up = async {
            while RunFile::read(&run_file)?.is_none() {
                if let Some(ended) = child.try_wait()? {
                    let log = std::fs::read_to_string(&log).unwrap_or_default();
                    bail!("the server ended with {ended}: {log}");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, up).await.context("the server did not start")??;
        Ok(child)
    }

    /// The session that is live now, if one is.
    pub(super) async fn live_session(&self) -> Result<Option<String>> {
        let mut command = self.command(&["session", "list", "--live", "--output", "json"]);
        let output = command.stderr(Stdio::inherit()).output().await?;
        let sessions: List<Session> = serde_json::from_slice(&output.stdout)?;
        Ok(sessions.items.into_iter().next().map(|live| live.id))
    }

    /// Lets the followed ledger be printed.
    pub(super) async fn settle(&self) -> Result<()> {
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }
}
