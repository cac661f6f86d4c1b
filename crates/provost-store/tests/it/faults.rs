//! A database that fails while it is used, and two that use it at once.

use std::fs;

use provost_store::{Holder, Store, StoreError};
use sqlx::{AnyConnection, Connection, Executor};

use crate::{
    database::{Sqlite, facts, open},
    postgres::postgres_or_skip,
    samples::{action, at, credential, index, inhabited, name},
};

facts![
    two_processes_write_without_losing_anything,
    a_writer_waits_for_another_process,
    a_dropped_write_leaves_nothing_and_nobody_waiting,
];

async fn two_processes_write_without_losing_anything(url: String) {
    let ours = inhabited(&url).await;
    let theirs = open(&url).await;
    let mut work = tokio::task::JoinSet::new();
    for store in [&ours, &theirs] {
        for _ in 0..8 {
            let store = store.clone();
            work.spawn(async move {
                for _ in 0..8 {
                    let row = credential(Holder::Agent(name("bot")));
                    store.put_credential(&row).await?;
                    store.touch_credentials(&[(row.id, at(9))]).await?;
                }
                Ok::<_, StoreError>(())
            });
        }
    }
    let store = ours.clone();
    work.spawn(async move {
        for batch in 0..50 {
            index(&store, batch * 2, action().1).await?;
        }
        Ok(())
    });
    for done in work.join_all().await {
        done.unwrap();
    }
    let credentials = theirs.credentials(at(0)).await.unwrap();
    assert_eq!(credentials.len(), 128);
    assert!(credentials.iter().all(|row| row.last_used_at == Some(at(9))));
    assert_eq!(theirs.indexed_up_to().await.unwrap(), 100);
}

/// The other holds the row that ours needs, sees ours waiting or not yet begun, and lets go.
async fn a_writer_waits_for_another_process(url: String) {
    let store = inhabited(&url).await;
    let mut other = AnyConnection::connect(&url).await.unwrap();
    let begin = if url.starts_with("sqlite") { "BEGIN IMMEDIATE" } else { "BEGIN" };
    other.execute(begin).await.unwrap();
    other.execute("UPDATE agent SET created_at = 77 WHERE name = 'bot'").await.unwrap();
    let (bot, commit) = (name("bot"), async {
        tokio::task::yield_now().await;
        other.execute("COMMIT").await
    });
    let (retired, committed) = tokio::join!(store.retire_agent(&bot, at(9), "done"), commit);
    retired.unwrap();
    committed.unwrap();
    let agents = store.agents().await.unwrap();
    assert_eq!((agents[0].created_at.0, agents[0].retired_at), (77, Some(at(9))));
}

async fn a_dropped_write_leaves_nothing_and_nobody_waiting(url: String) {
    let store = inhabited(&url).await;
    for turns in 0..20 {
        let row = credential(Holder::Agent(name("bot")));
        let mut write = Box::pin(store.put_credential(&row));
        for _ in 0..turns {
            tokio::select! {
                biased;
                _ = &mut write => break,
                () = tokio::task::yield_now() => {}
            }
        }
        drop(write);
        store.health().await.unwrap();
    }
    let kept = store.credentials(at(0)).await.unwrap();
    for row in kept {
        store.revoke_credential(row.id, at(3)).await.unwrap();
    }
}

#[tokio::test]
async fn a_removed_file_is_unavailable_until_it_is_back() {
    let database = Sqlite::new();
    let store = inhabited(&database.url).await;
    let (file, aside) =
        (database.dir.path().join("provost.db"), database.dir.path().join("aside"));
    fs::rename(&file, &aside).unwrap();
    assert_unavailable(&store).await;
    fs::write(&file, "").unwrap();
    assert_unavailable(&store).await;
    fs::rename(&aside, &file).unwrap();
    store.health().await.unwrap();
    assert_eq!(store.agents().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_only_database_can_be_read_and_is_otherwise_unavailable() {
    let database = Sqlite::new();
    inhabited(&database.url).await.close().await;
    let store = open(&format!("{}?mode=ro", database.url)).await;
    assert_eq!(store.agents().await.unwrap().len(), 1);
    for error in [
        store.health().await.unwrap_err(),
        store.retire_agent(&name("bot"), at(9), "x").await.unwrap_err(),
        index(&store, 0, action().1).await.unwrap_err(),
    ] {
        assert!(error.is_unavailable(), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_went_away_is_unavailable_until_it_is_back() {
    let Some(mut server) = postgres_or_skip("a_server_that_went_away").await else { return };
    let store = inhabited(&server.create_database().await).await;
    server.down();
    assert_unavailable(&store).await;
    assert!(server.up().await);
    store.health().await.unwrap();
    assert_eq!(store.agents().await.unwrap().len(), 1);
    index(&store, 0, action().1).await.unwrap();
}

async fn assert_unavailable(store: &Store) {
    let bot = name("bot");
    let (health, read, write, index) = tokio::join!(
        store.health(),
        store.agents(),
        store.retire_agent(&bot, at(9), "x"),
        index(store, 0, action().1),
    );
    for (what, error) in [
        ("health", health.unwrap_err()),
        ("read", read.unwrap_err()),
        ("write", write.unwrap_err()),
        ("index", index.unwrap_err()),
    ] {
        assert!(error.is_unavailable(), "{what}: {error:?}");
    }
}
