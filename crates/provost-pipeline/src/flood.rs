//! Bounds what strangers can write into the ledger.
//!
//! A refusal of somebody unknown is recorded like any other, up to so many a second; those
//! beyond are counted, and the count is recorded. So a probe leaves its trace, and a flood
//! cannot fill the disk and with it stop everybody else.

use std::time::Duration;

use parking_lot::Mutex;
use provost_types::Monotonic;

/// Refusals of strangers that are recorded one by one in each second.
const RECORDED_MAX: u32 = 50;

const WINDOW: Duration = Duration::from_secs(1);

/// Counts refusals of strangers.
#[derive(Debug, Default)]
pub(crate) struct Flood(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    since: Monotonic,
    recorded: u32,
    left_out: u64,
}

impl Flood {
    /// Whether a refusal at `now` is to be recorded by itself; if not, it is counted.
    pub(crate) fn is_recorded(&self, now: Monotonic) -> bool {
        let mut counted = self.0.lock();
        let window = u64::try_from(WINDOW.as_micros()).unwrap_or(u64::MAX);
        if now.0.saturating_sub(counted.since.0) >= window {
            counted.since = now;
            counted.recorded = 0;
        }
        if counted.recorded < RECORDED_MAX {
            counted.recorded = counted.recorded.saturating_add(1);
            return true;
        }
        counted.left_out = counted.left_out.saturating_add(1);
        false
    }

    /// How many were only counted since this was last asked.
    pub(crate) fn take_left_out(&self) -> u64 {
        std::mem::take(&mut self.0.lock().left_out)
    }

    /// Puts a count back that could not be recorded.
    pub(crate) fn put_back(&self, left_out: u64) {
        let mut counted = self.0.lock();
        counted.left_out = counted.left_out.saturating_add(left_out);
    }
}

#[cfg(test)]
mod tests {
    use provost_types::Monotonic;

    use super::{Flood, RECORDED_MAX};

    #[test]
    fn so_many_a_second_are_recorded_and_the_rest_is_counted() {
        let flood = Flood::default();
        let at = |second: u64| Monotonic(second * 1_000_000);
        let recorded =
            |second, asked: u32| (0..asked).filter(|_| flood.is_recorded(at(second))).count();
        assert_eq!(recorded(5, RECORDED_MAX + 7), RECORDED_MAX as usize);
        assert_eq!(flood.take_left_out(), 7);
        assert_eq!(flood.take_left_out(), 0);
        assert_eq!(recorded(6, 1), 1, "another second");
        flood.put_back(7);
        assert_eq!(flood.take_left_out(), 7);
    }
}
