//! Sessions and run states.

use provost_store::{Ending, Holder, RunStateRow, SessionFilter, StoreError};
use provost_types::{RunState, Scope, SessionId};

use crate::{
    database::{facts, open},
    samples::{agent, at, credential, inhabited, name, project, session},
};

facts![
    a_session_is_read_back_whole,
    a_session_ends_once,
    an_ended_session_gets_no_credential,
    sessions_are_listed_newest_first_and_filtered,
    credentials_of_long_ended_sessions_are_left_out,
    sights_only_move_forward,
    a_session_that_cannot_open_leaves_nothing,
    the_last_run_state_of_a_scope_counts,
    a_session_opens_before_its_agent_retires_or_not_at_all,
];

async fn a_session_is_read_back_whole(url: String) {
    let store = inhabited(&url).await;
    let (session, of_session) = session("bot", "finance");
    store.open_session(&session, &of_session).await.unwrap();
    drop(store);
    let store = open(&url).await;
    assert_eq!(store.session(session.id).await.unwrap(), Some(session.clone()));
    assert_eq!(store.live_sessions().await.unwrap(), [session]);
    assert_eq!(store.credentials(at(0)).await.unwrap(), [of_session]);
    assert_eq!(store.session(SessionId::generate()).await.unwrap(), None);
}

async fn a_session_ends_once(url: String) {
    let store = inhabited(&url).await;
    let (session, of_session) = session("bot", "finance");
    store.open_session(&session, &of_session).await.unwrap();
    assert_eq!(store.end_session(session.id, at(20), "killed").await.unwrap(), Ending::Now);
    assert_eq!(store.end_session(session.id, at(21), "idle").await.unwrap(), Ending::Before);
    let absent = store.end_session(SessionId::generate(), at(1), "x").await.unwrap_err();
    assert!(matches!(absent, StoreError::NoSuch { kind: "session", .. }));
    let ended = store.session(session.id).await.unwrap().unwrap();
    assert_eq!((ended.ended_at, ended.end_reason.as_deref()), (Some(at(20)), Some("killed")));
    assert_eq!(store.live_sessions().await.unwrap(), []);
    assert_eq!(store.credentials(at(0)).await.unwrap()[0].revoked_at, Some(at(20)));
}

async fn an_ended_session_gets_no_credential(url: String) {
    let store = inhabited(&url).await;
    let (session, of_session) = session("bot", "finance");
    store.open_session(&session, &of_session).await.unwrap();
    store.end_session(session.id, at(20), "killed").await.unwrap();
    let more = credential(Holder::Session(session.id));
    let error = store.put_credential(&more).await.unwrap_err();
    assert!(matches!(error, StoreError::Over { kind: "session", .. }), "{error:?}");
}

async fn sessions_are_listed_newest_first_and_filtered(url: String) {
    let store = inhabited(&url).await;
    store.put_project(&project("law")).await.unwrap();
    store.put_agent(&agent("clerk", "law")).await.unwrap();
    let mut ids = Vec::new();
    for (agent, project) in [("bot", "finance"), ("clerk", "law"), ("bot", "finance")] {
        let (session, of_session) = session(agent, project);
        store.open_session(&session, &of_session).await.unwrap();
        ids.push(session.id);
    }
    let all = SessionFilter::default();
    for (filter, limit, want) in [
        (all.clone(), 10, vec![ids[2], ids[1], ids[0]]),
        (all.clone(), 2, vec![ids[2], ids[1]]),
        (all.clone(), 0, vec![]),
        (SessionFilter { before: Some(ids[1]), ..all.clone() }, 10, vec![ids[0]]),
        (SessionFilter { agent: Some(name("bot")), ..all.clone() }, 1, vec![ids[2]]),
        (SessionFilter { project: Some(name("law")), ..all.clone() }, 10, vec![ids[1]]),
        (
            SessionFilter { agent: Some(name("bot")), project: Some(name("law")), ..all },
            9,
            vec![],
        ),
    ] {
        let found = store.sessions(&filter, limit).await.unwrap();
        let found: Vec<_> = found.iter().map(|session| session.id).collect();
        assert_eq!(found, want, "filter = {filter:?}, limit = {limit}");
    }
}

async fn credentials_of_long_ended_sessions_are_left_out(url: String) {
    let store = inhabited(&url).await;
    for ended_at in [Some(at(20)), Some(at(30)), None] {
        let (session, of_session) = session("bot", "finance");
        store.open_session(&session, &of_session).await.unwrap();
        if let Some(ended_at) = ended_at {
            store.end_session(session.id, ended_at, "done").await.unwrap();
        }
    }
    for (since, want) in [(0, 3), (20, 3), (21, 2), (30, 2), (31, 1)] {
        let found = store.credentials(at(since)).await.unwrap();
        assert_eq!(found.len(), want, "since = {since}");
    }
}

async fn sights_only_move_forward(url: String) {
    let store = inhabited(&url).await;
    let (session, of_session) = session("bot", "finance");
    store.open_session(&session, &of_session).await.unwrap();
    store.touch_sessions(&[]).await.unwrap();
    store.touch_sessions(&[(session.id, at(7)), (session.id, at(6))]).await.unwrap();
    store.touch_sessions(&[(session.id, at(4)), (SessionId::generate(), at(9))]).await.unwrap();
    assert_eq!(store.session(session.id).await.unwrap().unwrap().last_seen_at, at(7));
}

async fn a_session_that_cannot_open_leaves_nothing(url: String) {
    let store = inhabited(&url).await;
    let (first, of_first) = session("bot", "finance");
    store.open_session(&first, &of_first).await.unwrap();
    let (second, mut of_second) = session("bot", "finance");
    of_second.sha256 = of_first.sha256;
    let taken = store.open_session(&second, &of_second).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { kind: "credential", .. }), "{taken:?}");
    let again = store.open_session(&first, &of_second).await.unwrap_err();
    assert!(matches!(again, StoreError::Taken { kind: "session", .. }), "{again:?}");
    let (nobodys, of_nobodys) = session("nobody", "finance");
    let absent = store.open_session(&nobodys, &of_nobodys).await.unwrap_err();
    assert!(matches!(absent, StoreError::NoSuch { kind: "agent", .. }), "{absent:?}");
    assert_eq!(store.live_sessions().await.unwrap(), [first]);
}

async fn the_last_run_state_of_a_scope_counts(url: String) {
    let store = open(&url).await;
    let row = |scope: &Scope, state, second| RunStateRow {
        scope: scope.clone(),
        state,
        reason: format!("reason {second}"),
        by: "human/ada".to_owned(),
        at: at(second),
    };
    let session = Scope::Session(SessionId::generate());
    for (scope, state, second) in [
        (&Scope::Agent(name("bot")), RunState::Paused, 1),
        (&session, RunState::Killed, 2),
        (&Scope::All, RunState::Killed, 3),
        (&Scope::Project(name("finance")), RunState::Paused, 4),
        (&Scope::All, RunState::Running, 5),
    ] {
        store.set_run_state(&row(scope, state, second)).await.unwrap();
    }
    assert_eq!(
        store.run_states().await.unwrap(),
        [
            row(&Scope::All, RunState::Running, 5),
            row(&Scope::Project(name("finance")), RunState::Paused, 4),
            row(&Scope::Agent(name("bot")), RunState::Paused, 1),
            row(&session, RunState::Killed, 2),
        ]
    );
}

/// Two processes race: one retires the agent, the other opens sessions of it.
async fn a_session_opens_before_its_agent_retires_or_not_at_all(url: String) {
    let (ours, theirs) = (inhabited(&url).await, open(&url).await);
    for round in 0..20 {
        let bot = format!("bot-{round}");
        ours.put_agent(&agent(&bot, "finance")).await.unwrap();
        let (session, of_session) = session(&bot, "finance");
        let bot = name(&bot);
        let (opened, retired) = tokio::join!(
            theirs.open_session(&session, &of_session),
            ours.retire_agent(&bot, at(9), "retired"),
        );
        retired.unwrap();
        match opened {
            Ok(()) => {}
            Err(error) => assert!(matches!(error, StoreError::Over { .. }), "{error:?}"),
        }
        assert_eq!(ours.live_sessions().await.unwrap(), [], "round {round}");
    }
}
