//! The topics on a real database: what one transaction must hold together, and what must never change.

use std::sync::Arc;

use rstest::rstest;

use super::approvals::Changes;
use super::database::Options;
use super::database::tests::place::{On, Place};
use super::matches::Match;
use super::prune::Cutoffs;
use super::repeats::{Repeats, Retried};
use super::runs::{Filter, NewRun, State};
use super::schema::MIGRATIONS;
use super::settle::{Change, Settlement};
use super::steps::StepRow;
use super::triggers::TriggerSync;
use super::walks::{Close, Listed, Page, WalkRow};
use super::{Store, id};

const NOW: i64 = 1_790_000_000_000;

fn open(on: On) -> (Place, Store) {
    let place = Place::new(on);
    let handle = place.open(&Options::new(MIGRATIONS, NOW)).unwrap();
    (place, Store::new(handle))
}

fn sync(flow: &str) -> TriggerSync {
    TriggerSync {
        flow: flow.to_owned(),
        was: None,
        definition: "d1".to_owned(),
        source: "s1".to_owned(),
        is_enabled: true,
        stopped: None,
        is_dated: true,
        first_due_at: Some(NOW),
        latest_due_at: Some(NOW + 3_600_000),
    }
}

fn walk() -> WalkRow {
    WalkRow {
        id: id::new(NOW),
        flow: "f".to_owned(),
        generation: 1,
        definition: "d1".to_owned(),
        mode: "poll".to_owned(),
        opened_at: NOW,
        ..WalkRow::default()
    }
}

fn run(key: &str, position: i64, walk: &WalkRow) -> NewRun {
    NewRun {
        id: id::new(NOW),
        flow: "f".to_owned(),
        definition: "d1".to_owned(),
        state: State::Held,
        position,
        slot: None,
        walk: Some(walk.id.clone()),
        item_key: Some(key.to_owned()),
        item: format!("{{\"id\":\"{key}\"}}"),
        repeats: None,
        error: None,
    }
}

fn page(walk: &WalkRow, keys: &[&str], next: Option<&str>, close: Option<Close>) -> Page {
    let listed = keys
        .iter()
        .enumerate()
        .map(|(at, key)| Listed { key: (*key).to_owned(), run: Some(run(key, at as i64, walk)), reply: None })
        .collect();
    Page {
        walk: Arc::new(walk.clone()),
        epoch: 0,
        listed,
        next: next.map(str::to_owned),
        server_at: Some(NOW),
        newest: Some("9".to_owned()),
        not_ready_at: None,
        close,
        notices: Vec::new(),
        is_gathered: false,
        refresh_before: NOW - 1_000,
        now_ms: NOW,
    }
}

fn close() -> Close {
    Close { value: Some("9".to_owned()), covered_until: Some(NOW), due_at: NOW + 60_000, ..Close::default() }
}

async fn keys(store: &Store, state: State) -> Vec<String> {
    let filter = Filter { state: Some(state), limit: 100, ..Filter::default() };
    let mut keys: Vec<String> =
        store.list_runs(filter).await.unwrap().into_iter().filter_map(|run| run.item_key).collect();
    keys.sort();
    keys
}

#[rstest]
#[tokio::test]
async fn a_page_that_closes_its_walk_starts_runs_and_moves_the_cursor_together(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let walk = walk();
    let committed = store.commit_page(page(&walk, &["a", "b"], None, Some(close()))).await.unwrap();
    assert_eq!((committed.queued, committed.held, committed.known), (2, 0, 0));
    assert_eq!(keys(&store, State::Queued).await, ["a", "b"]);
    let trigger = store.trigger("f".to_owned()).await.unwrap().unwrap();
    assert_eq!(trigger.value.as_deref(), Some("9"));
    assert_eq!(trigger.covered_until, Some(NOW));
    assert!(trigger.seeded);
    assert!(store.open_walk("f".to_owned()).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn the_same_page_twice_starts_nothing_twice(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let first = walk();
    store.commit_page(page(&first, &["a", "b"], Some("2"), None)).await.unwrap();
    let again = store.commit_page(page(&first, &["a", "b"], Some("2"), None)).await.unwrap();
    assert!(again.is_stale, "a page of a walk that is open already is somebody else's");
    let open = store.open_walk("f".to_owned()).await.unwrap().unwrap();
    assert_eq!((open.pages, open.page.as_deref(), open.started), (1, Some("2"), 2));
    let second = store.commit_page(page(&open, &["b", "c"], None, Some(close()))).await.unwrap();
    assert_eq!((second.held, second.known), (1, 1));
    let stale = store.commit_page(page(&open, &["d"], None, Some(close()))).await.unwrap();
    assert!(stale.is_stale, "the walk went on without this page's state");
    assert_eq!(keys(&store, State::Held).await, ["a", "b", "c"]);
}

#[rstest]
#[tokio::test]
async fn held_runs_are_released_oldest_first_and_their_walk_goes(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let first = walk();
    store.commit_page(page(&first, &["a", "b", "c"], Some("2"), None)).await.unwrap();
    assert!(store.releasable_walks().await.unwrap().is_empty(), "an open walk keeps its runs");
    let open = store.open_walk("f".to_owned()).await.unwrap().unwrap();
    store.commit_page(page(&open, &[], None, Some(close()))).await.unwrap();
    let walks = store.releasable_walks().await.unwrap();
    assert_eq!(walks.iter().map(|walk| (&walk.id, walk.flow.as_str())).collect::<Vec<_>>(), [(&first.id, "f")]);
    assert_eq!(store.release(first.id.clone(), 2, NOW).await.unwrap(), 2);
    assert_eq!(keys(&store, State::Queued).await, ["a", "b"]);
    assert_eq!(store.release(first.id.clone(), 2, NOW).await.unwrap(), 1);
    assert!(store.releasable_walks().await.unwrap().is_empty());
    let due = store.due_runs("f".to_owned(), NOW, 10, Vec::new()).await.unwrap();
    let order: Vec<i64> = due.runs.iter().map(|run| run.position).collect();
    assert_eq!(order, [0, 1, 2]);
}

#[rstest]
#[tokio::test]
async fn only_the_newest_are_kept_where_a_flow_asks_for_that(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let walk = walk();
    let close = Close { keep_newest: Some(1), ..close() };
    store.commit_page(page(&walk, &["a", "b", "c"], None, Some(close))).await.unwrap();
    assert_eq!(keys(&store, State::Held).await, ["c"]);
}

#[rstest]
#[tokio::test]
async fn terminal_states_never_change(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    let run = NewRun { state: State::Queued, walk: None, ..run("a", 0, &walk()) };
    store.insert_run(run.clone(), NOW).await.unwrap();
    let mark = StepRow {
        key: "0".to_owned(),
        attempt: 1,
        form: "action".to_owned(),
        state: "sending".to_owned(),
        started_at: NOW,
        ..StepRow::default()
    };
    let settlement = |change, steps| Settlement {
        run: run.id.clone(),
        epoch: 0,
        steps,
        change,
        made: Vec::new(),
        approvals: Changes::default(),
        started_at: NOW,
        now_ms: NOW,
    };
    assert!(
        store.settle(Arc::new(settlement(Change::Mark { frames: "{}".to_owned() }, vec![mark.clone()]))).await.unwrap()
    );
    let running = Filter { state: Some(State::Running), limit: 9, ..Filter::default() };
    assert_eq!(store.list_runs(running).await.unwrap().len(), 1, "what is being sent has begun");
    let queued = Filter { state: Some(State::Queued), limit: 9, ..Filter::default() };
    assert!(store.list_runs(queued).await.unwrap().is_empty());
    assert_eq!(store.run(run.id.clone()).await.unwrap().unwrap().summary.state, "running");
    assert_eq!(store.run_counts().await.unwrap(), [(run.flow.clone(), "running".to_owned(), 1)]);
    assert!(store.end_run(run.id.clone(), None, State::Cancelled, None, NOW).await.unwrap());
    let late = StepRow { state: "succeeded".to_owned(), ended_at: Some(NOW + 1), ..mark };
    let another = StepRow { key: "1".to_owned(), ..late.clone() };
    let next = StepRow { key: "2".to_owned(), state: "sending".to_owned(), ended_at: None, ..late.clone() };
    let end = || Change::End { state: State::Succeeded, error: None };
    let stale = Settlement { epoch: 7, ..settlement(end(), vec![late.clone()]) };
    assert!(!store.settle(Arc::new(stale)).await.unwrap());
    let detail = store.run(run.id.clone()).await.unwrap().unwrap();
    assert_eq!(detail.steps[0].state, "sending", "another host's word does not count");
    assert!(!store.settle(Arc::new(settlement(end(), vec![late, another, next]))).await.unwrap());
    let detail = store.run(run.id.clone()).await.unwrap().unwrap();
    assert_eq!(detail.summary.state, "cancelled");
    let steps: Vec<_> = detail.steps.iter().map(|step| (step.key.as_str(), step.state.as_str())).collect();
    assert_eq!(steps, [("0", "succeeded")], "only what came of the request that was under way is written");
}

#[rstest]
#[tokio::test]
async fn a_record_is_one_steps_until_it_is_too_old(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    let found = |root: &str, list: &str| Match {
        list: list.to_owned(),
        provider_id: "1".to_owned(),
        root: root.to_owned(),
        key: "0".to_owned(),
    };
    assert!(store.claim_match(found("a", "one/shop.list"), NOW).await.unwrap());
    assert!(store.claim_match(found("a", "one/shop.list"), NOW).await.unwrap(), "it is found again");
    assert!(!store.claim_match(found("b", "one/shop.list"), NOW).await.unwrap());
    assert!(store.claim_match(found("b", "two/shop.list"), NOW).await.unwrap(), "of another account");
    for (before_ms, is_free) in [(NOW, false), (NOW + 1, true)] {
        store.prune(Cutoffs { runs_ms: before_ms, payloads_ms: 0 }).await.unwrap();
        assert_eq!(store.claim_match(found("c", "one/shop.list"), NOW).await.unwrap(), is_free);
    }
}

#[rstest]
#[tokio::test]
async fn values_above_a_mebibyte_come_back_whole(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    let item = serde_json::Value::from("é".repeat(700_000)).to_string();
    let run = NewRun { state: State::Queued, walk: None, item: item.clone(), ..run("a", 0, &walk()) };
    store.insert_run(run.clone(), NOW).await.unwrap();
    let due = store.due_runs("f".to_owned(), NOW, 1, Vec::new()).await.unwrap();
    assert_eq!(due.runs[0].item, item);
    let step =
        StepRow { key: "0".to_owned(), attempt: 1, output: Some(item.clone()), started_at: NOW, ..StepRow::default() };
    let end = Change::End { state: State::Succeeded, error: None };
    store
        .settle(Arc::new(Settlement {
            epoch: 0,
            run: run.id.clone(),
            steps: vec![step],
            change: end,
            made: Vec::new(),
            approvals: Changes::default(),
            started_at: NOW,
            now_ms: NOW,
        }))
        .await
        .unwrap();
    let detail = store.run(run.id).await.unwrap().unwrap();
    assert_eq!(detail.steps[0].output.as_ref(), Some(&item));
}

#[rstest]
#[tokio::test]
async fn another_query_does_not_replay_history(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let seed = Close { baseline_at: Some(NOW - 500), ..close() };
    store.commit_page(page(&walk(), &["a"], None, Some(seed))).await.unwrap();
    let other = TriggerSync { source: "s2".to_owned(), ..sync("f") };
    store.sync_triggers(vec![other], NOW + 1).await.unwrap();
    let trigger = store.trigger("f".to_owned()).await.unwrap().unwrap();
    assert_eq!(trigger.covered_until, Some(NOW), "what was covered is history for the new query too");
    assert_eq!((trigger.generation, trigger.seeded), (2, false));
    let late = store.commit_page(page(&walk(), &["z"], None, Some(close()))).await.unwrap();
    assert!(late.is_stale, "a page of the query before, which was under way, is nobody's");
    assert!(!store.trigger("f".to_owned()).await.unwrap().unwrap().seeded);
}

#[rstest]
#[tokio::test]
async fn a_vanished_flow_keeps_its_cursor_and_a_renamed_one_takes_it_along(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    store.commit_page(page(&walk(), &["a"], None, Some(close()))).await.unwrap();
    store.sync_triggers(Vec::new(), NOW).await.unwrap();
    let gone = store.trigger("f".to_owned()).await.unwrap().unwrap();
    assert_eq!((gone.state.as_str(), gone.value.as_deref()), ("disabled", Some("9")));
    let renamed = TriggerSync { was: Some("f".to_owned()), ..sync("g") };
    store.sync_triggers(vec![renamed], NOW).await.unwrap();
    assert!(store.trigger("f".to_owned()).await.unwrap().is_none());
    let trigger = store.trigger("g".to_owned()).await.unwrap().unwrap();
    assert_eq!((trigger.state.as_str(), trigger.value.as_deref()), ("enabled", Some("9")));
    let known = WalkRow { flow: "g".to_owned(), ..walk() };
    let committed = store.commit_page(page(&known, &["a"], None, Some(close()))).await.unwrap();
    assert_eq!((committed.known, committed.queued), (1, 0), "its ledger came along");
}

#[rstest]
#[tokio::test]
async fn a_rewind_begins_a_new_ledger(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    store.commit_page(page(&walk(), &["a"], None, Some(close()))).await.unwrap();
    assert!(store.rewind("f".to_owned(), Some(NOW - 1_000), NOW).await.unwrap());
    let again = WalkRow { generation: 2, ..walk() };
    let committed = store.commit_page(page(&again, &["a"], None, Some(close()))).await.unwrap();
    assert_eq!(committed.queued, 1);
    let late = store.commit_page(page(&walk(), &["z"], None, Some(close()))).await.unwrap();
    assert!(late.is_stale, "a walk of the old ledger is no longer anybody's");
}

#[rstest]
#[tokio::test]
async fn keys_are_forgotten_by_when_they_were_last_listed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    store.commit_page(page(&walk(), &["a", "b"], None, Some(close()))).await.unwrap();
    let later = NOW + 10_000_000;
    let mut again = page(&walk(), &["b"], None, Some(close()));
    again.now_ms = later;
    again.refresh_before = later - 1;
    store.commit_page(again).await.unwrap();
    store.forget_keys("f".to_owned(), 1, NOW + 1).await.unwrap();
    let committed = store.commit_page(page(&walk(), &["a", "b"], None, Some(close()))).await.unwrap();
    assert_eq!((committed.known, committed.queued), (1, 1), "only `a` was forgotten");
}

#[rstest]
#[tokio::test]
async fn retention_removes_finished_runs_and_leaves_live_ones(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    for (key, state) in [("a", State::Queued), ("b", State::Filtered)] {
        store.insert_run(NewRun { state, walk: None, ..run(key, 0, &walk()) }, NOW).await.unwrap();
    }
    let later = NOW + 8 * 86_400_000;
    let cutoffs = super::prune::Cutoffs { runs_ms: later - 30 * 86_400_000, payloads_ms: later - 7 * 86_400_000 };
    while store.prune(cutoffs).await.unwrap() {}
    assert_eq!(keys(&store, State::Queued).await, ["a"]);
    assert!(keys(&store, State::Filtered).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn retention_goes_by_the_end_of_a_run_and_keeps_the_line_of_one_that_is_kept(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    const DAY: i64 = 86_400_000;
    let (_folder, store) = open(on);
    let found = |key: &str, at_ms: i64| NewRun {
        id: id::floor(at_ms),
        state: State::Queued,
        walk: None,
        ..run(key, 0, &walk())
    };
    let end = async |run: &NewRun, state: State, at_ms: i64| {
        assert!(store.end_run(run.id.clone(), None, state, None, at_ms).await.unwrap());
    };
    let (first, waited) = (found("first", NOW), found("waited", NOW + 1));
    for run in [&first, &waited] {
        store.insert_run(run.clone(), NOW).await.unwrap();
    }
    end(&first, State::Failed, NOW).await;
    let repeats = Repeats::Retry { of: first.id.clone(), root: first.id.clone() };
    let retry = NewRun { repeats: Some(repeats), ..found("retry", NOW + 2) };
    assert_eq!(store.retry_run(first.id.clone(), retry.clone(), NOW).await.unwrap(), Retried::Queued);
    end(&retry, State::Cancelled, NOW + 20 * DAY).await;
    end(&waited, State::Succeeded, NOW + 31 * DAY).await;
    for (cutoff_ms, kept) in [
        (NOW + 10 * DAY, &["retry", "waited", "first"][..]),
        (NOW + 25 * DAY, &["waited"][..]),
        (NOW + 32 * DAY, &[][..]),
    ] {
        while store.prune(Cutoffs { runs_ms: cutoff_ms, payloads_ms: cutoff_ms }).await.unwrap() {}
        let left = store.list_runs(Filter { limit: 10, ..Filter::default() }).await.unwrap();
        let left: Vec<_> = left.iter().filter_map(|run| run.item_key.as_deref()).collect();
        assert_eq!(left, kept, "{}", (cutoff_ms - NOW) / DAY);
    }
}

#[rstest]
#[tokio::test]
async fn a_slot_that_is_taken_hides_only_runs_that_did_not_begin(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    for (key, slot) in [("a", "x"), ("b", "y")] {
        let new = NewRun { state: State::Queued, slot: Some(slot.to_owned()), walk: None, ..run(key, 0, &walk()) };
        store.insert_run(new, NOW).await.unwrap();
    }
    let due = store.due_runs("f".to_owned(), NOW, 10, vec!["x".to_owned()]).await.unwrap();
    assert_eq!(due.runs.iter().filter_map(|run| run.slot.as_deref()).collect::<Vec<_>>(), ["y"]);
    assert_eq!(store.live_flows().await.unwrap(), [("f".to_owned(), NOW)]);
}

#[rstest]
#[tokio::test]
async fn what_has_begun_goes_on_before_the_backlog_begins(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, store) = open(on);
    let mut ids = Vec::new();
    for (position, key) in ["a", "b", "c"].into_iter().enumerate() {
        let new = NewRun { state: State::Queued, walk: None, ..run(key, i64::try_from(position).unwrap(), &walk()) };
        ids.push(new.id.clone());
        store.insert_run(new, NOW).await.unwrap();
    }
    // The last of them waited, for longer than the others have been due.
    let wait = Change::Wait { frames: "[]".to_owned(), due_at: NOW + 50 };
    let settlement = Settlement {
        epoch: 0,
        run: ids[2].clone(),
        steps: Vec::new(),
        change: wait,
        made: Vec::new(),
        approvals: Changes::default(),
        started_at: NOW,
        now_ms: NOW,
    };
    assert!(store.settle(Arc::new(settlement)).await.unwrap());
    let early = store.due_runs("f".to_owned(), NOW + 49, 2, Vec::new()).await.unwrap();
    assert_eq!(early.runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [&ids[0], &ids[1]]);
    let due = store.due_runs("f".to_owned(), NOW + 50, 2, Vec::new()).await.unwrap();
    assert_eq!(due.runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [&ids[2], &ids[0]]);
    assert!(due.has_more);
    assert_eq!(early.next_due_at, None, "there may be more that are due now");
    let all = store.due_runs("f".to_owned(), NOW + 49, 10, Vec::new()).await.unwrap();
    assert_eq!(all.next_due_at, Some(NOW + 50));
    assert_eq!(store.live_flows().await.unwrap(), [("f".to_owned(), NOW)]);
}
