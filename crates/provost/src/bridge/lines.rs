//! Messages as lines, which is how they are on standard input and output.

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;
use serde_json::value::RawValue;

/// What came on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The line, without its end.
    Whole(Bytes),
    /// It was longer than it may be, and was thrown away.
    TooLong,
}

/// Reads one line of at most `bytes_max` bytes; nothing at the end.
///
/// # Errors
///
/// As the reader's.
pub(super) fn next(reader: &mut impl BufRead, bytes_max: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    reader.by_ref().take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(Line::Whole(line.into())));
    }
    if line.len() > bytes_max {
        reader.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Whole(line.into())))
}

/// A JSON text as one line with its end; nothing if it is none.
pub(super) fn one(json: &[u8]) -> Option<Bytes> {
    let _checked: &RawValue = serde_json::from_slice(json).ok()?;
    std::str::from_utf8(json).ok()?;
    // Inside a string a line's end is always escaped, so those seen here mean nothing.
    let flat = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    let mut line: Vec<u8> = json.trim_ascii().iter().map(flat).collect();
    line.push(b'\n');
    Some(line.into())
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::{Line, next, one};

    #[test]
    fn lines_are_the_same_however_they_arrive_and_never_longer_than_allowed() {
        for (input, want) in [
            ("", &[][..]),
            ("a\nbc\n", &[Some("a"), Some("bc")]),
            ("a\nbc", &[Some("a"), Some("bc")]), // the last one without an end
            ("\n\r\n", &[Some(""), Some("\r")]),
            ("12345\n", &[Some("12345")]),
            ("123456\nab\n", &[None, Some("ab")]), // goes on behind what is too long
            ("123456", &[None]),
            ("12345678901234567890\n1\n", &[None, Some("1")]),
        ] {
            for piece in [1, 2, 3, 64] {
                let mut reader = BufReader::with_capacity(piece, Cursor::new(input));
                let mut got = Vec::new();
                while let Some(line) = next(&mut reader, 5).unwrap() {
                    got.push(match line {
                        Line::Whole(line) => Some(String::from_utf8(line.to_vec()).unwrap()),
                        Line::TooLong => None,
                    });
                }
                let want: Vec<_> = want.iter().map(|line| line.map(str::to_owned)).collect();
                assert_eq!(got, want, "input = {input:?}, piece = {piece}");
            }
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_it_was() {
        for (json, want) in [
            (
                &b"{\n  \"a\": 1.50,\r\n  \"b\": \"\\n\"\n}\n"[..],
                Some("{   \"a\": 1.50,    \"b\": \"\\n\" }\n"),
            ),
            (b" [1]\n", Some("[1]\n")),
            ("{\"a\":\"é\u{2028}\"}".as_bytes(), Some("{\"a\":\"é\u{2028}\"}\n")),
            (b"{\"a\":\"\n\"}", None), // no JSON: an end of line inside a string
            (b"{\"a\":1} {", None),
            (b"{\"a\":\"\xff\"}", None),
            (b"", None),
            (b"<html>", None),
        ] {
            let got = one(json).map(|line| String::from_utf8(line.to_vec()).unwrap());
            assert_eq!(got.as_deref(), want, "json = {:?}", String::from_utf8_lossy(json));
        }
    }
}
