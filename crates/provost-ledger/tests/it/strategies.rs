//! Any event there can be.

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use provost_ledger::{
    Admin, Alert, Approval, Event, INTEGER_MAX, Intent, Record, Refused, ServerEvent,
    SessionEvent, Subject, Witness,
};
use provost_types::{
    ActionId, ApprovalId, BootId, Correlation, CredentialId, Decision, Digest, Monotonic,
    Outcome, PolicyId, PolicyVersion, SessionId, Status, Timestamp, ToolUse, Usage, Value,
    Verdict,
};

pub(crate) fn event() -> BoxedStrategy<Event> {
    let record = prop_oneof![
        intent().prop_map(Record::Intent),
        outcome().prop_map(Record::Outcome),
        refused().prop_map(Record::Refusal),
        admin().prop_map(Record::Admin),
        session().prop_map(Record::Session),
        server().prop_map(Record::Server),
        witness().prop_map(Record::Witness),
        alert().prop_map(Record::Alert),
        approval().prop_map(Record::Approval),
    ];
    let boot = any::<u128>().prop_map(|id| BootId::new(uuid::Uuid::from_u128(id)));
    (integer(), integer(), boot, subject(), record)
        .prop_map(|(at, elapsed, boot, subject, record)| Event {
            at: Timestamp(at),
            elapsed: Monotonic(elapsed),
            boot,
            subject,
            record,
        })
        .boxed()
}

fn subject() -> BoxedStrategy<Subject> {
    let id = any::<u128>().prop_map(uuid::Uuid::from_u128);
    let name = select(vec!["a", "invoice-bot", "x9"]);
    (option::of(id.clone()), option::of(name.clone()), option::of(name), option::of(id))
        .prop_map(|(action, agent, project, session)| Subject {
            action: action.map(ActionId::new),
            agent: agent.map(|name| name.parse().unwrap()),
            project: project.map(|name| name.parse().unwrap()),
            session: session.map(SessionId::new),
        })
        .boxed()
}

fn intent() -> BoxedStrategy<Intent> {
    let context = prop::collection::btree_map("[ -~]{0,8}", value(), 0..6);
    let correlation = (option::of(text()), option::of(text()), option::of(text()));
    let call = (option::of(text()), option::of(any::<u128>()));
    let correlation = (correlation, call);
    let ours = (text(), text(), text(), text());
    (ours, context, correlation, digest(), integer(), credential(), decision())
        .prop_map(
            |(ours, context, correlation, arguments, argument_bytes, credential, decision)| {
                Intent {
                    plane: ours.0,
                    verb: ours.1,
                    resource_kind: ours.2,
                    resource_id: ours.3,
                    context: context.into_iter().collect(),
                    correlation: Correlation {
                        client_session: correlation.0.0,
                        subagent: correlation.0.1,
                        client_request: correlation.0.2,
                        tool_use: correlation.1.0,
                        asked_in: correlation
                            .1
                            .1
                            .map(|id| ActionId::new(uuid::Uuid::from_u128(id))),
                    },
                    arguments: Some(arguments),
                    argument_bytes,
                    credential,
                    decision,
                }
            },
        )
        .boxed()
}

fn value() -> BoxedStrategy<Value> {
    let edge = INTEGER_MAX.cast_signed();
    let edges = select(vec![0, edge, edge + 1, -edge, -edge - 1, i64::MAX, i64::MIN]);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![any::<i64>(), edges].prop_map(Value::Long),
        text().prop_map(Value::Text),
        vec(text(), 0..5).prop_map(Value::Texts),
        btree_map(text(), text(), 0..5).prop_map(Value::Tags),
    ]
    .boxed()
}

fn decision() -> BoxedStrategy<Decision> {
    let verdict = select(vec![Verdict::Allow, Verdict::Deny]);
    (verdict, vec(text(), 0..4), digest(), text())
        .prop_map(|(verdict, policies, version, reason)| Decision {
            verdict,
            policies: policies.into_iter().map(|id| PolicyId(id.into())).collect(),
            version: PolicyVersion(version),
            reason,
        })
        .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    let status =
        select(vec![Status::Succeeded, Status::Failed, Status::Aborted, Status::Unknown]);
    let texts =
        (option::of(text()), option::of(text()), option::of(text()), option::of(text()));
    let usage = (integer(), integer(), integer(), integer());
    let usage = option::of(usage.prop_map(|(input, output, cache_read, cache_write)| Usage {
        input,
        output,
        cache_read,
        cache_write,
    }));
    let tool_uses = vec((text(), text()).prop_map(|(id, name)| ToolUse { id, name }), 0..4);
    let result = (option::of(digest()), integer());
    (status, any::<Option<u16>>(), texts, usage, tool_uses, result)
        .prop_map(|(status, code, texts, usage, tool_uses, (result, result_bytes))| Outcome {
            status,
            code,
            reason: texts.0,
            usage,
            model: texts.1,
            stop_reason: texts.2,
            tool_uses,
            upstream_request: texts.3,
            result,
            result_bytes,
        })
        .boxed()
}

fn refused() -> BoxedStrategy<Refused> {
    (text(), text(), option::of(intent()), option::of(credential()))
        .prop_map(|(code, reason, intent, credential)| Refused {
            code,
            reason,
            intent,
            credential,
        })
        .boxed()
}

fn admin() -> BoxedStrategy<Admin> {
    let detail = prop::collection::btree_map("[ -~]{0,8}", text(), 0..6);
    (text(), text(), text(), detail)
        .prop_map(|(by, verb, subject, detail)| Admin { by, verb, subject, detail })
        .boxed()
}

fn session() -> BoxedStrategy<SessionEvent> {
    prop_oneof![
        (text(), credential(), integer()).prop_map(|(by, credential, at)| {
            SessionEvent::Started { by, credential, expires_at: Timestamp(at) }
        }),
        text().prop_map(|reason| SessionEvent::Ended { reason }),
    ]
    .boxed()
}

fn witness() -> BoxedStrategy<Witness> {
    let via = any::<u128>().prop_map(|id| ActionId::new(uuid::Uuid::from_u128(id)));
    (text(), via, text(), option::of(digest()), integer())
        .prop_map(|(plane, via, tool_use, arguments, argument_bytes)| Witness {
            plane,
            via,
            tool_use,
            arguments,
            argument_bytes,
        })
        .boxed()
}

fn approval() -> BoxedStrategy<Approval> {
    let id = any::<u128>().prop_map(|id| ApprovalId::new(uuid::Uuid::from_u128(id)));
    (id, text(), text(), btree_map(text(), text(), 0..4), option::of(intent()))
        .prop_map(|(approval, step, by, detail, intent)| Approval {
            approval,
            step,
            by,
            detail,
            intent,
        })
        .boxed()
}

fn alert() -> BoxedStrategy<Alert> {
    (text(), text(), btree_map(text(), text(), 0..4))
        .prop_map(|(rule, message, detail)| Alert { rule, message, detail })
        .boxed()
}

fn server() -> BoxedStrategy<ServerEvent> {
    let edge = INTEGER_MAX.cast_signed();
    prop_oneof![
        (text(), integer())
            .prop_map(|(version, recovered)| ServerEvent::Started { version, recovered }),
        Just(ServerEvent::Stopped),
        (-edge..=edge).prop_map(|by_us| ServerEvent::ClockStepped { by_us }),
    ]
    .boxed()
}

/// Any text: quotes, control characters and all of Unicode.
fn text() -> BoxedStrategy<String> {
    prop_oneof![".{0,12}", "[\\x00-\\x1f\"\\\\/\\x7f]{0,4}", any::<String>()].boxed()
}

fn integer() -> BoxedStrategy<u64> {
    prop_oneof![0..=INTEGER_MAX, Just(INTEGER_MAX)].boxed()
}

fn digest() -> BoxedStrategy<Digest> {
    any::<[u8; 32]>().prop_map(Digest).boxed()
}

fn credential() -> BoxedStrategy<CredentialId> {
    any::<u128>().prop_map(|id| CredentialId::new(uuid::Uuid::from_u128(id))).boxed()
}
