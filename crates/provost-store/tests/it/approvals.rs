//! Approvals: what is written down is read back, and what counts no more is not live.

use std::collections::BTreeMap;

use provost_store::{
    AnswerRow, ApprovalFilter, ApprovalRow, ApprovalState, GateRow, Reach, SessionRow, Store,
    StoreError,
};
use provost_types::{ActionId, ApprovalId, Digest, PolicyId};
use sqlx::{AnyConnection, Connection, Executor};

use crate::{
    database::{facts, open},
    samples::{at, inhabited, name, session},
};

facts![
    approvals_are_read_back_as_they_were_put,
    what_counts_no_more_is_not_live,
    approvals_are_found_newest_first,
    a_row_that_was_changed_from_outside_is_unreadable,
];

async fn with_session(url: &str) -> (Store, SessionRow) {
    let store = inhabited(url).await;
    let (session, credential) = session("bot", "finance");
    store.open_session(&session, &credential).await.unwrap();
    (store, session)
}

fn approval(session: &SessionRow) -> ApprovalRow {
    let gate = PolicyId("base.push".into());
    ApprovalRow {
        id: ApprovalId::generate(),
        agent: session.agent.clone(),
        project: session.project.clone(),
        session: session.id,
        action: ActionId::generate(),
        binding: Digest([7; 32]),
        plane: "tool".to_owned(),
        verb: "call".to_owned(),
        resource_kind: "Tool::Tool".to_owned(),
        resource_id: "Bash'\u{202e}".to_owned(),
        gates: vec![GateRow {
            policy: gate.clone(),
            text: Digest([1; 32]),
            groups: vec!["platform".to_owned()],
            quorum: 2,
        }],
        answers: vec![AnswerRow {
            by: "human/ada".to_owned(),
            at: at(7),
            yes: true,
            gates: vec![gate],
            comment: "fine\0\"".to_owned(),
        }],
        reach: Reach::Pattern {
            arguments: BTreeMap::from([("a".to_owned(), "b*".to_owned())]),
            rest: Digest([3; 32]),
        },
        state: ApprovalState::Waiting,
        note: String::new(),
        requested_at: at(6),
        expires_at: at(60),
        closed_at: None,
        used_by: None,
    }
}

async fn approvals_are_read_back_as_they_were_put(url: String) {
    let (store, session) = with_session(&url).await;
    let mut row = approval(&session);
    for reach in [row.reach.clone(), Reach::Once, Reach::Session] {
        row.reach = reach;
        store.put_approval(&row).await.unwrap();
        assert_eq!(store.approval(row.id).await.unwrap(), Some(row.clone()));
    }
    row.state = ApprovalState::Used;
    row.note = "by ada".to_owned();
    row.closed_at = Some(at(9));
    row.used_by = Some(ActionId::generate());
    store.put_approval(&row).await.unwrap();
    drop(store);
    assert_eq!(open(&url).await.approval(row.id).await.unwrap(), Some(row));
    assert_eq!(open(&url).await.approval(ApprovalId::generate()).await.unwrap(), None);
}

async fn what_counts_no_more_is_not_live(url: String) {
    let (store, session) = with_session(&url).await;
    let [waits, denied, over] = [(); 3].map(|()| approval(&session));
    let denied = ApprovalRow { state: ApprovalState::Denied, ..denied };
    let over = ApprovalRow { state: ApprovalState::Expired, closed_at: Some(at(60)), ..over };
    for row in [&waits, &denied, &over] {
        store.put_approval(row).await.unwrap();
    }
    assert_eq!(store.live_approvals().await.unwrap(), [waits, denied]);
}

async fn approvals_are_found_newest_first(url: String) {
    let (store, session) = with_session(&url).await;
    let [old, new] = [(); 2].map(|()| approval(&session));
    let new = ApprovalRow { state: ApprovalState::Approved, ..new };
    for row in [&old, &new] {
        store.put_approval(row).await.unwrap();
    }
    let any = ApprovalFilter::default;
    for (filter, want) in [
        (any(), vec![new.clone(), old.clone()]),
        (ApprovalFilter { state: Some(ApprovalState::Approved), ..any() }, vec![new.clone()]),
        (ApprovalFilter { before: Some(new.id), ..any() }, vec![old]),
        (ApprovalFilter { agent: Some(name("other")), ..any() }, vec![]),
        (ApprovalFilter { project: Some(name("other")), ..any() }, vec![]),
    ] {
        assert_eq!(store.approvals(&filter, 10).await.unwrap(), want, "filter = {filter:?}");
    }
    assert_eq!(store.approvals(&any(), 1).await.unwrap(), [new]);
}

async fn a_row_that_was_changed_from_outside_is_unreadable(url: String) {
    let (store, session) = with_session(&url).await;
    store.put_approval(&approval(&session)).await.unwrap();
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    connection.execute("UPDATE approval SET state = 'granted'").await.unwrap();
    let error = store.live_approvals().await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unreadable { table: "approval", column: "state" }),
        "{error:?}"
    );
}
