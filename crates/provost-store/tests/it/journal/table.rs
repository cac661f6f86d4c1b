//! A database that fails under the journal, loses an answer, or has another writer.

use provost_store::{Damage, Journal, JournalError, OpenError};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

use super::{Place, append_many, read_all};
use crate::database::facts;

facts![
    a_failed_append_leaves_nothing_and_the_next_one_succeeds,
    a_commit_whose_answer_was_lost_is_taken_back,
    another_writers_entries_are_left_alone,
    a_table_with_a_hole_is_refused,
];

/// Runs `sql` on a connection of its own.
pub(super) async fn run(url: &str, sql: &str) {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

/// The positions in the table.
pub(super) async fn positions(url: &str) -> Vec<i64> {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let rows =
        connection.fetch_all("SELECT position FROM ledger_entry ORDER BY position").await;
    let positions = rows.unwrap().iter().map(|row| row.get(0)).collect();
    connection.close().await.unwrap();
    positions
}

const AWAY: &str = "ALTER TABLE ledger_entry RENAME TO elsewhere";
const BACK: &str = "ALTER TABLE elsewhere RENAME TO ledger_entry";

async fn insert(url: &str, position: u64, entry: &str) {
    let entry = if url.starts_with("sqlite") {
        format!("CAST('{entry}' AS BLOB)")
    } else {
        format!("CAST('{entry}' AS BYTEA)")
    };
    run(
        url,
        &format!("INSERT INTO ledger_entry (position, entry) VALUES ({position}, {entry})"),
    )
    .await;
}

async fn five(url: &str) -> (Place, Journal) {
    let place = Place::table(url).await;
    let journal = place.opened().await;
    append_many(&journal, 5).await;
    (place, journal)
}

async fn a_failed_append_leaves_nothing_and_the_next_one_succeeds(url: String) {
    let (place, journal) = five(&url).await;
    let before = read_all(&journal).await;
    run(&url, AWAY).await;
    let error = journal.append(b"lost".into()).await.unwrap_err();
    assert!(matches!(error, JournalError::Database(_)), "{error:?}");
    journal.append(b"lost".into()).await.unwrap_err();
    journal.health().unwrap_err();
    journal.probe().await.unwrap_err();
    run(&url, BACK).await;
    journal.health().unwrap_err();
    journal.probe().await.unwrap();
    journal.health().unwrap();
    assert_eq!(read_all(&journal).await, before);
    append_many(&journal, 5).await;
    assert_eq!(read_all(&place.opened().await).await, read_all(&journal).await);
}

async fn a_commit_whose_answer_was_lost_is_taken_back(url: String) {
    let (_place, journal) = five(&url).await;
    run(&url, AWAY).await;
    journal.append(b"unsure".into()).await.unwrap_err();
    run(&url, BACK).await;
    insert(&url, 5, "unsure").await;
    assert_eq!(read_all(&journal).await.len(), 5, "not counted");
    assert_eq!(journal.append(b"next".into()).await.unwrap(), 5);
    assert_eq!(read_all(&journal).await.last().unwrap(), b"next");
    assert_eq!(positions(&url).await, [0, 1, 2, 3, 4, 5]);
}

async fn another_writers_entries_are_left_alone(url: String) {
    let (place, ours) = five(&url).await;
    let theirs = place.opened().await;
    assert_eq!(theirs.append(b"theirs".into()).await.unwrap(), 5);
    for _ in 0..3 {
        ours.append(b"ours".into()).await.unwrap_err();
        let error = ours.probe().await.unwrap_err();
        let contended = matches!(error, JournalError::Damaged(Damage::Contended { index: 5 }));
        assert!(contended, "{error:?}");
    }
    assert_eq!(theirs.append(b"theirs too".into()).await.unwrap(), 6);
    assert_eq!(read_all(&theirs).await[5..], [&b"theirs"[..], b"theirs too"]);
}

async fn a_table_with_a_hole_is_refused(url: String) {
    let (place, journal) = five(&url).await;
    journal.close().await.unwrap();
    run(&url, "DELETE FROM ledger_entry WHERE position = 2").await;
    let gap = |error| matches!(error, Err(OpenError::Damaged(Damage::Gap { .. })));
    assert!(gap(place.open().await));
    run(&url, "DELETE FROM ledger_entry WHERE position < 2").await;
    assert!(gap(place.open().await), "no bundle has what is missing at the beginning");
}
