//! Opening: what is created, what is refused.

use std::{error::Error, fs, os::unix::fs::PermissionsExt, path::Path};

use provost_store::{ConnectError, Store, sqlite_url};
use sqlx::{AnyConnection, Connection, Executor, Row};

use crate::{
    database::{Sqlite, facts, open},
    samples::{inhabited, project},
};

facts![
    opening_again_changes_nothing,
    a_newer_database_is_refused,
    many_may_open_a_new_database_at_once,
    a_step_that_fails_leaves_nothing,
];

async fn versions(url: &str) -> Vec<i64> {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let rows = connection.fetch_all("SELECT version FROM schema_version").await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn opening_again_changes_nothing(url: String) {
    inhabited(&url).await.close().await;
    let store = open(&url).await;
    assert_eq!(store.projects().await.unwrap(), [project("finance")]);
    assert_eq!(versions(&url).await, [1, 2, 3]);
    store.health().await.unwrap();
}

async fn a_newer_database_is_refused(url: String) {
    open(&url).await.close().await;
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    connection.execute("INSERT INTO schema_version (version) VALUES (99)").await.unwrap();
    connection.close().await.unwrap();
    let error = Store::connect(&url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Newer { found: 99, known: 3 }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the database has schema version 99, this program knows up to 3: upgrade it"
    );
}

async fn many_may_open_a_new_database_at_once(url: String) {
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        opening.spawn(async move { Store::connect(&url).await.map(|_| ()) });
    }
    for opened in opening.join_all().await {
        opened.unwrap();
    }
    assert_eq!(versions(&url).await, [1, 2, 3]);
}

/// Half of the first step's tables are there already, made by somebody else.
async fn a_step_that_fails_leaves_nothing(url: String) {
    sqlx::any::install_default_drivers();
    let sqlite = url.starts_with("sqlite");
    let creating = if sqlite { format!("{url}?mode=rwc") } else { url.clone() };
    let mut connection = AnyConnection::connect(&creating).await.unwrap();
    connection.execute("CREATE TABLE run_state (x BIGINT)").await.unwrap();
    let error = Store::connect(&url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Migration { version: 1, .. }), "{error:?}");
    assert!(connection.execute("SELECT name FROM agent").await.is_err(), "nothing is applied");
    connection.execute("DROP TABLE run_state").await.unwrap();
    open(&url).await;
}

#[tokio::test]
async fn a_database_file_is_its_owners_alone() {
    let database = Sqlite::new();
    let file = database.dir.path().join("provost.db");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let store = inhabited(&database.url).await;
    for entry in fs::read_dir(database.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "path = {path:?}");
    }
    store.close().await;
    assert!(!database.dir.path().join("provost.db-wal").exists(), "the log is folded in");
}

#[tokio::test]
async fn a_path_may_hold_what_a_url_reserves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b%20c?d#e.db");
    let store = inhabited(&sqlite_url(&path)).await;
    assert!(path.is_file());
    store.health().await.unwrap();
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.db");
    fs::write(&text, "this is no database\n".repeat(100)).unwrap();
    for (url, want) in [
        (
            "mysql://localhost/x".to_owned(),
            "not a database URL: use `sqlite:///path/to/file` or `postgres://host/database`",
        ),
        (
            "sqlite://relative.db".to_owned(),
            "not a database URL: use `sqlite:///path/to/file` or `postgres://host/database`",
        ),
        (
            "provost.db".to_owned(),
            "not a database URL: use `sqlite:///path/to/file` or `postgres://host/database`",
        ),
        (
            sqlite_url(Path::new("/no/such/directory/x.db")),
            "the database file could not be prepared",
        ),
        (sqlite_url(&text), "the database refused to connect"),
    ] {
        let error = Store::connect(&url).await.unwrap_err();
        assert_eq!(error.to_string(), want, "url = {url}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told() {
    let url = "postgres://ada:hunter2@127.0.0.1:1/provost";
    let error = Store::connect(url).await.unwrap_err();
    let ConnectError::Store(cause) = &error else { panic!("{error:?}") };
    assert!(cause.is_unavailable(), "{cause:?}");
    let mut told = format!("{error:?} {error}");
    let mut source = error.source();
    while let Some(error) = source {
        told.push_str(&error.to_string());
        source = error.source();
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unavailable() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://ada@{}/provost", silent.local_addr().unwrap());
    let error = Store::connect(&url).await.unwrap_err();
    let ConnectError::Store(cause) = &error else { panic!("{error:?}") };
    assert!(cause.is_unavailable(), "{cause:?}");
    assert_eq!(cause.source().unwrap().to_string(), "no answer within 3 s");
}
