//! What a restart finds, and what it makes of it.

use provost_ledger::{Event, Record, Subject};
use provost_pipeline::By;
use provost_types::{ActionId, RunState, Scope};
use tempfile::tempdir;

use crate::world::{World, agent};

const MODEL: &str = "claude-sonnet-5";

#[tokio::test]
async fn an_intent_without_an_outcome_is_closed_as_unknown() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    world.ask(&session.credential, MODEL).await;
    // The crash: an intent like the one above, and no outcome.
    let mut events = world.events().await;
    let intent = events
        .iter_mut()
        .find(|event| matches!(event.record, Record::Intent(_)))
        .expect("an intent");
    let orphan = ActionId::generate();
    let subject = Subject { action: Some(orphan), ..intent.subject.clone() };
    let event = Event { subject: subject.clone(), ..intent.clone() };
    world.journal.append(event.encode()).await.unwrap();
    world.close().await;

    let world = World::open(&dir).await;
    let events = world.events().await;
    let closed: Vec<_> = events
        .iter()
        .filter(|event| event.subject == subject && matches!(event.record, Record::Outcome(_)))
        .collect();
    assert_eq!(closed.len(), 1);
    let told = world.told().await;
    assert!(told.iter().any(|line| line.starts_with("outcome unknown")), "{told:?}");
    world.close().await;

    let world = World::open(&dir).await;
    let unknown = world.told().await;
    let unknown = unknown.iter().filter(|line| line.starts_with("outcome unknown")).count();
    assert_eq!(unknown, 1, "closed once");
    world.close().await;
}

#[tokio::test]
async fn sessions_and_kills_survive_a_restart() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    let scope = Scope::Agent(agent());
    let kill = RunState::Killed;
    let by = By::human("ada");
    world.pipeline.directory().set_run_state(&by, scope, kill, "enough".into()).await.unwrap();
    world.close().await;

    let world = World::open(&dir).await;
    let seen = world.ask(&session.credential, MODEL).await;
    assert!(seen[0].starts_with("killed: ") && seen[0].contains("enough"), "{seen:?}");
    let scope = Scope::Agent(agent());
    let undo = RunState::Running;
    world.pipeline.directory().set_run_state(&by, scope, undo, String::new()).await.unwrap();
    assert_eq!(world.ask(&session.credential, MODEL).await, [MODEL]);
    world.close().await;
}
