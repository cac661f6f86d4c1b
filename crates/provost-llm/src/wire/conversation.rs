//! A request's messages: the tool results that came last, and how to make it go on.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// What a client says came of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToolResult<'a> {
    /// `toolu_…`
    pub(crate) tool_use: &'a str,
    /// The client calls it an error.
    pub(crate) failed: bool,
    /// The result, as the JSON it came in.
    pub(crate) content: &'a str,
}

/// The tool results since the model's last turn: those before are repeated with every request.
/// Behind them may stand messages of other roles, such as Claude Code's reminders.
pub(crate) fn results(body: &[u8]) -> Vec<ToolResult<'_>> {
    if memchr::memmem::find(body, b"tool_result").is_none() {
        return Vec::new();
    }
    let mut results = Vec::new();
    for message in messages(body).unwrap_or_default().into_iter().rev() {
        let Ok(message) = serde_json::from_str::<Message<'_>>(message.get()) else { continue };
        if message.role == "assistant" {
            break;
        }
        let blocks = serde_json::from_str::<Vec<&RawValue>>(message.content.get());
        results.extend(blocks.unwrap_or_default().into_iter().filter_map(read));
    }
    results
}

fn read(block: &RawValue) -> Option<ToolResult<'_>> {
    let block: Block<'_> = serde_json::from_str(block.get()).ok()?;
    Some(ToolResult {
        tool_use: block.tool_use_id.filter(|_| block.r#type == "tool_result")?,
        failed: block.is_error.unwrap_or_default(),
        content: block.content.map_or("", RawValue::get),
    })
}

/// `body` with `more` after its last message; `None` if it has none.
///
/// The rest of the body is as it came, so that what the upstream has cached of it counts.
pub(crate) fn go_on(body: &[u8], more: &[Value]) -> Option<Bytes> {
    let last = messages(body)?.last().copied()?.get();
    let start = (last.as_ptr().addr()).checked_sub(body.as_ptr().addr())?;
    let (before, after) = body.split_at_checked(start.checked_add(last.len())?)?;
    let mut whole = before.to_vec();
    for message in more {
        whole.push(b',');
        whole.extend_from_slice(message.to_string().as_bytes());
    }
    whole.extend_from_slice(after);
    Some(whole.into())
}

fn messages(body: &[u8]) -> Option<Vec<&RawValue>> {
    serde_json::from_slice::<Body<'_>>(body).ok().map(|body| body.messages)
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
    tool_use_id: Option<&'a str>,
    is_error: Option<bool>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ToolResult, go_on, results};

    #[test]
    fn only_results_since_the_models_last_turn_count() {
        let body = r#"{"messages":[
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"old"}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"a"}]},
            {"role":"user","content":[
                {"type":"text","text":"tool_result"},
                {"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"x"}]},
                {"tool_use_id":"b","type":"tool_result","is_error":true,"content":"no"},
                {"type":"tool_result"}, 7
            ]},
            {"role":"system","content":[{"type":"text","text":"remember"}]}],"model":"m"}"#;
        let want = [
            ToolResult {
                tool_use: "a",
                failed: false,
                content: r#"[{"type":"text","text":"x"}]"#,
            },
            ToolResult { tool_use: "b", failed: true, content: r#""no""# },
        ];
        assert_eq!(results(body.as_bytes()), want);
        for none in [
            "",
            "{}",
            r#"{"messages":[]}"#,
            r#"{"messages":[{"role":"user","content":"tool_result"}]}"#,
        ] {
            assert_eq!(results(none.as_bytes()), [], "{none}");
        }
    }

    #[test]
    fn a_conversation_goes_on_behind_its_last_message() {
        let body = r#"{"model":"m","messages":[ {"a":1} , {"b":[2]} ] , "stream":true}"#;
        let more = [json!({"role": "assistant"}), json!({"role": "user"})];
        let whole = go_on(body.as_bytes(), &more).unwrap();
        assert!(whole.starts_with(br#"{"model":"m","messages":[ {"a":1} , {"b":[2]},{"#));
        assert!(whole.ends_with(br#" ] , "stream":true}"#));
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(whole["messages"].as_array().unwrap().len(), 4);
        assert_eq!(go_on(br#"{"messages":[]}"#, &more), None);
        assert_eq!(go_on(b"{}", &more), None);
    }
}
