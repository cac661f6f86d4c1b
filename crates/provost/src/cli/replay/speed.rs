//! How fast a story is told.

use std::{str::FromStr, time::Duration};

/// Digits behind the point that count.
const DIGITS_MAX: usize = 6;
/// One, in the unit of [`Speed`].
const ONE: u64 = 1_000_000;
/// Fastest speed; beyond it nobody sees a difference.
const SPEED_MAX: u64 = 1_000_000;

/// A positive factor. Unit: millionths, so that no time is ever a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speed(u64);

/// A text that is no speed.
#[derive(Debug, thiserror::Error)]
#[error("use a number above 0 and up to 1000000 with at most six decimals: 1, 10, 0.5")]
pub(crate) struct SpeedError;

impl Speed {
    /// How long to wait for what took `gap`.
    pub(super) fn wait(self, gap: Duration) -> Duration {
        let micros = gap.as_micros().saturating_mul(u128::from(ONE));
        let micros = micros.checked_div(u128::from(self.0)).unwrap_or_default();
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > DIGITS_MAX {
            return Err(SpeedError);
        }
        let whole: u64 = whole.parse().map_err(|_| SpeedError)?;
        let part: u64 = format!("{part:0<DIGITS_MAX$}").parse().map_err(|_| SpeedError)?;
        let speed = whole.checked_mul(ONE).and_then(|whole| whole.checked_add(part));
        let range = 1..=SPEED_MAX.saturating_mul(ONE);
        speed.filter(|speed| range.contains(speed)).map(Self).ok_or(SpeedError)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Speed;

    #[test]
    fn a_gap_is_divided_by_the_speed() {
        for (speed, want_us) in [
            ("1", 3_000_001),
            ("10", 300_000),
            ("0.5", 6_000_002),
            ("2.5", 1_200_000),
            ("0.000001", 3_000_001_000_000),
            ("1000000", 3),
        ] {
            let speed: Speed = speed.parse().unwrap();
            let wait = speed.wait(Duration::from_micros(3_000_001));
            assert_eq!(wait, Duration::from_micros(want_us), "{speed:?}");
        }
        let slowest: Speed = "0.000001".parse().unwrap();
        assert_eq!(slowest.wait(Duration::MAX), Duration::from_micros(u64::MAX));
    }

    #[test]
    fn what_is_no_speed_is_refused() {
        for text in
            ["", "0", "0.0", "-1", "+1", ".5", "1.", "1e3", "inf", "0.0000001", "1000000.1"]
        {
            assert!(text.parse::<Speed>().is_err(), "text = {text:?}");
        }
    }
}
