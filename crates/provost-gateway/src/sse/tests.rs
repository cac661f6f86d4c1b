//! The same events however the stream is cut.

use proptest::prelude::*;

use super::{EVENT_BYTES_MAX, Event, Events, TooLong};

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
fn what_only_some_readers_skip_at_the_start_is_left_out() {
    for (text, want) in [
        (&b"\xef\xbb\xbfdata: a\n\n"[..], &b"data: a\n\n"[..]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", b"data: a\n\n"),
        // A mark in UTF-8, read as Latin-1 and written in UTF-8 again.
        ("\u{ef}\u{bb}\u{bf}data: a\n\n".as_bytes(), b"data: a\n\n"),
        (b"\xef\xbb\xbf", b""),
        // Later it is part of a line for every reader.
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", b"data: a\n\n\xef\xbb\xbfdata: b\n\n"),
    ] {
        let got = split(&[text]);
        assert_eq!(got.iter().flat_map(|(raw, _)| raw.clone()).collect::<Vec<_>>(), want);
        assert_eq!(got.iter().filter(|(_, data)| data.is_some()).count(), want.len().min(1));
        assert_eq!(got, split(&text.chunks(1).collect::<Vec<_>>()));
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
    assert_eq!(events.push(b"a"), Err(TooLong { event_bytes_max: EVENT_BYTES_MAX }));
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

/// The data of each event read.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut events = Events::default();
    let mut data = Vec::new();
    let mut take = |events: &mut Events| {
        while let Some(event) = events.next() {
            let said = event.data.filter(|data| !data.is_empty());
            data.extend(said.map(|said| String::from_utf8_lossy(&said).into_owned()));
        }
    };
    for piece in pieces {
        events.push(piece).unwrap();
        take(&mut events);
    }
    events.end();
    take(&mut events);
    data
}

#[test]
fn events_are_found_as_the_standard_says() {
    for (stream, want) in [
        ("", &[][..]),
        ("event: a\ndata: 1\n\n", &["1"]),
        ("event: a\ndata: 1\n", &[]),
        ("data: 1\n\nda", &["1"]),
        ("data: 1\r\n\r\ndata: 2\r\n\r\n", &["1", "2"]),
        ("data: 1\r\rdata: 2\n\r\n", &["1", "2"]),
        ("data:1\n\n", &["1"]),
        ("data: 1\ndata: 2\n\n", &["1\n2"]),
        ("data\n\n", &[]),
        ("\n\n\ndata: 1\n\n", &["1"]),
        (": ping\ndata: 1", &[]),
        ("data: 1\n: ping\n", &[]),
        ("id: 7\nretry: 1\nunknown: x\ndata: 1\n\n", &["1"]),
    ] {
        assert_eq!(read([stream.as_bytes()]), want, "stream = {stream:?}");
    }
}

#[test]
fn an_event_has_a_name_and_an_id_if_it_says_so() {
    for (text, want) in [
        ("event: message\nid: 7\ndata: x\n\n", ("message", Some("7"))),
        ("id\ndata: x\n\n", ("", Some(""))),
        ("event: a\nevent: b\n\n", ("b", None)),
        (": event: a\n\n", ("", None)),
    ] {
        let event = Event::read(text.into());
        let id = event.id.map(|id| String::from_utf8_lossy(&id).into_owned());
        assert_eq!((event.name.as_str(), id.as_deref()), want, "{text:?}");
    }
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
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read(bytes.chunks(3));
    }
}
