//! When a program that ended may be started again. Pure: time is told, not asked.

use std::time::Duration;

/// Pause after the first end that came too soon.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause. Ours: an operator who mended something does not wait long.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A program that ran so long did not end because of how it was started.
const RAN_WELL: Duration = Duration::from_secs(60);

/// Keeps a program that ends too soon from being started over and over.
///
/// Every `now` is the time since one fixed moment, on a clock that does not go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restarts {
    started: Option<Duration>,
    /// The pause that the next end brings, if it comes too soon.
    pause: Duration,
    not_before: Duration,
}

/// A program ended too soon to be started again already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it ended soon after its last start, and is not started again before {} s have passed",
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0))
)]
pub struct TooSoon {
    /// How long it will be until it may be.
    pub after: Duration,
}

impl Default for Restarts {
    fn default() -> Self {
        Self { started: None, pause: PAUSE_MIN, not_before: Duration::ZERO }
    }
}

impl Restarts {
    /// Whether the program may be started.
    ///
    /// # Errors
    ///
    /// [`TooSoon`], which is a sentence about the program.
    pub fn may_start(&self, now: Duration) -> Result<(), TooSoon> {
        let after = self.not_before.saturating_sub(now);
        if after.is_zero() { Ok(()) } else { Err(TooSoon { after }) }
    }

    /// It was started.
    pub fn started(&mut self, now: Duration) {
        self.started = Some(now);
    }

    /// It ended by itself, or could not be started. Not to be told of a program that was
    /// ended on purpose.
    pub fn ended(&mut self, now: Duration) {
        let ran = self.started.take().map_or(Duration::ZERO, |then| now.saturating_sub(then));
        if ran >= RAN_WELL {
            *self = Self::default();
            return;
        }
        self.not_before = now.saturating_add(self.pause);
        self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
    }
}
