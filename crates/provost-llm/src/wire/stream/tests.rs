//! The same events, and the same ends of events, however the stream is cut.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Events, HELD_BYTES_MAX, LINE_BYTES_MAX, WholeEvents};

/// The data of each event read, and how many bytes belong to whole events.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, usize) {
    let mut events = Events::default();
    let (mut data, mut whole, mut passed) = (Vec::new(), 0, 0_usize);
    for piece in pieces {
        let end = events.feed(piece, |event| {
            data.push(String::from_utf8_lossy(event).into_owned());
        });
        whole = end.map_or(whole, |end| end.saturating_add(passed));
        passed = passed.saturating_add(piece.len());
    }
    (data, whole)
}

#[test]
fn events_are_found_as_the_standard_says() {
    for (stream, want, whole) in [
        ("", &[][..], 0),
        ("event: a\ndata: 1\n\n", &["1"], 18),
        ("event: a\ndata: 1\n", &[], 0),
        ("data: 1\n\nda", &["1"], 9),
        ("data: 1\r\n\r\ndata: 2\r\n\r\n", &["1", "2"], 22),
        ("data: 1\r\rdata: 2\n\r\n", &["1", "2"], 19),
        ("data:1\n\n", &["1"], 8),
        ("data: 1\ndata: 2\n\n", &["1\n2"], 17),
        ("data\n\n", &[], 6),
        ("\n\n\ndata: 1\n\n", &["1"], 12),
        // Comments between events are whole by themselves; inside one they are part of it.
        (": ping\ndata: 1", &[], 7),
        ("data: 1\n: ping\n", &[], 0),
        ("id: 7\nretry: 1\nunknown: x\ndata: 1\n\n", &["1"], 35),
        // What says nothing we record is not read.
        ("event: content_block_delta\ndata: 1\n\ndata: 2\n\n", &["2"], 45),
        ("event: ping\ndata: 1\n\n", &[], 21),
    ] {
        let (data, end) = read([stream.as_bytes()]);
        assert_eq!(
            (data.as_slice(), end),
            (&*want.iter().map(|d| (*d).to_owned()).collect::<Vec<_>>(), whole),
            "stream = {stream:?}"
        );
    }
}

#[test]
fn a_line_that_is_too_long_passes_unread() {
    let fits = format!("data: {}\n\n", "x".repeat(LINE_BYTES_MAX - 6));
    let over = format!("data: {}\n\ndata: 2\n\n", "x".repeat(LINE_BYTES_MAX - 5));
    let comment = format!(":{}\n", "x".repeat(LINE_BYTES_MAX));
    for pieces in [1_usize, 7, 100_000] {
        assert_eq!(read(fits.as_bytes().chunks(pieces)).0.len(), 1, "pieces = {pieces}");
        let (data, whole) = read(over.as_bytes().chunks(pieces));
        assert_eq!((data, whole), (vec!["2".to_owned()], over.len()), "pieces = {pieces}");
        assert_eq!(read(comment.as_bytes().chunks(pieces)).1, comment.len());
    }
}

/// Passes a stream cut in `pieces`; returns what was passed after each and the seams.
fn pass<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<(String, &'static str)> {
    let (mut events, mut gate) = (Events::default(), WholeEvents::default());
    let pieces = pieces.into_iter().map(|piece| {
        let whole = events.feed(piece.as_bytes(), |_| {});
        let ready = gate.pass(Bytes::copy_from_slice(piece.as_bytes()), whole).concat();
        (String::from_utf8(ready).unwrap(), gate.seam())
    });
    pieces.collect()
}

#[test]
fn the_tail_of_an_event_waits_for_its_end() {
    for (pieces, want) in [
        (&["data: 1\n\n"][..], &[("data: 1\n\n", "")][..]),
        (&["data: 1\n", "\n"], &[("", ""), ("data: 1\n\n", "")]),
        (&["data: 1\n\nda", "ta: 2\n\nd"], &[("data: 1\n\n", ""), ("data: 2\n\n", "")]),
        (&[": ping\n"], &[(": ping\n", "")]),
        // After a lone CR an LF may still be owed.
        (&["data: 1\r\n\r", "\n"], &[("data: 1\r\n\r", "\n"), ("\n", "")]),
    ] {
        let want: Vec<_> = want.iter().map(|&(text, seam)| (text.to_owned(), seam)).collect();
        assert_eq!(pass(pieces.iter().copied()), want, "pieces = {pieces:?}");
    }
}

#[test]
fn an_event_too_long_to_hold_is_passed_in_pieces() {
    let piece = "x".repeat(HELD_BYTES_MAX / 2);
    let got = pass(["data: ", &piece, &piece, "y", "\n\n"]);
    let lengths: Vec<_> = got.iter().map(|(text, seam)| (text.len(), *seam)).collect();
    let long = HELD_BYTES_MAX + "data: ".len();
    assert_eq!(lengths, [(0, ""), (0, ""), (long, "\n"), (1, "\n"), (2, "")]);
}

/// Streams that are mostly well formed, in all the ways lines may end.
fn streams() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("event: message_start".to_owned()),
        Just("event: content_block_delta".to_owned()),
        Just(": ping".to_owned()),
        Just(String::new()),
        "data: ?[a-z{}\":é]{0,12}",
        "[a-z: ]{0,6}",
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("")];
    prop::collection::vec((line, end), 0..30)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

proptest! {
    #[test]
    fn the_cut_does_not_matter(
        stream in streams(),
        cuts in prop::collection::vec(0_usize..400, 0..8),
    ) {
        let bytes = stream.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();

        prop_assert_eq!(read(pieces.iter().copied()), read([bytes]));
        prop_assert_eq!(read(bytes.chunks(1)), read([bytes]));

        // What passes, and what is held at the end, are the bytes that came.
        let (mut events, mut gate) = (Events::default(), WholeEvents::default());
        let mut sent = Vec::new();
        for piece in pieces {
            let whole = events.feed(piece, |_| {});
            sent.extend(gate.pass(Bytes::copy_from_slice(piece), whole).concat());
        }
        sent.extend(gate.rest());
        prop_assert_eq!(sent, bytes);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read(bytes.chunks(3));
    }
}
