//! Who gets in, what is recorded of it, and in which order.

use std::{sync::Arc, time::Duration};

use provost_pipeline::{Reply, credential};
use provost_types::{CredentialId, RunState, Scope};
use tempfile::tempdir;
use tokio::sync::Notify;

use crate::world::{Ask, Echo, World, agent};

const MODEL: &str = "claude-sonnet-5";

#[tokio::test]
async fn an_allowed_action_is_intended_done_and_concluded() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    let seen = world.ask(&session.credential, &format!("{MODEL} hello")).await;
    assert_eq!(seen, [MODEL, "hello"]);
    let told = world.told().await;
    let tail = &told[told.len() - 3..];
    let intent = format!("intent llm message {MODEL}");
    assert_eq!(tail, ["session started", &intent, "outcome succeeded"]);
    let events = world.events().await;
    let (intent, outcome) = (&events[events.len() - 2], &events[events.len() - 1]);
    assert_eq!(intent.subject, outcome.subject);
    assert_eq!(intent.subject.session, Some(session.session.id));
    world.close().await;
}

#[tokio::test]
async fn a_denied_action_is_recorded_and_not_done() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    let seen = world.ask(&session.credential, "gpt-9 hello").await;
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with("denied: "), "{seen:?}");
    assert_eq!(world.told().await.last().unwrap(), "refusal denied");
    world.close().await;
}

#[tokio::test]
async fn what_proves_nothing_is_refused_in_words_and_recorded() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let directory = world.pipeline.directory();
    let key = directory.create_key(&world.by, &agent(), "ci".into(), None).await.unwrap();
    let unknown = credential::generate(credential::Kind::Session).unwrap().text;
    for (token, want) in [
        ("two".to_owned().into(), "disagree"),
        ("sk-ant-api03-real".to_owned().into(), "real provider key"),
        ("nonsense".to_owned().into(), "not a Provost credential"),
        (key.token, "only opens sessions"),
        (unknown, "unknown here"),
    ] {
        let seen = world.ask(&token, MODEL).await;
        assert!(seen[0].starts_with("unauthenticated: "), "{seen:?}");
        assert!(seen[0].contains(want), "{seen:?} should say {want:?}");
        assert_eq!(world.told().await.last().unwrap(), "refusal unauthenticated");
    }
    let (reply, mut frames) = Reply::channel(1);
    let ask = Ask { credential: None, words: MODEL.to_owned() };
    world.pipeline.run(&mut Echo::default(), ask, reply).await;
    assert!(frames.recv().await.unwrap().contains("no credential"));
    world.close().await;
}

#[tokio::test]
async fn a_malformed_request_is_recorded_with_who_sent_it() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    assert_eq!(world.ask(&session.credential, "").await, ["malformed: say a model"]);
    let event = world.events().await.pop().unwrap();
    assert_eq!(event.subject.agent, Some(agent()));
    world.close().await;
}

#[tokio::test]
async fn revoking_a_key_ends_the_sessions_it_opened_at_once() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let directory = world.pipeline.directory();
    let key = directory.create_key(&world.by, &agent(), "ci".into(), None).await.unwrap();
    let (name, id) = directory.agent_by_key(&key.token).unwrap();
    let by = provost_pipeline::By::agent(&name, id);
    let session = directory.open_session(&by, &name, crate::world::TERMS).await.unwrap();
    let other = world.session().await;

    let (began, waiting) = in_flight(&world, &session.credential);
    began.notified().await;
    directory.revoke(&world.by, id).await.unwrap();
    assert!(waiting.await.unwrap().is_empty());
    assert!(world.told().await.iter().any(|line| line.starts_with("outcome aborted")));
    let seen = world.ask(&session.credential, MODEL).await;
    assert!(seen[0].contains("over") || seen[0].contains("revoked"), "{seen:?}");
    assert_eq!(world.ask(&other.credential, MODEL).await, [MODEL], "others go on");
    assert!(directory.agent_by_key(&key.token).is_err());
    world.close().await;
}

#[tokio::test]
async fn a_kill_cuts_what_is_in_flight_and_an_undo_lets_it_go_on() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let directory = world.pipeline.directory();
    let session = world.session().await;
    for scope in [
        Scope::All,
        Scope::Project("finance".parse().unwrap()),
        Scope::Agent(agent()),
        Scope::Session(session.session.id),
    ] {
        let (began, waiting) = in_flight(&world, &session.credential);
        began.notified().await;
        let kill = directory.set_run_state(
            &world.by,
            scope.clone(),
            RunState::Killed,
            "it loops".into(),
        );
        kill.await.unwrap();
        waiting.await.unwrap();
        let last = world.told().await.pop().unwrap();
        assert!(last.contains("aborted") && last.contains("it loops"), "{scope}: {last}");
        let seen = world.ask(&session.credential, MODEL).await;
        assert!(seen[0].starts_with("killed: "), "{scope}: {seen:?}");
        let undo = directory.set_run_state(&world.by, scope, RunState::Running, String::new());
        undo.await.unwrap();
        assert_eq!(world.ask(&session.credential, MODEL).await, [MODEL]);
    }
    world.close().await;
}

#[tokio::test]
async fn more_than_the_most_in_flight_is_refused_as_busy() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let (began, task) = in_flight(&world, &session.credential);
        began.notified().await;
        waiting.push(task);
    }
    let seen = world.ask(&session.credential, MODEL).await;
    assert!(seen[0].starts_with("busy: "), "{seen:?}");
    assert_eq!(world.pipeline.drain(Duration::ZERO).await, 4, "the drain cuts them");
    let seen = world.ask(&session.credential, MODEL).await;
    assert!(seen[0].starts_with("stopping: "), "{seen:?}");
    world.close().await;
}

#[tokio::test]
async fn a_gateway_that_panics_leaves_an_aborted_outcome() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    let (began, task) = spawn(&world, &session.credential, "panic");
    began.notified().await;
    assert!(task.await.is_err());
    loop {
        let last = world.told().await.pop().unwrap();
        if last == "outcome aborted: the action was dropped" {
            break;
        }
        tokio::task::yield_now().await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_bad_policy_set_keeps_the_old_one_and_a_good_one_takes_its_place() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    let policies = world.pipeline.policies();
    let before = policies.current().policies.version();

    let file = world.policies.join("extra.cedar");
    std::fs::write(&file, "permit (").unwrap();
    world.pipeline.reload_policies().await.unwrap();
    assert_eq!(policies.current().policies.version(), before);
    assert_eq!(policies.refused().unwrap().findings[0].file, "extra.cedar");
    assert_eq!(world.ask(&session.credential, MODEL).await, [MODEL]);

    let forbid = "@id(\"nothing\") forbid (principal, action, resource);";
    std::fs::write(&file, forbid).unwrap();
    world.pipeline.reload_policies().await.unwrap();
    assert!(policies.refused().is_none());
    assert!(world.ask(&session.credential, MODEL).await[0].starts_with("denied: "));
    let versions =
        world.told().await.iter().filter(|line| *line == "admin policy.load policies").count();
    assert_eq!(versions, 3, "at the start, with the project, and now");
    world.close().await;
}

type Waiting = tokio::task::JoinHandle<Vec<String>>;

fn in_flight(world: &World, credential: &secrecy::SecretString) -> (Arc<Notify>, Waiting) {
    spawn(world, credential, "wait")
}

/// Starts an action on a task of its own; tells when its execution has begun.
fn spawn(
    world: &World,
    credential: &secrecy::SecretString,
    word: &str,
) -> (Arc<Notify>, Waiting) {
    let mut echo = Echo::default();
    let began = Arc::clone(&echo.began);
    let pipeline = Arc::clone(&world.pipeline);
    let words = format!("{MODEL} {word}");
    let ask = Ask { credential: Some(credential.clone()), words };
    #[expect(clippy::disallowed_methods, reason = "the test awaits its own task")]
    let task = tokio::spawn(async move {
        let (reply, mut frames) = Reply::channel(8);
        pipeline.run(&mut echo, ask, reply).await;
        let mut seen = Vec::new();
        while let Some(frame) = frames.recv().await {
            seen.push(frame);
        }
        seen.retain(|frame| frame != MODEL);
        seen
    });
    (began, task)
}

#[test]
fn ids_of_credentials_are_not_the_credentials() {
    let fresh = credential::generate(credential::Kind::AgentKey).unwrap();
    let id: CredentialId = fresh.id;
    assert!(!secrecy::ExposeSecret::expose_secret(&fresh.text).contains(&id.to_string()));
}
