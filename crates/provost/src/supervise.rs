//! An agent's process tree: started, passed signals, stopped and resumed with us, and ended.
//!
//! The agent runs in a process group of its own. The terminal is handed to it and taken back.
//! This process adopts every orphan below it, so that ending the tree ends all of it: also
//! what left the group. Linux only, for `/proc` and for the adopting.

pub(crate) mod environment;
mod processes;
mod terminal;

use std::{
    future::Future, io, os::unix::process::CommandExt as _, process::Command, time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::{
    signal::unix::{Signal as Signals, SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

use terminal::Terminal;

/// How long an agent may take to end by itself once it was told to.
const GRACE: Duration = Duration::from_secs(2);
/// When to stop waiting for processes that were killed: a broken disk or network mount can
/// hold them for good.
const SURRENDER: Duration = Duration::from_secs(12);
/// How often processes that were told to end are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Signals that are passed on to the agent.
const PASSED_ON: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// How an agent's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signalled(Signal),
    /// It was ended because its session is over, for this reason.
    SessionOver(String),
}

impl Ended {
    /// The code a shell would see: the program's own, or 128 and the signal's number.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Exited(code) => *code,
            Self::Signalled(signal) => {
                u8::try_from(*signal as i32).unwrap_or(0).saturating_add(128)
            }
            Self::SessionOver(_) => 137,
        }
    }
}

/// Runs a command until it ends, or until `over` gives a reason to end it, and then ends
/// whatever it left running; gives how it ended and how many were left.
///
/// # Errors
///
/// The command could not be started.
pub(crate) async fn supervise(
    mut command: Command,
    over: impl Future<Output = String>,
) -> io::Result<(Ended, usize)> {
    prctl::set_child_subreaper(true)?;
    let mut children = signal(SignalKind::child())?;
    let mut passed_on = PassedOn::listen()?;
    let terminal = Terminal::find();
    let child = command.process_group(0).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let agent = Agent { pid, terminal };
    agent.hand_over();

    let mut over = std::pin::pin!(over);
    let ended = loop {
        tokio::select! {
            _ = children.recv() => match agent.collect() {
                Some(Change::Ended(ended)) => break ended,
                Some(Change::Stopped(signal)) => agent.stopped(signal).await,
                None => {}
            },
            Some(signal) = passed_on.recv() => agent.pass_on(signal),
            reason = &mut over => break Ended::SessionOver(reason),
        }
    };
    let left = agent.end_tree(&mut children).await;
    agent.take_terminal_back();
    Ok((ended, left))
}

/// What became of the agent's first process.
enum Change {
    Ended(Ended),
    Stopped(Signal),
}

/// The agent's first process, which leads its group, and the terminal it may have.
struct Agent {
    pid: Pid,
    terminal: Option<Terminal>,
}

impl Agent {
    /// Gives the terminal to an agent that people type to, if it is ours to give.
    ///
    /// Others get it when they ask for it (see [`Self::stopped`]): given away at once, it
    /// would be missing to a pager behind us in a pipe.
    fn hand_over(&self) {
        if let Some(terminal) = self.terminal.as_ref().filter(|one| one.is_interactive)
            && terminal.is_ours()
        {
            terminal.give(self.pid);
            // It may have asked for the terminal before it had it, and been stopped for that.
            self.signal_group(Signal::SIGCONT);
        }
    }

    fn take_terminal_back(&self) {
        if let Some(terminal) = self.terminal.as_ref().filter(|one| one.listens_to(self.pid)) {
            terminal.take_back();
        }
    }

    /// Collects every process of ours that changed; gives what became of the agent's first.
    fn collect(&self) -> Option<Change> {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
        let mut change = None;
        loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => {
                    // Exit codes have eight bits.
                    let code = u8::try_from(code & 0xff).unwrap_or(u8::MAX);
                    change = Some(Change::Ended(Ended::Exited(code)));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => {
                    change = Some(Change::Ended(Ended::Signalled(signal)));
                }
                Ok(WaitStatus::Stopped(pid, signal)) if pid == self.pid => {
                    change = Some(Change::Stopped(signal));
                }
                Ok(WaitStatus::StillAlive) | Err(_) => return change,
                Ok(_) => {}
            }
        }
    }

    /// The agent was stopped: it wants the terminal, or the person at it wants the shell.
    async fn stopped(&self, signal: Signal) {
        let Some(terminal) = &self.terminal else { return };
        let wants_terminal = matches!(signal, Signal::SIGTTIN | Signal::SIGTTOU);
        if !(wants_terminal && terminal.is_ours()) {
            self.stop_with_it(terminal);
        }
        if terminal.is_ours() {
            terminal.give(self.pid);
        } else if wants_terminal {
            // Nobody can give it what it wants: do not ask again without a pause.
            tokio::time::sleep(GRACE).await;
        }
        self.signal_group(Signal::SIGCONT);
    }

    /// Stops our own job as well, so that the shell takes over; returns when it is resumed.
    ///
    /// In a job that nobody could resume, the system ignores the signal, and we go on.
    fn stop_with_it(&self, terminal: &Terminal) {
        if terminal.listens_to(self.pid) {
            terminal.take_back();
        }
        // Stops this thread, which is the process's first, before the call returns.
        let own_group = Pid::from_raw(0);
        let _never_fails = kill(own_group, Signal::SIGTSTP);
    }

    fn pass_on(&self, signal: Signal) {
        self.signal_group(signal);
    }

    /// Tells the whole tree to end, and makes it after [`GRACE`]; gives how many had to be
    /// told. Returns when nothing of it is left, or nothing that the system can end.
    async fn end_tree(&self, children: &mut Signals) -> usize {
        let told = self.signal_tree(Signal::SIGTERM);
        if told == 0 {
            return 0;
        }
        let mut patience = std::pin::pin!(tokio::time::sleep(GRACE));
        let mut surrender = std::pin::pin!(tokio::time::sleep(SURRENDER));
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut out_of_patience = false;
        loop {
            tokio::select! {
                _ = children.recv() => {}
                _ = look.tick() => {}
                () = &mut patience, if !out_of_patience => out_of_patience = true,
                () = &mut surrender => return told,
            }
            self.collect();
            if processes::descendants().is_empty() {
                return told;
            }
            if out_of_patience {
                // Again and again: a process may be making others while it is ended.
                self.signal_tree(Signal::SIGKILL);
            }
        }
    }

    /// Signals the group and everything below us; gives how many processes there were.
    fn signal_tree(&self, signal: Signal) -> usize {
        let tree = processes::descendants();
        for pid in &tree {
            let _ended_meanwhile = kill(*pid, signal);
        }
        if signal != Signal::SIGKILL {
            // A stopped process does not end before it is resumed.
            for pid in &tree {
                let _ended_meanwhile = kill(*pid, Signal::SIGCONT);
            }
        }
        tree.len()
    }

    fn signal_group(&self, signal: Signal) {
        match killpg(self.pid, signal) {
            // The group is gone when its processes ended a moment ago.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => tracing::warn!(%error, %signal, "signal not passed on"),
        }
    }
}

/// Signals this process gets and passes on, in one queue.
struct PassedOn {
    queue: mpsc::Receiver<Signal>,
    _listeners: JoinSet<()>,
}

impl PassedOn {
    fn listen() -> io::Result<Self> {
        let (sender, queue) = mpsc::channel(PASSED_ON.len());
        let mut listeners = JoinSet::new();
        for one in PASSED_ON {
            let mut arrived = signal(SignalKind::from_raw(*one as i32))?;
            let sender = sender.clone();
            listeners.spawn(async move {
                while arrived.recv().await.is_some() && sender.send(*one).await.is_ok() {}
            });
        }
        Ok(Self { queue, _listeners: listeners })
    }

    async fn recv(&mut self) -> Option<Signal> {
        self.queue.recv().await
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Ended, supervise};

    /// Runs a shell script under supervision; `over` is why its session is over, once it
    /// has made the file `started`.
    async fn run(script: &str, over: Option<&str>) -> (Ended, usize) {
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).current_dir(folder.path());
        let over = async {
            let Some(reason) = over else { return std::future::pending().await };
            while !started.exists() {
                tokio::task::yield_now().await;
            }
            reason.to_owned()
        };
        supervise(command, over).await.unwrap()
    }

    /// One test, because a process adopts orphans as a whole, not a test at a time.
    #[tokio::test]
    async fn agents_end_as_they_do_or_as_they_must_and_leave_nothing() {
        let killed = || Ended::SessionOver("killed by ada".to_owned());
        let kill = Some("killed by ada");
        for (script, over, want, left) in [
            ("exit 0", None, Ended::Exited(0), 0),
            ("exit 7", None, Ended::Exited(7), 0),
            ("kill -9 $$", None, Ended::Signalled(super::Signal::SIGKILL), 0),
            // A child that was left behind is ended.
            ("sleep 1000 & exit 0", None, Ended::Exited(0), 1),
            // So is one that left the group and its parent.
            (
                "setsid sh -c 'touch gone; sleep 1000' & \
              while [ ! -e gone ]; do :; done; exit 3",
                None,
                Ended::Exited(3),
                2,
            ),
            // Ends when told.
            ("touch started; sleep 1000", kill, killed(), 2),
            // Has to be made to end.
            ("trap '' TERM; touch started; while :; do sleep 1000; done", kill, killed(), 2),
            // Stopped itself, to be overlooked.
            ("touch started; kill -STOP $$", kill, killed(), 1),
        ] {
            let got = run(script, over).await;
            assert_eq!(got.0, want, "script = {script:?}");
            // A shell may replace itself by its last command: at least one, at most `left`.
            assert!(got.1.min(1) == left.min(1) && got.1 <= left, "{script:?}: {}", got.1);
        }
        assert!(super::processes::descendants().is_empty());
    }

    #[test]
    fn codes_are_those_a_shell_would_give() {
        for (ended, want) in [
            (Ended::Exited(3), 3),
            (Ended::Signalled(super::Signal::SIGTERM), 143),
            (Ended::SessionOver(String::new()), 137),
        ] {
            assert_eq!(ended.code(), want);
        }
    }
}
