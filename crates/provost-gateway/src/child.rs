//! Upstreams that are programs: lines of bytes on their standard streams.
//!
//! A program is started for an admitted action, in an environment and a process group of its
//! own and under limits, and is ended with its group. What the lines say is not known here,
//! nor whether they should be sent.
//!
//! A process that leaves the group (`setsid`) is not followed: it is cut off from the lines,
//! and goes on. Limits and an environment do not make a sandbox.

use std::{io, path::PathBuf};

use provost_pipeline::Permit;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod gate;
mod input;
mod lines;
mod process;
mod program;
mod restarts;
mod stderr;
#[cfg(test)]
mod tests;

pub use self::{
    input::{ChildInput, SendError},
    lines::{ChildLines, LineError},
    process::{ChildProcess, Ending},
    program::{Program, ProgramError, ProgramLimits, ProgramSpec, Resources},
    restarts::{Restarts, TooSoon},
};

/// A program that runs: what it is told, what it says, and its life.
///
/// Three parts, so that one task reads while others write and another ends it.
#[derive(Debug)]
pub struct Child {
    /// Its standard input; closed when the last clone is dropped.
    pub input: ChildInput,
    /// Its standard output, to be read on: a program that nobody reads stands still.
    pub lines: ChildLines,
    /// Its processes; ended when this is dropped.
    pub process: ChildProcess,
}

/// A program does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A secret cannot be given under this name, or has a value no environment can hold.
    #[error("a secret cannot be in the program's environment")]
    Secret(#[source] ProgramError),
    /// There is no such program, or nobody may execute it.
    #[error("there is no program {}", program.display())]
    NotFound {
        /// As it was given.
        program: PathBuf,
    },
    /// The system does not start it: no such folder, or no room for another process.
    #[error("the program cannot be started")]
    Spawn(#[source] io::Error),
    /// One of its limits cannot be set, so it was not let go on.
    #[error("the program's limit on {what} cannot be set")]
    Limit {
        /// What was to be limited.
        what: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl Child {
    /// Starts `program`. `secrets` are variables added to its environment, values of leases
    /// taken against the same permit; they are left out of what is logged of its complaints.
    ///
    /// What looks after it runs in `tasks`; it is ended when `stop` is cancelled. To be called
    /// within a runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`], by its variants; nothing of the program has run then.
    pub fn start(
        program: &Program,
        secrets: &[(String, SecretString)],
        _permit: &Permit,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, StartError> {
        let gated = gate::spawn(program, secrets, tasks)?;
        let (end, (tell, ended)) = (stop.child_token(), watch::channel(None));
        let name = program.spec().name.as_str();
        tasks.spawn(stderr::log(
            name.to_owned(),
            gated.stderr,
            secrets.to_vec(),
            ended.clone(),
        ));
        let (input, writing) = input::open(gated.stdin, program.limits(), end.clone());
        tasks.spawn(writing);
        let watch = process::Watch::new(gated.leader, program, end.clone(), tell);
        let process = ChildProcess::new(watch.pid(), end.clone(), ended.clone());
        tasks.spawn(watch.run());
        let lines = ChildLines::new(gated.stdout, program.limits().line_bytes_max, end, ended);
        Ok(Self { input, lines, process })
    }
}
