//! From an event to its JSON form: borrows texts, clamps integers.

use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
};

use provost_types as types;
use types::{Status, Value, Verdict};

use super::{
    Admin, Alert, Approval, Event, INTEGER_MAX, Intent, Record, Refused, ServerEvent,
    SessionEvent, Subject, Witness,
    wire::{self, Text, VERSION, Wire},
};

/// Room for a digest, the longest of what is shown. Unit: bytes.
const SHOWN_LEN: usize = 72;

impl<'a> From<&'a Event> for Wire<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            at_us: integer(event.at.0),
            boot: shown(&event.boot),
            elapsed_us: integer(event.elapsed.0),
            record: record(&event.record),
            shortened: None,
            subject: subject(&event.subject),
            v: VERSION,
        }
    }
}

fn subject(subject: &Subject) -> wire::Subject<'_> {
    wire::Subject {
        action: subject.action.as_ref().map(shown),
        agent: subject.agent.as_ref().map(|name| Cow::Borrowed(name.as_str())),
        project: subject.project.as_ref().map(|name| Cow::Borrowed(name.as_str())),
        session: subject.session.as_ref().map(shown),
    }
}

fn record(record: &Record) -> wire::Record<'_> {
    match record {
        Record::Intent(intent) => wire::Record::Intent(self::intent(intent)),
        Record::Outcome(outcome) => wire::Record::Outcome(self::outcome(outcome)),
        Record::Refusal(refused) => wire::Record::Refusal(refusal(refused)),
        Record::Admin(admin) => wire::Record::Admin(self::admin(admin)),
        Record::Session(event) => wire::Record::Session(session(event)),
        Record::Server(event) => wire::Record::Server(server(event)),
        Record::Witness(witness) => wire::Record::Witness(self::witness(witness)),
        Record::Alert(alert) => wire::Record::Alert(self::alert(alert)),
        Record::Approval(approval) => wire::Record::Approval(self::approval(approval)),
    }
}

fn witness(witness: &Witness) -> wire::Witness<'_> {
    wire::Witness {
        argument_bytes: integer(witness.argument_bytes),
        arguments: witness.arguments.as_ref().map(shown),
        plane: text(&witness.plane),
        tool_use: text(&witness.tool_use),
        via: shown(&witness.via),
    }
}

fn alert(alert: &Alert) -> wire::Alert<'_> {
    wire::Alert {
        detail: alert.detail.iter().map(|(name, it)| (text(name), text(it))).collect(),
        message: text(&alert.message),
        rule: text(&alert.rule),
    }
}

fn approval(approval: &Approval) -> wire::Approval<'_> {
    wire::Approval {
        approval: shown(&approval.approval),
        by: text(&approval.by),
        detail: approval.detail.iter().map(|(name, it)| (text(name), text(it))).collect(),
        intent: approval.intent.as_ref().map(intent),
        step: text(&approval.step),
    }
}

fn intent(intent: &Intent) -> wire::Intent<'_> {
    wire::Intent {
        argument_bytes: integer(intent.argument_bytes),
        arguments: intent.arguments.as_ref().map(shown),
        context: intent.context.iter().map(|(name, it)| (text(name), value(it))).collect(),
        correlation: wire::Correlation {
            asked_in: intent.correlation.asked_in.as_ref().map(shown),
            tool_use: intent.correlation.tool_use.as_deref().map(Cow::Borrowed),
            client_request: intent.correlation.client_request.as_deref().map(Cow::Borrowed),
            client_session: intent.correlation.client_session.as_deref().map(Cow::Borrowed),
            subagent: intent.correlation.subagent.as_deref().map(Cow::Borrowed),
        },
        credential: shown(&intent.credential),
        decision: decision(&intent.decision),
        plane: text(&intent.plane),
        resource_id: text(&intent.resource_id),
        resource_kind: text(&intent.resource_kind),
        verb: text(&intent.verb),
    }
}

fn value(value: &Value) -> wire::Value<'_> {
    match value {
        Value::Bool(it) => wire::Value::Bool(*it),
        Value::Long(it) if it.unsigned_abs() <= INTEGER_MAX => wire::Value::Long(*it),
        Value::Long(it) => wire::Value::BigLong { long: shown(it) },
        Value::Text(it) => wire::Value::Text(text(it)),
        Value::Texts(them) => wire::Value::Texts(them.iter().map(|it| text(it)).collect()),
        Value::Tags(tags) => wire::Value::Tags {
            tags: tags.iter().map(|(name, it)| (text(name), text(it))).collect(),
        },
    }
}

fn decision(decision: &types::Decision) -> wire::Decision<'_> {
    wire::Decision {
        policies: decision.policies.iter().map(|id| Cow::Borrowed(&*id.0)).collect(),
        reason: text(&decision.reason),
        verdict: match decision.verdict {
            Verdict::Allow => wire::Verdict::Allow,
            Verdict::Deny => wire::Verdict::Deny,
            Verdict::Hold => wire::Verdict::Hold,
        },
        version: shown(&decision.version),
    }
}

fn outcome(outcome: &types::Outcome) -> wire::Outcome<'_> {
    wire::Outcome {
        code: outcome.code,
        model: outcome.model.as_deref().map(Cow::Borrowed),
        reason: outcome.reason.as_deref().map(Cow::Borrowed),
        result: outcome.result.as_ref().map(shown),
        result_bytes: integer(outcome.result_bytes),
        status: match outcome.status {
            Status::Succeeded => wire::Status::Succeeded,
            Status::Failed => wire::Status::Failed,
            Status::Aborted => wire::Status::Aborted,
            Status::Unknown => wire::Status::Unknown,
        },
        stop_reason: outcome.stop_reason.as_deref().map(Cow::Borrowed),
        tool_uses: outcome
            .tool_uses
            .iter()
            .map(|it| wire::ToolUse { id: text(&it.id), name: text(&it.name) })
            .collect(),
        upstream_request: outcome.upstream_request.as_deref().map(Cow::Borrowed),
        usage: outcome.usage.as_ref().map(|usage| wire::Usage {
            cache_read: integer(usage.cache_read),
            cache_write: integer(usage.cache_write),
            input: integer(usage.input),
            output: integer(usage.output),
        }),
    }
}

fn refusal(refused: &Refused) -> wire::Refusal<'_> {
    wire::Refusal {
        code: text(&refused.code),
        credential: refused.credential.as_ref().map(shown),
        intent: refused.intent.as_ref().map(intent),
        reason: text(&refused.reason),
    }
}

fn admin(admin: &Admin) -> wire::Admin<'_> {
    wire::Admin {
        by: text(&admin.by),
        detail: admin.detail.iter().map(|(name, it)| (text(name), text(it))).collect(),
        subject: text(&admin.subject),
        verb: text(&admin.verb),
    }
}

fn session(event: &SessionEvent) -> wire::Session<'_> {
    match event {
        SessionEvent::Started { by, credential, expires_at } => wire::Session::Started {
            by: text(by),
            credential: shown(credential),
            expires_at_us: integer(expires_at.0),
        },
        SessionEvent::Ended { reason } => wire::Session::Ended { reason: text(reason) },
    }
}

fn server(event: &ServerEvent) -> wire::Server<'_> {
    match event {
        ServerEvent::Started { version, recovered } => {
            wire::Server::Started { recovered: integer(*recovered), version: text(version) }
        }
        ServerEvent::Stopped => wire::Server::Stopped {},
        ServerEvent::ClockStepped { by_us } => {
            const MOST: i64 = INTEGER_MAX.cast_signed();
            wire::Server::ClockStepped { by_us: (*by_us).clamp(-MOST, MOST) }
        }
    }
}

fn integer(value: u64) -> u64 {
    value.min(INTEGER_MAX)
}

fn text(value: &str) -> Text<'_> {
    Cow::Borrowed(value)
}

fn shown<'a>(value: &impl Display) -> Text<'a> {
    let mut text = String::with_capacity(SHOWN_LEN);
    // A string takes whatever is written to it.
    write!(text, "{value}").unwrap_or_default();
    Cow::Owned(text)
}
