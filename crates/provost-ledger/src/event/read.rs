//! From an entry's bytes to an event: parses, then demands that writing gives the same bytes.

use std::str::FromStr;

use provost_types as types;
use types::{PolicyId, PolicyVersion, Status, Timestamp, ToolUse, Usage, Value, Verdict};

use super::{
    Admin, Alert, Approval, DecodeError, ENTRY_LEN_MAX, Event, Intent, Record, Refused,
    ServerEvent, SessionEvent, Subject, Witness,
    wire::{self, Text, VERSION, Wire},
};

/// Reads `entry`, refusing any byte sequence but the one that writing the event gives.
pub(super) fn event(entry: &[u8]) -> Result<Event, DecodeError> {
    if entry.len() > ENTRY_LEN_MAX {
        return Err(DecodeError::TooLong { len: entry.len() });
    }
    let wire: Wire<'_> = serde_json::from_slice(entry)?;
    if wire.v != VERSION {
        return Err(DecodeError::Version { found: wire.v });
    }
    let shortened = wire.shortened;
    let event = Event {
        at: Timestamp(wire.at_us),
        elapsed: types::Monotonic(wire.elapsed_us),
        boot: parsed("boot", &wire.boot)?,
        subject: subject(&wire.subject)?,
        record: record(wire.record)?,
    };
    let written = serde_json::to_vec(&Wire { shortened, ..Wire::from(&event) })?;
    if shortened == Some(false) || written != entry {
        return Err(DecodeError::NotCanonical);
    }
    Ok(event)
}

fn subject(subject: &wire::Subject<'_>) -> Result<Subject, DecodeError> {
    Ok(Subject {
        action: optional("action", subject.action.as_ref())?,
        agent: optional("agent", subject.agent.as_ref())?,
        project: optional("project", subject.project.as_ref())?,
        session: optional("session", subject.session.as_ref())?,
    })
}

fn record(record: wire::Record<'_>) -> Result<Record, DecodeError> {
    Ok(match record {
        wire::Record::Intent(intent) => Record::Intent(self::intent(intent)?),
        wire::Record::Outcome(outcome) => Record::Outcome(self::outcome(outcome)?),
        wire::Record::Refusal(refusal) => Record::Refusal(refused(refusal)?),
        wire::Record::Admin(admin) => Record::Admin(self::admin(admin)),
        wire::Record::Session(event) => Record::Session(session(event)?),
        wire::Record::Server(event) => Record::Server(server(event)),
        wire::Record::Witness(witness) => Record::Witness(self::witness(witness)?),
        wire::Record::Alert(alert) => Record::Alert(self::alert(alert)),
        wire::Record::Approval(approval) => Record::Approval(self::approval(approval)?),
    })
}

fn witness(witness: wire::Witness<'_>) -> Result<Witness, DecodeError> {
    Ok(Witness {
        plane: witness.plane.into_owned(),
        via: parsed("via", &witness.via)?,
        tool_use: witness.tool_use.into_owned(),
        arguments: optional("arguments", witness.arguments.as_ref())?,
        argument_bytes: witness.argument_bytes,
    })
}

fn alert(alert: wire::Alert<'_>) -> Alert {
    let detail = alert.detail.into_iter();
    Alert {
        rule: alert.rule.into_owned(),
        message: alert.message.into_owned(),
        detail: detail.map(|(name, it)| (name.into_owned(), it.into_owned())).collect(),
    }
}

fn approval(approval: wire::Approval<'_>) -> Result<Approval, DecodeError> {
    let detail = approval.detail.into_iter();
    Ok(Approval {
        approval: parsed("approval", &approval.approval)?,
        step: approval.step.into_owned(),
        by: approval.by.into_owned(),
        detail: detail.map(|(name, it)| (name.into_owned(), it.into_owned())).collect(),
        intent: approval.intent.map(intent).transpose()?,
    })
}

fn intent(intent: wire::Intent<'_>) -> Result<Intent, DecodeError> {
    let context = intent.context.into_iter();
    Ok(Intent {
        plane: intent.plane.into_owned(),
        verb: intent.verb.into_owned(),
        resource_kind: intent.resource_kind.into_owned(),
        resource_id: intent.resource_id.into_owned(),
        context: context
            .map(|(name, it)| Ok((name.into_owned(), value(it)?)))
            .collect::<Result<_, DecodeError>>()?,
        correlation: types::Correlation {
            client_session: intent.correlation.client_session.map(Text::into_owned),
            subagent: intent.correlation.subagent.map(Text::into_owned),
            client_request: intent.correlation.client_request.map(Text::into_owned),
            tool_use: intent.correlation.tool_use.map(Text::into_owned),
            asked_in: optional("asked_in", intent.correlation.asked_in.as_ref())?,
        },
        arguments: optional("arguments", intent.arguments.as_ref())?,
        argument_bytes: intent.argument_bytes,
        credential: parsed("credential", &intent.credential)?,
        decision: decision(intent.decision)?,
    })
}

fn value(value: wire::Value<'_>) -> Result<Value, DecodeError> {
    Ok(match value {
        wire::Value::Bool(it) => Value::Bool(it),
        wire::Value::Long(it) => Value::Long(it),
        wire::Value::Text(it) => Value::Text(it.into_owned()),
        wire::Value::Texts(them) => {
            Value::Texts(them.into_iter().map(Text::into_owned).collect())
        }
        wire::Value::BigLong { long } => Value::Long(parsed("long", &long)?),
        wire::Value::Tags { tags } => Value::Tags(
            tags.into_iter()
                .map(|(name, text)| (name.into_owned(), text.into_owned()))
                .collect(),
        ),
    })
}

fn decision(decision: wire::Decision<'_>) -> Result<types::Decision, DecodeError> {
    Ok(types::Decision {
        verdict: match decision.verdict {
            wire::Verdict::Allow => Verdict::Allow,
            wire::Verdict::Deny => Verdict::Deny,
            wire::Verdict::Hold => Verdict::Hold,
        },
        policies: decision.policies.iter().map(|id| PolicyId(id.as_ref().into())).collect(),
        version: PolicyVersion(parsed("version", &decision.version)?),
        reason: decision.reason.into_owned(),
    })
}

fn outcome(outcome: wire::Outcome<'_>) -> Result<types::Outcome, DecodeError> {
    let tool_uses = outcome.tool_uses.into_iter();
    Ok(types::Outcome {
        status: match outcome.status {
            wire::Status::Succeeded => Status::Succeeded,
            wire::Status::Failed => Status::Failed,
            wire::Status::Aborted => Status::Aborted,
            wire::Status::Unknown => Status::Unknown,
        },
        code: outcome.code,
        reason: outcome.reason.map(Text::into_owned),
        usage: outcome.usage.map(|usage| Usage {
            input: usage.input,
            output: usage.output,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
        }),
        model: outcome.model.map(Text::into_owned),
        stop_reason: outcome.stop_reason.map(Text::into_owned),
        tool_uses: tool_uses
            .map(|it| ToolUse { id: it.id.into_owned(), name: it.name.into_owned() })
            .collect(),
        upstream_request: outcome.upstream_request.map(Text::into_owned),
        result: optional("result", outcome.result.as_ref())?,
        result_bytes: outcome.result_bytes,
    })
}

fn refused(refusal: wire::Refusal<'_>) -> Result<Refused, DecodeError> {
    Ok(Refused {
        code: refusal.code.into_owned(),
        reason: refusal.reason.into_owned(),
        intent: refusal.intent.map(intent).transpose()?,
        credential: optional("credential", refusal.credential.as_ref())?,
    })
}

fn admin(admin: wire::Admin<'_>) -> Admin {
    let detail = admin.detail.into_iter();
    Admin {
        by: admin.by.into_owned(),
        verb: admin.verb.into_owned(),
        subject: admin.subject.into_owned(),
        detail: detail.map(|(name, it)| (name.into_owned(), it.into_owned())).collect(),
    }
}

fn session(event: wire::Session<'_>) -> Result<SessionEvent, DecodeError> {
    Ok(match event {
        wire::Session::Started { by, credential, expires_at_us } => SessionEvent::Started {
            by: by.into_owned(),
            credential: parsed("credential", &credential)?,
            expires_at: Timestamp(expires_at_us),
        },
        wire::Session::Ended { reason } => SessionEvent::Ended { reason: reason.into_owned() },
    })
}

fn server(event: wire::Server<'_>) -> ServerEvent {
    match event {
        wire::Server::Started { recovered, version } => {
            ServerEvent::Started { version: version.into_owned(), recovered }
        }
        wire::Server::Stopped {} => ServerEvent::Stopped,
        wire::Server::ClockStepped { by_us } => ServerEvent::ClockStepped { by_us },
    }
}

fn optional<T: FromStr>(
    field: &'static str,
    text: Option<&Text<'_>>,
) -> Result<Option<T>, DecodeError> {
    text.map(|text| parsed(field, text)).transpose()
}

fn parsed<T: FromStr>(field: &'static str, text: &str) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError::Field { field })
}
