//! The terminal: which process group it listens to, handed over and taken back.

use std::{
    io::{self, IsTerminal as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use nix::{
    sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask},
    unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp},
};

/// The terminal this process was started from.
#[derive(Debug)]
pub(crate) struct Terminal {
    file: OwnedFd,
    /// Whether the program is one that people type to: it reads from and writes to it.
    pub(crate) is_interactive: bool,
}

impl Terminal {
    /// The terminal on a standard stream, if there is one and it is this session's.
    pub(crate) fn find() -> Option<Self> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let streams = [
            stdin.is_terminal().then(|| stdin.as_fd()),
            stdout.is_terminal().then(|| stdout.as_fd()),
            stderr.is_terminal().then(|| stderr.as_fd()),
        ];
        let is_interactive = stdin.is_terminal() && stdout.is_terminal();
        let stream: BorrowedFd<'_> = streams.into_iter().flatten().next()?;
        tcgetpgrp(stream).ok()?;
        Some(Self { file: stream.try_clone_to_owned().ok()?, is_interactive })
    }

    /// Whether it listens to this process's group.
    pub(crate) fn is_ours(&self) -> bool {
        self.listens_to(getpgrp())
    }

    /// Whether it listens to a group.
    pub(crate) fn listens_to(&self, group: Pid) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|foreground| foreground == group)
    }

    /// Makes it listen to a group; says nothing when it will not, as when it hung up.
    pub(crate) fn give(&self, group: Pid) {
        // A process in the background that does this is stopped by SIGTTOU, unless blocked.
        let mut touch = SigSet::empty();
        touch.add(Signal::SIGTTOU);
        let mut before = SigSet::empty();
        let blocked =
            pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&touch), Some(&mut before)).is_ok();
        if blocked {
            let _hung_up = tcsetpgrp(&self.file, group);
            let _restored = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
        }
    }

    /// Makes it listen to this process's group again.
    pub(crate) fn take_back(&self) {
        self.give(getpgrp());
    }
}
