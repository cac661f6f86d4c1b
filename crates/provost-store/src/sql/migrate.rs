//! The schema, in numbered steps that are applied once each and never change.

use sqlx::{AnyConnection, Connection, Executor, Row};

use super::{
    connect::Backend,
    error::{ConnectError, StoreError},
};

/// Every step, ascending. PostgreSQL's words; [`adapt`] says what SQLite calls otherwise.
const STEPS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/0001_base.sql")),
    (2, include_str!("../../migrations/0002_mcp_tool.sql")),
    (3, include_str!("../../migrations/0003_approval.sql")),
];

/// Serialises migrations of one PostgreSQL database. The number is ours alone.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(7091767073);";

const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY);";

/// Applies every step that is missing, each in a transaction of its own.
pub(super) async fn migrate(
    backend: &Backend,
    connection: &mut AnyConnection,
) -> Result<(), ConnectError> {
    let known = STEPS.last().map_or(0, |(version, _)| *version);
    for (version, step) in STEPS {
        let found = apply(backend, connection, (*version, step)).await?;
        if found > known {
            return Err(ConnectError::Newer { found, known });
        }
    }
    Ok(())
}

/// Applies one step unless the database has it; gives the version the database had before.
async fn apply(
    backend: &Backend,
    connection: &mut AnyConnection,
    (version, step): (i64, &'static str),
) -> Result<i64, ConnectError> {
    let unreadable = StoreError::driver("read the schema version");
    let (begin, lock) = match backend {
        Backend::Sqlite(_) => ("BEGIN IMMEDIATE", ""),
        Backend::Postgres => ("BEGIN", POSTGRES_LOCK),
    };
    let mut transaction = connection.begin_with(begin).await.map_err(&unreadable)?;
    transaction.execute(sqlx::raw_sql(lock)).await.map_err(&unreadable)?;
    transaction.execute(sqlx::raw_sql(VERSIONS)).await.map_err(&unreadable)?;
    let found: i64 = transaction
        .fetch_one("SELECT COALESCE(MAX(version), 0) FROM schema_version")
        .await
        .and_then(|row| row.try_get(0))
        .map_err(&unreadable)?;
    if found >= version {
        return Ok(found);
    }
    let failed = |source| ConnectError::Migration { version, source };
    transaction
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(adapt(backend, step))))
        .await
        .map_err(failed)?;
    let record = sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(version);
    transaction.execute(record).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(found)
}

/// What SQLite says otherwise: only `INTEGER` makes a primary key the row's own number, the
/// driver knows no `BYTEA`, and what is in a `/* SQLite: … */` is said to it alone.
fn adapt(backend: &Backend, step: &str) -> String {
    match backend {
        Backend::Postgres => step.to_owned(),
        Backend::Sqlite(_) => step
            .replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
            .replace("BYTEA", "BLOB")
            .replace("/* SQLite: ", "")
            .replace(" */", ""),
    }
}
