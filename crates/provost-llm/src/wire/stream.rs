//! Server-sent events, read beside the stream: where each ends, and what a few of them say.
//!
//! Clients act on an event when the blank line after it arrives, so the tail of an event can
//! be held back until its end without anybody noticing. What was sent is then always whole
//! events, and a stream can be cut after any of them with words of our own.

use bytes::{Bytes, BytesMut};

/// Longest line that is read. Unit: bytes. Ours: `message_start` is below 2 KiB; what is
/// longer (a search result inside `content_block_start`) passes unread.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// Most of an unfinished event that is held back. Unit: bytes. Ours: the memory one stream
/// may take; a longer event is passed in pieces.
pub(crate) const HELD_BYTES_MAX: usize = 64 * 1024;

/// Events that say nothing we record. They are most of a stream, and are skipped unread.
const SKIPPED: [&[u8]; 3] = [b"content_block_delta", b"content_block_stop", b"ping"];

/// Splits a stream into lines and events; same result however the stream is cut.
///
/// Source: HTML standard §9.2.6, "Interpreting an event stream".
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Line,
    /// The last byte was CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A line of the current event was seen.
    begun: bool,
    skipped: bool,
    data: Vec<u8>,
}

/// The part of an unfinished line that came so far.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Events {
    /// Takes the next bytes; gives the data of each event that ended in them to `each`.
    ///
    /// Returns how many of `bytes` belong to whole events, `None` if no event ended in them.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Option<usize> {
        let mut whole = None;
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = after;
            } else if let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
                let (line, tail) = rest.split_at(end);
                self.after_cr = tail.first() == Some(&b'\r');
                rest = tail.get(1..).unwrap_or_default();
                self.end_line(line, &mut each);
            } else {
                self.line.push(rest);
                break;
            }
            if !self.begun {
                whole = Some(bytes.len().saturating_sub(rest.len()));
            }
        }
        whole
    }

    fn end_line(&mut self, tail: &[u8], each: &mut impl FnMut(&[u8])) {
        if self.line.bytes.is_empty() && tail.len() <= LINE_BYTES_MAX {
            return self.take_line(tail, each);
        }
        let mut line = std::mem::take(&mut self.line);
        line.push(tail);
        self.take_line(&line.bytes, each);
        line.bytes.clear();
        self.line.bytes = line.bytes; // Its room is used again.
    }

    fn take_line(&mut self, line: &[u8], each: &mut impl FnMut(&[u8])) {
        if line.is_empty() {
            if !self.data.is_empty() {
                each(&self.data);
            }
            self.data.clear();
            (self.begun, self.skipped) = (false, false);
        } else if !line.starts_with(b":") {
            self.begun = true;
            match field(line) {
                (b"event", name) => self.skipped = SKIPPED.contains(&name),
                (b"data", value) if !self.skipped => self.push_data(value),
                _ => {}
            }
        }
    }

    fn push_data(&mut self, value: &[u8]) {
        if !self.data.is_empty() {
            self.data.push(b'\n');
        }
        if self.data.len().saturating_add(value.len()) > LINE_BYTES_MAX {
            self.data.clear();
            self.skipped = true;
            return;
        }
        self.data.extend_from_slice(value);
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        if self.too_long {
            return;
        }
        self.too_long = self.bytes.len().saturating_add(bytes.len()) > LINE_BYTES_MAX;
        if self.too_long {
            self.bytes.extend(bytes.first());
            self.bytes.truncate(1); // Still tells a comment from a field.
        } else {
            self.bytes.extend_from_slice(bytes);
        }
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

/// Passes a stream on in whole events.
#[derive(Debug, Default)]
pub(crate) struct WholeEvents {
    held: BytesMut,
    /// Part of an event longer than [`HELD_BYTES_MAX`] was passed.
    torn: bool,
    after_cr: bool,
}

impl WholeEvents {
    /// What may be passed now that `frame` came, whose first `whole` bytes end an event.
    pub(crate) fn pass(&mut self, mut frame: Bytes, whole: Option<usize>) -> [Bytes; 2] {
        let held = self.held.len().saturating_add(frame.len());
        let ready = match whole {
            Some(whole) => frame.split_to(whole.min(frame.len())),
            None if self.torn || held > HELD_BYTES_MAX => std::mem::take(&mut frame),
            None => {
                self.held.extend_from_slice(&frame);
                return [Bytes::new(), Bytes::new()];
            }
        };
        self.torn = whole.is_none();
        self.after_cr = ready.last() == Some(&b'\r');
        let held = self.held.split().freeze();
        self.held.extend_from_slice(&frame);
        [held, ready]
    }

    /// What is held back when the stream has ended by itself.
    pub(crate) fn rest(self) -> Bytes {
        self.held.freeze()
    }

    /// What has to stand between what was passed and an event of our own.
    ///
    /// Nothing, as a rule. In a torn event a line end: it completes an event whose data is
    /// whole, and leaves any other to be taken over by the `event` line that follows.
    pub(crate) fn seam(&self) -> &'static str {
        if self.torn || self.after_cr { "\n" } else { "" }
    }
}

#[cfg(test)]
mod tests;
