//! A program on its way to run, held until its limits are set.
//!
//! Setting limits in a forked process takes `unsafe`, and setting them from outside comes too
//! late for a program that runs already. So a shell is started in its place, waits for a line,
//! and then becomes the program. Limits are set by process id while it waits: they hold for
//! the program from its first instruction, and are the same numbers whatever the shell. The
//! id cannot be another's, because the process is not collected before [`super::process`].
//!
//! The shell gets program and arguments as parameters: nothing of them is read as a script.

use std::{io, process::Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    signal::unix::{SignalKind, signal},
};
use tokio_util::task::TaskTracker;

use super::{Program, StartError, process::Leader, program};

/// The shell that waits. Source: POSIX, and every Linux system.
const SHELL: &str = "/bin/sh";

/// What it does. POSIX has `read` take nothing beyond the line, so what follows is for the
/// program; and at the end of the input it fails, so nothing runs that was not let go on.
/// What a shell adds to the environment is taken out again.
const GATE: &str = "IFS= read -r PROVOST_GATE && unset PROVOST_GATE OLDPWD PWD SHLVL \
     && exec \"$0\" \"$@\"";

/// The line that lets it go on.
pub(super) const OPEN: &[u8] = b"\n";

/// A program that was started and waits for [`OPEN`].
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    pub(super) leader: Leader,
}

/// Starts the shell in the program's place, with everything the program is to have.
pub(super) fn spawn(
    program: &Program,
    secrets: &[(String, SecretString)],
    tasks: &TaskTracker,
) -> Result<Gated, StartError> {
    for (name, value) in secrets {
        program::check_variable(name, value.expose_secret()).map_err(StartError::Secret)?;
    }
    let path = program.find()?;
    let mut command = Command::new(SHELL);
    command
        .args(["-c", GATE])
        .arg(path)
        .args(&program.spec().arguments)
        .current_dir(&program.spec().folder)
        .env_clear()
        .envs(program.environment())
        .envs(secrets.iter().map(|(name, value)| (name, value.expose_secret())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    // Listened to from before there is anything to hear.
    let changes = signal(SignalKind::child()).map_err(StartError::Spawn)?;
    let mut child = command.spawn().map_err(StartError::Spawn)?;
    match prepare(&mut child, program) {
        Ok((pid, (stdin, stdout, stderr))) => {
            Ok(Gated { stdin, stdout, stderr, leader: Leader { pid, child, changes } })
        }
        Err(error) => {
            tasks.spawn(async move {
                // Collects it as well. It waits for a line that never comes.
                let _ended_already = child.kill().await;
            });
            Err(error)
        }
    }
}

type Prepared = (Pid, (ChildStdin, ChildStdout, ChildStderr));

fn prepare(child: &mut Child, program: &Program) -> Result<Prepared, StartError> {
    let missing = || StartError::Spawn(io::ErrorKind::BrokenPipe.into());
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(missing)?;
    limit(pid, program)?;
    let streams = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
    let ((stdin, stdout), stderr) = streams.ok_or_else(missing)?;
    Ok((pid, (stdin, stdout, stderr)))
}

/// Sets the limits of a process. None is ever higher than our own.
fn limit(pid: Pid, program: &Program) -> Result<(), StartError> {
    let resources = program.limits().resources;
    for (what, resource, wanted) in [
        ("address space", Resource::As, resources.address_space_bytes),
        ("memory", Resource::Data, resources.data_bytes),
        ("open files", Resource::Nofile, resources.open_files),
        ("processes", Resource::Nproc, resources.processes),
        ("file size", Resource::Fsize, resources.file_bytes),
        ("processor time", Resource::Cpu, resources.cpu_seconds),
        // A dump would hold the secrets of its environment.
        ("core dumps", Resource::Core, Some(0)),
    ] {
        let Some(wanted) = wanted else { continue };
        let most = getrlimit(resource).maximum;
        let value = Some(most.map_or(wanted, |most| wanted.min(most)));
        let limits = Rlimit { current: value, maximum: value };
        prlimit(Some(pid), resource, limits)
            .map_err(|error| StartError::Limit { what, source: error.into() })?;
    }
    Ok(())
}
