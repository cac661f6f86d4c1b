//! Tools of MCP servers: accepted at first sight, held when they change.

use std::{sync::Arc, time::Duration};

use provost_ledger::Record;
use provost_pipeline::{
    By, DirectoryError, Gateway, Malformed, Permit, Pin, PinnedTool, Presented, Refusal,
    RefusalCode, Reply,
};
use provost_store::{TOOL_DEFINITION_BYTES_MAX, ToolDefinition};
use provost_types::{Action, Clock as _, Digest, Outcome, Status, Timestamp};
use secrecy::SecretString;
use tempfile::tempdir;

use crate::world::{Ask, Echo, World};

/// A gateway that pins what a server offers, and notes what it hears.
struct Pinning {
    credential: SecretString,
    tools: Vec<(String, Vec<u8>)>,
    /// A tool to look up afterwards.
    look_up: String,
    pins: Option<Result<Vec<Pin>, Refusal>>,
    found: Option<PinnedTool>,
}

impl Gateway for Pinning {
    type Ask = ();
    type Answer = String;

    fn present(&self, (): &()) -> Presented {
        Presented::Token(self.credential.clone())
    }

    fn classify(&self, (): &()) -> Result<Action, Malformed> {
        let words = "claude-sonnet-5".to_owned();
        Echo::default().classify(&Ask { credential: None, words })
    }

    async fn execute(&mut self, permit: &Permit, (): (), _: &mut Reply<String>) -> Outcome {
        self.pins = Some(permit.pin_tools("github", &self.tools).await);
        self.found = permit.pinned_tool("github", &self.look_up);
        assert_eq!(permit.pinned_tool("other", &self.look_up), None);
        Outcome::new(Status::Succeeded)
    }

    fn refuse(&self, refusal: &Refusal) -> String {
        refusal.to_string()
    }
}

/// Offers tools; what became of each, and the first one as it is pinned then.
async fn offer(
    world: &World,
    tools: &[(&str, &str)],
) -> (Result<Vec<Pin>, Refusal>, Option<PinnedTool>) {
    let owned = |(name, definition): &(&str, &str)| {
        ((*name).to_owned(), definition.as_bytes().to_vec())
    };
    offer_bytes(world, tools.iter().map(owned).collect()).await
}

async fn offer_bytes(
    world: &World,
    tools: Vec<(String, Vec<u8>)>,
) -> (Result<Vec<Pin>, Refusal>, Option<PinnedTool>) {
    let credential = world.session().await.credential;
    let look_up = tools.first().map(|(name, _)| name.clone()).unwrap_or_default();
    let mut gateway = Pinning { credential, tools, look_up, pins: None, found: None };
    let (reply, _frames) = Reply::channel(1);
    world.pipeline.run(&mut gateway, (), reply).await;
    (gateway.pins.expect("it was executed"), gateway.found)
}

fn digest(definition: &str) -> Digest {
    ToolDefinition::new(definition.as_bytes()).digest()
}

fn held(since: Timestamp) -> Pin {
    Pin::Held { since }
}

/// Every change of pins in the ledger.
async fn recorded(world: &World) -> Vec<String> {
    let mut told = world.told().await;
    told.retain(|line| line.contains("mcp.tool"));
    told
}

#[tokio::test]
async fn a_tool_is_accepted_at_first_sight_and_recorded_once() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let tools = [("push", r#"{"name":"push"}"#), ("pull", r#"{"name":"pull"}"#)];
    for _ in 0..2 {
        let (pins, found) = offer(&world, &tools).await;
        assert_eq!(pins.unwrap(), [Pin::Accepted, Pin::Accepted]);
        let found = found.unwrap();
        assert_eq!((found.pin, &*found.definition), (Pin::Accepted, tools[0].1.as_bytes()));
    }
    let pinned =
        ["admin mcp.tool-pinned tool/github/push", "admin mcp.tool-pinned tool/github/pull"];
    assert_eq!(recorded(&world).await, pinned);
    world.close().await;

    let world = World::open(&dir).await;
    let (pins, _) = offer(&world, &tools).await;
    assert_eq!(pins.unwrap(), [Pin::Accepted, Pin::Accepted]);
    assert_eq!(recorded(&world).await, pinned, "a restart forgets nothing");
    let rows = world.pipeline.directory().tools(None);
    let known: Vec<_> = rows.iter().map(|row| (&*row.tool, &*row.accepted_by)).collect();
    assert_eq!(known, [("pull", "provost"), ("push", "provost")]);
    assert_eq!(world.pipeline.directory().tools(Some("other")), []);
    world.close().await;
}

#[tokio::test]
async fn a_changed_tool_is_held_and_the_others_are_not() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    offer(&world, &[("push", "1"), ("pull", "1")]).await.0.unwrap();
    let first = world.clock.wall();
    for _ in 0..2 {
        let (pins, found) = offer(&world, &[("push", "2"), ("pull", "1")]).await;
        assert_eq!(pins.unwrap(), [held(first), Pin::Accepted], "when it was first seen");
        let found = found.unwrap();
        assert_eq!((found.pin, &*found.definition), (held(first), b"1".as_slice()));
        world.clock.advance(Duration::from_secs(1));
    }
    let second = world.clock.wall();
    let (pins, _) = offer(&world, &[("push", "3")]).await;
    assert_eq!(pins.unwrap(), [held(second)], "changed again");
    let changes =
        ["admin mcp.tool-held tool/github/push", "admin mcp.tool-held tool/github/push"];
    assert_eq!(recorded(&world).await[2..], changes);
    let events = world.events().await;
    let event = events.iter().rev().find(|event| matches!(event.record, Record::Admin(_)));
    let Some(Record::Admin(admin)) = event.map(|event| event.record.clone()) else { panic!() };
    assert_eq!(admin.by, "provost");
    assert!(event.unwrap().subject.session.is_some(), "it shows in the session's history");
    assert!(admin.detail["action"].starts_with("act_"), "{admin:?}");
    for (name, want) in [
        ("server", "github"),
        ("tool", "push"),
        ("digest", &digest("1").to_string()),
        ("waiting", &digest("3").to_string()),
    ] {
        assert_eq!(admin.detail[name], want);
    }
    world.close().await;

    let world = World::open(&dir).await;
    let (pins, _) = offer(&world, &[("push", "3")]).await;
    assert_eq!(pins.unwrap(), [held(second)], "a restart lets nothing go");
    world.close().await;
}

#[tokio::test]
async fn a_change_that_is_taken_back_holds_no_longer() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    for definition in ["1", "2", "1", "2"] {
        offer(&world, &[("push", definition)]).await.0.unwrap();
    }
    let verbs = ["pinned", "held", "reverted", "held"];
    let want = verbs.map(|verb| format!("admin mcp.tool-{verb} tool/github/push"));
    assert_eq!(recorded(&world).await, want);
    let (pins, _) = offer(&world, &[("push", "1")]).await;
    assert_eq!(pins.unwrap(), [Pin::Accepted]);
    world.close().await;
}

#[tokio::test]
async fn a_person_accepts_what_they_looked_at_and_nothing_else() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let directory = world.pipeline.directory();
    let ada = By::human("ada");
    let accept = async |tool, of| directory.accept_tool(&ada, "github", tool, digest(of)).await;
    offer(&world, &[("push", "1")]).await.0.unwrap();
    let error = accept("push", "1").await.unwrap_err();
    let want = "tool push of MCP server github is not held: nothing waits to be accepted";
    assert_eq!(error.to_string(), want);
    assert!(matches!(accept("pull", "1").await, Err(DirectoryError::NoSuch { .. })));

    offer(&world, &[("push", "2")]).await.0.unwrap();
    offer(&world, &[("push", "3")]).await.0.unwrap();
    let before = recorded(&world).await;
    let error = accept("push", "2").await.unwrap_err();
    assert!(matches!(error, DirectoryError::ChangedAgain { .. }), "{error:?}");
    assert!(error.to_string().contains(&digest("3").to_string()), "{error}");
    assert_eq!(recorded(&world).await, before);

    let row = accept("push", "3").await.unwrap();
    assert_eq!((&*row.accepted_by, &row.waiting), ("human/ada", &None));
    assert_eq!(directory.tool("github", "push").unwrap(), row);
    let accepted = "admin mcp.tool-accepted tool/github/push";
    assert_eq!(recorded(&world).await.last().unwrap(), accepted);
    assert!(matches!(accept("push", "3").await, Err(DirectoryError::NotHeld { .. })));
    world.close().await;

    let world = World::open(&dir).await;
    let (pins, found) = offer(&world, &[("push", "3")]).await;
    assert_eq!(pins.unwrap(), [Pin::Accepted]);
    assert_eq!(&*found.unwrap().definition, b"3");
    let (pins, _) = offer(&world, &[("push", "1")]).await;
    assert!(matches!(pins.unwrap()[..], [Pin::Held { .. }]), "what it was is a change");
    world.close().await;
}

#[tokio::test]
async fn what_is_over_a_limit_or_ambiguous_is_refused_and_nothing_is_pinned() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let good = ("good".to_owned(), b"{}".to_vec());
    let one = |name: &str, definition: &[u8]| {
        vec![good.clone(), (name.to_owned(), definition.to_owned())]
    };
    let many = |count| (0..count).map(|at| (format!("t{at}"), Vec::new())).collect();
    for (tools, want) in [
        (one("", b"{}"), "whose name is empty"),
        (one("a\u{1b}[2J", b"{}"), "control characters"),
        (one("a\nb", b"{}"), "control characters"),
        (one(&"a".repeat(257), b"{}"), "more than 256 bytes"),
        (one("a", &[b'x'; TOOL_DEFINITION_BYTES_MAX + 1]), "more than 262,144 bytes"),
        (one("a", b"\xff"), "is no text"),
        (one("good", b"{\"a\":1}"), "two tools of one name"),
        (many(4097), "more than 4096 tools"),
    ] {
        let (pins, found) = offer_bytes(&world, tools).await;
        let refusal = pins.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Denied);
        assert!(refusal.message.contains(want), "{refusal} should say {want:?}");
        assert_eq!(found, None);
    }
    assert_eq!(recorded(&world).await, [""; 0]);
    world.close().await;
}

#[tokio::test]
async fn a_server_cannot_fill_the_memory_bit_by_bit() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let tool = |at: usize| (format!("t{at}"), vec![b'x'; TOOL_DEFINITION_BYTES_MAX]);
    for batch in 0..4 {
        let tools = (batch * 64..(batch + 1) * 64).map(tool).collect();
        offer_bytes(&world, tools).await.0.unwrap();
    }
    let refusal = offer(&world, &[("one-more", "{}")]).await.0.unwrap_err();
    assert!(refusal.message.contains("67108864 bytes"), "{refusal}");
    let changed = vec![("t0".to_owned(), b"{}".to_vec())];
    offer_bytes(&world, changed).await.0.unwrap_err();
    let (pins, _) = offer_bytes(&world, vec![tool(7)]).await;
    assert_eq!(pins.unwrap(), [Pin::Accepted], "what is pinned goes on");
    world.close().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_was_recorded_first() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let credential = world.session().await.credential;
    world.store.close().await;
    let tools = vec![("push".to_owned(), b"1".to_vec())];
    let look_up = "push".to_owned();
    let mut gateway = Pinning { credential, tools, look_up, pins: None, found: None };
    let (reply, _frames) = Reply::channel(1);
    world.pipeline.run(&mut gateway, (), reply).await;
    let refusal = gateway.pins.unwrap().unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Unavailable);
    assert_eq!(gateway.found, None);
    assert_eq!(recorded(&world).await, ["admin mcp.tool-pinned tool/github/push"]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_never_taken_for_the_accepted_definition_it_races_with() {
    let dir = tempdir().unwrap();
    let world = Arc::new(World::open(&dir).await);
    offer(&world, &[("push", "1")]).await.0.unwrap();
    let mut offers = tokio::task::JoinSet::new();
    for round in 0..16 {
        let world = Arc::clone(&world);
        offers.spawn(async move {
            let definition = if round % 4 == 0 { "1" } else { "2" };
            (definition, offer(&world, &[("push", definition)]).await.0)
        });
        if offers.len() == 4 {
            for (definition, pins) in std::mem::take(&mut offers).join_all().await {
                let is_held = matches!(pins.unwrap()[..], [Pin::Held { .. }]);
                assert!(is_held || definition == "1", "a change was let through");
            }
        }
    }
}
