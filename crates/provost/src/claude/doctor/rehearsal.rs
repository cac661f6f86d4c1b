//! One run of Claude Code against a scripted model, with a gateway that is down.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use provost_scripted::{Play, Script, Scripted, Seen as Request};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Patient, Settings};

/// Longest run. Unit: seconds.
const RUN_WAIT_S_MAX: u64 = 90;
/// How `provost hook` begins to say that it refuses a prompt, and a tool.
pub(super) const PROMPT_REFUSED: &str = "Provost refuses this UserPromptSubmit";
/// See [`PROMPT_REFUSED`].
pub(super) const TOOL_REFUSED: &str = "Provost refuses this PreToolUse";
/// The file that the command leaves.
const MARKER: &str = "provost-doctor-ran";
/// A credential that opens nothing.
const CREDENTIAL: &str = "pvs_doctor";
/// Any model will do: a script answers.
const MODEL: &str = "claude-sonnet-5";
/// Longest quotation of what Claude Code said. Unit: characters.
const QUOTED_MAX: usize = 200;

/// How a run is set up.
#[derive(Debug)]
pub(super) struct Rehearsal {
    pub(super) gateway: Gateway,
    /// What Claude Code is told beside what it always is.
    pub(super) arguments: &'static [&'static str],
    pub(super) project: Project,
}

/// What the project's own settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Project {
    /// Nothing.
    Plain,
    /// That there are to be no hooks.
    HooksOff,
    /// That hooks are to ask somebody else, who lets prompts by.
    LeadsAway,
}

/// When the gateway is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gateway {
    /// From the beginning.
    Down,
    /// It answers everything, until a tool is to be used.
    LostAtTool,
}

/// What was seen in a run.
#[derive(Debug)]
pub(super) struct Seen {
    /// The command left its file.
    pub(super) ran: bool,
    /// The model was asked.
    pub(super) model_was_asked: bool,
    /// What the model was told came of the command.
    results: Vec<String>,
    /// What Claude Code said; nothing if it had to be ended.
    output: Option<Output>,
}

/// Claude Code's version, in its own words.
pub(super) async fn version(patient: &Patient) -> Result<String> {
    let home = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut command = clean(patient, home.path());
    command.arg("--version");
    let output = ended(command).await?.context("`claude --version` did not end")?;
    ensure!(output.status.success(), "`claude --version` ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Rehearsal {
    /// Whether a user's hooks can be off in it, or ask somebody else.
    pub(super) fn can_switch_hooks_off(&self) -> bool {
        self.project != Project::Plain || self.arguments.contains(&"--bare")
    }

    /// Runs Claude Code to its end.
    pub(super) async fn run(&self, patient: &Patient) -> Result<Seen> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let (home, project) = (folder.path().join("home"), folder.path().join("project"));
        fs::create_dir_all(home.join(".claude"))?;
        fs::create_dir_all(project.join(".claude"))?;
        if let Settings::User(settings) = &patient.settings
            && settings.exists()
        {
            let copy = home.join(".claude/settings.json");
            fs::copy(settings, copy).context("cannot copy the user's settings")?;
        }
        let script = Script::conversation([format!("touch {MARKER}")]).unless(hooks);
        let model = Scripted::start(script).await.context("cannot listen on loopback")?;
        let other = format!("{}/hook", model.base_url());
        let settings = match self.project {
            Project::Plain => json!({}),
            Project::HooksOff => json!({ "disableAllHooks": true }),
            Project::LeadsAway => json!({ "env": { "PROVOST_HOOK_URL": other } }),
        };
        fs::write(project.join(".claude/settings.json"), settings.to_string())?;
        let hook_url = match self.gateway {
            Gateway::Down => format!("http://{}/hook", closed_port()?),
            Gateway::LostAtTool => other,
        };
        let mut command = clean(patient, &home);
        command
            .args(["-p", "Say hello with touch.", "--model", MODEL, "--allowedTools", "Bash"])
            .args(["--output-format", "json"])
            .args(self.arguments)
            .env("ANTHROPIC_BASE_URL", model.base_url())
            .env("PROVOST_HOOK_URL", hook_url)
            // Also what managed settings would send elsewhere ends at the script.
            .env("HTTP_PROXY", model.base_url())
            .env("HTTPS_PROXY", model.base_url())
            .current_dir(&project);
        if let Settings::Given(settings) = &patient.settings {
            command.arg("--settings").arg(settings);
        }
        let output = ended(command).await?;
        let asked = model.requests();
        let asked: Vec<_> = asked
            .iter()
            .filter(|one| one.path == "/v1/messages")
            .filter_map(Request::asked)
            .collect();
        Ok(Seen {
            ran: project.join(MARKER).exists(),
            model_was_asked: asked.iter().any(|one| !one.tools.is_empty()),
            results: asked.into_iter().flat_map(|one| one.tool_results).collect(),
            output,
        })
    }
}

/// The gateway that is lost when a tool is to be used: everything else is let by.
fn hooks(request: &Request) -> Option<Play> {
    if request.path != "/hook" {
        return None;
    }
    let hook: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if hook.get("hook_event_name").and_then(Value::as_str) == Some("PreToolUse") {
        return Some(Play::Reset);
    }
    Some(Play::json(StatusCode::OK, "{}").with_header("x-provost-action", "act_doctor"))
}

/// Claude Code in an environment that leads nowhere.
fn clean(patient: &Patient, home: &Path) -> Command {
    let mut command = Command::new(&patient.program);
    command
        .env_clear()
        .env("PATH", &patient.path)
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("ANTHROPIC_AUTH_TOKEN", CREDENTIAL)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        // Where the model cannot be reached, that is soon known.
        .env("CLAUDE_CODE_MAX_RETRIES", "1")
        // Else it does not try --dangerously-skip-permissions as root.
        .env("IS_SANDBOX", "1")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Runs a command to its end; ends its group, and gives nothing, if that does not come.
async fn ended(mut command: Command) -> Result<Option<Output>> {
    let child = command.spawn().context("`claude` cannot be started")?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let patience = Duration::from_secs(RUN_WAIT_S_MAX);
    let waiting = child.wait_with_output();
    tokio::pin!(waiting);
    match tokio::time::timeout(patience, &mut waiting).await {
        Ok(output) => output.map(Some).context("cannot wait for `claude`"),
        Err(_) => {
            // Its process is not collected yet, so the id is still its own.
            if let Some(group) = group {
                let _ended_meanwhile = killpg(group, Signal::SIGKILL);
            }
            Ok(None)
        }
    }
}

/// An address on loopback where nobody listens.
fn closed_port() -> Result<std::net::SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}

impl Seen {
    /// Whether Claude Code said this.
    pub(super) fn says(&self, words: &str) -> bool {
        let said = |said: &Vec<u8>| String::from_utf8_lossy(said).contains(words);
        self.output.as_ref().is_some_and(|it| said(&it.stdout) || said(&it.stderr))
    }

    /// Whether the model was told this of the command.
    pub(super) fn model_was_told(&self, words: &str) -> bool {
        self.results.iter().any(|result| result.contains(words))
    }

    /// What happened instead, as far as it can be told.
    pub(super) fn told(&self) -> String {
        let quoted = |said: &str| said.trim().chars().take(QUOTED_MAX).collect::<String>();
        if let Some(result) = self.results.last() {
            return format!("the command did not run, for another reason: {}", quoted(result));
        }
        let asked = if self.model_was_asked { "" } else { "the model was not reached; " };
        let Some(Output { status, stdout, stderr }) = &self.output else {
            return format!("{asked}Claude Code did not end within {RUN_WAIT_S_MAX} s");
        };
        let said = if stderr.trim_ascii().is_empty() { stdout } else { stderr };
        let said = quoted(&String::from_utf8_lossy(said));
        format!("{asked}Claude Code ended with {status} and said: {said}")
    }
}
