//! A process that we started: what it has used, and its end.

use std::{fmt, fs, process::Child};

use anyhow::{Context as _, Result};

/// Length of a tick of `/proc/PID/stat`. Unit: microseconds. Source: proc(5), `USER_HZ` 100.
const TICK: u64 = 10_000;

/// Ends when dropped.
pub(crate) struct Process(pub(crate) Child);

/// Resident memory. Unit: MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) most: f64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB, most so far {:.1} MiB", self.now, self.most)
    }
}

impl Process {
    /// CPU time so far, user and system. Unit: microseconds.
    pub(crate) fn cpu(&self) -> Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // Fields 14 and 15; the second, in parentheses, may hold spaces.
        let (_, fields) = stat.rsplit_once(')').context("stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.collect::<Result<Vec<_>, _>>()?.iter().sum();
        Ok(ticks.saturating_mul(TICK))
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let mib = |name: &str| {
            let line =
                status.lines().find_map(|line| line.strip_prefix(name)).context("status")?;
            let kib = line.split_whitespace().nth(1).context("status")?;
            Ok::<_, anyhow::Error>(kib.parse::<f64>()? / 1024.0)
        };
        Ok(Memory { now: mib("VmRSS")?, most: mib("VmHWM")? })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
