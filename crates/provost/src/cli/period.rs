//! Times and time spans as people say them: `--from`, `--to`, `--expires-in`.

use std::{str::FromStr, time::Duration};

use anyhow::ensure;
use clap::Args;
use provost_types::{Clock as _, SystemClock, Timestamp};

use crate::exit::Misuse;

/// Microseconds of a day.
const DAY_US: u64 = 86_400_000_000;

/// The forms of a time, for the help of commands that take one.
pub(super) const TIMES_TOLD: &str = "\
A TIME is in UTC unless it names an offset:
  14:00                      today
  2026-11-25                 that day's midnight
  2026-11-25T14:00           or 2026-11-25T14:00:30
  2026-11-25T14:00:00+01:00  RFC 3339
  30m                        so long ago: s, m, h or d
`--from` is the first moment that counts, `--to` the first that does not.";

/// A stretch of time.
#[derive(Debug, Args)]
pub(crate) struct Period {
    /// Only what was recorded at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<When>,
    /// Only what was recorded before this time
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
}

/// The same, with today and now filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The first moment that counts.
    pub(super) since: Option<Timestamp>,
    /// The first moment that does not.
    pub(super) until: Option<Timestamp>,
}

impl Period {
    /// Fills in today and now.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if nothing lies between the two.
    pub(super) fn bounds(&self) -> Result<Bounds, Misuse> {
        self.bounds_at(SystemClock.wall())
    }

    fn bounds_at(&self, now: Timestamp) -> Result<Bounds, Misuse> {
        let [since, until] = [self.from, self.to].map(|when| when.map(|when| when.at(now)));
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(Misuse("`--from` is not before `--to`"));
        }
        Ok(Bounds { since, until })
    }
}

/// A time as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// On a day that was named.
    At(Timestamp),
    /// Today, so long after midnight.
    Today(Duration),
    /// So long ago.
    Ago(Duration),
}

/// A text that is no time.
#[derive(Debug, thiserror::Error)]
#[error("use 14:00, 2026-11-25, 2026-11-25T14:00, RFC 3339, or 30m for half an hour ago")]
struct WhenError;

impl When {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Today(after) => Timestamp(now.0.saturating_sub(now.0 % DAY_US)).plus(after),
            Self::Ago(before) => now.minus(before),
        }
    }
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let is_unsigned = text.starts_with(|one: char| one.is_ascii_digit());
        if let Some(ago) = duration(text).ok().filter(|_| is_unsigned) {
            return Ok(Self::Ago(ago));
        }
        let read = |text: String| text.parse::<Timestamp>().ok();
        if matches!(text.len(), 5 | 8) && text.contains(':') {
            // As a time of the first day of all, it is how long after midnight it is.
            let seconds = if text.len() == 5 { ":00" } else { "" };
            let time = read(format!("1970-01-01T{text}{seconds}Z")).ok_or(WhenError)?;
            return Ok(Self::Today(time.since(Timestamp(0))));
        }
        let time = match text.len() {
            10 => read(format!("{text}T00:00:00Z")),
            16 => read(format!("{text}:00Z")),
            _ => read(text.to_owned()).or_else(|| read(format!("{text}Z"))),
        };
        time.map(Self::At).ok_or(WhenError)
    }
}

/// A time span such as `90s`, `45m`, `12h` or `30d`.
pub(super) fn duration(text: &str) -> anyhow::Result<Duration> {
    let units = [("s", 1_u64), ("m", 60), ("h", 3600), ("d", 86_400)];
    let seconds = units.into_iter().find_map(|(unit, seconds)| {
        text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds)
    });
    ensure!(seconds.is_some(), "use a number and s, m, h or d, as in 12h");
    Ok(Duration::from_secs(seconds.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use provost_types::Timestamp;

    use super::{Period, When, duration};

    /// 2026-11-25T14:30:00Z
    const NOW: Timestamp = Timestamp(1_795_617_000_000_000);

    #[test]
    fn times_are_read_as_people_say_them() {
        for (text, want) in [
            ("14:00", Some("2026-11-25T14:00:00.000000Z")),
            ("00:00", Some("2026-11-25T00:00:00.000000Z")),
            ("23:59:59", Some("2026-11-25T23:59:59.000000Z")), // today, though to come
            ("2026-11-24", Some("2026-11-24T00:00:00.000000Z")),
            ("2026-11-24T09:30", Some("2026-11-24T09:30:00.000000Z")),
            ("2026-11-24 09:30", Some("2026-11-24T09:30:00.000000Z")),
            ("2026-11-24T09:30:15", Some("2026-11-24T09:30:15.000000Z")),
            ("2026-11-24T09:30:15.25Z", Some("2026-11-24T09:30:15.250000Z")),
            ("2026-11-25T00:30:00+01:00", Some("2026-11-24T23:30:00.000000Z")),
            ("90s", Some("2026-11-25T14:28:30.000000Z")),
            ("30m", Some("2026-11-25T14:00:00.000000Z")),
            ("2h", Some("2026-11-25T12:30:00.000000Z")),
            ("1d", Some("2026-11-24T14:30:00.000000Z")),
            ("99999999999999d", Some("1970-01-01T00:00:00.000000Z")),
            ("", None),
            ("24:00", None),
            ("2pm", None),
            ("m", None),
            ("+5m", None),
            ("-5m", None),
            ("yesterday", None),
            ("2026-02-30", None),
            ("2026-11-24T09", None),
            ("99999999999999999999d", None),
            ("5€", None),
        ] {
            let read = text.parse::<When>().ok();
            let read = read.map(|when| when.at(NOW).to_string());
            assert_eq!(read.as_deref(), want, "text = {text:?}");
        }
    }

    #[test]
    fn a_period_without_a_moment_is_refused() {
        let period = |from: &str, to: &str| Period {
            from: Some(from.parse().unwrap()),
            to: Some(to.parse().unwrap()),
        };
        assert!(period("14:30", "14:00").bounds_at(NOW).is_err());
        assert!(period("14:00", "14:00").bounds_at(NOW).is_err());
        let bounds = period("14:00", "0m").bounds_at(NOW).unwrap();
        assert_eq!(bounds.until, Some(NOW));
    }

    #[test]
    fn time_spans() {
        for (text, want) in [
            ("90s", Some(90)),
            ("45m", Some(2700)),
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("0s", Some(0)),
            ("30", None),
            ("d", None),
            ("-1d", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("9999999999999999999d", None),
        ] {
            let got = duration(text).ok().map(|span| span.as_secs());
            assert_eq!(got, want, "text = {text:?}");
        }
    }
}
