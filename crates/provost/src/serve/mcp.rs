//! The MCP servers of the configuration, made ready to be asked.

use std::{
    fs::DirBuilder, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc, time::Duration,
};

use anyhow::{Context as _, Result};
use provost_gateway::{
    EgressLimits,
    child::{Program, ProgramLimits, ProgramSpec},
};
use provost_mcp::{McpPlane, Programs, Protected, Server};
use provost_secrets::SecretName;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::secret;
use crate::{
    app::Core,
    config::{Config, McpServer, McpWay},
};

/// How long an MCP server may say nothing in an answer. Ours: tools work, and streams of
/// notifications are silent most of the time.
const SILENCE_MAX: Duration = Duration::from_secs(3600);

/// The mcp plane; programs run in `tasks` until `stop`.
pub(super) fn plane(
    core: &Core,
    config: &Config,
    (tasks, stop): (TaskTracker, CancellationToken),
    protected: Option<Protected>,
) -> Result<McpPlane> {
    let named = |one: &McpServer| {
        server(core, one).with_context(|| format!("mcp.servers.{}", one.name))
    };
    let servers = config.mcp.iter().map(named).collect::<Result<Vec<_>>>()?;
    let programs = Programs::new(tasks, stop, Arc::clone(core.pipeline.clock()));
    let plane = McpPlane::new(servers, Arc::clone(&core.vault), programs);
    Ok(match protected {
        Some(protected) => plane.protected(protected),
        None => plane,
    })
}

fn server(core: &Core, server: &McpServer) -> Result<Server> {
    let name = server.name.clone();
    let built = match &server.way {
        McpWay::Http { url, secret: key, ca_file, .. } => {
            let limits =
                EgressLimits { body_idle_timeout: SILENCE_MAX, ..EgressLimits::default() };
            let key = key.as_deref().map(|name| secret(core, name)).transpose()?;
            let server = Server::over_http(name, url, key, (ca_file.as_deref(), limits))?;
            match core.accounts.get(server.name().as_str()) {
                Some(account) => server.with_account(account.clone()),
                None => server,
            }
        }
        McpWay::Program { command, home, folder, env, secret_env, limits } => {
            let (program, arguments) =
                command.split_first().context("`command` names no program")?;
            make(home)?;
            let program = Program::new(ProgramSpec {
                name: name.to_string(),
                program: program.into(),
                arguments: arguments.to_vec(),
                folder: folder.clone(),
                home: home.clone(),
                environment: env.clone(),
                limits: ProgramLimits { resources: *limits, ..ProgramLimits::default() },
            })?;
            let named = |(variable, name): &(String, String)| {
                Ok((variable.clone(), secret(core, name)?))
            };
            let secrets =
                secret_env.iter().map(named).collect::<Result<Vec<(_, SecretName)>>>()?;
            Server::as_program(name, program, secrets)
        }
    };
    Ok(built.with_arguments(server.arguments.clone()))
}

/// Makes a home that nobody else reads.
fn make(home: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(home);
    made.with_context(|| format!("cannot make the folder {}", home.display()))
}
