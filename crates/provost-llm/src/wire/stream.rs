//! Server-sent events, read beside the stream: what a few of them say.

/// Longest line that is read. Unit: bytes. Ours: `message_start` is below 2 KiB; what is
/// longer (a search result inside `content_block_start`) passes unread.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

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
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
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
        }
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
            self.skipped = false;
        } else if !line.starts_with(b":") {
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

#[cfg(test)]
mod tests;
