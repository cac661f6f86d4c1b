//! Server-sent events: the same however the bytes are cut, nothing lost, no more held than may
//! be, and what another reader of the standard finds in them.
//!
//! The first byte is the longest event, the next four say where the stream is cut.

#![no_main]

#[expect(dead_code, reason = "the crate uses all of it, this target only some")]
#[path = "../../crates/provost-gateway/src/sse.rs"]
mod sse;

use libfuzzer_sys::fuzz_target;

use sse::{Event, Events, TooLong};

fuzz_target!(|bytes: &[u8]| {
    let Some((&[longest, ref cuts @ ..], stream)) = bytes.split_first_chunk::<5>() else {
        return;
    };
    let mut at: Vec<usize> =
        cuts.iter().map(|&cut| usize::from(cut) * stream.len() / 255).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    let pieces: Vec<&[u8]> =
        at.iter().zip(at.iter().skip(1)).filter_map(|(&from, &to)| stream.get(from..to)).collect();

    let (whole, rest) = split([stream], stream.len()).expect("it is not longer than itself");
    for cut in [pieces.clone(), stream.chunks(1).collect()] {
        let again = split(cut, stream.len());
        assert_eq!(again.as_ref(), Ok(&(whole.clone(), rest.clone())));
    }
    let raw: Vec<u8> = whole.iter().chain(&rest).flat_map(|event| event.raw.to_vec()).collect();
    assert_eq!(raw, begun(stream), "something was lost or added");
    for event in whole.iter().chain(&rest) {
        assert_eq!(&Event::read(event.raw.clone()), event);
    }
    assert_eq!(whole.iter().map(Told::of).collect::<Vec<_>>(), told(stream));

    if let Ok(some) = split(pieces, usize::from(longest)) {
        assert_eq!(some, (whole, rest));
    }
});

/// A stream from where it begins: its first ASCII byte.
fn begun(stream: &[u8]) -> &[u8] {
    let start = stream.iter().position(u8::is_ascii).unwrap_or(stream.len());
    stream.get(start..).unwrap_or_default()
}

/// Splits a stream that comes in pieces: whole events, and what is left.
fn split<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    event_bytes_max: usize,
) -> Result<(Vec<Event>, Option<Event>), TooLong> {
    let mut events = Events::new(event_bytes_max);
    let mut found = Vec::new();
    let (mut held, mut has_begun) = (0, false);
    for piece in pieces {
        events.push(piece)?;
        assert!(held <= event_bytes_max, "{held} bytes were held");
        held += if has_begun { piece.len() } else { begun(piece).len() };
        has_begun |= held > 0;
        while let Some(event) = events.next() {
            held -= event.raw.len();
            found.push(event);
        }
    }
    events.end();
    while let Some(event) = events.next() {
        found.push(event);
    }
    let rest = events.rest();
    assert_eq!(events.rest(), None);
    Ok((found, rest))
}

/// What a reader gets of an event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    name: String,
    data: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
}

impl Told {
    fn of(event: &Event) -> Self {
        Self { name: event.name.clone(), data: event.data.clone(), id: event.id.clone() }
    }
}

/// Whole events by the slow and plain way of the HTML standard, §9.2.6.
fn told(stream: &[u8]) -> Vec<Told> {
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = begun(stream).iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().expect("there is one").push(*other),
        }
    }
    lines.pop();
    let (mut found, mut event) = (Vec::new(), Told::default());
    for line in lines {
        if line.is_empty() {
            found.push(std::mem::take(&mut event));
            continue;
        }
        let (name, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value).to_vec();
        match name {
            b"event" => event.name = String::from_utf8_lossy(&value).into_owned(),
            b"id" => event.id = Some(value),
            b"data" => {
                event.data = Some(match event.data.take() {
                    Some(before) => [before, value].join(&b'\n'),
                    None => value,
                });
            }
            _ => {}
        }
    }
    found
}
