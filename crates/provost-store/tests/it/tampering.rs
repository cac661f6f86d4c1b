//! Rows changed behind our back are named.

use provost_ledger::{Checkpoint, Event, LedgerKey};
use provost_store::{IndexFault, Store, StoreError};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

use crate::{
    database::{Sqlite, facts, open},
    samples::{action, agent, credential, human, index, inhabited, name, others, session},
};

facts![
    an_untouched_index_has_no_fault,
    each_change_is_named,
    every_column_of_every_row_is_checked,
    a_checkpoint_kept_is_held_against_the_ledgers,
    a_row_that_is_not_ours_is_an_error_not_a_value,
];

/// An open intent at 0, an action at 1 and 2, others from 3 to 7.
async fn indexed(url: &str) -> (Store, Vec<Event>) {
    let store = open(url).await;
    let [open_intent, _] = action().1;
    let events: Vec<_> = [open_intent].into_iter().chain(action().1).chain(others()).collect();
    index(&store, 0, &events).await.unwrap();
    (store, events)
}

async fn tamper(url: &str, sql: &str) {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let changed = connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    assert!(changed.rows_affected() > 0, "sql = {sql}");
    connection.close().await.unwrap();
}

async fn faults(store: &Store, events: &[Event]) -> Vec<String> {
    let mut faults = store.check_index(0, events).await.unwrap();
    faults.extend(store.check_index_end(8).await.unwrap());
    faults.iter().map(ToString::to_string).collect()
}

async fn an_untouched_index_has_no_fault(url: String) {
    let (store, events) = indexed(&url).await;
    assert_eq!(faults(&store, &events).await, [""; 0]);
    assert_eq!(store.check_index(3, &events[3..5]).await.unwrap(), []);
}

/// A change of rows, and the faults it is found by: table and the rest. `OPEN` and `CLOSED`
/// stand for the actions of the intents at 0 and 1.
const CHANGES: &[(&str, &[(&str, &str)])] = &[
    (
        "UPDATE event SET agent = 'eve' WHERE position = 4",
        &[("event", "record 4 is wrong in column `agent`")],
    ),
    (
        "UPDATE event SET at = at + 1 WHERE position = 7",
        &[("event", "record 7 is wrong in column `at`")],
    ),
    (
        "UPDATE event SET result = NULL WHERE position = 2",
        &[("event", "record 2 is wrong in column `result`")],
    ),
    (
        "DELETE FROM event WHERE position = 5 OR position = 7",
        &[("event", "record 5 is missing"), ("event", "record 7 is missing")],
    ),
    (
        "UPDATE event SET position = 90 WHERE position = 6",
        &[
            ("event", "record 6 is missing"),
            ("event", "record 90 is surplus: there is no such record"),
        ],
    ),
    (
        "INSERT INTO event (position, at, kind) VALUES (-1, 0, 'admin')",
        &[("event", "record -1 is surplus: there is no such record")],
    ),
    (
        "DELETE FROM event_block WHERE word = 'kind/server'",
        &[("event_block", "`kind/server` for records from 0 is missing")],
    ),
    (
        "UPDATE event_block SET word = 'agent/eve' WHERE word = 'agent/bot'",
        &[
            ("event_block", "`agent/bot` for records from 0 is missing"),
            ("event_block", "`agent/eve` for records from 0 is surplus"),
        ],
    ),
    (
        "INSERT INTO event_block (word, block) \
         VALUES ('kind/intent', 0), ('agent/bot', 9), ('agent/bot', -1)",
        &[
            ("event_block", "`kind/intent` for records from 0 is surplus"),
            ("event_block", "`agent/bot` for records from -256 is surplus"),
            ("event_block", "`agent/bot` for records from 2304 is surplus"),
        ],
    ),
    ("DELETE FROM open_intent", &[("open_intent", "the intent at record 0 is missing")]),
    (
        "UPDATE open_intent SET position = 1",
        &[
            ("open_intent", "the intent at record 0 is missing"),
            ("open_intent", "`OPEN` is surplus or wrong"),
        ],
    ),
    (
        "INSERT INTO open_intent (action, position) VALUES ('CLOSED', 1)",
        &[("open_intent", "`CLOSED` is surplus or wrong")],
    ),
];

async fn each_change_is_named(url: String) {
    let (store, events) = indexed(&url).await;
    let [open, closed] = [0, 1].map(|position: usize| events[position].subject.action.unwrap());
    let named = |text: &str| {
        text.replace("OPEN", &open.to_string()).replace("CLOSED", &closed.to_string())
    };
    for (sql, wanted) in CHANGES {
        tamper(&url, &named(sql)).await;
        let found = faults(&store, &events).await;
        let fault =
            |(table, rest): &(_, _)| named(&format!("table `{table}`: the row of {rest}"));
        let want: Vec<_> = wanted.iter().map(fault).collect();
        assert_eq!(found, want, "sql = {sql}");
        store.clear_index().await.unwrap();
        index(&store, 0, &events).await.unwrap();
    }
}

async fn every_column_of_every_row_is_checked(url: String) {
    let (store, events) = indexed(&url).await;
    for column in
        ["kind", "action", "agent", "project", "session", "plane", "verb", "resource", "result"]
    {
        tamper(&url, &format!("UPDATE event SET {column} = COALESCE({column}, '') || 'x'"))
            .await;
        let found = store.check_index(0, &events).await.unwrap();
        let want: Vec<_> = (0..)
            .zip(&events)
            .map(|(position, _)| IndexFault::Wrong { position, column })
            .collect();
        assert_eq!(found, want, "column = {column}");
        store.clear_index().await.unwrap();
        index(&store, 0, &events).await.unwrap();
    }
}

async fn a_checkpoint_kept_is_held_against_the_ledgers(url: String) {
    let store = open(&url).await;
    let key = LedgerKey::new("ledger.example", &[1; 32]).unwrap();
    let foreign = LedgerKey::new("ledger.example", &[2; 32]).unwrap();
    let checkpoint =
        |size, root| Checkpoint { origin: "ledger.example".to_owned(), size, root: [root; 32] };
    let sealed = checkpoint(10, 1);
    let check = async || {
        let fault = store.check_checkpoint(&sealed, key.verifier()).await.unwrap();
        fault.map(|fault| fault.to_string())
    };
    assert_eq!(check().await, None, "none is kept yet");
    let not_signed = "table `checkpoint`: the note of the row is not a checkpoint of";
    for (kept, signer, size, want) in [
        (checkpoint(9, 3), &key, 9, None), // older: the ledger's own proofs say if it fits
        (checkpoint(10, 1), &key, 10, None),
        (
            checkpoint(10, 2),
            &key,
            10,
            Some("table `checkpoint`: another root was signed for 10 records".to_owned()),
        ),
        (
            checkpoint(11, 1),
            &key,
            11,
            Some(
                "table `checkpoint`: 11 records were signed, the ledger's checkpoint has 10"
                    .to_owned(),
            ),
        ),
        (checkpoint(10, 1), &key, 12, Some(format!("{not_signed} 12 records"))),
        (checkpoint(13, 1), &foreign, 13, Some(format!("{not_signed} 13 records"))),
    ] {
        store.put_checkpoint(size, &kept.sign(signer)).await.unwrap();
        assert_eq!(check().await, want, "kept = {kept:?}, size = {size}");
    }
}

async fn a_row_that_is_not_ours_is_an_error_not_a_value(url: String) {
    let store = inhabited(&url).await;
    store.put_agent(&agent("two", "finance")).await.unwrap();
    let ada = human("ada");
    let holder = provost_store::Holder::Human(ada.id);
    store.put_human(&ada, &credential(holder)).await.unwrap();
    let (session, of_session) = session("bot", "finance");
    store.open_session(&session, &of_session).await.unwrap();
    assert_eq!(store.agents().await.unwrap()[0].name, name("bot"));
    for (sql, table, column) in [
        ("UPDATE human SET role = 'god'", "human", "role"),
        ("UPDATE project SET created_at = -1", "project", "created_at"),
        ("UPDATE agent SET retired_at = -1", "agent", "retired_at"),
        ("UPDATE session SET expires_at = -5", "session", "expires_at"),
        ("UPDATE credential SET sha256 = 'abc' || id", "credential", "sha256"),
    ] {
        tamper(&url, sql).await;
        let error = match table {
            "human" => store.humans().await.unwrap_err(),
            "project" => store.projects().await.unwrap_err(),
            "agent" => store.agents().await.unwrap_err(),
            "session" => store.live_sessions().await.unwrap_err(),
            _ => store.credentials(crate::samples::at(0)).await.unwrap_err(),
        };
        let StoreError::Unreadable { table: found_table, column: found } = error else {
            panic!("sql = {sql}: {error:?}")
        };
        assert_eq!((found_table, found), (table, column), "sql = {sql}");
    }
}

/// SQLite keeps any bytes as text; reading them fails for a whole answer at once.
#[tokio::test]
async fn a_row_that_is_no_text_is_named_among_good_ones() {
    let database = Sqlite::new();
    let (store, events) = indexed(&database.url).await;
    tamper(&database.url, "UPDATE event SET verb = CAST(x'ff' AS TEXT) WHERE position = 4")
        .await;
    tamper(&database.url, "UPDATE event SET agent = 'eve' WHERE position = 6").await;
    let found = store.check_index(0, &events).await.unwrap();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "table `event`: the row of record 4 is not readable",
            "table `event`: the row of record 6 is wrong in column `agent`",
        ]
    );
}
