//! Every reason for a no, in the form of the event it is about.
//!
//! Always with status 200: Claude Code 2.1.330 lets the tool run on any other, on a form that
//! is not nested under `hookSpecificOutput`, and on `continue: false` alone (measured).

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use provost_gateway::name_action;
use provost_pipeline::{AdmittedCall, Refusal, RefusalCode};
use provost_tools::json_value;
use provost_types::{ActionId, Value};
use serde::Serialize;
use serde_json::{Value as Json, value::RawValue};

/// What a hook answers, in the order of the reference. Source: the hooks reference of Claude
/// Code, "JSON output".
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    goes_on: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook_specific_output: Option<Specific>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "hookEventName")]
enum Specific {
    #[serde(rename_all = "camelCase")]
    PreToolUse {
        permission_decision: &'static str,
        permission_decision_reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        updated_input: Option<Json>,
    },
    PermissionRequest {
        decision: Behavior,
    },
}

#[derive(Debug, Serialize)]
struct Behavior {
    behavior: &'static str,
    message: String,
    interrupt: bool,
}

/// It may go on, as far as Provost is asked: the client's own rules apply.
pub(crate) fn no_opinion(action: ActionId) -> Response<Bytes> {
    response(&Output::default(), action)
}

/// A call may be made, as policy and people want it made.
///
/// `allow` where people said yes to this very call, so that the client need not ask its user
/// as well, or where arguments are set, which clients do with nothing else (measured).
/// Otherwise the client's own rules apply.
pub(crate) fn allow(
    action: ActionId,
    call: &AdmittedCall,
    input: &RawValue,
) -> Response<Bytes> {
    let updated = updated(input, &call.sets);
    let (decision, reason) = match (call.approval, call.asks_user) {
        (Some(approval), _) => ("allow", format!("approved by people, {approval}")),
        (None, true) => ("ask", "policy asks for your own yes, too".to_owned()),
        (None, false) if updated.is_some() => {
            ("allow", "policy allows it with these arguments".to_owned())
        }
        (None, false) => return no_opinion(action),
    };
    told(decision, reason, updated, action)
}

/// The arguments as they have to be, if they are not.
fn updated(input: &RawValue, sets: &[(String, Value)]) -> Option<Json> {
    if sets.is_empty() {
        return None;
    }
    let Ok(Json::Object(mut arguments)) = json_value(input.get().as_bytes()) else {
        return None;
    };
    let mut is_changed = false;
    for (name, value) in sets {
        let value = match value {
            Value::Bool(value) => Json::from(*value),
            Value::Long(value) => Json::from(*value),
            Value::Text(value) => Json::from(value.as_str()),
            // No annotation says these.
            Value::Texts(_) | Value::Tags(_) => continue,
        };
        is_changed |= arguments.get(name) != Some(&value);
        arguments.insert(name.clone(), value);
    }
    is_changed.then_some(Json::Object(arguments))
}

/// People are asked: the client ends, and asks again when it is resumed.
pub(crate) fn defer(refusal: &Refusal) -> Response<Bytes> {
    told("defer", message(refusal), None, refusal.action)
}

fn told(
    decision: &'static str,
    reason: String,
    updated_input: Option<Json>,
    action: ActionId,
) -> Response<Bytes> {
    let specific = Specific::PreToolUse {
        permission_decision: decision,
        permission_decision_reason: reason,
        updated_input,
    };
    let output = Output { hook_specific_output: Some(specific), ..Output::default() };
    response(&output, action)
}

fn message(refusal: &Refusal) -> String {
    let Refusal { message, action, .. } = refusal;
    format!("{message} [Provost: `provost audit show {action}`]")
}

/// Says no to `event`; to one that could not be read, in the form most events know.
pub(crate) fn refuse(event: Option<&str>, refusal: &Refusal) -> Response<Bytes> {
    let mut response = response(&output(event, refusal), refusal.action);
    if refusal.code == RefusalCode::Method {
        // No hook's request, so no tool waits for it.
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

fn output(event: Option<&str>, refusal: &Refusal) -> Output {
    let (message, stops) = (message(refusal), is_over(refusal.code));
    let mut output = Output::default();
    if stops {
        output.goes_on = Some(false);
        output.stop_reason = Some(message.clone());
    }
    match event {
        Some("PreToolUse") => {
            output.hook_specific_output = Some(Specific::PreToolUse {
                permission_decision: "deny",
                permission_decision_reason: message,
                updated_input: None,
            });
        }
        Some("PermissionRequest") => {
            let decision = Behavior { behavior: "deny", message, interrupt: stops };
            output.hook_specific_output = Some(Specific::PermissionRequest { decision });
        }
        // Blocking these keeps the client from stopping; what has happened cannot be blocked.
        Some(
            "PostToolUse" | "PostToolUseFailure" | "Stop" | "StopFailure" | "SubagentStop"
            | "SessionEnd" | "Notification",
        ) => {
            if !stops {
                output.system_message = Some(message);
            }
        }
        Some(_) | None => {
            output.decision = Some("block");
            output.reason = Some(message);
        }
    }
    output
}

/// Whether nothing this client does from now on can succeed without a person.
const fn is_over(code: RefusalCode) -> bool {
    match code {
        RefusalCode::Unauthenticated
        | RefusalCode::SessionOver
        | RefusalCode::Paused
        | RefusalCode::Killed => true,
        RefusalCode::Malformed
        | RefusalCode::TooLarge
        | RefusalCode::NotFound
        | RefusalCode::Method
        | RefusalCode::Denied
        | RefusalCode::Held
        | RefusalCode::Busy
        | RefusalCode::Unavailable
        | RefusalCode::Stopping => false,
    }
}

fn response(output: &Output, action: ActionId) -> Response<Bytes> {
    let json = serde_json::to_vec(output).unwrap_or_default();
    let mut response = Response::new(Bytes::from(json));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_action(headers, action);
    response
}

#[cfg(test)]
mod tests {
    use provost_pipeline::{AdmittedCall, Refusal, RefusalCode};
    use provost_types::{ActionId, ApprovalId, Value};
    use serde_json::value::RawValue;

    use super::{allow, defer, no_opinion, refuse};

    fn refused(event: Option<&str>, code: RefusalCode) -> String {
        let action = ActionId::generate();
        let response = refuse(event, &Refusal { code, message: "No.".to_owned(), action });
        let body = String::from_utf8_lossy(response.body()).into_owned();
        let body = body.replace(&format!(" [Provost: `provost audit show {action}`]"), "");
        assert!(response.headers().contains_key("x-provost-action"));
        format!("{} {body}", response.status().as_u16())
    }

    #[test]
    fn each_event_is_refused_in_its_own_form() {
        use RefusalCode::{Denied, Killed, Malformed, Method};
        for (event, code, want) in [
            (
                Some("PreToolUse"),
                Denied,
                r#"200 {"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":"No."}}"#,
            ),
            (
                Some("PreToolUse"),
                Killed,
                r#"200 {"continue":false,"stopReason":"No.","hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":"No."}}"#,
            ),
            (
                Some("PermissionRequest"),
                Denied,
                r#"200 {"hookSpecificOutput":{"hookEventName":"PermissionRequest","decision":{"behavior":"deny","message":"No.","interrupt":false}}}"#,
            ),
            (Some("UserPromptSubmit"), Denied, r#"200 {"decision":"block","reason":"No."}"#),
            (
                Some("UserPromptSubmit"),
                Killed,
                r#"200 {"continue":false,"stopReason":"No.","decision":"block","reason":"No."}"#,
            ),
            (Some("Stop"), Killed, r#"200 {"continue":false,"stopReason":"No."}"#),
            (Some("PostToolUse"), Denied, r#"200 {"systemMessage":"No."}"#),
            (Some("SomethingNew"), Denied, r#"200 {"decision":"block","reason":"No."}"#),
            (None, Malformed, r#"200 {"decision":"block","reason":"No."}"#),
            (None, Method, r#"405 {"decision":"block","reason":"No."}"#),
        ] {
            assert_eq!(refused(event, code), want, "{event:?} {code:?}");
        }
    }

    #[test]
    fn a_call_that_people_are_asked_about_is_put_off_or_allowed_by_them() {
        let (action, approval) = (ActionId::generate(), ApprovalId::generate());
        let refusal = Refusal { code: RefusalCode::Held, message: "Wait.".to_owned(), action };
        let shown = |response: http::Response<bytes::Bytes>| {
            let body = String::from_utf8_lossy(response.body()).into_owned();
            let body = body.replace(&action.to_string(), "ACT");
            body.replace(&approval.to_string(), "APR")
        };
        let told = |decision: &str, reason: &str| {
            format!(
                r#"{{"hookSpecificOutput":{{"hookEventName":"PreToolUse","permissionDecision":"{decision}","permissionDecisionReason":"{reason}"}}}}"#
            )
        };
        assert_eq!(
            shown(defer(&refusal)),
            told("defer", "Wait. [Provost: `provost audit show ACT`]")
        );
        let sandbox = || vec![("sandbox".to_owned(), Value::Bool(true))];
        let with = |told: String, updated: &str| {
            let told = told.strip_suffix("}}").unwrap_or_default();
            format!(r#"{told},"updatedInput":{updated}}}}}"#)
        };
        let input = r#"{"command":"ls","sandbox":false}"#;
        for (approval, asks_user, sets, want) in [
            (None, false, vec![], "{}".to_owned()),
            (Some(approval), true, vec![], told("allow", "approved by people, APR")),
            (None, true, vec![], told("ask", "policy asks for your own yes, too")),
            (
                None,
                false,
                sandbox(),
                with(
                    told("allow", "policy allows it with these arguments"),
                    r#"{"command":"ls","sandbox":true}"#,
                ),
            ),
            // They are as they have to be already.
            (None, false, vec![("sandbox".to_owned(), Value::Bool(false))], "{}".to_owned()),
        ] {
            let call = AdmittedCall { action, approval, asks_user, sets };
            let input = RawValue::from_string(input.to_owned()).unwrap();
            assert_eq!(shown(allow(action, &call, &input)), want, "{call:?}");
        }
    }

    #[test]
    fn no_opinion_is_an_empty_object() {
        let response = no_opinion(ActionId::generate());
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"{}"[..]));
    }
}
