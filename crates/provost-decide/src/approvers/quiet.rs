//! Hours in which people are not to be asked first.

use provost_types::Timestamp;

/// Unit: minutes.
const MINUTES_A_DAY: u64 = 24 * 60;

/// Farthest that any clock is from UTC. Unit: minutes. Source: time zone database 2025b, where
/// the extremes are +14:00 and -12:00.
const OFFSET_MINUTES_MAX: u64 = 14 * 60;

/// Unit: microseconds.
const MICROS_A_MINUTE: u64 = 60_000_000;

/// A part of every day, by a clock with a fixed offset from UTC: it knows no summer time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// INVARIANT: `from` and `to` are different and less than a day.
pub struct Quiet {
    /// Unit: minutes since midnight, by that clock.
    from: u64,
    /// The first that is outside. Unit: minutes since midnight, by that clock.
    to: u64,
    /// What that clock is ahead of UTC. Unit: minutes, from 0 to a day.
    ahead: u64,
}

impl Quiet {
    /// Reads `22:00`, `07:00` and `+01:00` (or `Z`); `None` if one is malformed, or if the
    /// hours begin when they end.
    pub(crate) fn parse(from: &str, to: &str, zone: &str) -> Option<Self> {
        let (from, to) = (time_of_day(from)?, time_of_day(to)?);
        (from != to).then_some(())?;
        Some(Self { from, to, ahead: ahead(zone)? })
    }

    /// Whether it is that part of the day.
    pub fn covers(&self, now: Timestamp) -> bool {
        let minutes = (now.0 / MICROS_A_MINUTE).saturating_add(self.ahead);
        let at = minutes % MINUTES_A_DAY;
        if self.from < self.to {
            (self.from..self.to).contains(&at)
        } else {
            at >= self.from || at < self.to
        }
    }
}

/// `HH:MM`
fn time_of_day(text: &str) -> Option<u64> {
    let minutes = minutes(text)?;
    (minutes < MINUTES_A_DAY).then_some(minutes)
}

/// `+HH:MM`, `-HH:MM` or `Z`, as minutes ahead.
fn ahead(text: &str) -> Option<u64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, offset) = text.split_at_checked(1)?;
    let offset = minutes(offset).filter(|offset| *offset <= OFFSET_MINUTES_MAX)?;
    match sign {
        "+" => Some(offset),
        "-" => Some(MINUTES_A_DAY.saturating_sub(offset)),
        _ => None,
    }
}

fn minutes(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (minutes < 60).then(|| hours.saturating_mul(60).saturating_add(minutes))
}

#[cfg(test)]
mod tests {
    use provost_types::Timestamp;

    use super::Quiet;

    #[test]
    fn quiet_hours_are_those_of_a_fixed_offset() {
        let at = |hour: u64, minute: u64| {
            Timestamp(((20_000 * 24 + hour) * 60 + minute) * 60_000_000)
        };
        for (from, to, zone, now, want) in [
            ("22:00", "07:00", "+01:00", at(20, 59), false),
            ("22:00", "07:00", "+01:00", at(21, 0), true),
            ("22:00", "07:00", "+01:00", at(23, 30), true),
            ("22:00", "07:00", "+01:00", at(5, 59), true),
            ("22:00", "07:00", "+01:00", at(6, 0), false),
            ("12:00", "13:00", "Z", at(12, 0), true),
            ("12:00", "13:00", "Z", at(13, 0), false),
            ("00:00", "01:00", "-05:30", at(5, 30), true),
            ("00:00", "01:00", "-05:30", at(5, 29), false),
            ("22:00", "07:00", "Z", Timestamp(0), true),
            ("22:00", "07:00", "Z", Timestamp(u64::MAX), false), // far, and no overflow
        ] {
            let quiet = Quiet::parse(from, to, zone).unwrap();
            assert_eq!(quiet.covers(now), want, "{from} {to} {zone} {now:?}");
        }
    }

    #[test]
    fn quiet_hours_are_written_in_one_way() {
        for (from, to, zone) in [
            ("22:00", "22:00", "Z"), // all day, or never
            ("24:00", "07:00", "Z"),
            ("22:60", "07:00", "Z"),
            ("7:00", "08:00", "Z"),
            ("0700", "08:00", "Z"),
            ("+7:00", "08:00", "Z"),
            ("22:00", "07:00", ""),
            ("22:00", "07:00", "01:00"),
            ("22:00", "07:00", "+1"),
            ("22:00", "07:00", "+15:00"),
            ("22:00", "07:00", "Europe/Vienna"),
            ("22:00", "07:00", "ö"),
        ] {
            assert_eq!(Quiet::parse(from, to, zone), None, "{from} {to} {zone}");
        }
    }
}
