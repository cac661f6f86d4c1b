//! Stories made of events, as text and as JSON.

use provost_api::{Event, Session};
use provost_types::Timestamp;
use serde_json::{Value, json};

use super::{Story, Teller, is_stop_above, offset};

/// An event of `kind` so many microseconds after the session's begin.
fn event(index: u64, after_us: u64, action: &str, record: Value) -> Event {
    let kind = record.as_object().and_then(|record| record.keys().next()).unwrap().clone();
    let at_us = 1_000_000_u64.saturating_add(after_us);
    let event = json!({
        "index": index, "at": Timestamp(at_us).to_string(), "kind": kind, "at_us": at_us,
        "boot": "bot_1", "elapsed_us": at_us, "record": record,
        "subject": {"action": action},
    });
    serde_json::from_value(event).unwrap()
}

fn intent(model: &str) -> Value {
    let decision = json!({"verdict": "allow", "policies": ["models"]});
    json!({"intent": {"plane": "llm", "verb": "message", "resource_id": model, "decision": decision}})
}

fn outcome(status: &str) -> Value {
    let usage = json!({"input": 3, "cache_read": 4, "cache_write": 0, "output": 5});
    json!({"outcome": {"status": status, "usage": usage, "tool_uses": []}})
}

fn told(story: &Story) -> String {
    let teller = Teller { began: Timestamp(1_000_000) };
    story.items.iter().map(|item| teller.told(item)).collect()
}

#[test]
fn actions_that_overlap_are_told_in_the_order_they_were_asked() {
    let story = Story::of(vec![
        event(0, 0, "", json!({"session": {"started": {"by": "local/0"}}})),
        event(1, 1_000, "act_1", intent("first")),
        event(2, 2_000, "act_2", intent("second")),
        event(3, 5_000, "act_2", outcome("succeeded")),
        event(4, 3_603_512_000, "act_1", outcome("aborted")),
        event(5, 3_604_000_000, "act_3", intent("third")),
        event(6, 3_605_000_000, "act_0", outcome("succeeded")),
        event(7, 3_605_000_001, "", json!({"budget": {"spent": 7}})),
    ]);
    assert_eq!(
        told(&story),
        "\
+00:00.000  the session began, opened by local/0
+00:00.001  llm message first: allow by models
            aborted, 7 tokens in, 5 out, after 3603.511 s  act_1
+00:00.002  llm message second: allow by models
            succeeded, 7 tokens in, 5 out, after 0.003 s  act_2
+1:00:04.000  llm message third: allow by models
            no outcome yet  act_3
+1:00:05.000  what was asked before: succeeded, 7 tokens in, 5 out  act_0
+1:00:05.000  {\"spent\":7}
"
    );
    let summary = "4 actions: 1 aborted, 1 in flight, 2 succeeded; 21 tokens in, 15 out";
    assert_eq!(story.summary(), summary);
    assert_eq!(Story::default().summary(), "no actions");
}

#[test]
fn what_a_tool_would_do_is_told_on_a_line_that_nobody_can_break() {
    let context = json!({
        "commands": ["git push", "a\n+00:09.000  forged"], "hosts": ["github.com"],
        "programs": ["git"], "reads": [], "risks": [], "writes": [], "parsed": true,
    });
    let intent = json!({
        "plane": "tool", "verb": "call", "resource_id": "Bash", "context": context,
        "decision": {"verdict": "allow", "policies": ["tools"]},
    });
    let refusal = json!({"code": "denied", "reason": "no pushing", "intent": intent.clone()});
    let story = Story::of(vec![
        event(1, 1_000, "act_1", json!({"intent": intent})),
        event(2, 2_000, "act_2", json!({"refusal": refusal})),
    ]);
    assert_eq!(
        told(&story),
        "\
+00:00.001  tool call Bash: allow by tools
            commands git push, a\u{fffd}+00:09.000  forged; hosts github.com
            no outcome yet  act_1
+00:00.002  refused: tool call Bash: denied: no pushing  act_2
            commands git push, a\u{fffd}+00:09.000  forged; hosts github.com
"
    );
}

#[test]
fn an_outcome_that_is_fetched_later_concludes_its_action() {
    let asked = event(1, 1_000, "act_1", intent("m"));
    let mut story = Story::of(vec![asked.clone()]);
    for item in story.open() {
        item.conclude(vec![asked.clone(), event(9, 4_000, "act_1", outcome("failed"))]);
    }
    assert_eq!(story.open().count(), 0);
    let teller = Teller { began: Timestamp(1_000_000) };
    let document = serde_json::to_value(teller.document(&story.items[0])).unwrap();
    assert_eq!(
        document,
        json!({
            "at": "1970-01-01T00:00:01.001000Z", "since_begin_us": 1_000, "kind": "action",
            "action": "act_1", "took_us": 3_000, "indexes": [1, 9],
            "intent": intent("m")["intent"], "outcome": outcome("failed")["outcome"],
        })
    );
}

#[test]
fn what_took_longer_than_a_boot_is_measured_by_the_wall() {
    let mut late = event(2, 9_000_000, "act_1", outcome("unknown"));
    late.entry.insert("boot".to_owned(), "bot_2".into());
    late.entry.insert("elapsed_us".to_owned(), 5.into());
    let story = Story::of(vec![event(1, 1_000_000, "act_1", intent("m")), late]);
    assert!(told(&story).contains("after 8.000 s"), "{}", told(&story));
}

#[test]
fn stops_of_others_are_not_part_of_the_story() {
    let session: Session = serde_json::from_value(json!({
        "id": "ses_1", "agent": "bot", "project": "finance", "opened_by": "local/0",
        "started_at": "", "last_seen_at": "", "idle_max_s": 1, "expires_at": "",
        "ended_at": null, "end_reason": null,
    }))
    .unwrap();
    for (verb, subject, want) in [
        ("run-state.paused", "agent/bot", true),
        ("run-state.killed", "project/finance", true),
        ("run-state.running", "all", true),
        ("run-state.paused", "agent/other", false),
        ("run-state.paused", "project/ops", false),
        ("run-state.killed", "session/ses_1", false), // among the session's own events
        ("agent.create", "agent/bot", false),
    ] {
        let record = json!({"admin": {"by": "local/0", "verb": verb, "subject": subject}});
        let event = event(1, 0, "", record);
        assert_eq!(is_stop_above(&event, &session), want, "{verb} {subject}");
    }
}

#[test]
fn offsets_grow_an_hour_when_they_need_one() {
    for (micros, want) in [
        (0, "+00:00.000"),
        (3_512_999, "+00:03.512"),
        (3_599_999_999, "+59:59.999"),
        (3_600_000_000, "+1:00:00.000"),
        (90_061_001_000, "+25:01:01.001"),
    ] {
        assert_eq!(offset(micros), want);
    }
}
