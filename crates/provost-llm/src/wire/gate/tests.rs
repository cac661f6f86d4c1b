//! What leaves of a stream, and when.

use serde_json::{Value, json};

use super::{Call, Gate, GateError, Seen, Step};

fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn start(index: u64, block: &Value) -> String {
    let data = json!({"type": "content_block_start", "index": index, "content_block": block});
    event("content_block_start", &data)
}

fn delta(index: u64, delta: &Value) -> String {
    let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
    event("content_block_delta", &data)
}

fn stop(index: u64) -> String {
    event("content_block_stop", &json!({"type": "content_block_stop", "index": index}))
}

fn text(index: u64, said: &str) -> String {
    let block = start(index, &json!({"type": "text", "text": ""}));
    block + &delta(index, &json!({"type": "text_delta", "text": said})) + &stop(index)
}

fn call(index: u64, id: &str, command: &str) -> String {
    let block = json!({"type": "tool_use", "id": id, "name": "Bash", "input": {}});
    let input = json!({"command": command}).to_string();
    let (front, back) = input.split_at(5);
    let part =
        |json: &str| delta(index, &json!({"type": "input_json_delta", "partial_json": json}));
    start(index, &block) + &part(front) + &part(back) + &stop(index)
}

fn ending(reason: &str, tokens: u64) -> String {
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": reason},
        "usage": {"output_tokens": tokens}});
    event("message_delta", &delta)
}

const BEGIN: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n";
const END: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Sends a part of an answer cut in pieces; calls whose command is `no` are denied. What left,
/// and whether the gate got stuck.
fn pass(gate: &mut Gate, stream: &str, piece: usize) -> (String, bool) {
    let mut sent = Vec::new();
    for bytes in stream.as_bytes().chunks(piece) {
        gate.push(bytes).unwrap();
        while let Some(step) = gate.step(&mut Seen::default()).unwrap() {
            match step {
                Step::Pass(bytes) => sent.extend(bytes),
                Step::Decide(Call { input, .. }) if input == r#"{"command":"no"}"# => {
                    sent.extend(gate.replace("denied"));
                }
                Step::Decide(_) => sent.extend(gate.release()),
                Step::Stuck => return (String::from_utf8(sent).unwrap(), true),
            }
        }
    }
    gate.end();
    assert_eq!(gate.step(&mut Seen::default()), Ok(None), "all whole events were taken");
    gate.rest().unwrap();
    while let Some(Step::Pass(bytes)) = gate.step(&mut Seen::default()).unwrap() {
        sent.extend(bytes);
    }
    (String::from_utf8(sent).unwrap(), false)
}

#[test]
fn what_is_allowed_leaves_as_the_bytes_that_came() {
    let stream = [
        BEGIN,
        ": a comment\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
        &text(0, "Let me look. content_block_start tool_use"),
        &call(1, "toolu_1", "ls"),
        &call(2, "toolu_2", "pwd"),
        &ending("tool_use", 9),
        END,
        "event: new\ndata: not json\n\n",
    ]
    .concat();
    for piece in [1, 7, 100_000] {
        let left = pass(&mut Gate::default(), &stream, piece);
        assert_eq!(left, (stream.clone(), false), "piece = {piece}");
    }
}

#[test]
fn nothing_of_a_call_leaves_before_it_is_decided() {
    let mut gate = Gate::default();
    let stream = [BEGIN, &text(0, "a"), &call(1, "toolu_1", "ls")].concat();
    let (before, rest) = stream.split_at(stream.find("partial_json").unwrap());
    gate.push(before.as_bytes()).unwrap();
    let Some(Step::Pass(left)) = gate.step(&mut Seen::default()).unwrap() else { panic!() };
    assert_eq!(left, [BEGIN, &text(0, "a")].concat());
    assert_eq!(gate.step(&mut Seen::default()), Ok(None));
    gate.push(rest.as_bytes()).unwrap();
    let call =
        Call { id: "toolu_1".into(), name: "Bash".into(), input: r#"{"command":"ls"}"#.into() };
    assert_eq!(gate.step(&mut Seen::default()), Ok(Some(Step::Decide(call))));
}

#[test]
fn a_denied_call_leaves_as_a_text_in_its_place() {
    let stream =
        [BEGIN, &call(0, "a", "no"), &call(1, "b", "ls"), &ending("tool_use", 9), END].concat();
    let want = [BEGIN, &text(0, "denied"), &call(1, "b", "ls"), &ending("tool_use", 9), END];
    for piece in [1, 100_000] {
        let left = pass(&mut Gate::default(), &stream, piece);
        assert_eq!(left, (want.concat(), false), "piece = {piece}");
    }
}

#[test]
fn a_turn_of_denied_calls_goes_on() {
    let mut gate = Gate::default();
    let thinking = [
        start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, &json!({"type": "signature_delta", "signature": "sig"})),
        stop(0),
    ]
    .concat();
    let first = [BEGIN, &thinking, &text(1, "I run it."), &call(2, "a", "no")].concat();
    let stream = [&first, &ending("tool_use", 9), END].concat();
    let (left, stuck) = pass(&mut gate, &stream, 100_000);
    let sent = [BEGIN, &thinking, &text(1, "I run it."), &text(2, "denied")].concat();
    assert_eq!((left, stuck), (sent, true));
    let [said, told] = gate.messages().unwrap();
    assert_eq!(
        said["content"],
        json!([
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "text", "text": "I run it."},
            {"type": "tool_use", "id": "a", "name": "Bash", "input": {"command": "no"}},
        ])
    );
    assert_eq!(
        told["content"],
        json!([{"type": "tool_result", "tool_use_id": "a", "is_error": true,
            "content": "denied"}])
    );
    gate.go_on();
    let second = [BEGIN, &text(0, "Then not."), &ending("end_turn", 4), END].concat();
    let (left, stuck) = pass(&mut gate, &second, 100_000);
    let want = [text(3, "Then not."), ending("end_turn", 13), END.to_owned()].concat();
    assert_eq!((events(&left), stuck), (events(&want), false));
}

#[test]
fn a_turn_that_cannot_go_on_is_closed() {
    let mut gate = Gate::default();
    let stream = [BEGIN, &call(0, "a", "no"), &ending("tool_use", 9), END].concat();
    let (left, stuck) = pass(&mut gate, &stream, 100_000);
    assert!(stuck);
    let mut sent = left.into_bytes();
    sent.extend(gate.close());
    while let Some(Step::Pass(bytes)) = gate.step(&mut Seen::default()).unwrap() {
        sent.extend(bytes);
    }
    let want = [BEGIN, &text(0, "denied"), &ending("end_turn", 9), END].concat();
    assert_eq!(events(&String::from_utf8(sent).unwrap()), events(&want));
}

#[test]
fn what_cannot_be_read_does_not_pass() {
    let torn = "event: content_block_start\ndata: {\"type\":\"tool_use\n\n";
    let nameless = start(0, &json!({"type": "tool_use", "id": "a"}));
    for stream in [torn, &nameless] {
        let mut gate = Gate::default();
        gate.push(stream.as_bytes()).unwrap();
        assert_eq!(gate.step(&mut Seen::default()), Err(GateError::Unlike), "{stream}");
    }
    let mut gate = Gate::default();
    gate.push(&vec![b'x'; 2 << 20]).unwrap();
    assert_eq!(gate.step(&mut Seen::default()), Ok(None));
    assert_eq!(gate.push(b"x"), Err(GateError::TooLong));
}

/// Events as JSON: what is written anew may order its keys otherwise.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}
