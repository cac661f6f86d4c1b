//! Events in their one form.

use proptest::prelude::*;
use provost_ledger::{
    Admin, Alert, Approval, DecodeError, ENTRY_LEN_MAX, Event, INTEGER_MAX, Intent, Record,
    Refused, ServerEvent, SessionEvent, Subject, Witness,
};
use provost_types::{
    ActionId, ApprovalId, BootId, Correlation, CredentialId, Decision, Digest, Monotonic,
    Outcome, PolicyId, PolicyVersion, SessionId, Status, Timestamp, ToolUse, Usage, Value,
    Verdict,
};
use uuid::Uuid;

use crate::strategies::event;

fn of(record: Record) -> Event {
    Event {
        at: Timestamp(1_795_563_094_000_001),
        elapsed: Monotonic(2_500_000),
        boot: BootId::new(Uuid::from_u128(1)),
        subject: Subject {
            action: Some(ActionId::new(Uuid::from_u128(2))),
            agent: Some("invoice-bot".parse().unwrap()),
            project: Some("finance".parse().unwrap()),
            session: Some(SessionId::new(Uuid::from_u128(3))),
        },
        record,
    }
}

fn intent() -> Intent {
    Intent {
        plane: "llm".into(),
        verb: "message".into(),
        resource_kind: "Llm::Model".into(),
        resource_id: "claude-sonnet-5".into(),
        context: vec![
            ("stream".into(), Value::Bool(true)),
            ("max_tokens".into(), Value::Long(1024)),
            ("betas".into(), Value::Texts(vec!["a".into(), "b".into()])),
            ("model".into(), Value::Text("claude-sonnet-5".into())),
            ("huge".into(), Value::Long(i64::MIN)),
        ],
        correlation: Correlation { client_request: Some("r1".into()), ..Default::default() },
        arguments: Some(Digest([0xab; 32])),
        argument_bytes: 345,
        credential: CredentialId::new(Uuid::from_u128(4)),
        decision: Decision {
            verdict: Verdict::Allow,
            policies: vec![PolicyId("starter.cedar:1".into())],
            version: PolicyVersion(Digest([0xcd; 32])),
            reason: "allowed by starter.cedar:1".into(),
        },
    }
}

fn outcome() -> Outcome {
    Outcome {
        code: Some(200),
        usage: Some(Usage { input: 1, output: 2, cache_read: 3, cache_write: 4 }),
        model: Some("claude-sonnet-5".into()),
        stop_reason: Some("tool_use".into()),
        tool_uses: vec![ToolUse { id: "toolu_1".into(), name: "Bash".into() }],
        upstream_request: Some("req_1".into()),
        result: Some(Digest([0xef; 32])),
        result_bytes: 678,
        ..Outcome::because(Status::Succeeded, "a \"quote\"\n")
    }
}

/// One event of each form.
fn samples() -> Vec<Event> {
    let credential = CredentialId::new(Uuid::from_u128(4));
    [
        Record::Intent(intent()),
        Record::Outcome(outcome()),
        Record::Outcome(Outcome::new(Status::Unknown)),
        Record::Refusal(Refused {
            code: "unauthenticated".into(),
            reason: "no credential".into(),
            intent: None,
            credential: None,
        }),
        Record::Refusal(Refused {
            code: "denied".into(),
            reason: "not permitted".into(),
            intent: Some(intent()),
            credential: Some(credential),
        }),
        Record::Admin(Admin {
            by: "local/1000".into(),
            verb: "agent.create".into(),
            subject: "agent/invoice-bot".into(),
            detail: [("project".into(), "finance".into())].into(),
        }),
        Record::Session(SessionEvent::Started {
            by: "human/ada".into(),
            credential,
            expires_at: Timestamp(9),
        }),
        Record::Session(SessionEvent::Ended { reason: "idle".into() }),
        Record::Server(ServerEvent::Started { version: "1.2.3".into(), recovered: 2 }),
        Record::Server(ServerEvent::Stopped),
        Record::Server(ServerEvent::ClockStepped { by_us: -5 }),
        Record::Witness(Witness {
            plane: "hook".into(),
            via: "act_01a21056b404710393156a9a5e9f3d0c".parse().unwrap(),
            tool_use: "toolu_1".into(),
            arguments: Some(Digest([7; 32])),
            argument_bytes: 12,
        }),
        Record::Alert(Alert {
            rule: "arguments-differ".into(),
            message: "they do".into(),
            detail: [("tool_use".into(), "toolu_1".into())].into(),
        }),
        Record::Approval(Approval {
            approval: ApprovalId::new(Uuid::from_u128(6)),
            step: "requested".into(),
            by: "provost".into(),
            detail: [("quorum".into(), "1".into())].into(),
            intent: Some(intent()),
        }),
        Record::Approval(Approval {
            approval: ApprovalId::new(Uuid::from_u128(6)),
            step: "approved".into(),
            by: "human/ada".into(),
            detail: [].into(),
            intent: None,
        }),
    ]
    .map(of)
    .into()
}

#[test]
fn the_format_is_fixed() {
    let golden = include_str!("golden/entries.jsonl");
    assert_eq!(golden.lines().count(), samples().len());
    for (event, line) in samples().into_iter().zip(golden.lines()) {
        assert_eq!(String::from_utf8(event.encode()).unwrap(), line);
        assert_eq!(Event::decode(line.as_bytes()).unwrap(), canonical(event));
    }
}

/// The event with its context in the order in which it is written.
fn canonical(mut event: Event) -> Event {
    if let Record::Intent(intent)
    | Record::Refusal(Refused { intent: Some(intent), .. })
    | Record::Approval(Approval { intent: Some(intent), .. }) = &mut event.record
    {
        intent.context.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    event
}

#[test]
fn each_record_has_a_kind() {
    let kinds: Vec<&str> = samples().iter().map(Event::kind).collect();
    let want = "intent outcome outcome refusal refusal admin session session server";
    assert_eq!(
        kinds.join(" "),
        format!("{want} server server witness alert approval approval")
    );
}

#[test]
fn only_the_one_form_is_read() {
    let good = String::from_utf8(of(Record::Intent(intent())).encode()).unwrap();
    assert!(Event::decode(good.as_bytes()).is_ok());
    for (from, to, want) in [
        ("{\"at_us\":", "{ \"at_us\":", "NotCanonical"),
        ("\"v\":1}", "\"v\":1}\n", "NotCanonical"),
        ("\"v\":1}", "\"v\":1,\"w\":1}", "NotCanonical"), // a field we do not know
        ("\"v\":1}", "\"v\":1,\"v\":1}", "Shape"),        // the same field twice
        ("\"v\":1}", "\"v\":2}", "Version"),
        ("\"v\":1}", "\"v\":1.0}", "Shape"), // a float
        ("\"v\":1}", "", "Shape"),
        ("\"subject\":", "\"shortened\":false,\"subject\":", "NotCanonical"),
        ("\"subject\":", "\"shortened\":null,\"subject\":", "NotCanonical"),
        ("\"stream\":true", "\"stream\":true,\"stream\":true", "NotCanonical"),
        ("\"stream\":true", "\"stream\":null", "Shape"),
        ("\"max_tokens\":1024", "\"max_tokens\":1024.0", "Shape"),
        ("\"max_tokens\":1024", "\"max_tokens\":{\"long\":\"1024\"}", "NotCanonical"),
        ("-9223372036854775808", "-09223372036854775808", "NotCanonical"),
        ("{\"long\":\"-9223372036854775808\"}", "-9223372036854775808", "NotCanonical"),
        ("\"argument_bytes\":345", "\"argument_bytes\":9007199254740992", "NotCanonical"),
        ("\"verb\":\"message\"", "\"verb\":\"\\u006dessage\"", "NotCanonical"),
        ("sha256:ab", "sha256:AB", "Field"),
        ("\"allow\"", "\"Allow\"", "Shape"),
        ("bot_", "ses_", "Field"),
        ("invoice-bot", "Invoice-Bot", "Field"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from} is not there");
        let got = Event::decode(bad.as_bytes()).unwrap_err();
        assert!(format!("{got:?}").starts_with(want), "{from} → {to}: {got:?}");
    }
    let long = vec![b' '; ENTRY_LEN_MAX + 1];
    assert!(matches!(Event::decode(&long), Err(DecodeError::TooLong { len: 65_536 })));
}

#[test]
fn numbers_that_json_would_bend_are_clamped() {
    let mut event = of(Record::Server(ServerEvent::ClockStepped { by_us: i64::MIN }));
    event.at = Timestamp(u64::MAX);
    let read = Event::decode(&event.encode()).unwrap();
    assert_eq!(read.at, Timestamp(INTEGER_MAX));
    let most = -INTEGER_MAX.cast_signed();
    assert_eq!(read.record, Record::Server(ServerEvent::ClockStepped { by_us: most }));
}

/// Events that cannot fit, each in another place.
fn too_long() -> Vec<Event> {
    let long = "\u{1}".repeat(20_000); // six bytes each as JSON
    let wide: Vec<String> = vec!["\u{1}".repeat(100); 40];
    let mut intent = intent();
    let keys = |n| (0..n).map(move |i| format!("{i}{}", "k".repeat(500)));
    intent.context = keys(40).map(|key| (key, Value::Texts(wide.clone()))).collect();
    intent.resource_id = long.clone();
    intent.plane = long.clone();
    intent.verb = long.clone();
    intent.resource_kind = long.clone();
    intent.correlation = Correlation {
        client_session: Some(long.clone()),
        subagent: Some(long.clone()),
        client_request: Some(long.clone()),
        tool_use: Some(long.clone()),
        asked_in: None,
    };
    intent.decision.reason = long.clone();
    intent.decision.policies = wide.iter().map(|id| PolicyId(id.as_str().into())).collect();
    let mut outcome = Outcome::because(Status::Failed, long.clone());
    outcome.model = Some(long.clone());
    outcome.stop_reason = Some(long.clone());
    outcome.upstream_request = Some(long.clone());
    outcome.tool_uses =
        wide.iter().map(|text| ToolUse { id: text.clone(), name: text.clone() }).collect();
    let credential = CredentialId::new(Uuid::nil());
    let (by, reason, expires_at) = (long.clone(), long.clone(), Timestamp(1));
    [
        Record::Intent(intent.clone()),
        Record::Outcome(outcome),
        Record::Refusal(Refused {
            code: long.clone(),
            reason: long.clone(),
            intent: Some(intent),
            credential: Some(credential),
        }),
        Record::Admin(Admin {
            by: long.clone(),
            verb: long.clone(),
            subject: long.clone(),
            detail: keys(40).map(|key| (key, long.clone())).collect(),
        }),
        Record::Session(SessionEvent::Started { by, credential, expires_at }),
        Record::Session(SessionEvent::Ended { reason }),
        Record::Server(ServerEvent::Started { version: long, recovered: 1 }),
    ]
    .map(of)
    .into()
}

#[test]
fn whatever_is_too_long_is_shortened_and_says_so() {
    for event in too_long() {
        let kind = event.kind();
        let entry = event.encode();
        assert!(entry.len() <= ENTRY_LEN_MAX, "{kind}: {} bytes", entry.len());
        let read = Event::decode(&entry).unwrap();
        assert_eq!((read.kind(), read.subject), (kind, event.subject));
        let value: serde_json::Value = serde_json::from_slice(&entry).unwrap();
        assert_eq!(value["shortened"], true, "{kind}");
    }
}

#[test]
fn what_is_too_long_is_shortened_no_more_than_needed() {
    let mut long = outcome();
    long.reason = Some("é".repeat(40_000));
    let entry = of(Record::Outcome(long.clone())).encode();
    let Record::Outcome(read) = Event::decode(&entry).unwrap().record else { panic!() };
    let reason = read.reason.clone().unwrap();
    assert_eq!(reason, "é".repeat(4096) + "…");
    assert_eq!(Outcome { reason: long.reason.clone(), ..read }, long);

    let mut short = outcome();
    short.reason = Some("x".repeat(60_000)); // long, but it fits
    let entry = of(Record::Outcome(short.clone())).encode();
    assert_eq!(Event::decode(&entry).unwrap().record, Record::Outcome(short));
    assert!(!String::from_utf8(entry).unwrap().contains("shortened"));
}

proptest! {
    #[test]
    fn events_survive_their_bytes(event in event()) {
        let entry = event.encode();
        prop_assert_eq!(Event::decode(&entry).unwrap(), event);
    }

    #[test]
    fn entries_are_canonical_json(event in event()) {
        let entry = event.encode();
        // A map of this library's is sorted by key.
        let value: serde_json::Value = serde_json::from_slice(&entry).unwrap();
        prop_assert_eq!(serde_json::to_vec(&value).unwrap(), entry);
    }

    #[test]
    fn decode_survives_any_changed_byte(
        event in event(), at: prop::sample::Index, byte: u8,
    ) {
        let mut entry = event.encode();
        let at = at.index(entry.len());
        entry[at] = byte;
        if let Ok(read) = Event::decode(&entry) {
            prop_assert_eq!(read.encode(), entry);
        }
    }
}
