//! How long sessions live, by a clock that the test turns.

use std::time::Duration;

use provost_types::Clock as _;
use tempfile::tempdir;

use crate::world::{TERMS, World};

const MODEL: &str = "claude-sonnet-5";

#[tokio::test]
async fn an_idle_session_is_over_and_a_busy_one_is_not() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let (idle, busy) = (world.session().await, world.session().await);
    for _ in 0..3 {
        world.clock.advance(TERMS.idle_max / 2);
        assert_eq!(world.ask(&busy.credential, MODEL).await, [MODEL]);
    }
    let seen = world.ask(&idle.credential, MODEL).await;
    assert!(seen[0].starts_with("session-over: "), "{seen:?}");
    assert!(seen[0].contains("idle too long"), "{seen:?}");

    world.pipeline.directory().sweep().await.unwrap();
    let row = world.pipeline.directory().session(idle.session.id).await.unwrap();
    assert_eq!(row.ended_at, Some(world.clock.wall()));
    assert!(row.end_reason.unwrap().contains("idle"));
    let row = world.pipeline.directory().session(busy.session.id).await.unwrap();
    assert_eq!(row.ended_at, None);
    world.close().await;
}

#[tokio::test]
async fn no_session_outlives_its_lifetime_however_busy() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    let step = TERMS.idle_max / 2;
    let mut lived = Duration::ZERO;
    while lived + step < TERMS.lifetime_max {
        world.clock.advance(step);
        lived += step;
        assert_eq!(world.ask(&session.credential, MODEL).await, [MODEL]);
    }
    world.clock.advance(step);
    let seen = world.ask(&session.credential, MODEL).await;
    assert!(seen[0].contains("maximum lifetime"), "{seen:?}");
    world.pipeline.directory().sweep().await.unwrap();
    let over = world.pipeline.directory().session_over(session.session.id).await.unwrap();
    assert!(over.contains("maximum lifetime"), "{over}");
    world.close().await;
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let directory = world.pipeline.directory();
    let expires = world.clock.wall().plus(Duration::from_secs(10));
    let agent = crate::world::agent();
    let key =
        directory.create_key(&world.by, &agent, "ci".into(), Some(expires)).await.unwrap();
    assert!(directory.agent_by_key(&key.token).is_ok());
    world.clock.advance(Duration::from_secs(10));
    assert!(directory.agent_by_key(&key.token).is_err());
    world.close().await;
}

#[tokio::test]
async fn a_rotated_key_works_for_its_grace_and_no_longer() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let directory = world.pipeline.directory();
    let agent = crate::world::agent();
    let old = directory.create_key(&world.by, &agent, "ci".into(), None).await.unwrap();
    let grace = Duration::from_secs(30);
    let new = directory.rotate_key(&world.by, old.credential, grace).await.unwrap();
    assert!(directory.agent_by_key(&old.token).is_ok());
    assert!(directory.agent_by_key(&new.token).is_ok());
    world.clock.advance(grace);
    assert!(directory.agent_by_key(&old.token).is_err());
    assert!(directory.agent_by_key(&new.token).is_ok());
    world.close().await;
}
