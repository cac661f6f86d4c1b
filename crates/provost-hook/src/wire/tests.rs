//! Posts, read.

use proptest::prelude::*;

use super::{About, Post};

/// The event, what it is about, and the ids; or why it was refused.
fn told(body: &str) -> String {
    match Post::read(body.as_bytes()) {
        Err(malformed) => format!("refused: {}", malformed.message),
        Ok(post) => {
            let about = match &post.about {
                About::Call { id, name, input, folder } => {
                    format!("call {id} {name} {input} in {folder:?}")
                }
                About::Result { id, failed, result } => {
                    format!("result {id} {failed} {result}")
                }
                About::Other => "other".to_owned(),
            };
            let ids = (post.client_session, post.subagent, post.tool_use);
            format!("{}: {about} {ids:?}", post.event)
        }
    }
}

#[test]
fn a_refusal_does_not_repeat_the_whole_body() {
    let refused = told(&format!("{:?}", "x".repeat(10_000)));
    assert!(refused.starts_with("refused: ") && refused.len() < 300, "{refused}");
}

#[test]
fn what_is_posted_is_read_for_what_follows_from_it() {
    for (body, want) in [
        (
            r#"{"session_id":"s","transcript_path":"/t","cwd":"/w","hook_event_name":"PreToolUse",
                "tool_name":"Bash","tool_input":{"command":"ls"},"tool_use_id":"toolu_1"}"#,
            r#"PreToolUse: call toolu_1 Bash {"command":"ls"} in Some("/w") (Some("s"), None, Some("toolu_1"))"#,
        ),
        (
            r#"{"hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{},
                "tool_use_id":"toolu_1","tool_response":{"stdout":"x"},"agent_id":"a1"}"#,
            r#"PostToolUse: result toolu_1 false {"stdout":"x"} (None, Some("a1"), Some("toolu_1"))"#,
        ),
        (
            r#"{"hook_event_name":"PostToolUseFailure","tool_use_id":"t","error":"boom"}"#,
            r#"PostToolUseFailure: result t true "boom" (None, None, Some("t"))"#,
        ),
        (
            r#"{"hook_event_name":"SomethingNew","who":["knows"],"tool_use_id":7}"#,
            "SomethingNew: other (None, None, None)",
        ),
        (
            r#"{"hook_event_name":"SomethingNew","who":["knows"]}"#,
            "SomethingNew: other (None, None, None)",
        ),
        (
            r#"{"hook_event_name":"Stop","session_id":"with space"}"#,
            "Stop: other (None, None, None)",
        ),
    ] {
        assert_eq!(told(body), want, "{body}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (body, want) in [
        ("", "the body is no hook's JSON: EOF"),
        ("[]", "the body is no hook's JSON: invalid"),
        (r#"{"session_id":"s"}"#, "missing field `hook_event_name`"),
        (r#"{"hook_event_name":""}"#, "`hook_event_name` must be a name"),
        (r#"{"hook_event_name":"A","hook_event_name":"B"}"#, "duplicate field"),
        (r#"{"hook_event_name":"PreToolUse"}"#, "PreToolUse needs `tool_use_id`"),
        (r#"{"hook_event_name":"PreToolUse","tool_use_id":"t"}"#, "needs `tool_name`"),
        (
            r#"{"hook_event_name":"PreToolUse","tool_use_id":"t","tool_name":"Bash"}"#,
            "needs `tool_input`",
        ),
        (
            r#"{"hook_event_name":"PreToolUse","tool_use_id":"a b","tool_name":"Bash",
                "tool_input":{}}"#,
            "`tool_use_id` must be an id",
        ),
        (r#"{"hook_event_name":"PostToolUse","tool_use_id":"t"}"#, "needs `tool_response`"),
        (r#"{"hook_event_name":"Stop"} x"#, "trailing characters"),
    ] {
        let got = told(body);
        assert!(got.starts_with("refused: ") && got.contains(want), "{body}\n{got}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _read = Post::read(&bytes);
    }
}
