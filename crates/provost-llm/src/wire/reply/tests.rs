//! One answer, one reading.

use proptest::prelude::*;
use provost_gateway::sse;
use provost_types::{ToolUse, Usage};

use super::{Collected, Seen, TEXT_CHARS_MAX, TOOL_USES_MAX, Unread, WHOLE_BYTES_MAX};

const STREAM: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","#,
    r#""role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"#,
    r#""usage":{"input_tokens":25,"#,
    r#""cache_creation_input_tokens":7,"cache_read_input_tokens":11,"output_tokens":1}}}"#,
    "\n\n",
    "event: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text"}}"#,
    "\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: not even JSON\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\n",
    r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","#,
    r#""id":"toolu_1","name":"Bash","input":{}}}"#,
    "\n\n",
    "event: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"#,
    r#""usage":{"output_tokens":89}}"#,
    "\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn stream_seen() -> Seen {
    Seen {
        usage: Some(Usage { input: 25, output: 89, cache_read: 11, cache_write: 7 }),
        model: Some("claude-opus-5-5".to_owned()),
        stop_reason: Some("tool_use".to_owned()),
        tool_uses: vec![ToolUse { id: "toolu_1".to_owned(), name: "Bash".to_owned() }],
        complete: true,
        ..Seen::default()
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let (mut events, mut seen) = (sse::Events::default(), Seen::default());
    for piece in pieces {
        events.push(piece).unwrap();
        while let Some(event) = events.next() {
            seen.take(&event);
        }
    }
    seen
}

fn event(data: &str) -> Seen {
    read(format!("data: {data}\n\n").as_bytes().chunks(5))
}

fn whole(json: &str) -> Seen {
    let (mut collected, mut seen) = (Collected::default(), Seen::default());
    json.as_bytes().chunks(5).for_each(|piece| collected.push(piece).unwrap());
    seen.take_whole(&collected.json());
    seen
}

#[test]
fn a_stream_is_read_beside_its_bytes() {
    for piece in [1, 2, 50, STREAM.len()] {
        assert_eq!(read(STREAM.as_bytes().chunks(piece)), stream_seen());
    }
    let unnamed =
        STREAM.replace("data: not even JSON", "data: {\"type\":\"content_block_delta\"}");
    let unnamed: String =
        unnamed.lines().filter(|l| !l.starts_with("event:")).flat_map(|l| [l, "\n"]).collect();
    assert_eq!(read(unnamed.as_bytes().chunks(9)), stream_seen());
}

#[test]
fn a_whole_answer_is_read_at_its_end() {
    let message = r#"{"id":"msg_1","type":"message","role":"assistant",
        "model":"claude-opus-5-5",
        "content":[{"type":"text","text":"x"},{"type":"tool_use","id":"toolu_1","name":"Bash",
        "input":{"type":"tool_use","id":"no","name":"no"}}],"stop_reason":"tool_use",
        "usage":{"input_tokens":25,"cache_creation_input_tokens":7,"output_tokens":89,
        "cache_read_input_tokens":11,"server_tool_use":{"web_search_requests":1}}}"#;
    assert_eq!(whole(message), stream_seen());
    let complete = Seen { complete: true, ..Seen::default() };
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
    let not_json = Seen { unread: Some(Unread::NotJson), ..Seen::default() };
    let unlike = Seen { unread: Some(Unread::Unlike), ..complete.clone() };
    for (json, want) in [
        (error, Seen { error: Some("overloaded_error".to_owned()), ..complete.clone() }),
        (
            r#"{"type":"error"}"#,
            Seen { error: Some("an error".to_owned()), ..complete.clone() },
        ),
        (r#"{"input_tokens":14}"#, complete.clone()),
        (r#"{"data":[{"type":"model","id":"m"}],"has_more":false}"#, complete.clone()),
        (r#"{"type":"message","usage":null,"content":null}"#, complete.clone()),
        ("<html>", not_json.clone()),
        ("", not_json.clone()),
        (r#"{"type":"message","usage":{"input_tokens":1}"#, not_json),
        (r#"{"type":"message","usage":{"input_tokens":-1}}"#, unlike),
    ] {
        assert_eq!(whole(json), want, "json = {json}");
    }
}

#[test]
fn counts_only_grow_and_stay_exact() {
    for (data, want) in [
        (
            r#"{"type":"message_delta","usage":{"input_tokens":null,"output_tokens":3}}"#,
            Some(Usage { output: 3, ..Usage::default() }),
        ),
        (
            r#"{"type":"message_delta","usage":{"input_tokens":18446744073709551615}}"#,
            Some(Usage { input: (1 << 53) - 1, ..Usage::default() }),
        ),
        (r#"{"type":"message_delta"}"#, None),
    ] {
        assert_eq!(event(data).usage, want, "data = {data}");
    }
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":9}}}"#;
    let reset = r#"{"type":"message_delta","usage":{"input_tokens":0,"output_tokens":2}}"#;
    let got = event(&format!("{start}\n\ndata: {reset}")).usage;
    assert_eq!(got, Some(Usage { input: 9, output: 2, ..Usage::default() }));
}

#[test]
fn errors_and_nonsense_in_a_stream_are_kept_apart() {
    let got =
        event(r#"{"type":"error","error":{"type":"api_error\u0007","message":"secret"}}"#);
    assert_eq!(got.error.as_deref(), Some("api_error"));
    for data in ["{", "[1]", r#"{"type":7}"#, "\u{fffd}"] {
        let got = event(data);
        assert_eq!((got.unread.is_some(), got.complete), (true, false), "data = {data}");
    }
    assert_eq!(event(r#"{"some":"thing"}"#), Seen::default());
}

#[test]
fn what_is_recorded_is_bounded() {
    let name = "é".repeat(1000);
    let block = format!(r#"{{"type":"mcp_tool_use","id":"i","name":"{name}"}}"#);
    let blocks = vec![block; 1000].join(",");
    let got = whole(&format!(r#"{{"type":"message","content":[{blocks}]}}"#));
    assert_eq!(got.tool_uses.len(), TOOL_USES_MAX);
    assert_eq!(got.tool_uses[0].name.chars().count(), TEXT_CHARS_MAX);

    let mut collected = Collected::default();
    for _ in 0..WHOLE_BYTES_MAX / 1024 {
        collected.push(&[b' '; 1024]).unwrap();
    }
    assert_eq!(collected.push(b" "), Err(Unread::TooLong));
}

proptest! {
    #[test]
    fn the_cut_does_not_matter(cuts in prop::collection::vec(0..STREAM.len(), 0..12)) {
        let mut cuts = cuts;
        cuts.extend([0, STREAM.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]);
        prop_assert_eq!(read(pieces), stream_seen());
    }

    #[test]
    fn no_damage_panics(at in 0..STREAM.len(), byte in any::<u8>()) {
        let mut bytes = STREAM.as_bytes().to_vec();
        bytes[at] = byte;
        let mut seen = read(bytes.chunks(64));
        seen.take_whole(&bytes);
    }
}

#[test]
fn what_says_nothing_we_record_is_not_read() {
    let start = r#"{"type":"message_start","message":{"model":"m"}}"#;
    let long =
        format!(r#"{{"type":"message_start","message":{{"model":"{}"}}}}"#, "m".repeat(65_536));
    for (event, want) in [
        (format!("data: {start}\n\n"), true),
        (format!("event: message_start\ndata: {start}\n\n"), true),
        (format!("event: ping\ndata: {start}\n\n"), false),
        (format!("data: {long}\n\n"), false),
        ("data:\n\n".to_owned(), false),
    ] {
        let seen = read([event.as_bytes()]);
        assert_eq!(seen != Seen::default(), want, "{event:.60}");
    }
}
