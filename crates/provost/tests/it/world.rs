//! One installation in a temporary directory, its server on free ports, and a scripted model.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use provost_scripted::{Script, Scripted};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

pub(crate) const PROVOST: &str = env!("CARGO_BIN_EXE_provost");
pub(crate) const AGENT: &str = "invoice-bot";
pub(crate) const MODEL: &str = "claude-sonnet-5";
/// The real key of the scripted upstream: must never be seen by an agent or a log.
pub(crate) const REAL_KEY: &str = "sk-ant-api03-the-real-one";

/// Longest wait for something that has to happen. Never an assertion about speed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const NO_PUSH: &str = r#"
@id("no-push") @reason("nobody pushes from here")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("push") };
"#;

/// An installation, its upstream and, while it runs, its server.
pub(crate) struct World {
    pub(crate) upstream: Scripted,
    data: PathBuf,
    settings: Vec<(String, String)>,
    server: Option<Server>,
    folder: TempDir,
}

/// A server process that we started.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) gateway: SocketAddr,
    pub(crate) control: SocketAddr,
}

impl World {
    /// An installation with one agent, whose server runs.
    pub(crate) async fn start(script: Script) -> Self {
        let mut world = Self::install(script).await;
        world.serve().await;
        world
    }

    /// A server whose agents may not push, whoever says yes: no gate, so nothing waits.
    pub(crate) async fn start_without_pushes(script: Script) -> Self {
        let mut world = Self::install(script).await;
        world.policy("no-push", NO_PUSH);
        world.serve().await;
        world
    }

    /// Writes a policy file; a server takes it up when it starts, or within a second.
    pub(crate) fn policy(&self, name: &str, text: &str) {
        let path = self.data().join(format!("policies/{name}.cedar"));
        std::fs::write(path, text).unwrap();
    }

    /// Adds tables to `provost.toml`; a server reads them when it starts.
    pub(crate) fn configure(&self, tables: &str) {
        let path = self.data().join("provost.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}\n{tables}")).unwrap();
    }

    /// An installation with one agent, whose server does not run yet.
    pub(crate) async fn install(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::install_in(script, folder, data).await
    }

    pub(crate) async fn install_in(script: Script, folder: TempDir, data: PathBuf) -> Self {
        let upstream = Scripted::start(script).await.unwrap();
        let settings = [
            ("PROVOST_LLM_UPSTREAM", upstream.base_url()),
            ("PROVOST_LISTEN_GATEWAY", "127.0.0.1:0".to_owned()),
            ("PROVOST_LISTEN_CONTROL", "127.0.0.1:0".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let world = Self { upstream, data, settings, server: None, folder };
        world.done(&["init"]).await;
        let set = world.say(&["secret", "set", "anthropic"], REAL_KEY).await;
        assert!(set.status.success(), "{}", told(&set));
        world.done(&["agent", "create", AGENT, "--project", "finance"]).await;
        world
    }

    /// Changes a setting for the commands and servers started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the server and waits until the process that answers is the one we started.
    pub(crate) async fn serve(&mut self) {
        assert!(self.server.is_none(), "one server at a time");
        let log = std::fs::File::create(self.log()).unwrap();
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = child.id().unwrap();
        let run_file = self.data.join("run.json");
        let (gateway, control) = eventually("the server answers", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", self.server_log());
            }
            let run: Value = serde_json::from_slice(&std::fs::read(&run_file).ok()?).ok()?;
            let address = |name: &str| run[name].as_str()?.parse::<SocketAddr>().ok();
            (run["pid"] == pid).then_some((address("gateway")?, address("control")?))
        })
        .await;
        self.server = Some(Server { child, gateway, control });
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("a server runs")
    }

    /// Ends the server with `signal` and waits for it.
    pub(crate) async fn end(&mut self, signal: &str) -> std::process::ExitStatus {
        let mut server = self.server.take().expect("a server runs");
        let pid = server.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
        tokio::time::timeout(PATIENCE, server.child.wait()).await.expect("it ends").unwrap()
    }

    /// Waits for a server that was told to stop.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let mut server = self.server.take().expect("a server runs");
        server.child.wait().await.unwrap()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// What the server has logged.
    pub(crate) fn server_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The `provost` program in a clean environment, with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROVOST);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("PROVOST_DATA_DIR", &self.data)
            .stdin(Stdio::null());
        for (name, value) in &self.settings {
            command.env(name, value);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let run = self.command(arguments).kill_on_drop(true).output();
        tokio::time::timeout(PATIENCE * 4, run).await.expect("the command ends").unwrap()
    }

    /// Runs a command that has to succeed; its standard output.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let log = self.server_log();
        assert!(output.status.success(), "provost {arguments:?}: {}\n{log}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command with something on its standard input.
    pub(crate) async fn say(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }

    /// The JSON that a command answers.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.done(&[arguments, &["--output", "json"]].concat()).await;
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Every event of a kind, oldest first.
    pub(crate) async fn events(&self, kind: &str) -> Vec<Value> {
        let asked = ["audit", "tail", "-n", "1000", "--kind", kind, "--output", "json"];
        let text = self.done(&asked).await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until no intent lacks its outcome; every event of both kinds.
    pub(crate) async fn concluded(&self) -> (Vec<Value>, Vec<Value>) {
        eventually("every intent has its outcome", async || {
            let (intents, outcomes) =
                (self.events("intent").await, self.events("outcome").await);
            (intents.len() == outcomes.len()).then_some((intents, outcomes))
        })
        .await
    }

    /// The ids of what waits for people, newest first.
    pub(crate) async fn waiting(&self) -> Vec<String> {
        let page = self.json(&["approvals", "list"]).await;
        let items = page["items"].as_array().unwrap();
        items.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The one that waits, once it does.
    pub(crate) async fn held(&self) -> String {
        eventually("an approval waits", async || self.waiting().await.pop()).await
    }

    /// Whether the command ran that models want to push with.
    pub(crate) fn pushed(&self) -> bool {
        self.folder().join("home/pushed").exists()
    }

    /// Whether a text was in any request that the model got.
    pub(crate) fn model_was_told(&self, text: &str) -> bool {
        let requests = self.upstream.requests();
        requests.iter().any(|seen| String::from_utf8_lossy(&seen.body).contains(text))
    }

    /// Opens a session; its id and its credential.
    pub(crate) async fn session(&self) -> (String, String) {
        let text = self.done(&["env", "--agent", AGENT, "--format", "json"]).await;
        let env: Value = serde_json::from_str(&text).unwrap();
        let token = env["ANTHROPIC_AUTH_TOKEN"].as_str().unwrap().to_owned();
        let sessions = self.json(&["session", "list", "--limit", "1"]).await;
        (sessions["items"][0]["id"].as_str().unwrap().to_owned(), token)
    }
}

/// What a command printed, for a failed assertion.
pub(crate) fn told(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Asks again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited in vain: {what}"),
    }
}
