//! Times as people and programs write them: RFC 3339, printed and read back.
//!
//! Source: RFC 3339 §5.6. Always a date, a time and an offset; shorter forms are the command
//! line's business. Leap seconds are refused: the ledger's times have none.

use std::{fmt, str::FromStr};

use crate::Timestamp;

/// A text that is not such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of the form 2026-11-25T14:00:00Z")]
pub struct TimeError;

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds: `2026-11-24T23:31:34.000001Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second / 3600, second % 3600 / 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads a time such as `2026-11-25T14:00:00.5+01:00`; what is finer than a microsecond
    /// is left out.
    ///
    /// # Errors
    ///
    /// [`TimeError`] if it is not one, if there is no such day or hour, or before 1970.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        read(text).ok_or(TimeError)
    }
}

fn read(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let (micros, offset) = fraction(rest)?;
    let seconds = days(date)?.checked_mul(86_400)?.checked_add(second_of_day(time)?)?;
    let seconds = seconds.checked_sub(offset_seconds(offset)?)?;
    let seconds = u64::try_from(seconds).ok()?;
    Some(Timestamp(seconds.checked_mul(1_000_000)?.checked_add(micros)?))
}

/// The microseconds of `.123…`, if it is there, and what follows it.
fn fraction(text: &str) -> Option<(u64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|one: char| !one.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, offset) = rest.split_at_checked(end)?;
    if digits.is_empty() {
        return None;
    }
    let micros: String = digits.chars().chain("000000".chars()).take(6).collect();
    Some((micros.parse().ok()?, offset))
}

/// The offset from UTC. Unit: seconds.
fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, time) = text.split_at_checked(1)?;
    let (hour, minute) = time.split_once(':')?;
    let hours = number(hour, 2, 0..=23)?.checked_mul(3600)?;
    let seconds = hours.checked_add(number(minute, 2, 0..=59)?.checked_mul(60)?)?;
    match sign {
        "+" => Some(seconds),
        "-" => seconds.checked_neg(),
        _ => None,
    }
}

fn second_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours = number(parts.next()?, 2, 0..=23)?.checked_mul(3600)?;
    let minutes = number(parts.next()?, 2, 0..=59)?.checked_mul(60)?;
    let second = number(parts.next()?, 2, 0..=59)?;
    parts.next().is_none().then(|| hours.checked_add(minutes)?.checked_add(second))?
}

/// Days from 1970-01-01 to a Gregorian date such as `2026-11-25`.
///
/// Source: the 400-year-era method (146,097 days an era), years starting on 1 March.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "every part has at most four digits, so no intermediate leaves i64"
)]
fn days(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4, 0..=9999)?;
    let month = number(parts.next()?, 2, 1..=12)?;
    let day = number(parts.next()?, 2, 1..=31)?;
    if parts.next().is_some() || day > days_of(month, year) {
        return None;
    }
    let year_from_march = if month > 2 { year } else { year - 1 };
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

const fn days_of(month: i64, year: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Exactly `width` digits that make a number of `range`.
fn number(text: &str, width: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let is_number = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { text.parse().ok()? } else { return None };
    range.contains(&number).then_some(number)
}

/// Gregorian date of a day count since 1970-01-01.
///
/// Source: the 400-year-era method (146,097 days an era), years starting on 1 March.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "every intermediate is below days + 719,468, and days is at most 2^64 / 86.4e9"
)]
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::TimeError;
    use crate::Timestamp;

    fn parsed(text: &str) -> Result<Timestamp, TimeError> {
        text.parse()
    }

    #[test]
    fn timestamps_print_as_rfc_3339() {
        for (micros, want) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"), // leap day of a leap century
            (1_709_251_199_999_999, "2024-02-29T23:59:59.999999Z"),
            (1_795_563_094_000_001, "2026-11-24T23:31:34.000001Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"), // 2100 has no leap day
        ] {
            assert_eq!(Timestamp(micros).to_string(), want, "micros = {micros}");
        }
    }

    #[test]
    fn times_are_read_strictly() {
        for text in [
            "",
            "14:00",
            "2026-11-25",
            "2026-11-25T14:00:00",       // no offset
            "2026-11-25T14:00Z",         // no seconds
            "2026-11-25T24:00:00Z",      // no such hour
            "2026-11-25T23:59:60Z",      // a leap second
            "2026-02-29T00:00:00Z",      // not a leap year
            "2100-02-29T00:00:00Z",      // not one either
            "2026-13-01T00:00:00Z",      // no such month
            "2026-00-01T00:00:00Z",      // months begin with 1
            "2026-11-31T00:00:00Z",      // 30 days
            "1969-12-31T23:59:59Z",      // before 1970
            "1970-01-01T00:00:00+01:00", // the same
            "2026-11-25T14:00:00.Z",     // no digits
            "2026-11-25T14:00:00+1:00",  // one digit
            "2026-11-25T14:00:00*01:00",
            "2026-11-25T14:00:00Z ",
            "+026-11-25T14:00:00Z",
            "2026-11-25T14:00:00é",
            "٢٠٢٦-11-25T14:00:00Z",
        ] {
            assert!(parsed(text).is_err(), "text = {text:?}");
        }
    }

    #[test]
    fn what_a_timestamp_prints_is_read_back() {
        for micros in [
            0,
            951_782_400_000_000,
            1_709_251_199_999_999,
            1_795_563_094_000_001,
            4_107_542_400_000_000,
            253_402_300_799_999_999, // the last of the year 9999
        ] {
            let text = Timestamp(micros).to_string();
            assert_eq!(parsed(&text), Ok(Timestamp(micros)), "text = {text:?}");
        }
    }

    #[test]
    fn one_time_has_many_forms() {
        for text in [
            "2026-11-24T23:31:34.000001Z",
            "2026-11-24t23:31:34.000001z",
            "2026-11-24 23:31:34.000001999Z",
            "2026-11-25T00:31:34.000001+01:00",
            "2026-11-24T18:01:34.000001-05:30",
        ] {
            let want = Ok(Timestamp(1_795_563_094_000_001));
            assert_eq!(parsed(text), want, "text = {text:?}");
        }
        assert_eq!(parsed("1970-01-01T01:00:00.5+01:00"), Ok(Timestamp(500_000)));
    }
}
