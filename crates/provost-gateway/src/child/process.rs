//! A program's life: watched, ended when it is time, and collected.
//!
//! The group is signalled while its leader is not collected yet, for only so long does its id
//! surely belong to it. A signal to a group reaches all of it at once: a process that is being
//! forked is either in the group already or is not made.

use std::{fmt, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{process::Child, signal::unix, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Program;

/// How long to wait for a process that was killed: a broken disk or network mount can hold it
/// for good. As in `provost run`.
const KILL_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long to wait for what a program left behind and we adopted, once it was killed.
const ADOPTED_WAIT_MAX: Duration = Duration::from_secs(1);

/// A program's processes. Dropping it ends them, as [`ChildProcess::end`] does.
#[derive(Debug)]
pub struct ChildProcess {
    pid: u32,
    end: CancellationToken,
    ended: watch::Receiver<Option<Ending>>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It was killed, and is held by the system.
    Held,
    /// It is gone, and nobody can say how: somebody else collected it.
    Unknown,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Self::Held => f.write_str("killed, and held by the system"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        let code = status.code().map(Self::Exited);
        code.or(status.signal().map(Self::Signalled)).unwrap_or(Self::Unknown)
    }
}

impl ChildProcess {
    pub(super) fn new(
        pid: u32,
        end: CancellationToken,
        ended: watch::Receiver<Option<Ending>>,
    ) -> Self {
        Self { pid, end, ended }
    }

    /// The id of its first process, which is its group's id too.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has. Its last lines may be unread still.
    pub fn ending(&self) -> Option<Ending> {
        *self.ended.borrow()
    }

    /// Waits for its end, and for as long as it takes.
    pub async fn ended(&self) -> Ending {
        let mut ended = self.ended.clone();
        let ending = ended.wait_for(Option::is_some).await;
        ending.ok().and_then(|ending| *ending).unwrap_or(Ending::Unknown)
    }

    /// Ends it: its input is closed, then it is told to end, then it is killed. Waits until it
    /// is collected. Lines that wait to be written are not written any more.
    ///
    /// Source: MCP 2025-11-25, "Lifecycle", "Shutdown", "stdio".
    pub async fn end(&self) -> Ending {
        self.end.cancel();
        self.ended().await
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// A program's first process, which leads its group.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) pid: Pid,
    pub(super) child: Child,
    /// Tells when any child of ours has changed.
    pub(super) changes: unix::Signal,
}

/// Who collects a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collected {
    ByUs,
    /// As `provost run` does with everything below it.
    ByAnother,
}

impl Leader {
    /// Waits until it has ended, and leaves it to be collected.
    async fn ended(&mut self) -> Collected {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(self.pid), look) {
                Ok(Some(_ended)) => return Collected::ByUs,
                Err(Errno::CHILD) => return Collected::ByAnother,
                Ok(None) | Err(_) => {}
            }
            if self.changes.recv().await.is_none() {
                // Nobody will tell any more.
                std::future::pending().await
            }
        }
    }

    /// Collects what was in its group and is our child now: we adopt orphans when we are the
    /// first process of a container. To be called once the group was killed.
    async fn collect_adopted(&mut self) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        loop {
            match waitid(WaitId::Pgid(Some(self.pid)), look) {
                Ok(Some(_collected)) => {}
                Ok(None) if self.changes.recv().await.is_some() => {}
                // There is none, as when others adopt them.
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// What looks after a program until it is collected.
#[derive(Debug)]
pub(super) struct Watch {
    name: String,
    /// Before the leader, so that it is dropped before it.
    group: Group,
    leader: Leader,
    close_grace: Duration,
    term_grace: Duration,
    end: CancellationToken,
    tell: watch::Sender<Option<Ending>>,
}

impl Watch {
    pub(super) fn new(
        leader: Leader,
        program: &Program,
        end: CancellationToken,
        tell: watch::Sender<Option<Ending>>,
    ) -> Self {
        let limits = program.limits();
        Self {
            name: program.spec().name.clone(),
            group: Group { id: leader.pid, is_ours: true },
            leader,
            close_grace: limits.close_grace,
            term_grace: limits.term_grace,
            end,
            tell,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) async fn run(mut self) {
        let (server, pid) = (self.name.clone(), self.pid());
        tracing::info!(server, pid, "program started");
        let ending = match self.leader_ended().await {
            Some(Collected::ByUs) => self.collect().await,
            Some(Collected::ByAnother) => {
                // Its id may be another's already, so nothing is signalled by it.
                self.group.is_ours = false;
                Ending::Unknown
            }
            None => Ending::Held, // the runtime collects it when it can
        };
        tracing::info!(server, pid, %ending, "program ended");
        self.end.cancel(); // nothing more is written to it
        self.tell.send_replace(Some(ending));
    }

    /// Waits until the leader has ended, and makes it when it is time; `None` if it cannot be
    /// made to.
    async fn leader_ended(&mut self) -> Option<Collected> {
        tokio::select! {
            collected = self.leader.ended() => return Some(collected),
            // The same token has its input closed.
            () = self.end.cancelled() => {}
        }
        if let Ok(collected) = timeout(self.close_grace, self.leader.ended()).await {
            return Some(collected);
        }
        self.group.signal(Signal::TERM);
        // A stopped process does not end before it is resumed.
        self.group.signal(Signal::CONT);
        if let Ok(collected) = timeout(self.term_grace, self.leader.ended()).await {
            return Some(collected);
        }
        self.group.signal(Signal::KILL);
        timeout(KILL_WAIT_MAX, self.leader.ended()).await.ok()
    }

    /// Ends what the leader left behind in its group, and only then collects it.
    async fn collect(&mut self) -> Ending {
        self.group.signal(Signal::KILL);
        self.group.is_ours = false;
        let ending = self.leader.child.wait().await.map_or(Ending::Unknown, Ending::from);
        let adopted = timeout(ADOPTED_WAIT_MAX, self.leader.collect_adopted()).await;
        if adopted.is_err() {
            tracing::debug!(server = self.name, "what a program left behind is held");
        }
        ending
    }
}

/// A process group, ended when nobody looks after it any more, as when the runtime stops.
#[derive(Debug)]
struct Group {
    id: Pid,
    is_ours: bool,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.id, signal) {
            tracing::debug!(%error, ?signal, "signal not sent to a program");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_ours {
            self.signal(Signal::KILL);
        }
    }
}
