//! What a filter finds, by the index and by the entries themselves.

use provost_ledger::{Brief, Event, Record};
use provost_store::{EventFilter, Order};
use provost_types::{ActionId, SessionId, Timestamp};

use crate::{
    database::{facts, open},
    samples::{action, at, event, index, intent, name, others},
};

facts![the_index_finds_what_fits_and_nothing_else, stretches_of_a_search_join_up];

/// Every filter on its own and with each other one, put to both ways of answering.
async fn the_index_finds_what_fits_and_nothing_else(url: String) {
    let store = open(&url).await;
    let (first, events) = events();
    index(&store, 0, &events).await.unwrap();
    let entries: Vec<_> = events.iter().map(Event::encode).collect();
    let one = filters(first);
    let fitting = |filter: &EventFilter| -> Vec<u64> {
        let fits = |(position, entry): &(u64, &Vec<u8>)| {
            filter.fits(*position, &Brief::read(entry).unwrap())
        };
        (0..).zip(&entries).filter(fits).map(|(position, _)| position).collect()
    };
    for (filter, want) in &one {
        assert_eq!(fitting(filter), *want, "filter = {filter:?}");
        for (other, _) in &one {
            let both = both(filter, other);
            let want = fitting(&both);
            let found = store.events(&both, Order::OldestFirst, 100).await.unwrap();
            assert_eq!(found, want, "filter = {both:?}");
            let found = store.events(&both, Order::NewestFirst, 2).await.unwrap();
            let want: Vec<u64> = want.into_iter().rev().take(2).collect();
            assert_eq!(found, want, "newest two of {both:?}");
        }
    }
}

/// Three stretches, with what is looked for at both ends of each.
async fn stretches_of_a_search_join_up(url: String) {
    const STRETCH: u64 = 65_536;
    let store = open(&url).await;
    let wanted = [0, STRETCH - 1, STRETCH, 2 * STRETCH - 1, 2 * STRETCH, 2 * STRETCH + 9];
    let [_, plain] = action().1;
    let rare = &others()[0];
    for from in (0..2 * STRETCH + 10).step_by(4096) {
        let until = (from + 4096).min(2 * STRETCH + 10);
        let one = |position| if wanted.contains(&position) { rare } else { &plain };
        index(&store, from, (from..until).map(one)).await.unwrap();
    }
    let filter = EventFilter { result: Some("denied".to_owned()), ..EventFilter::default() };
    for (order, count) in [
        (Order::OldestFirst, 10),
        (Order::OldestFirst, 3),
        (Order::NewestFirst, 10),
        (Order::NewestFirst, 4),
    ] {
        let mut want = wanted.to_vec();
        if order == Order::NewestFirst {
            want.reverse();
        }
        want.truncate(count);
        let limit = u32::try_from(count).unwrap();
        assert_eq!(store.events(&filter, order, limit).await.unwrap(), want, "{order:?}");
    }
    let narrow = EventFilter { from: Some(STRETCH), before: Some(2 * STRETCH), ..filter };
    let found = store.events(&narrow, Order::NewestFirst, 10).await.unwrap();
    assert_eq!(found, [2 * STRETCH - 1, STRETCH]);
}

/// Thirteen events, a second apart but for one; the first two are of the action.
fn events() -> (ActionId, Vec<Event>) {
    let (first, events) = action();
    let mut events: Vec<Event> = events.into_iter().chain(action().1).chain(others()).collect();
    for model in ["Été-MODEL", "100%_sure", "quote\"d", &"x".repeat(300)] {
        events.push(event(Some(ActionId::generate()), Record::Intent(intent(model))));
    }
    for (second, event) in (10..).zip(&mut events) {
        event.at = at(second);
    }
    events[2].at = at(100); // somebody set the clock, and set it back
    events[3].subject.agent = Some(name("other"));
    (first, events)
}

/// Filters, and what each finds among [`events`].
fn filters(first: ActionId) -> Vec<(EventFilter, Vec<u64>)> {
    let all = EventFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let resource = |part: &str| EventFilter { resource: text(part), ..all() };
    vec![
        (all(), (0..13).collect()),
        (EventFilter { action: Some(first), ..all() }, vec![0, 1]),
        (EventFilter { action: Some(ActionId::generate()), ..all() }, vec![]),
        (EventFilter { agent: Some(name("other")), ..all() }, vec![3]),
        (EventFilter { session: Some(SessionId::generate()), ..all() }, vec![]),
        (EventFilter { kind: text("session"), ..all() }, vec![6]),
        (EventFilter { kind: text("intent"), ..all() }, vec![0, 2, 9, 10, 11, 12]),
        (EventFilter { plane: text("llm"), ..all() }, vec![0, 2, 4, 9, 10, 11, 12]),
        (EventFilter { plane: text("LLM"), ..all() }, vec![]),
        (EventFilter { result: text("allow"), ..all() }, vec![0, 2, 9, 10, 11, 12]),
        (EventFilter { result: text("succeeded"), ..all() }, vec![1, 3]),
        (EventFilter { result: text("denied"), ..all() }, vec![4]),
        (resource("CLAUDE-sonnet"), vec![0, 2]),
        (resource("llm::model"), vec![0, 2, 4, 9, 10, 11, 12]),
        (resource("agent/bot"), vec![5]),
        (resource("été"), vec![]), // only A to Z have two cases
        (resource("Été-model"), vec![9]),
        (resource("%"), vec![10]),
        (resource("0%_s"), vec![10]),
        (resource("\\\"d"), vec![11]),
        (resource(&"X".repeat(200)), vec![]), // the first 200 characters, kind included
        (resource(&"X".repeat(180)), vec![12]),
        (resource(""), vec![0, 2, 4, 5, 9, 10, 11, 12]),
        (resource("nul\0"), vec![]), // a resource is kept as Cedar writes it
        (resource("nul\\0"), vec![4]),
        (
            EventFilter { since: Some(at(13)), ..all() },
            vec![2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        ),
        (EventFilter { until: Some(at(13)), ..all() }, vec![0, 1]),
        (EventFilter { since: Some(at(14)), until: Some(at(16)), ..all() }, vec![4, 5]),
        (EventFilter { until: Some(Timestamp(u64::MAX)), ..all() }, (0..13).collect()),
        (EventFilter { from: Some(3), before: Some(6), ..all() }, vec![3, 4, 5]),
    ]
}

/// What both ask for; where they differ, what the first does.
fn both(filter: &EventFilter, other: &EventFilter) -> EventFilter {
    EventFilter {
        agent: filter.agent.clone().or_else(|| other.agent.clone()),
        project: None,
        session: filter.session.or(other.session),
        kind: filter.kind.clone().or_else(|| other.kind.clone()),
        action: filter.action.or(other.action),
        plane: filter.plane.clone().or_else(|| other.plane.clone()),
        result: filter.result.clone().or_else(|| other.result.clone()),
        resource: filter.resource.clone().or_else(|| other.resource.clone()),
        since: filter.since.or(other.since),
        until: filter.until.or(other.until),
        from: filter.from.or(other.from),
        before: filter.before.or(other.before),
    }
}
