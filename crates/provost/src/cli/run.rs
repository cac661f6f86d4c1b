//! `provost run`: one agent, one session, one process tree.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt as _,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use provost_api::{EndSession, NewSession, OpenedSession, SessionWatch};
use provost_types::AgentName;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{Invocation, variable};
use crate::{
    client::{Client, ClientError},
    exit::{Exit, Misuse},
    printer::Printer,
    run_file::RunFile,
    supervise::{
        Ended,
        environment::{Environment, Grant},
        supervise,
    },
};

/// How long to wait before a server that was lost is asked again.
const LOST_PAUSE: Duration = Duration::from_secs(2);

/// Whose session, and on what terms.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The agent; an agent's key in PROVOST_AGENT_KEY says it by itself
    #[arg(long)]
    agent: Option<AgentName>,
    /// Longest silence before the session ends [default: the server's]
    #[arg(long, value_name = "SECONDS")]
    idle_max_s: Option<u64>,
    /// Longest life of the session [default: the server's]
    #[arg(long, value_name = "SECONDS")]
    lifetime_max_s: Option<u64>,
    /// Where the agent reaches the gateway [default: the local server's own address]
    #[arg(long, value_name = "URL", env = "PROVOST_GATEWAY", hide_env_values = true)]
    gateway: Option<String>,
}

/// Runs an agent in a session of its own
///
/// The agent's environment gets the session's credential and the gateway's address. Whatever
/// looks like a credential is removed from it, and the names are told. Signals are passed on,
/// and so is the exit code. When the agent ends, so does its session; when the session is
/// killed, so is the agent, with everything it started.
///
/// If the server cannot be reached, nothing is started.
///
/// An agent that runs as the user who owns the data directory could use the administrator's
/// socket there: give agents a user of their own.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  provost run --agent invoice-bot -- claude -p 'Which invoices are overdue?'
  PROVOST_AGENT_KEY=agk_… provost run --server https://provost.example.com:8485 \\
      --gateway https://provost.example.com:8484 -- claude

Exit codes: the agent's own, or 128 and the signal that ended it; 137 if its session was
killed or ended; 127 if its program was not found, 126 if it could not be started; 3 if the
session was refused, 4 if the server could not be reached.")]
pub(crate) struct Run {
    #[command(flatten)]
    whose: Whose,
    /// Leaves a variable in the agent's environment though it looks like a credential
    #[arg(long, value_name = "NAME")]
    keep_env: Vec<String>,
    /// The agent's program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs it.
pub(crate) async fn run(asked: Run, invocation: &Invocation) -> Result<Exit> {
    let (printer, keep) = (invocation.printer, &asked.keep_env);
    let opened = open(&asked.whose, invocation).await?;
    let environment = Environment::new(std::env::vars_os(), &opened.grant, keep);
    if !environment.removed.is_empty() {
        let names = environment.removed.join(", ");
        printer.note(&format!("provost: removed from the agent's environment: {names}"));
    }
    let (program, arguments) = asked.command.split_first().context("no program was named")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.variables).arg0(program);

    let over = session_over(&opened, invocation);
    let supervised = supervise(command, over).await;
    let reason = match &supervised {
        Ok((Ended::Exited(code), _)) => format!("its process ended with exit code {code}"),
        Ok((Ended::Signalled(signal), _)) => format!("its process was ended by {signal}"),
        Ok((Ended::SessionOver(reason), _)) => {
            printer.note(&format!("provost: the session is over: {reason}"));
            reason.clone()
        }
        Err(error) => format!("its process could not be started: {error}"),
    };
    end(&opened, &reason, invocation).await;
    let (ended, left) = match supervised {
        Ok(supervised) => supervised,
        Err(error) => return Ok(not_started(&error, program, printer)),
    };
    if left > 0 && !matches!(ended, Ended::SessionOver(_)) {
        printer.note(&format!("provost: ended {left} processes that the agent left running"));
    }
    Ok(match ended {
        Ended::SessionOver(_) => Exit::SessionOver,
        Ended::Exited(_) | Ended::Signalled(_) => Exit::Child(ended.code()),
    })
}

/// Says why the program did not start; gives the code a shell would.
fn not_started(error: &io::Error, program: &OsStr, printer: Printer) -> Exit {
    printer.note(&format!("error: cannot run {}: {error}", program.to_string_lossy()));
    Exit::Child(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

/// A session that was opened, and a client that speaks with its credential.
pub(super) struct Opened {
    /// What the agent is given.
    pub(super) grant: Grant,
    client: Client,
}

/// Opens a session on a server that runs; without one, nothing is opened.
pub(super) async fn open(asked: &Whose, invocation: &Invocation) -> Result<Opened> {
    let key = variable("PROVOST_AGENT_KEY").map(SecretString::from);
    let token = key.or_else(|| invocation.token.clone());
    if token.is_none() && asked.agent.is_none() {
        let how = "say whose session: --agent NAME, or an agent's key in PROVOST_AGENT_KEY";
        return Err(Misuse(how).into());
    }
    let client = invocation.served(token).await?;
    let client = client.ok_or_else(|| ClientError::Unreachable {
        server: invocation.data.control_socket().display().to_string(),
        source: io::Error::new(io::ErrorKind::NotFound, "start it: provost serve"),
    })?;
    let gateway = gateway(asked, invocation)?;
    let new = NewSession {
        agent: asked.agent.as_ref().map(ToString::to_string),
        idle_max_s: asked.idle_max_s,
        lifetime_max_s: asked.lifetime_max_s,
    };
    let opened: OpenedSession = client.post("/v1/sessions", &new).await?;
    let credential = SecretString::from(opened.credential.0);
    let own = invocation.served(Some(credential.clone())).await?;
    let grant = Grant { gateway, session: opened.session.id, credential };
    Ok(Opened { grant, client: own.unwrap_or(client) })
}

/// Where the agent reaches the gateway.
fn gateway(asked: &Whose, invocation: &Invocation) -> Result<String> {
    if let Some(gateway) = &asked.gateway {
        return Ok(gateway.trim_end_matches('/').to_owned());
    }
    if invocation.is_remote() {
        let how = "say where the agent reaches the gateway: --gateway URL, or PROVOST_GATEWAY";
        return Err(Misuse(how).into());
    }
    let run = RunFile::read(&invocation.data.run_file()).context("cannot use run.json")?;
    Ok(run.context("the server has not written run.json yet; try again")?.gateway_url())
}

/// Waits until the session is over; gives the reason.
///
/// A server that cannot be asked does not end the agent: without it, the agent reaches nothing.
async fn session_over(opened: &Opened, invocation: &Invocation) -> String {
    let path = format!("/v1/sessions/{}/watch", opened.grant.session);
    let mut is_lost = false;
    loop {
        let asked = Instant::now();
        match opened.client.get::<SessionWatch>(&path).await {
            Ok(SessionWatch { over: true, reason }) => {
                return reason.unwrap_or_else(|| "it ended".to_owned());
            }
            Ok(SessionWatch { over: false, .. }) => {
                is_lost = false;
                // A server that is stopping answers at once.
                if asked.elapsed() < LOST_PAUSE {
                    tokio::time::sleep(LOST_PAUSE).await;
                }
            }
            Err(ClientError::Refused(body)) => return body.message,
            Err(ClientError::Answered(body)) if body.code == "no-such" => return body.message,
            Err(error) => {
                if !is_lost {
                    invocation.printer.note(&format!(
                        "provost: {error}; the agent reaches nothing without it"
                    ));
                }
                is_lost = true;
                tokio::time::sleep(LOST_PAUSE).await;
            }
        }
    }
}

/// Ends the session, or says that it could not.
async fn end(opened: &Opened, reason: &str, invocation: &Invocation) {
    let path = format!("/v1/sessions/{}/end", opened.grant.session);
    let reason = EndSession { reason: Some(reason.to_owned()) };
    match opened.client.post::<()>(&path, &reason).await {
        Ok(()) => {}
        // It was over before: killed, ended, or past a limit.
        Err(ClientError::Refused(_)) => {}
        Err(error) if error.code().is_some_and(|code| matches!(code, "no-such" | "over")) => {}
        Err(error) => invocation.printer.note(&format!(
            "provost: the session {} was not ended: {error}",
            opened.grant.session
        )),
    }
}
