//! Which answers may be handed on to Claude Code: those that it takes as they are meant.
//!
//! Claude Code ignores what it does not know, so an answer with one word misspelt is a "yes".
//! Pure: from an event's name and bytes to what may be printed.

use serde_json::{Map, Value};

/// Whether an event comes before something that can still be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It does, or nobody knows.
    Before,
    /// It has happened, or cannot be refused.
    After,
}

/// Events of what has happened, or cannot be refused, or must not be: refusing the end of a
/// turn makes Claude Code take another. Source: `sdk.d.ts` of the Claude Agent SDK 0.3.330.
const AFTER: &[&str] = &[
    "CwdChanged",
    "DirectoryAdded",
    "FileChanged",
    "InstructionsLoaded",
    "MessageDisplay",
    "Notification",
    "PermissionDenied",
    "PostCompact",
    "PostModelSwitch",
    "PostToolBatch",
    "PostToolUse",
    "PostToolUseFailure",
    "SessionEnd",
    "SessionStart",
    "Stop",
    "StopFailure",
    "SubagentStart",
    "SubagentStop",
    "TaskCompleted",
    "TeammateIdle",
    "WorktreeRemove",
];

/// Longest name of an event that is repeated in a sentence. Unit: bytes.
const NAME_BYTES_MAX: usize = 40;

impl Moment {
    /// The moment of an event; nothing is known of one without a name.
    pub(crate) fn of(event: Option<&str>) -> Self {
        match event {
            Some(event) if AFTER.contains(&event) => Self::After,
            Some(_) | None => Self::Before,
        }
    }
}

/// Whether this can be an event's name, and so can be printed.
pub(super) fn is_name(event: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&event.len())
        && event.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The object in an answer, if Claude Code takes it as it is meant.
pub(super) fn understood(event: &str, body: &[u8]) -> Option<Value> {
    let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let is_understood = answer.is_empty()
        || match event {
            "PreToolUse" => tells_of_tool(&answer),
            "PermissionRequest" => tells_of_permission(&answer),
            "UserPromptSubmit" => blocks(&answer) || specific(&answer, event).is_some(),
            _ => !answer.contains_key(SPECIFIC) || specific(&answer, event).is_some(),
        };
    (is_understood && is_well_formed(&answer)).then_some(Value::Object(answer))
}

/// Where an answer has what only one event knows.
const SPECIFIC: &str = "hookSpecificOutput";

/// What is for this event alone, if the answer says that it is for this one.
fn specific<'a>(answer: &'a Map<String, Value>, event: &str) -> Option<&'a Map<String, Value>> {
    let specific = answer.get(SPECIFIC)?.as_object()?;
    (text(specific, "hookEventName")? == event).then_some(specific)
}

fn tells_of_tool(answer: &Map<String, Value>) -> bool {
    let decision = specific(answer, "PreToolUse").and_then(|it| text(it, "permissionDecision"));
    matches!(decision, Some("deny" | "ask" | "defer" | "allow"))
}

fn tells_of_permission(answer: &Map<String, Value>) -> bool {
    let decision = specific(answer, "PermissionRequest").and_then(|it| it.get("decision"));
    let behaviour = decision.and_then(Value::as_object).and_then(|it| text(it, "behavior"));
    matches!(behaviour, Some("allow" | "deny"))
}

fn blocks(answer: &Map<String, Value>) -> bool {
    text(answer, "decision") == Some("block") || answer.get("continue") == Some(&false.into())
}

/// Whether what every event knows has the type it is known with.
fn is_well_formed(answer: &Map<String, Value>) -> bool {
    let is = |name: &str, is: fn(&Value) -> bool| answer.get(name).is_none_or(is);
    is("continue", Value::is_boolean)
        && is("suppressOutput", Value::is_boolean)
        && is("stopReason", Value::is_string)
        && is("reason", Value::is_string)
        && is("systemMessage", Value::is_string)
        && is("decision", |it| matches!(it.as_str(), Some("approve" | "block")))
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::understood;

    #[test]
    fn only_what_claude_code_takes_as_meant_is_handed_on() {
        let tool = |rest: &str| format!(r#"{{"hookSpecificOutput":{{{rest}}}}}"#);
        let deny = r#""hookEventName":"PreToolUse","permissionDecision":"deny""#;
        for (event, body, want) in [
            ("PreToolUse", "{}".to_owned(), true),
            ("PreToolUse", tool(deny), true),
            ("PreToolUse", tool(&deny.replace("deny", "ask")), true),
            ("PreToolUse", tool(&deny.replace("deny", "defer")), true),
            ("PreToolUse", tool(&deny.replace("deny", "allow")), true),
            ("PreToolUse", tool(&deny.replace("deny", "Deny")), false), // runs the tool
            ("PreToolUse", tool(&deny.replace("PreToolUse", "PostToolUse")), false),
            ("PreToolUse", tool(r#""permissionDecision":"deny""#), false), // ignored
            ("PreToolUse", r#"{"permissionDecision":"deny"}"#.to_owned(), false),
            ("PreToolUse", r#"{"continue":false}"#.to_owned(), false), // runs the tool
            ("PreToolUse", r#"{"decision":"block"}"#.to_owned(), false),
            ("PreToolUse", r#"{"error":{"type":"denied"}}"#.to_owned(), false),
            ("PreToolUse", format!("{} {{}}", tool(deny)), false),
            ("PreToolUse", String::new(), false),
            ("PreToolUse", "null".to_owned(), false),
            ("PreToolUse", "[]".to_owned(), false),
            ("PreToolUse", "<html></html>".to_owned(), false),
            ("UserPromptSubmit", "{}".to_owned(), true),
            ("UserPromptSubmit", r#"{"decision":"block","reason":"no"}"#.to_owned(), true),
            ("UserPromptSubmit", r#"{"decision":"blocked"}"#.to_owned(), false),
            ("UserPromptSubmit", r#"{"message":"ok"}"#.to_owned(), false),
            (
                "PermissionRequest",
                tool(r#""hookEventName":"PermissionRequest","decision":{"behavior":"deny"}"#),
                true,
            ),
            ("PermissionRequest", tool(r#""hookEventName":"PermissionRequest""#), false),
            ("PostToolUse", "{}".to_owned(), true),
            ("PostToolUse", r#"{"continue":false,"stopReason":"killed"}"#.to_owned(), true),
            ("PostToolUse", r#"{"continue":"false"}"#.to_owned(), false),
            ("PostToolUse", tool(deny), false),
            ("SomethingNew", r#"{"systemMessage":"x"}"#.to_owned(), true),
        ] {
            let got = understood(event, body.as_bytes());
            assert_eq!(got.is_some(), want, "event = {event}, body = {body}");
        }
    }

    #[test]
    fn what_is_handed_on_has_one_meaning() {
        let twice = r#"{"decision":"approve","decision":"block"}"#;
        let printed = understood("UserPromptSubmit", twice.as_bytes()).unwrap().to_string();
        assert_eq!(printed, r#"{"decision":"block"}"#);
    }
}
