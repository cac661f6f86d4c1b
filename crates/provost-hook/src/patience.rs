//! What a client can do with a call that waits for people: wait as well, or come back later.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// How long the hook can wait. Unit: seconds. Below the hook's own timeout, for a hook that
/// runs out of time does not refuse.
pub const WAIT_HEADER: HeaderName = HeaderName::from_static("provost-wait");

/// The client can put the call off: it ends, and asks again when it is resumed. Any value.
///
/// Measured with Claude Code 2.1.330 in print mode: `claude -p --resume` tells `PreToolUse` of
/// the same call again. In a session with a person at it nothing puts a call off.
pub const DEFER_HEADER: HeaderName = HeaderName::from_static("provost-defer");

/// What a client does while people are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It waits so long.
    For(Duration),
    /// It ends, and comes back.
    Defers,
}

impl Patience {
    /// What the headers say; who says nothing does not wait: its timeout is not known.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(DEFER_HEADER) {
            return Self::Defers;
        }
        let seconds = headers.get(WAIT_HEADER).and_then(|value| value.to_str().ok());
        let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(0_u32);
        Self::For(Duration::from_secs(seconds.into()))
    }

    /// How long a call may be held with the connection open.
    pub(crate) fn held(self) -> Duration {
        match self {
            Self::For(held) => held,
            Self::Defers => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{DEFER_HEADER, Patience, WAIT_HEADER};

    #[test]
    fn who_says_nothing_that_can_be_read_does_not_wait() {
        let wait = |seconds| Patience::For(Duration::from_secs(seconds));
        let (yes, none) = (HeaderValue::from_static("yes"), HeaderValue::from_static(""));
        let waits = |value: &'static str| (WAIT_HEADER, HeaderValue::from_static(value));
        let cases: [(Vec<(HeaderName, HeaderValue)>, Patience); 7] = [
            (vec![], wait(0)),
            (vec![waits("300")], wait(300)),
            (vec![waits("-1")], wait(0)),
            (vec![waits("5 s")], wait(0)),
            (vec![waits("99999999999")], wait(0)),
            (vec![(DEFER_HEADER, yes), waits("300")], Patience::Defers),
            (vec![(DEFER_HEADER, none)], Patience::Defers),
        ];
        for (headers, want) in cases {
            let map: HeaderMap = headers.clone().into_iter().collect();
            assert_eq!(Patience::of(&map), want, "{headers:?}");
        }
    }
}
