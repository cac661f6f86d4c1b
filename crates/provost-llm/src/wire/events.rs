//! A stream cut into server-sent events, each with the bytes it came in.

use bytes::{Buf as _, Bytes, BytesMut};

/// Longest event. Unit: bytes. Ours: the memory one stream may take; search results inside a
/// `content_block_start` are the longest, some hundred kilobytes.
pub(crate) const EVENT_BYTES_MAX: usize = 1 << 20;

/// Longest line of data that is recorded from. Unit: bytes. Ours: `message_start` is below
/// 2 KiB; what is longer (a search result inside `content_block_start`) says nothing we record.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// Events that say nothing we record. They are most of a stream.
const SKIPPED: [&[u8]; 3] = [b"content_block_delta", b"content_block_stop", b"ping"];

/// One event, or a comment between events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// All its bytes, the blank line at its end included.
    pub(crate) raw: Bytes,
    /// Its data, if it has any.
    pub(crate) data: Option<Vec<u8>>,
    /// It is none of those that are recorded from.
    skipped: bool,
}

impl Event {
    /// The event that `raw` is: the values of its `data` fields, joined by line ends.
    pub(super) fn read(raw: Bytes) -> Self {
        let (mut data, mut is_named, mut is_long) = (None::<Vec<u8>>, false, false);
        let mut rest = &*raw;
        while !rest.is_empty() {
            let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let line = rest.get(..end).unwrap_or_default();
            rest.advance(end.saturating_add(1).min(rest.len()));
            match field(line) {
                (b"event", name) => is_named = SKIPPED.contains(&name),
                (b"data", value) => {
                    is_long |= line.len() > LINE_BYTES_MAX;
                    match &mut data {
                        Some(data) => {
                            data.push(b'\n');
                            data.extend_from_slice(value);
                        }
                        None => data = Some(value.to_vec()),
                    }
                }
                _ => {}
            }
        }
        Self { raw, data, skipped: is_named || is_long }
    }

    /// What may be recorded from it.
    pub(crate) fn said(&self) -> Option<&[u8]> {
        let fits = |data: &&[u8]| !data.is_empty() && data.len() <= LINE_BYTES_MAX;
        self.data.as_deref().filter(fits).filter(|_| !self.skipped)
    }
}

/// Splits a line at its first colon; one space after the colon is not part of the value.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return (line, b"");
    };
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    (name, value.strip_prefix(b" ").unwrap_or(value))
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
    ended: bool,
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
            if is_cr && next.is_none() && !self.ended {
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

    /// Nothing more comes: a CR at the end is the end of its line.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// What is left behind the last whole event, as an event.
    pub(crate) fn rest(&mut self) -> Option<Event> {
        (!self.buffer.is_empty()).then(|| self.cut(self.buffer.len()))
    }

    fn cut(&mut self, end: usize) -> Event {
        let raw = self.buffer.split_to(end.min(self.buffer.len())).freeze();
        (self.line, self.seen) = (0, 0);
        Event::read(raw)
    }
}

#[cfg(test)]
mod tests;
