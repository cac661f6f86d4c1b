//! What is measured: an installation in a folder of its own, its server, its scripted model.

use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::{process::Process, upstream};

const AGENT: &str = "bench";

/// What lets the agent use the MCP server.
const MCP_POLICY: &str = r#"@id("mcp") permit (principal in Provost::Project::"benches", action in Mcp::Action::"all", resource);"#;

/// How often the server is looked for, and how long.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: usize = 400;

/// What the server settles in before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);

/// A server with one agent in one session, and the model behind it.
pub(crate) struct Stand {
    pub(crate) server: Process,
    pub(crate) gateway: SocketAddr,
    /// Where the model answers whoever asks it directly.
    pub(crate) model: SocketAddr,
    /// The session's credential.
    pub(crate) credential: String,
    _upstream: Process,
    folder: TempDir,
}

impl Stand {
    /// Installs Provost below `folder` and starts everything, as it comes by default.
    pub(crate) async fn install(folder: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(folder)?;
        let (upstream, model) = upstream::start()?;
        let data = folder.path().join("data");
        let provost = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_provost"));
            command
                .args(arguments)
                .env_clear()
                .env("HOME", folder.path())
                .env("PROVOST_DATA_DIR", &data)
                .env("PROVOST_LLM_UPSTREAM", format!("http://{model}"))
                .env("PROVOST_LISTEN_GATEWAY", "127.0.0.1:0")
                .env("PROVOST_LISTEN_CONTROL", "127.0.0.1:0")
                .stdin(Stdio::null());
            command
        };
        done(&mut provost(&["init"]), "")?;
        done(&mut provost(&["secret", "set", "anthropic"]), "sk-ant-api03-the-real-one")?;
        done(&mut provost(&["agent", "create", AGENT, "--project", "benches"]), "")?;
        fs::write(data.join("policies/mcp.cedar"), MCP_POLICY)?;
        let server = format!("\n[mcp.servers.bench]\nurl = \"http://{model}/mcp/bench\"\n");
        let mut config =
            File::options().append(true).create(true).open(data.join("provost.toml"))?;
        config.write_all(server.as_bytes())?;
        let log = File::create(folder.path().join("log"))?;
        let serve = provost(&["serve"]).stdout(Stdio::null()).stderr(log).spawn()?;
        let server = Process(serve);
        let gateway = gateway(&data.join("run.json")).await?;
        let env = done(&mut provost(&["env", "--agent", AGENT, "--format", "json"]), "")?;
        let env: Value = serde_json::from_slice(&env)?;
        let credential = env.get("ANTHROPIC_AUTH_TOKEN").and_then(Value::as_str);
        let credential = credential.context("no credential")?.to_owned();
        tokio::time::sleep(SETTLE).await;
        Ok(Self { server, gateway, model, credential, _upstream: upstream, folder })
    }

    /// Kills the agent by the control API: the socket of the data directory, as its owner.
    pub(crate) async fn kill(&self) -> Result<()> {
        let path = self.folder.path().join("data/control.sock");
        let mut control = UnixStream::connect(path).await?;
        let scope = format!("agent/{AGENT}");
        let order = json!({"scope": scope, "state": "killed", "reason": "bench"}).to_string();
        let head = "PUT /v1/run-state HTTP/1.1\r\nhost: control\r\nconnection: close\r\n\
                    content-type: application/json\r\ncontent-length: ";
        let request = format!("{head}{}\r\n\r\n{order}", order.len());
        control.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        control.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 2"), "the kill was refused: {answer}");
        Ok(())
    }
}

/// Runs a command that has to succeed; what it printed.
fn done(command: &mut Command, input: &str) -> Result<Vec<u8>> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("piped")?;
    // A command that asks for nothing may be gone already.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {told}");
    Ok(output.stdout)
}

/// Waits for the server to say where it listens.
async fn gateway(run_file: &Path) -> Result<SocketAddr> {
    for _ in 0..LOOKS_MAX {
        if let Ok(run) = fs::read(run_file) {
            let run: Value = serde_json::from_slice(&run)?;
            let address = run.get("gateway").and_then(Value::as_str);
            return Ok(address.context("no address in run.json")?.parse()?);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("the server does not come up")
}
