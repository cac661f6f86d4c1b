//! What an agent did and when: `audit query` and `replay`, against what really happened.

use provost_scripted::Script;
use serde_json::Value;

use crate::{
    raw::{self, message},
    world::{AGENT, MODEL, World, told},
};

const OTHER: &str = "report-bot";
/// A model that no policy permits.
const FORBIDDEN: &str = "claude-forbidden-1";

/// A server that has seen two agents act: `invoice-bot` was allowed, denied, allowed again,
/// paused and ended; `report-bot` acted in between.
struct History {
    world: World,
    session: String,
    /// Every event, as `audit tail` gives it.
    all: Vec<Value>,
}

impl History {
    async fn make() -> Self {
        let world = World::start(Script::default()).await;
        world.done(&["agent", "create", OTHER, "--project", "finance"]).await;
        let (session, token) = opened(&world, AGENT).await;
        let (_, other) = opened(&world, OTHER).await;
        let gateway = world.server().gateway;
        for (token, model, want) in [
            (&token, MODEL, 200),
            (&other, MODEL, 200),
            (&token, FORBIDDEN, 403),
            (&token, MODEL, 200),
        ] {
            assert_eq!(raw::ask(gateway, token, &message(model)).await.status, want);
            world.concluded().await;
        }
        world.done(&["agent", "pause", OTHER, "--reason", "not ours"]).await;
        world.done(&["agent", "pause", AGENT, "--reason", "month end"]).await;
        world.done(&["session", "end", &session, "--reason", "that is all"]).await;
        let all = lines(&world, &["audit", "tail", "-n", "1000"]).await;
        Self { world, session, all }
    }

    /// What `audit query` gives for these filters.
    async fn found(&self, filters: &[&str]) -> Vec<Value> {
        lines(&self.world, &[&["audit", "query"], filters].concat()).await
    }

    /// Every event that fits.
    fn fitting(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.all.iter().filter(|event| fits(event)).cloned().collect()
    }
}

/// Opens a session; its id and its credential.
async fn opened(world: &World, agent: &str) -> (String, String) {
    let text = world.done(&["env", "--agent", agent, "--format", "json"]).await;
    let env: Value = serde_json::from_str(&text).unwrap();
    let token = env["ANTHROPIC_AUTH_TOKEN"].as_str().unwrap().to_owned();
    let sessions = world.json(&["session", "list", "--limit", "1"]).await;
    (sessions["items"][0]["id"].as_str().unwrap().to_owned(), token)
}

/// A JSON document a line.
async fn lines(world: &World, arguments: &[&str]) -> Vec<Value> {
    let text = world.done(&[arguments, &["--output", "json"]].concat()).await;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn is_of(event: &Value, agent: &str) -> bool {
    text(event, "/subject/agent") == agent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_finds_exactly_what_happened_in_order() {
    let mut history = History::make().await;
    let at = |kind: &str, nth: usize| {
        let all = history.fitting(|event| event["kind"] == kind && is_of(event, AGENT));
        text(&all[nth], "/at").to_owned()
    };
    let (from, to) = (at("intent", 0), at("intent", 1));
    let refusal = history.fitting(|event| event["kind"] == "refusal").remove(0);
    let action = text(&refusal, "/subject/action").to_owned();
    let session = history.session.clone();
    let within = |event: &Value| text(event, "/at") >= &*from && text(event, "/at") < &*to;
    for (filters, want) in [
        (vec![], history.all.clone()),
        (vec!["--agent", AGENT], history.fitting(|event| is_of(event, AGENT))),
        (
            vec!["--agent", OTHER, "--kind", "outcome"],
            history.fitting(|event| is_of(event, OTHER) && event["kind"] == "outcome"),
        ),
        (vec!["--from", &from, "--to", &to], history.fitting(within)),
        (
            vec!["--from", "1h", "--agent", AGENT, "--to", &to],
            history.fitting(|event| is_of(event, AGENT) && text(event, "/at") < &*to),
        ),
        (
            vec!["--agent", AGENT, "--from", &from, "--to", &to],
            history.fitting(|event| is_of(event, AGENT) && within(event)),
        ),
        (vec!["--decision", "denied"], vec![refusal.clone()]),
        (vec!["--decision", "deny", "--agent", AGENT], vec![refusal.clone()]),
        (vec!["--decision", "deny", "--agent", OTHER], vec![]),
        (vec!["--action", &action], vec![refusal.clone()]),
        (vec!["--resource", "Forbidden"], vec![refusal.clone()]),
        (vec!["--text", "FORBIDDEN-1\""], vec![refusal.clone()]),
        (
            vec!["--session", &session],
            history.fitting(|event| text(event, "/subject/session") == session),
        ),
        (
            vec!["--project", "finance", "--decision", "succeeded"],
            history.fitting(|event| text(event, "/record/outcome/status") == "succeeded"),
        ),
        (
            vec!["--text", "month END"],
            history.fitting(|event| text(event, "/record/admin/detail/reason") == "month end"),
        ),
        (vec!["--from", "2020-01-01", "--to", "2020-01-02T00:00"], vec![]),
    ] {
        assert_eq!(history.found(&filters).await, want, "filters = {filters:?}");
    }
    let first = history.found(&["--limit", "2"]).await;
    assert_eq!(first, history.all[..2]);
    let index = first[1]["index"].to_string();
    assert_eq!(history.found(&["--after", &index]).await, history.all[2..]);

    assert!(history.world.end("TERM").await.success());
    let found = history.found(&["--agent", AGENT, "--decision", "denied"]).await;
    assert_eq!(found, [refusal], "without a server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_told_in_lines_and_its_mistakes_in_sentences() {
    let History { world, .. } = History::make().await;
    let told_denials = world.done(&["audit", "query", "--decision", "denied"]).await;
    assert_eq!(told_denials.lines().count(), 1, "{told_denials}");
    for part in [AGENT, "refusal", FORBIDDEN, "denied", "act_"] {
        assert!(told_denials.contains(part), "{part}: {told_denials}");
    }
    let nothing = world.run(&["audit", "query", "--text", "nothing like it"]).await;
    assert!(nothing.status.success() && nothing.stdout.is_empty(), "{}", told(&nothing));
    assert!(told(&nothing).contains("no event fits"), "{}", told(&nothing));
    for (wrong, code, sentence) in [
        (["--from", "yesterday"], 2, "use 14:00, 2026-11-25"),
        (["--kind", "thought"], 2, "refusal"),
        (["--limit", "0"], 2, "1.."),
        (["--decision", "not one"], 1, "result: use one word"),
        (["--resource", ""], 1, "resource: use 1 to 200 characters"),
    ] {
        let output = world.run(&[&["audit", "query"], &wrong[..]].concat()).await;
        assert_eq!(output.status.code(), Some(code), "{wrong:?}: {}", told(&output));
        assert!(told(&output).contains(sentence), "{wrong:?}: {}", told(&output));
    }
    let turned = ["audit", "query", "--from", "2026-11-25", "--to", "2026-11-24"];
    let turned = world.run(&turned).await;
    assert_eq!(turned.status.code(), Some(2), "{}", told(&turned));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_tells_a_session_in_order() {
    let history = History::make().await;
    let (world, session) = (&history.world, history.session.as_str());
    let items = lines(world, &["replay", session]).await;
    let kinds: Vec<_> = items.iter().map(|item| text(item, "/kind")).collect();
    assert_eq!(kinds, ["session", "action", "refusal", "action", "admin", "session"]);
    let own = |event: &Value| {
        text(event, "/subject/session") == session
            || text(event, "/record/admin/detail/reason") == "month end"
    };
    let mut indexes: Vec<u64> = Vec::new();
    for item in &items {
        indexes.extend(item["indexes"].as_array().unwrap().iter().filter_map(Value::as_u64));
    }
    let want = history.fitting(own);
    let want: Vec<u64> = want.iter().filter_map(|event| event["index"].as_u64()).collect();
    assert_eq!(indexes, want);
    let action = &items[1];
    assert_eq!(text(action, "/intent/resource_id"), MODEL);
    assert_eq!(text(action, "/intent/decision/verdict"), "allow");
    assert_eq!(text(action, "/outcome/status"), "succeeded");
    assert!(action["outcome"]["usage"]["output"].as_u64() > Some(0), "{action}");
    assert!(action["took_us"].as_u64() > Some(0), "{action}");
    assert_eq!(text(&items[2], "/refusal/code"), "denied");
    assert!(items.is_sorted_by_key(|item| item["since_begin_us"].as_u64().unwrap()));

    let text_form = world.done(&["replay", session, "--speed", "1000000"]).await;
    let mut rest = text_form.as_str();
    for part in [
        session,
        "+00:00.0",
        "the session began",
        "llm message claude-sonnet-5: allow by",
        "succeeded, 200",
        "tokens in",
        "refused: llm message claude-forbidden-1: denied",
        "llm message claude-sonnet-5: allow by",
        "succeeded, 200",
        "run-state.paused agent/invoice-bot: month end",
        "the session ended: that is all",
    ] {
        let found = rest.find(part).unwrap_or_else(|| panic!("{part:?} in {text_form}"));
        rest = &rest[found + part.len()..];
    }
    assert!(!text_form.contains("not ours"), "{text_form}");

    // An action belongs to when it was asked, even if its outcome came later.
    let (from, to) = (text(&items[1], "/at"), text(&items[2], "/at"));
    let just_asked = history.fitting(|event| event["index"] == items[1]["indexes"][1]);
    let outcome_at = text(&just_asked[0], "/at");
    for to in [to, outcome_at] {
        let part = lines(world, &["replay", session, "--from", from, "--to", to]).await;
        assert_eq!(part, items[1..2], "--to {to}");
    }
    for wrong in [["replay", session, "--speed", "0"], ["replay", session, "--from", "x"]] {
        let output = world.run(&wrong).await;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", told(&output));
    }
    let nobody = format!("ses_{}", "0".repeat(32));
    let output = world.run(&["replay", &nobody]).await;
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
}
