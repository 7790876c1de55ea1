//! Which records a reading must not pass over: old ones that nobody has seen, pinned ones, those that are not ready,
//! and those that a service that was away lists again.

use super::*;

const DAY: i64 = 24 * HOUR;

fn flow(trigger: &str) -> String {
    format!("trigger: {{{trigger}}}\nsteps: [{{action: shop.tell, with: {{id: \"{{{{item.id}}}}\"}}}}]\n")
}

#[tokio::test]
async fn what_was_never_seen_counts_however_old_it_is() {
    for start in ["all", "{last: 5}", "{since: 2026-01-01T00:00:00Z}"] {
        let world = World::new("natural", "asc", &flow(&format!("poll: shop.listed, every: 1h, start: {start}"))).await;
        world.add_dated(NOON - 40 * DAY);
        world.work().await;
        assert_eq!(world.told(), [1], "start: {start}");
    }
    let world = World::new("natural", "asc", &flow("poll: shop.listed, every: 1h")).await;
    world.work().await;
    world.add_dated(NOON + DAY);
    world.clock.advance(40 * DAY);
    world.work().await;
    assert_eq!(world.told(), [1], "the host was off");
    world.host.store.rewind("f".to_owned(), Some(NOON - 60 * DAY), world.clock.now_ms()).await.unwrap();
    world.add_dated(NOON - 50 * DAY);
    world.work().await;
    assert_eq!(world.told(), [1, 2, 1], "read again, oldest first");
}

#[tokio::test]
async fn a_start_since_a_second_has_that_second() {
    let world =
        World::new("natural", "asc", &flow("poll: shop.listed, every: 1h, start: {since: 2026-11-17T12:00:00Z}")).await;
    assert_eq!(crate::clock::rfc3339(NOON), "2026-11-17T12:00:00.000Z");
    world.add_dated(NOON - 1);
    world.add_dated(NOON);
    world.add_dated(NOON + 999);
    world.clock.advance(HOUR);
    world.work().await;
    assert_eq!(world.told(), [2, 3]);
}

#[tokio::test]
async fn what_is_dated_in_the_future_is_history_when_the_first_reading_lists_it() {
    let world = World::new("natural", "asc", &flow("poll: shop.listed, every: 1h")).await;
    world.add_dated(NOON + DAY);
    world.work().await;
    world.add_dated(NOON + DAY);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [2]);
}

#[tokio::test]
async fn one_old_record_on_a_page_does_not_end_a_reading() {
    let world = World::new("natural", "desc", &flow("poll: shop.listed, every: 1h")).await;
    world.add_dated(NOON - 20 * DAY);
    world.work().await;
    // Newest first, below a record that is pinned: more than a page of news.
    for at in 0..5 {
        world.add_dated(NOON + HOUR / 2 - at * 1_000);
    }
    for _ in 0..6 {
        world.add_dated(NOON - 30 * DAY);
    }
    world.work_an_hour_later().await;
    let mut told = world.told();
    told.sort_unstable();
    assert_eq!(told, [2, 3, 4, 5, 6]);
    let requests = world.sandbox.control().received(&sandbox::ReceiptFilter::default());
    let lists = requests.iter().filter(|receipt| receipt.operation == "list_items").count();
    assert!(lists <= 5, "a page of old records alone ends it: {lists}");
}

#[tokio::test]
async fn what_is_not_ready_for_longer_than_polls_look_back_is_asked_for_again() {
    let world = World::new("natural", "asc", &flow("poll: shop.dated, every: 5m")).await;
    world.work().await;
    world.clock.advance(HOUR);
    let draft = json!({"state": "draft"}).as_object().unwrap().clone();
    world.sandbox.control().add_items(&NewItems { count: 1, fields: draft, ..NewItems::default() });
    for _ in 0..3 {
        world.work().await;
        world.clock.advance(HOUR / 12);
    }
    world.work().await;
    assert_eq!(world.told(), [1], "after ten minutes it is taken as it is");
}

#[tokio::test]
async fn polls_that_fail_for_longer_than_keys_are_remembered_forget_nothing() {
    let world = World::new("natural", "asc", &flow("poll: shop.plain, every: 1h")).await;
    world.add(2);
    world.work().await;
    let operation = Some("list_items".to_owned());
    world.fault(sandbox::Fault { operation, times: Some(100), status: Some(500), ..sandbox::Fault::default() });
    world.clock.advance(31 * DAY);
    world.work().await;
    crate::worker::work::prune(Arc::clone(&world.host)).await;
    world.sandbox.control().clear_faults();
    world.work_an_hour_later().await;
    assert!(world.told().is_empty(), "{:?}", world.told());
}
