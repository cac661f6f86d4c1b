//! The command line: what can be said, and which file answers.

mod agent;
mod approvals;
mod audit;
mod claude;
mod completions;
mod demo;
mod env;
mod hook;
mod human;
mod init;
mod mcp;
mod period;
mod policy;
mod project;
mod reference;
mod replay;
mod run;
mod secret;
mod serve;
mod session;
mod stop;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use provost_store::LockError;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::{
    app::{InProcess, OpenError},
    client::{Client, ClientError, Remote, Socket, Way},
    config::Config,
    data_dir::DataDir,
    exit::Exit,
    printer::{Output, Printer},
    telemetry,
};

/// How long a command waits for another one to let go of the data directory.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often it looks.
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(50);

/// A self-hosted control plane for AI agents.
///
/// An agent never holds a real credential: it holds a session's, and talks to Provost's
/// gateways. Provost decides, records, and only then acts on the agent's behalf.
#[derive(Debug, Parser)]
#[command(
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  provost init
  provost secret set anthropic < key.txt
  provost agent create invoice-bot --project finance
  provost serve
  provost run --agent invoice-bot -- claude -p 'Which invoices are overdue?'
  provost session list
  provost approvals list
  provost approvals approve apr_…
  provost replay ses_…
  provost audit query --agent invoice-bot --from 14:00 --to 14:30
  provost audit verify

A person's token is read from PROVOST_TOKEN. Without one, whoever may open the data
directory on this machine is an administrator.

Exit codes: 0 done, 1 failed or faults found, 2 usage, 3 refused, 4 server not reachable.
`run` passes on the agent's own, 128 and the signal that ended it, 126 or 127 if it could not
be started or was not found, 137 if its session was killed or ended."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Where everything is kept [default: $XDG_DATA_HOME/provost or ~/.local/share/provost]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PROVOST_DATA_DIR",
        hide_env_values = true
    )]
    data_dir: Option<PathBuf>,
    /// The configuration file [default: provost.toml in the data directory]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PROVOST_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// A server elsewhere, such as `https://provost.example.com:8485`
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PROVOST_SERVER",
        hide_env_values = true
    )]
    server: Option<String>,
    /// Certificates to trust for that server, PEM
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PROVOST_CA_FILE",
        hide_env_values = true
    )]
    ca_file: Option<PathBuf>,
    /// The form of answers
    #[arg(long, global = true, value_name = "FORM", value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Run(run::Run),
    Env(env::Env),
    #[command(subcommand)]
    Claude(claude::Claude),
    Hook(hook::Hook),
    #[command(subcommand)]
    Secret(secret::Secret),
    #[command(subcommand)]
    Project(project::Project),
    #[command(subcommand)]
    Agent(agent::Agent),
    #[command(subcommand)]
    Session(session::Session),
    KillAll(stop::KillAll),
    ResumeAll(stop::ResumeAll),
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    #[command(subcommand)]
    Human(human::Human),
    #[command(subcommand)]
    Audit(audit::Audit),
    Replay(replay::Replay),
    Mcp(mcp::Mcp),
    #[command(subcommand)]
    Policy(policy::Policy),
    Demo(demo::Demo),
    #[command(hide = true)]
    DemoAgent(demo::DemoAgent),
    Completions(completions::Completions),
    #[command(hide = true)]
    Reference(reference::Reference),
}

/// Does what was asked; errors are printed here and nowhere else.
pub(crate) fn run(cli: Cli) -> Exit {
    if let Command::Hook(asked) = &cli.command {
        // Before anything that can fail: what fails in a hook must refuse.
        return hook::run(asked, cli.global.ca_file);
    }
    let printer = Printer::new(cli.global.output);
    if let Command::Mcp(asked) = &cli.command
        && asked.is_bridge()
    {
        // On an agent's machine, where nothing is kept.
        return ended(mcp::bridge(asked, cli.global.ca_file, printer), printer);
    }
    let dispatched = invocation(cli.global, printer).and_then(|invocation| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime")?;
        runtime.block_on(async {
            let done = dispatch(cli.command, &invocation).await;
            invocation.close().await;
            done
        })
    });
    ended(dispatched, printer)
}

fn ended(done: Result<Exit>, printer: Printer) -> Exit {
    done.unwrap_or_else(|error| {
        if is_reader_gone(&error) {
            return Exit::Done; // as in `provost audit tail | head`
        }
        printer.error(&error);
        Exit::of(&error)
    })
}

async fn dispatch(command: Command, invocation: &Invocation) -> Result<Exit> {
    if !matches!(command, Command::Serve(_)) {
        telemetry::start_for_command();
    }
    match command {
        Command::Init(asked) => init::run(&asked, invocation).await,
        Command::Serve(asked) => serve::run(&asked, invocation).await,
        Command::Run(asked) => run::run(asked, invocation).await,
        Command::Env(asked) => env::run(&asked, invocation).await,
        Command::Claude(asked) => claude::run(asked, invocation).await,
        Command::Hook(asked) => Ok(hook::run(&asked, invocation.ca_file.clone())),
        Command::Secret(asked) => secret::run(asked, invocation).await,
        Command::Project(asked) => project::run(asked, invocation).await,
        Command::Agent(asked) => agent::run(asked, invocation).await,
        Command::Session(asked) => session::run(asked, invocation).await,
        Command::KillAll(asked) => stop::kill_all(asked, invocation).await,
        Command::ResumeAll(_) => stop::resume_all(invocation).await,
        Command::Approvals(asked) => approvals::run(asked, invocation).await,
        Command::Human(asked) => human::run(asked, invocation).await,
        Command::Audit(asked) => audit::run(asked, invocation).await,
        Command::Replay(asked) => replay::run(asked, invocation).await,
        Command::Mcp(asked) => mcp::run(asked, invocation).await,
        Command::Policy(asked) => policy::run(asked, invocation).await,
        Command::Demo(asked) => demo::run(asked, invocation).await,
        Command::DemoAgent(asked) => demo::agent(asked, invocation).await,
        Command::Completions(asked) => completions::run(&asked, invocation),
        Command::Reference(asked) => reference::run(&asked, invocation),
    }
}

fn is_reader_gone(error: &anyhow::Error) -> bool {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(gone)
}

fn invocation(global: Global, printer: Printer) -> Result<Invocation> {
    let data = match global.data_dir {
        Some(path) => std::path::absolute(&path).context("the data directory has no path")?,
        None => default_data_dir()?,
    };
    Ok(Invocation {
        printer,
        data: DataDir::new(data),
        config: global.config,
        server: global.server,
        ca_file: global.ca_file,
        token: variable("PROVOST_TOKEN").map(SecretString::from),
        client: OnceCell::new(),
    })
}

fn default_data_dir() -> Result<PathBuf> {
    if let Some(base) = variable("XDG_DATA_HOME").filter(|base| Path::new(base).is_absolute()) {
        return Ok(Path::new(&base).join("provost"));
    }
    let home = variable("HOME").context("neither --data-dir nor HOME is set")?;
    Ok(Path::new(&home).join(".local/share/provost"))
}

/// A variable of the environment, unless it is empty.
#[expect(clippy::disallowed_methods, reason = "the command line is an edge of the program")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What every command is given: whom to ask, where things are, how to answer.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// How to answer.
    pub(crate) printer: Printer,
    /// Where things are.
    pub(crate) data: DataDir,
    /// The configuration file, if another than the data directory's.
    config: Option<PathBuf>,
    /// The server, if it was named.
    server: Option<String>,
    /// What to trust for it.
    ca_file: Option<PathBuf>,
    /// A person's token.
    token: Option<SecretString>,
    /// The client, once a command asked for it.
    client: OnceCell<Client>,
}

impl Invocation {
    /// The configuration.
    pub(crate) fn config(&self) -> Result<Config> {
        Ok(Config::load(&self.data, self.config.as_deref())?)
    }

    /// Whether the server was named, so that the data directory here means nothing.
    pub(crate) const fn is_remote(&self) -> bool {
        self.server.is_some()
    }

    /// A client of the server: named, running on the data directory, or in this process.
    pub(crate) async fn client(&self) -> Result<&Client> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    /// Lets go of the data directory, if a command of this invocation opened it.
    async fn close(self) {
        if let Some(client) = self.client.into_inner() {
            client.close().await;
        }
    }

    async fn connect(&self) -> Result<Client> {
        if let Some(client) = self.served(self.token.clone()).await? {
            return Ok(client);
        }
        let way = Way::InProcess(Box::new(self.open().await?));
        Ok(Client::new(way, self.token.clone())?)
    }

    /// A client of a server that runs already, calling with `token`; nothing if none runs.
    pub(crate) async fn served(&self, token: Option<SecretString>) -> Result<Option<Client>> {
        if let Some(server) = &self.server {
            let way = Way::Remote(Box::new(Remote::new(server, self.ca_file.as_deref())?));
            return Ok(Some(Client::new(way, token)?));
        }
        let socket = Socket::new(self.data.control_socket());
        match socket.connect().await {
            Ok(_) => Ok(Some(Client::new(Way::Socket(socket), token)?)),
            Err(error) if is_nobody_there(&error) => Ok(None),
            Err(source) => {
                Err(ClientError::Unreachable { server: socket.name(), source }.into())
            }
        }
    }

    /// The data directory, opened in this process; waits for another command to end.
    async fn open(&self) -> Result<InProcess> {
        let config = self.config()?;
        let look = async {
            loop {
                match InProcess::open(&self.data, &config).await {
                    Err(OpenError::Lock(LockError::Held { .. })) => {
                        tokio::time::sleep(LOCK_LOOK_EVERY).await;
                    }
                    opened => return opened,
                }
            }
        };
        match tokio::time::timeout(LOCK_WAIT, look).await {
            Ok(opened) => Ok(opened?),
            Err(_) => Ok(InProcess::open(&self.data, &config).await?),
        }
    }
}

fn is_nobody_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests;
