//! The event index: what is found, and how it keeps up.

use provost_ledger::{Event, Record};
use provost_store::{CheckpointRow, EventFilter, Order, StoreError};
use provost_types::{ActionId, SessionId};

use crate::{
    database::{facts, open},
    samples::{action, event, index, intent, joined, name, others},
};

facts![
    events_are_found_by_each_of_their_features,
    an_action_is_found_whole,
    witnesses_and_alerts_are_found,
    a_batch_may_be_offered_again,
    a_gap_is_refused,
    intents_are_open_until_their_outcome,
    a_cleared_index_is_built_again,
    batches_of_every_size_are_indexed_whole,
    a_long_ledger_is_searched_like_a_short_one,
    the_newest_checkpoint_is_kept,
];

/// Two actions at 0 to 3, one of each other kind at 4 to 8.
async fn events_are_found_by_each_of_their_features(url: String) {
    let store = open(&url).await;
    let events = action().1.into_iter().chain(action().1).chain(others());
    index(&store, 0, events).await.unwrap();

    let all = EventFilter::default;
    let kind = |kind: &str| EventFilter { kind: Some(kind.to_owned()), ..all() };
    let session = SessionId::new(uuid::Uuid::from_u128(2));
    for (filter, want) in [
        (all(), vec![0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (kind("intent"), vec![0, 2]),
        (kind("outcome"), vec![1, 3]),
        (kind("refusal"), vec![4]),
        (kind("admin"), vec![5]),
        (kind("session"), vec![6]),
        (kind("server"), vec![7, 8]),
        (kind("nothing"), vec![]),
        (EventFilter { agent: Some(name("bot")), ..all() }, vec![0, 1, 2, 3, 4, 5, 6]),
        (EventFilter { agent: Some(name("other")), ..all() }, vec![]),
        (EventFilter { project: Some(name("finance")), ..kind("session") }, vec![6]),
        (EventFilter { session: Some(session), ..kind("intent") }, vec![0, 2]),
        (EventFilter { session: Some(SessionId::generate()), ..all() }, vec![]),
        (EventFilter { from: Some(3), before: Some(6), ..all() }, vec![3, 4, 5]),
        (EventFilter { from: Some(u64::MAX), ..all() }, vec![]),
    ] {
        let mut found = store.events(&filter, Order::OldestFirst, 100).await.unwrap();
        assert_eq!(found, want, "filter = {filter:?}");
        found = store.events(&filter, Order::NewestFirst, 2).await.unwrap();
        let want: Vec<u64> = want.into_iter().rev().take(2).collect();
        assert_eq!(found, want, "newest two of {filter:?}");
    }
}

async fn an_action_is_found_whole(url: String) {
    let store = open(&url).await;
    let (first, [intent, outcome]) = action();
    let (second, between) = action();
    let events = [intent].into_iter().chain(between).chain([outcome]);
    index(&store, 0, events).await.unwrap();
    assert_eq!(store.find_by_action(first).await.unwrap(), [0, 3]);
    assert_eq!(store.find_by_action(second).await.unwrap(), [1, 2]);
    assert_eq!(store.find_by_action(ActionId::generate()).await.unwrap(), [0; 0]);
}

async fn a_batch_may_be_offered_again(url: String) {
    let store = open(&url).await;
    assert_eq!(store.indexed_up_to().await.unwrap(), 0);
    index(&store, 0, [] as [Event; 0]).await.unwrap();
    let (open_action, [open_intent, _]) = action();
    let events: Vec<_> = action().1.into_iter().chain([open_intent]).collect();
    index(&store, 0, &events[..1]).await.unwrap();
    for (from, batch) in [(0, &events[..]), (0, &events), (0, &events[..1]), (1, &events[1..2])]
    {
        index(&store, from, batch).await.unwrap();
        assert_eq!(store.indexed_up_to().await.unwrap(), 3);
        assert_eq!(store.open_intents().await.unwrap(), [(2, open_action)]);
    }
}

async fn a_gap_is_refused(url: String) {
    let store = open(&url).await;
    for from in [0, 2] {
        let error = index(&store, from + 1, action().1).await.unwrap_err();
        let StoreError::Gap { indexed, offered } = error else { panic!("{error:?}") };
        assert_eq!((indexed, offered), (from, from + 1));
        assert_eq!(store.indexed_up_to().await.unwrap(), from, "nothing of the batch is kept");
        index(&store, from, action().1).await.unwrap();
    }
}

async fn intents_are_open_until_their_outcome(url: String) {
    let store = open(&url).await;
    let actions: Vec<_> = (0..40).map(|_| action()).collect();
    let intents = actions.iter().map(|(_, [intent, _])| intent.clone());
    index(&store, 0, intents).await.unwrap();
    assert_eq!(store.open_intents().await.unwrap().len(), 40);

    let outcomes = actions[..39].iter().map(|(_, [_, outcome])| outcome.clone());
    let (newer, [newer_intent, _]) = action();
    let events = outcomes.chain([newer_intent]).chain(action().1);
    index(&store, 40, events).await.unwrap();
    let want = [(39, actions[39].0), (79, newer)];
    assert_eq!(store.open_intents().await.unwrap(), want);
}

async fn a_cleared_index_is_built_again(url: String) {
    let store = open(&url).await;
    let (open_action, [open_intent, _]) = action();
    let events: Vec<_> = others().into_iter().chain([open_intent]).collect();
    index(&store, 0, &events).await.unwrap();
    store.clear_index().await.unwrap();
    assert_eq!(store.indexed_up_to().await.unwrap(), 0);
    assert_eq!(store.open_intents().await.unwrap(), []);
    index(&store, 0, &events).await.unwrap();
    assert_eq!(store.open_intents().await.unwrap(), [(5, open_action)]);
    assert_eq!(store.check_index(0, &events).await.unwrap(), []);
}

/// Sizes on both sides of where statements are split.
async fn batches_of_every_size_are_indexed_whole(url: String) {
    let store = open(&url).await;
    let mut next = 0;
    for size in [1, 2, 3, 127, 255, 256, 257, 513, 1000] {
        let one = || {
            let resource = format!("model-{}", "x".repeat(300));
            event(Some(ActionId::generate()), Record::Intent(intent(&resource)))
        };
        index(&store, next, (0..size).map(|_| one())).await.unwrap();
        next += size;
        assert_eq!(store.indexed_up_to().await.unwrap(), next, "size = {size}");
    }
    assert_eq!(store.open_intents().await.unwrap().len(), usize::try_from(next).unwrap());
}

/// More blocks than are fetched at once, against a search through all events. `a` acts
/// always, `b` in every other stretch of 300 events, `c` twice.
async fn a_long_ledger_is_searched_like_a_short_one(url: String) {
    let store = open(&url).await;
    let actor = |position: u64| match position {
        5_000 | 16_999 => "c",
        _ if (position / 300).is_multiple_of(2) && position.is_multiple_of(2) => "b",
        _ => "a",
    };
    let one = |position: u64| {
        let mut event = action().1[usize::from(position.is_multiple_of(3))].clone();
        event.subject.agent = Some(name(actor(position)));
        event
    };
    let events: Vec<_> = (0..17_000).map(one).collect();
    for (from, batch) in (0..).step_by(1_700).zip(events.chunks(1_700)) {
        index(&store, from, batch).await.unwrap();
    }
    for (agent, kind, from, before, limit) in [
        ("a", None, 0, u64::MAX, 10),
        ("a", None, 0, u64::MAX, 20_000),
        ("b", Some("outcome"), 0, 17_000, 5_000),
        ("b", Some("intent"), 299, 601, 100),
        ("b", None, 300, 600, 100),
        ("c", None, 0, u64::MAX, 10),
        ("c", None, 5_000, 16_999, 10),
        ("c", None, 5_001, 17_000, 10),
        ("d", None, 0, u64::MAX, 10),
        ("a", None, 900, 900, 10),
        ("a", None, 0, u64::MAX, 0),
    ] {
        let filter = EventFilter {
            agent: Some(name(agent)),
            kind: kind.map(str::to_owned),
            from: Some(from),
            before: Some(before),
            ..EventFilter::default()
        };
        let fits = |(position, event): &(u64, &Event)| {
            (from..before).contains(position)
                && actor(*position) == agent
                && kind.is_none_or(|kind| kind == event.kind())
        };
        let want: Vec<u64> =
            (0..).zip(&events).filter(fits).map(|(position, _)| position).collect();
        let count = usize::try_from(limit).unwrap();
        let oldest = store.events(&filter, Order::OldestFirst, limit).await.unwrap();
        assert!(oldest.iter().eq(want.iter().take(count)), "filter = {filter:?}");
        let newest = store.events(&filter, Order::NewestFirst, limit).await.unwrap();
        assert!(newest.iter().eq(want.iter().rev().take(count)), "filter = {filter:?}");
    }
    for (from, chunk) in (0..).step_by(1_000).zip(events.chunks(1_000)) {
        assert_eq!(store.check_index(from, chunk).await.unwrap(), [], "from = {from}");
    }
    assert_eq!(store.check_index_end(17_000).await.unwrap(), []);
}

async fn the_newest_checkpoint_is_kept(url: String) {
    let store = open(&url).await;
    assert_eq!(store.last_checkpoint().await.unwrap(), None);
    for (size, note, kept_size, kept_note) in [
        (5, "five", 5, "five"),
        (4, "four", 5, "five"),
        (5, "five, another key", 5, "five, another key"),
        (6, "six\n\n— x y\n", 6, "six\n\n— x y\n"),
    ] {
        store.put_checkpoint(size, note).await.unwrap();
        let kept = CheckpointRow { size: kept_size, note: kept_note.to_owned() };
        assert_eq!(store.last_checkpoint().await.unwrap(), Some(kept), "after {note:?}");
    }
}

async fn witnesses_and_alerts_are_found(url: String) {
    let store = open(&url).await;
    index(&store, 0, &joined()).await.unwrap();
    let kind =
        |kind: &str| EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() };
    let plane = EventFilter { plane: Some("hook".to_owned()), ..EventFilter::default() };
    for (filter, want) in
        [(kind("witness"), 0), (kind("alert"), 1), (kind("approval"), 2), (plane, 0)]
    {
        let found = store.events(&filter, Order::OldestFirst, 10).await.unwrap();
        assert_eq!(found, [want], "filter = {filter:?}");
    }
}
