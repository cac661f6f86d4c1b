//! A stream cut into server-sent events, each with the bytes it came in.

use bytes::{Buf as _, Bytes, BytesMut};

/// Longest event. Unit: bytes. Ours: the memory one stream may take; search results inside a
/// `content_block_start` are the longest, some hundred kilobytes.
pub(crate) const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event, or a comment between events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// All its bytes, the blank line at its end included.
    pub(crate) raw: Bytes,
    /// Its data, if it has any.
    pub(crate) data: Option<Vec<u8>>,
}

/// An event is longer than [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Splits a stream; same result however it is cut.
///
/// Source: HTML standard §9.2.6, "Interpreting an event stream".
#[derive(Debug, Default)]
pub(crate) struct Events {
    buffer: BytesMut,
    /// Where the line begins that is not known to be whole. Unit: bytes.
    line: usize,
    /// How far that line was looked through. Unit: bytes.
    seen: usize,
}

impl Events {
    /// Takes the next bytes; fails if what is left of those before is an event too long to
    /// wait for. Take every event out before the next bytes come.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.buffer.len() > EVENT_BYTES_MAX {
            return Err(TooLong);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            let rest = self.buffer.get(self.seen..)?;
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.seen = self.buffer.len();
                return None;
            };
            let end = self.seen.saturating_add(end);
            let is_cr = self.buffer.get(end) == Some(&b'\r');
            let next = self.buffer.get(end.saturating_add(1));
            if is_cr && next.is_none() {
                // An LF may follow that belongs to it.
                self.seen = end;
                return None;
            }
            let after = end.saturating_add(if is_cr && next == Some(&b'\n') { 2 } else { 1 });
            let is_blank = end == self.line;
            (self.line, self.seen) = (after, after);
            if is_blank {
                return Some(self.cut(after));
            }
        }
    }

    /// What is left at the end of the stream, as an event.
    pub(crate) fn rest(&mut self) -> Option<Event> {
        (!self.buffer.is_empty()).then(|| self.cut(self.buffer.len()))
    }

    fn cut(&mut self, end: usize) -> Event {
        let raw = self.buffer.split_to(end.min(self.buffer.len())).freeze();
        (self.line, self.seen) = (0, 0);
        Event { data: data(&raw), raw }
    }
}

/// The values of an event's `data` fields, joined by line ends.
fn data(raw: &[u8]) -> Option<Vec<u8>> {
    let mut data: Option<Vec<u8>> = None;
    let mut rest = raw;
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        rest.advance(end.saturating_add(1).min(rest.len()));
        let Some(value) = line.strip_prefix(b"data") else { continue };
        let value = match value.strip_prefix(b":") {
            Some(value) => value.strip_prefix(b" ").unwrap_or(value),
            None if value.is_empty() => value,
            None => continue,
        };
        match &mut data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => data = Some(value.to_vec()),
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EVENT_BYTES_MAX, Events, TooLong};

    fn split(pieces: &[&[u8]]) -> Vec<(Vec<u8>, Option<String>)> {
        let mut events = Events::default();
        let mut found = Vec::new();
        for piece in pieces {
            events.push(piece).unwrap();
            while let Some(event) = events.next() {
                found.push(event);
            }
        }
        found.extend(events.rest());
        let text = |data: Vec<u8>| String::from_utf8_lossy(&data).into_owned();
        found.into_iter().map(|event| (event.raw.to_vec(), event.data.map(text))).collect()
    }

    #[test]
    fn events_by_every_kind_of_line_end() {
        for (text, want) in [
            ("data: a\n\n", vec![Some("a")]),
            ("data:a\r\rdata: b\r\r", vec![Some("a"), Some("b")]),
            ("event: x\r\ndata: a\r\ndata: b\r\n\r\n", vec![Some("a\nb")]),
            (": comment\n\ndata\n\ndatax: 1\n\n", vec![None, Some(""), None]),
            ("data: a\n\n\n\ndata: half", vec![Some("a"), None, None, Some("half")]),
        ] {
            let got = split(&[text.as_bytes()]);
            let data: Vec<_> = got.iter().map(|(_, data)| data.as_deref()).collect();
            assert_eq!(data, want, "{text:?}");
        }
    }

    #[test]
    fn an_event_without_end_is_too_long() {
        let mut events = Events::default();
        let piece = vec![b'a'; EVENT_BYTES_MAX / 2 + 1];
        events.push(&piece).unwrap();
        assert!(events.next().is_none());
        events.push(&piece).unwrap();
        assert!(events.next().is_none());
        assert_eq!(events.push(b"a"), Err(TooLong));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_nothing_is_lost_or_changed(
            text in "(data: [ab{}]{0,3}|: c|event: x|\r|\n|\r\n|\n\n){0,12}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len().saturating_add(1))).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|two| &bytes[two[0]..two[1]]).collect();
            let (whole, cut) = (split(&[bytes]), split(&pieces));
            prop_assert_eq!(&whole, &cut);
            prop_assert_eq!(whole.into_iter().flat_map(|(raw, _)| raw).collect::<Vec<_>>(), bytes);
        }
    }
}
