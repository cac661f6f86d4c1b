//! A stream cut into server-sent events, each with the bytes it came in. No I/O.

use bytes::{Buf as _, Bytes, BytesMut};

/// Longest event, unless something else is said. Unit: bytes. Ours: the memory one stream may
/// take; search results inside a model's `content_block_start` are some hundred kilobytes.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event, or a comment between events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// All its bytes, the blank line at its end included.
    pub raw: Bytes,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its data, if it has any.
    pub data: Option<Vec<u8>>,
    /// Its id, if it sets one.
    pub id: Option<Vec<u8>>,
}

impl Event {
    /// The event that `raw` is: the values of its `data` fields are joined by line ends.
    pub fn read(raw: Bytes) -> Self {
        let mut event = Self { raw: raw.clone(), ..Self::default() };
        let mut rest = raw;
        while !rest.is_empty() {
            let end = memchr::memchr2(b'\n', b'\r', &rest).unwrap_or(rest.len());
            let line = rest.split_to(end);
            rest.advance(1.min(rest.len()));
            match field(&line) {
                (b"event", name) => event.name = String::from_utf8_lossy(name).into_owned(),
                (b"id", id) => event.id = Some(id.to_vec()),
                (b"data", value) => match &mut event.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => event.data = Some(value.to_vec()),
                },
                _ => {}
            }
        }
        event
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

/// An event is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {event_bytes_max} bytes")]
pub struct TooLong {
    /// What it may be. Unit: bytes.
    pub event_bytes_max: usize,
}

/// Splits a stream; same result however it is cut.
///
/// What comes before the first ASCII byte of a stream is left out: the standard has one byte
/// order mark skipped, readers skip none, one, or one that was decoded wrongly, and behind a
/// mark that only the client skips an event would pass unread.
///
/// Source: HTML standard §9.2.6, "Interpreting an event stream".
#[derive(Debug)]
pub struct Events {
    event_bytes_max: usize,
    buffer: BytesMut,
    /// Whether an ASCII byte has come.
    begun: bool,
    /// Where the line begins that is not known to be whole. Unit: bytes.
    line: usize,
    /// How far that line was looked through. Unit: bytes.
    seen: usize,
    ended: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self::new(EVENT_BYTES_MAX)
    }
}

impl Events {
    /// Nothing yet, of a stream whose events are at most so long.
    pub fn new(event_bytes_max: usize) -> Self {
        let (buffer, begun) = (BytesMut::new(), false);
        Self { event_bytes_max, buffer, begun, line: 0, seen: 0, ended: false }
    }

    /// Takes the next bytes; fails if what is left of those before is an event too long to
    /// wait for. Take every event out before the next bytes come.
    ///
    /// # Errors
    ///
    /// [`TooLong`]; nothing more can be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let event_bytes_max = self.event_bytes_max;
        if self.buffer.len() > event_bytes_max {
            return Err(TooLong { event_bytes_max });
        }
        let start = match self.begun {
            true => Some(0),
            false => bytes.iter().position(u8::is_ascii),
        };
        self.begun = start.is_some();
        let bytes = start.and_then(|start| bytes.get(start..)).unwrap_or_default();
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole event.
    #[expect(clippy::should_implement_trait, reason = "none now does not mean none later")]
    pub fn next(&mut self) -> Option<Event> {
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
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// What is left behind the last whole event, as an event.
    pub fn rest(&mut self) -> Option<Event> {
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
