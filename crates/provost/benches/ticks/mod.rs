//! Time and what was seen of it: the clock of the benches, quantiles, and output.

use std::io::{self, Write as _};

use provost_types::{Clock as _, SystemClock};

/// The time since the process started. Unit: microseconds.
pub(crate) fn now() -> u64 {
    SystemClock.monotonic().0
}

/// Waits, or whatever else is counted in microseconds, in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Vec<u64>);

impl Waits {
    pub(crate) fn of(mut waits: Vec<u64>) -> Self {
        waits.sort_unstable();
        Self(waits)
    }

    pub(crate) fn p50(&self) -> u64 {
        self.per_mille(500)
    }

    pub(crate) fn p99(&self) -> u64 {
        self.per_mille(990)
    }

    fn per_mille(&self, part: usize) -> u64 {
        let rank = self.0.len().saturating_mul(part) / 1000;
        self.0.get(rank).copied().unwrap_or_default()
    }
}

/// How many a second. `during` is in microseconds.
pub(crate) fn rate(count: usize, during: u64) -> f64 {
    count as f64 / during.max(1) as f64 * 1e6
}

pub(crate) fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
