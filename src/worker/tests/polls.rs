//! Which items start a run, and when: history, news, pages that fail, walks that resume.

use super::*;
use crate::sandbox::Fault;

const EVERY_HOUR: &str =
    "trigger: {poll: shop.new, every: 1h}\nsteps: [{action: shop.tell, with: {id: \"{{item.id}}\"}}]\n";

#[tokio::test]
async fn what_was_there_before_is_history_and_what_comes_after_is_told_once_oldest_first() {
    let world = World::new("natural", "asc", EVERY_HOUR).await;
    world.add(5);
    world.work().await;
    assert!(world.told().is_empty(), "enabling a flow starts nothing");
    world.add(8);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), (6..=13).collect::<Vec<_>>());
    world.work_an_hour_later().await;
    world.work_an_hour_later().await;
    assert_eq!(world.told().len(), 8, "an item that is listed again starts nothing");
}

#[tokio::test]
async fn a_flow_can_ask_for_everything_or_for_the_newest() {
    for (start, expected) in [("all", (1..=7).collect::<Vec<_>>()), ("{last: 2}", vec![6, 7])] {
        let flow = format!(
            "trigger: {{poll: shop.new, start: {start}}}\nsteps: [{{action: shop.tell, with: {{id: \"{{{{item.id}}}}\"}}}}]\n"
        );
        let flow = flow.replace("poll: shop.new,", "poll: shop.new, every: 1h,");
        let world = World::new("natural", "asc", &flow).await;
        world.add(7);
        world.work().await;
        let mut told = world.told();
        told.sort_unstable();
        assert_eq!(told, expected, "start: {start}");
    }
}

#[tokio::test]
async fn a_page_that_fails_moves_no_cursor_and_the_walk_goes_on_where_it_stood() {
    let mut world = World::new("natural", "desc", EVERY_HOUR).await;
    world.work().await;
    world.add(8);
    // Page 1 is committed; page 2 is refused until the host was killed and started again.
    world.fault(Fault {
        operation: Some("list_items".to_owned()),
        skip: 1,
        times: Some(1),
        status: Some(500),
        ..Fault::default()
    });
    world.work_an_hour_later().await;
    let walk = world.host.store.open_walk("f".to_owned()).await.unwrap().expect("the walk is open");
    assert_eq!((walk.pages, walk.started), (1, 3));
    assert!(world.told().is_empty(), "what a walk found waits for its end");
    world.restart().await;
    world.clock.advance(60_000);
    world.work().await;
    let mut told = world.told();
    assert_eq!(told.len(), 8);
    told.sort_unstable();
    assert_eq!(told, (1..=8).collect::<Vec<_>>());
    assert!(world.host.store.open_walk("f".to_owned()).await.unwrap().is_none());
}

#[tokio::test]
async fn runs_of_a_walk_begin_oldest_first_although_it_was_read_newest_first() {
    let flow = EVERY_HOUR.replace("steps:", "concurrency: {limit: 1}\nsteps:");
    let world = World::new("natural", "desc", &flow).await;
    world.work().await;
    world.add(10);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn items_that_the_flow_does_not_want_are_recorded_and_start_nothing() {
    let flow = EVERY_HOUR.replace("every: 1h}", "every: 1h, where: \"gt item.id 3\"}");
    let world = World::new("natural", "asc", &flow).await;
    world.work().await;
    world.add(5);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [4, 5]);
    assert_eq!(world.runs(State::Filtered).await.len(), 3);
}

#[tokio::test]
async fn an_item_that_cannot_be_judged_is_not_dropped() {
    let flow = EVERY_HOUR.replace("every: 1h}", "every: 1h, where: \"eq item.colour 'red'\"}");
    let world = World::new("natural", "asc", &flow).await;
    world.work().await;
    world.add(1);
    world.work_an_hour_later().await;
    let failed = world.runs(State::Failed).await;
    assert_eq!(failed.len(), 1);
    assert!(failed[0].error.as_deref().unwrap_or_default().contains("template_missing_path"), "{failed:?}");
}

#[tokio::test]
async fn refused_credentials_stop_the_polls_and_are_told_once() {
    let world = World::new("natural", "asc", EVERY_HOUR).await;
    world.work().await;
    world.add(2);
    world.fault(Fault { operation: Some("list_items".to_owned()), every: 1, status: Some(401), ..Fault::default() });
    world.work_an_hour_later().await;
    world.work_an_hour_later().await;
    let trigger = world.host.store.trigger("f".to_owned()).await.unwrap().unwrap();
    assert_eq!(trigger.state, "attention");
    assert_eq!(world.notices().await.iter().filter(|kind| *kind == "attention").count(), 1);
    world.sandbox.control().clear_faults();
    world.work_an_hour_later().await;
    assert!(world.told().is_empty(), "nobody said that it works again");
}

#[tokio::test]
async fn a_limit_parks_the_poll_until_the_service_says() {
    let world = World::new("natural", "asc", EVERY_HOUR).await;
    world.work().await;
    world.add(2);
    let limited = Fault { status: Some(429), retry_after_s: Some(600), times: Some(1), ..Fault::default() };
    world.fault(Fault { operation: Some("list_items".to_owned()), ..limited });
    world.work_an_hour_later().await;
    let trigger = world.host.store.trigger("f".to_owned()).await.unwrap().unwrap();
    assert_eq!(trigger.due_at, Some(world.clock.now_ms() + 600_000));
    assert_eq!(trigger.failures, 0, "waiting for a limit is no failure");
    world.clock.advance(600_000);
    world.work().await;
    assert_eq!(world.told(), [1, 2]);
}

#[tokio::test]
async fn a_schedule_starts_one_run_for_a_pause_and_says_so() {
    let world =
        World::new("natural", "asc", "trigger: {every: 1h}\nsteps: [{action: shop.tell, with: {id: 7}}]\n").await;
    world.work().await;
    assert_eq!(world.told(), [7]);
    world.clock.advance(5 * HOUR);
    world.work().await;
    assert_eq!(world.told(), [7, 7]);
    assert_eq!(world.notices().await, ["missed"]);
}

#[tokio::test]
async fn one_poll_for_several_that_were_missed_is_told_and_one_that_is_only_late_is_not() {
    let flow =
        "trigger: {poll: shop.new, every: 1h, start: all}\nsteps: [{action: shop.tell, with: {id: \"{{item.id}}\"}}]\n";
    let mut world = World::new("natural", "asc", flow).await;
    world.clock.advance(72 * HOUR);
    world.work().await;
    assert!(world.notices().await.is_empty(), "what never polled has missed nothing");
    let late = async |world: &World, by_ms: i64| {
        world.clock.advance(world.trigger().await.due_at.unwrap() + by_ms - world.clock.now_ms());
    };
    late(&world, HOUR / 2).await;
    world.work().await;
    assert!(world.notices().await.is_empty(), "the one after it is not due yet");
    world.add(1);
    late(&world, 71 * HOUR + HOUR / 2).await;
    world.restart().await;
    // Also where it fails at first.
    world.fault(Fault {
        operation: Some("list_items".to_owned()),
        status: Some(503),
        times: Some(1),
        ..Fault::default()
    });
    world.work().await;
    world.clock.advance(600_000);
    world.work().await;
    assert_eq!(world.told(), [1]);
    let notices = world.host.store.notices(Some("f".to_owned()), 10).await.unwrap();
    let told: Vec<_> = notices.iter().filter(|notice| notice.kind == "missed").collect();
    assert_eq!(told.len(), 1, "{notices:?}");
    assert!(told[0].message.contains("72 that were due"), "{}", told[0].message);
}

const DATED: &str =
    "trigger: {poll: shop.dated, every: 1h}\nsteps: [{action: shop.tell, with: {id: \"{{item.id}}\"}}]\n";

#[tokio::test]
async fn an_item_that_shows_up_late_is_found_and_one_from_before_the_baseline_never_counts() {
    let world = World::new("natural", "asc", DATED).await;
    world.work().await;
    world.work_an_hour_later().await;
    let covered_ms = world.clock.now_ms();
    world.add_dated(covered_ms - 30_000);
    world.add_dated(NOON - 10_000);
    world.add_dated(covered_ms + 10_000);
    world.work_an_hour_later().await;
    let mut told = world.told();
    told.sort_unstable();
    assert_eq!(told, [1, 3]);
}

#[tokio::test]
async fn a_cursor_that_grew_too_old_is_a_gap_that_is_told_with_its_bounds() {
    let world = World::new("natural", "asc", DATED).await;
    world.work().await;
    world.clock.advance(8 * 24 * HOUR);
    world.work().await;
    let notices = world.host.store.notices(Some("f".to_owned()), 9).await.unwrap();
    let gap = notices.iter().find(|notice| notice.kind == "gap").expect("the gap is told");
    let details: Value = serde_json::from_str(gap.details.as_deref().unwrap_or_default()).unwrap();
    assert_eq!(details["from_ms"], NOON);
    world.work_an_hour_later().await;
    let again = world.host.store.notices(Some("f".to_owned()), 9).await.unwrap();
    assert_eq!(again.len(), notices.len(), "a gap is told once");
}

#[tokio::test]
async fn what_a_service_stops_listing_while_it_is_read_is_told_as_well() {
    let world = World::new("natural", "desc", DATED).await;
    world.work().await;
    world.clock.advance(8 * 24 * HOUR);
    let began_ms = world.clock.now_ms();
    (0..8).rev().for_each(|hours| world.add_dated(began_ms - hours * HOUR));
    let operation = Some("list_items".to_owned());
    world.fault(Fault { operation, skip: 1, status: Some(429), retry_after_s: Some(36_000), ..Fault::default() });
    world.work().await;
    world.clock.advance(10 * HOUR);
    world.work().await;
    assert_eq!(world.told().len(), 8);
    let notices = world.host.store.notices(Some("f".to_owned()), 9).await.unwrap();
    let gaps = notices.iter().rev().filter(|notice| notice.kind == "gap");
    let bounds: Vec<(i64, i64)> = gaps
        .map(|gap| serde_json::from_str::<Value>(gap.details.as_deref().unwrap_or_default()).unwrap())
        .map(|gap| (gap["from_ms"].as_i64().unwrap(), gap["to_ms"].as_i64().unwrap()))
        .collect();
    // What was asked for at first began a minute later than the oldest that the service permits.
    let (first, last) = (began_ms - 7 * 24 * HOUR + 60_000, world.clock.now_ms() - 7 * 24 * HOUR);
    assert_eq!(bounds, [(NOON, first), (first, last)]);
}

#[tokio::test]
async fn polling_waits_while_too_much_is_unfinished() {
    let flow = "trigger: {poll: shop.new, every: 1h, start: all}\nsteps:\n  - {wait: 10h}\n";
    let mut world = World::new("natural", "asc", flow).await;
    world.add(4);
    world.work().await;
    world.options.backlog = 3;
    world.restart().await;
    world.add(4);
    world.work_an_hour_later().await;
    assert_eq!(world.host.store.backlog().await.unwrap(), 4, "nothing more was taken in");
    world.clock.advance(10 * HOUR);
    world.work().await;
    world.work_an_hour_later().await;
    assert_eq!(world.runs(State::Running).await.len(), 4, "with room again, polling goes on");
}

#[tokio::test]
async fn the_last_request_of_a_trigger_can_be_looked_at() {
    let world = World::new("natural", "asc", EVERY_HOUR).await;
    world.add(2);
    world.work().await;
    let seen = || async { world.host.store.trigger_exchange("f".to_owned()).await.unwrap().unwrap_or_default() };
    assert!(seen().await.contains("/items"), "{}", seen().await);
    let refused =
        Fault { status: Some(500), body: Some("{\"message\":\"shelf on fire\"}".to_owned()), ..Fault::default() };
    world.fault(Fault { operation: Some("list_items".to_owned()), times: Some(1), ..refused });
    world.work_an_hour_later().await;
    assert!(seen().await.contains("shelf on fire"), "{}", seen().await);
}

const BATCH: &str = "trigger: {poll: shop.new, every: 1h, emit: batch}\nsteps:\n  - {action: shop.tell, with: {id: \"{{item.count}}\"}}\n  - foreach: item.items\n    as: one\n    steps: [{action: shop.tell, with: {id: \"{{one.id}}\"}}]\n";

#[tokio::test]
async fn all_that_one_reading_finds_starts_one_run_oldest_first() {
    for order in ["asc", "desc"] {
        let world = World::new("natural", order, BATCH).await;
        world.work().await;
        world.add(5);
        world.work_an_hour_later().await;
        assert_eq!(world.told(), [5, 1, 2, 3, 4, 5], "{order}: two pages are one batch");
        world.work_an_hour_later().await;
        assert_eq!(world.told().len(), 6, "{order}: an empty poll starts nothing");
        assert_eq!(world.runs(State::Succeeded).await.len(), 1);
        assert!(world.runs(State::Held).await.is_empty());
    }
}

#[tokio::test]
async fn a_batch_is_whole_and_once_over_a_crash_between_its_pages() {
    let mut world = World::new("natural", "desc", BATCH).await;
    world.work().await;
    world.add(8);
    world.fault(Fault {
        operation: Some("list_items".to_owned()),
        skip: 1,
        times: Some(1),
        status: Some(500),
        ..Fault::default()
    });
    world.work_an_hour_later().await;
    assert!(world.told().is_empty());
    world.restart().await;
    world.clock.advance(60_000);
    world.work().await;
    assert_eq!(world.told(), [8, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn what_where_leaves_out_is_in_no_batch() {
    let flow = BATCH.replace("emit: batch", "emit: batch, where: 'gt item.id 3'");
    let flow = flow.replace("steps:\n  - {", "concurrency: {limit: 1, key: \"{{item.count}}\"}\nsteps:\n  - {");
    let world = World::new("natural", "asc", &flow).await;
    world.work().await;
    world.add(5);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [2, 4, 5]);
    assert_eq!(world.runs(State::Filtered).await.len(), 3);
}

#[tokio::test]
async fn a_batch_of_more_than_a_portion_becomes_several() {
    let flow = "trigger: {poll: shop.new, every: 1h, emit: batch}\nsteps: [{action: shop.tell, with: {id: \"{{item.count}}\"}}]\n";
    let world = World::new("natural", "desc", flow).await;
    world.work().await;
    world.add(502);
    world.work_an_hour_later().await;
    let mut told = world.told();
    told.sort_unstable();
    assert_eq!(told, [2, 500]);
}

#[tokio::test]
async fn a_service_that_names_the_same_page_again_is_told_as_a_gap() {
    // The page's own `limit` stands for a token: it is the same on every page, and what is beyond is never reached.
    let world = World::new("natural", "asc", EVERY_HOUR).await;
    let project = world.folder.path().join("project");
    let written = fs::read_to_string(project.join("connectors/shop.yaml")).unwrap();
    let repeating = "paginate: {type: cursor, token: limit, into: {query: token}}";
    let changed = written.replace("paginate: {type: page, into: {query: page}, size: 3}", repeating);
    assert_ne!(changed, written);
    fs::write(project.join("connectors/shop.yaml"), changed).unwrap();
    deploy(&world.host, &Catalog::load(&project), "shop", world.clock.now_ms()).await;
    world.add(5);
    world.work().await;
    assert_eq!(world.notices().await, ["gap"]);
    let notice = world.host.store.notices(None, 1).await.unwrap().remove(0);
    assert!(notice.message.contains("items may be missing: the service named the next page again"), "{notice:?}");
}

#[tokio::test]
async fn a_page_that_is_named_again_once_is_a_slip_that_loses_nothing() {
    let world = World::new("natural", "asc", EVERY_HOUR).await;
    world.work().await;
    world.add(8);
    // The second page is the first one again; when the window is read once more, all is well.
    let first = json!({ "items": [{ "id": 1 }, { "id": 2 }, { "id": 3 }] }).to_string();
    world.fault(Fault {
        operation: Some("list_items".to_owned()),
        times: Some(2),
        status: Some(200),
        body: Some(first),
        ..Fault::default()
    });
    world.work_an_hour_later().await;
    let mut told = world.told();
    told.sort_unstable();
    assert_eq!(told, (1..=8).collect::<Vec<_>>());
    assert_eq!(world.notices().await, [""; 0]);
}

#[tokio::test]
async fn after_a_gap_the_window_begins_later_than_the_oldest_that_the_service_permits() {
    let world = World::new("natural", "asc", DATED).await;
    world.work().await;
    world.clock.advance(8 * 24 * HOUR);
    world.work().await;
    let exchange = world.host.store.trigger_exchange("f".to_owned()).await.unwrap().unwrap_or_default();
    let oldest = crate::clock::rfc3339(world.clock.now_ms() - 7 * 24 * HOUR + 60_000);
    assert!(exchange.contains(&oldest.replace(':', "%3A")), "{oldest} in {exchange}");
}

#[tokio::test]
async fn a_cursor_that_is_refused_at_its_oldest_as_well_asks_for_all_that_is_listed() {
    // Its clock is ahead of ours: what we take for seven days ago is too old for it.
    let world = World::new("natural", "asc", DATED).await;
    let project = world.folder.path().join("project");
    let written = fs::read_to_string(project.join("connectors/shop.yaml")).unwrap();
    let rules = "errors: {message: message, rules: [{status: 410, then: cursor_expired}]}";
    let changed = written.replace("errors: {message: message}", rules);
    assert_ne!(changed, written);
    fs::write(project.join("connectors/shop.yaml"), changed).unwrap();
    deploy(&world.host, &Catalog::load(&project), "shop", world.clock.now_ms()).await;
    world.work().await;
    world.add_dated(NOON + HOUR);
    world.fault(Fault {
        operation: Some("list_items".to_owned()),
        times: Some(2),
        status: Some(410),
        ..Fault::default()
    });
    world.clock.advance(HOUR);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [1]);
    let exchange = world.host.store.trigger_exchange("f".to_owned()).await.unwrap().unwrap_or_default();
    assert!(!exchange.contains("since="), "{exchange}");
}
