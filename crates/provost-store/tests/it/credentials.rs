//! Projects, agents, people and what they hold.

use provost_store::{Holder, StoreError};
use provost_types::{CredentialId, HumanId, SessionId};

use crate::{
    database::{facts, open},
    samples::{agent, at, credential, human, inhabited, name, project, session},
};

facts![
    what_is_put_is_read_back,
    a_name_is_taken_once,
    a_missing_or_retired_holder_gets_no_credential,
    retiring_an_agent_ends_all_that_is_its,
    rotation_shortens_the_old_and_adds_the_new,
    revocation_keeps_its_first_time,
    uses_only_move_forward,
    a_removed_person_frees_the_name_and_loses_the_credential,
    free_text_may_hold_any_character,
];

async fn what_is_put_is_read_back(url: String) {
    let store = inhabited(&url).await;
    let ada = human("ada");
    let of_ada = credential(Holder::Human(ada.id));
    let mut of_bot = credential(Holder::Agent(name("bot")));
    of_bot.expires_at = None;
    store.put_human(&ada, &of_ada).await.unwrap();
    store.put_credential(&of_bot).await.unwrap();
    drop(store);

    let store = open(&url).await;
    assert_eq!(store.projects().await.unwrap(), [project("finance")]);
    assert_eq!(store.agents().await.unwrap(), [agent("bot", "finance")]);
    assert_eq!(store.humans().await.unwrap(), [ada]);
    assert_eq!(store.credentials(at(0)).await.unwrap(), [of_ada, of_bot]);
}

async fn a_name_is_taken_once(url: String) {
    let store = inhabited(&url).await;
    let taken = |error: StoreError| matches!(error, StoreError::Taken { .. });
    assert!(taken(store.put_project(&project("finance")).await.unwrap_err()));
    assert!(taken(store.put_agent(&agent("bot", "finance")).await.unwrap_err()));
    let ada = human("ada");
    store.put_human(&ada, &credential(Holder::Human(ada.id))).await.unwrap();
    let other = human("ada");
    let error = store.put_human(&other, &credential(Holder::Human(other.id))).await;
    assert!(taken(error.unwrap_err()));
    assert_eq!(store.humans().await.unwrap(), [ada], "the second ada left nothing behind");

    let first = credential(Holder::Agent(name("bot")));
    store.put_credential(&first).await.unwrap();
    let mut same_secret = credential(Holder::Agent(name("bot")));
    same_secret.sha256 = first.sha256;
    assert!(taken(store.put_credential(&same_secret).await.unwrap_err()));
}

async fn a_missing_or_retired_holder_gets_no_credential(url: String) {
    let store = inhabited(&url).await;
    let missing = store.put_agent(&agent("bot2", "nowhere")).await.unwrap_err();
    assert!(matches!(missing, StoreError::NoSuch { kind: "project", .. }), "{missing:?}");
    for holder in [
        Holder::Agent(name("nobody")),
        Holder::Session(SessionId::generate()),
        Holder::Human(HumanId::generate()),
    ] {
        let error = store.put_credential(&credential(holder.clone())).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSuch { .. }), "holder = {holder}: {error:?}");
    }
    store.retire_agent(&name("bot"), at(9), "done").await.unwrap();
    let (session, of_session) = session("bot", "finance");
    for error in [
        store.put_credential(&credential(Holder::Agent(name("bot")))).await.unwrap_err(),
        store.open_session(&session, &of_session).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Over { kind: "agent", .. }), "{error:?}");
    }
    assert_eq!(store.credentials(at(0)).await.unwrap(), []);
}

async fn retiring_an_agent_ends_all_that_is_its(url: String) {
    let store = inhabited(&url).await;
    store.put_agent(&agent("other", "finance")).await.unwrap();
    let kept = credential(Holder::Agent(name("other")));
    store.put_credential(&kept).await.unwrap();
    store.put_credential(&credential(Holder::Agent(name("bot")))).await.unwrap();
    let (session, of_session) = session("bot", "finance");
    store.open_session(&session, &of_session).await.unwrap();

    store.retire_agent(&name("bot"), at(9), "no longer needed").await.unwrap();
    store.retire_agent(&name("bot"), at(10), "again").await.unwrap();
    let absent = store.retire_agent(&name("absent"), at(9), "x").await.unwrap_err();
    assert!(matches!(absent, StoreError::NoSuch { kind: "agent", .. }));

    let agents = store.agents().await.unwrap();
    assert_eq!(
        agents.iter().map(|agent| agent.retired_at).collect::<Vec<_>>(),
        [Some(at(9)), None]
    );
    let session = store.session(session.id).await.unwrap().unwrap();
    assert_eq!(session.ended_at, Some(at(9)));
    assert_eq!(session.end_reason.as_deref(), Some("no longer needed"));
    for credential in store.credentials(at(0)).await.unwrap() {
        let want = if credential == kept { None } else { Some(at(9)) };
        assert_eq!(credential.revoked_at, want, "holder = {}", credential.holder);
    }
}

async fn rotation_shortens_the_old_and_adds_the_new(url: String) {
    let store = inhabited(&url).await;
    let [old, new, newest] = [(); 3].map(|()| credential(Holder::Agent(name("bot"))));
    store.put_credential(&old).await.unwrap();
    store.rotate_credential(old.id, at(50), &new).await.unwrap();
    store.rotate_credential(old.id, at(60), &newest).await.unwrap();
    let expiries: Vec<_> =
        store.credentials(at(0)).await.unwrap().iter().map(|row| row.expires_at).collect();
    assert_eq!(expiries, [Some(at(50)), Some(at(1000)), Some(at(1000))], "60 is no extension");

    store.revoke_credential(old.id, at(20)).await.unwrap();
    let more = credential(Holder::Agent(name("bot")));
    let over = store.rotate_credential(old.id, at(70), &more).await.unwrap_err();
    assert!(matches!(over, StoreError::Over { kind: "credential", .. }), "{over:?}");
    let unknown = CredentialId::generate();
    let absent = store.rotate_credential(unknown, at(70), &more).await.unwrap_err();
    assert!(matches!(absent, StoreError::NoSuch { kind: "credential", .. }), "{absent:?}");
    assert_eq!(store.credentials(at(0)).await.unwrap().len(), 3);
}

async fn revocation_keeps_its_first_time(url: String) {
    let store = inhabited(&url).await;
    let credential = credential(Holder::Agent(name("bot")));
    store.put_credential(&credential).await.unwrap();
    store.revoke_credential(credential.id, at(20)).await.unwrap();
    store.revoke_credential(credential.id, at(21)).await.unwrap();
    assert_eq!(store.credentials(at(0)).await.unwrap()[0].revoked_at, Some(at(20)));
    let absent = store.revoke_credential(CredentialId::generate(), at(1)).await.unwrap_err();
    assert!(matches!(absent, StoreError::NoSuch { kind: "credential", .. }));
}

async fn uses_only_move_forward(url: String) {
    let store = inhabited(&url).await;
    let [a, b] = [(); 2].map(|()| credential(Holder::Agent(name("bot"))));
    store.put_credential(&a).await.unwrap();
    store.put_credential(&b).await.unwrap();
    store.touch_credentials(&[]).await.unwrap();
    store.touch_credentials(&[(a.id, at(30)), (b.id, at(31)), (a.id, at(32))]).await.unwrap();
    let mut many = vec![(a.id, at(29)), (CredentialId::generate(), at(1))];
    many.extend((0..2000).map(|second| (b.id, at(second))));
    store.touch_credentials(&many).await.unwrap();
    let uses: Vec<_> =
        store.credentials(at(0)).await.unwrap().iter().map(|row| row.last_used_at).collect();
    assert_eq!(uses, [Some(at(32)), Some(at(1999))]);
}

async fn a_removed_person_frees_the_name_and_loses_the_credential(url: String) {
    let store = open(&url).await;
    let ada = human("ada");
    store.put_human(&ada, &credential(Holder::Human(ada.id))).await.unwrap();
    store.remove_human(ada.id, at(40)).await.unwrap();
    store.remove_human(ada.id, at(41)).await.unwrap();
    let absent = store.remove_human(HumanId::generate(), at(1)).await.unwrap_err();
    assert!(matches!(absent, StoreError::NoSuch { kind: "human", .. }));
    let again = human("ada");
    store.put_human(&again, &credential(Holder::Human(again.id))).await.unwrap();

    let humans = store.humans().await.unwrap();
    assert_eq!(
        humans.iter().map(|human| human.removed_at).collect::<Vec<_>>(),
        [Some(at(40)), None]
    );
    let revoked: Vec<_> =
        store.credentials(at(0)).await.unwrap().iter().map(|row| row.revoked_at).collect();
    assert_eq!(revoked, [Some(at(40)), None]);
}

async fn free_text_may_hold_any_character(url: String) {
    let store = inhabited(&url).await;
    for (given, kept) in [
        ("it's; DROP TABLE agent; --", "it's; DROP TABLE agent; --"),
        ("$1 ? %s", "$1 ? %s"),
        ("日本語 🦀", "日本語 🦀"),
        ("", ""),
        ("a\0b", "a\u{fffd}b"), // PostgreSQL keeps no NUL
    ] {
        let mut row = credential(Holder::Agent(name("bot")));
        row.label = given.to_owned();
        store.put_credential(&row).await.unwrap();
        let found = store.credentials(at(0)).await.unwrap();
        let found = found.iter().find(|found| found.id == row.id).unwrap();
        assert_eq!(found.label, kept, "given = {given:?}");
    }
}
