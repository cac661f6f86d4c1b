//! Lengths of time as policy files write them: `90s`, `30m`, `12h`, `7d`.

use std::time::Duration;

/// Longest one. Unit: seconds. Thirty days: who is asked for longer has been forgotten.
const PERIOD_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

/// What may be written, in words.
pub(crate) const FORM: &str =
    "a number with s, m, h or d behind it, such as \"30m\"; from 1s to 30d";

/// Reads one.
pub(crate) fn period(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    // `parse` would take a plus sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=PERIOD_SECONDS_MAX).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::period;

    #[test]
    fn periods_have_one_number_and_one_unit() {
        for (text, want) in [
            ("1s", Some(1)),
            ("30m", Some(1_800)),
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("31d", None), // too long
            ("2592001s", None),
            ("0s", None),
            ("30", None),
            ("m", None),
            ("", None),
            ("+1m", None),
            ("-1m", None),
            ("1.5h", None),
            ("1h30m", None),
            (" 1h", None),
            ("1M", None),
            ("1ö", None),
            ("99999999999999999999d", None), // more than a number holds
        ] {
            let got = period(text).map(|period| period.as_secs());
            assert_eq!(got, want, "text = {text:?}");
        }
    }
}
