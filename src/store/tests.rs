//! The topics on a real database: what one transaction must hold together, and what must never change.

use std::sync::Arc;

use super::database::{self, Options};
use super::runs::{Filter, NewRun, State};
use super::schema::MIGRATIONS;
use super::settle::{Change, Settlement};
use super::steps::StepRow;
use super::triggers::TriggerSync;
use super::walks::{Close, Listed, Page, WalkRow};
use super::{Store, id};

const NOW: i64 = 1_790_000_000_000;

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let handle = database::open(&folder.path().join("t.db"), &Options::new(MIGRATIONS, NOW)).unwrap();
    (folder, Store::new(handle))
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
        retry_of: None,
        error: None,
    }
}

fn page(walk: &WalkRow, keys: &[&str], next: Option<&str>, close: Option<Close>) -> Page {
    let listed = keys
        .iter()
        .enumerate()
        .map(|(at, key)| Listed { key: (*key).to_owned(), run: Some(run(key, at as i64, walk)) })
        .collect();
    Page {
        walk: Arc::new(walk.clone()),
        listed,
        next: next.map(str::to_owned),
        server_at: Some(NOW),
        newest: Some("9".to_owned()),
        close,
        notices: Vec::new(),
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

#[tokio::test]
async fn a_page_that_closes_its_walk_starts_runs_and_moves_the_cursor_together() {
    let (_folder, store) = open();
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

#[tokio::test]
async fn the_same_page_twice_starts_nothing_twice() {
    let (_folder, store) = open();
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

#[tokio::test]
async fn held_runs_are_released_oldest_first_and_their_walk_goes() {
    let (_folder, store) = open();
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let first = walk();
    store.commit_page(page(&first, &["a", "b", "c"], Some("2"), None)).await.unwrap();
    assert!(store.releasable_walks().await.unwrap().is_empty(), "an open walk keeps its runs");
    let open = store.open_walk("f".to_owned()).await.unwrap().unwrap();
    store.commit_page(page(&open, &[], None, Some(close()))).await.unwrap();
    let walks = store.releasable_walks().await.unwrap();
    assert_eq!(walks, [(first.id.clone(), "f".to_owned())]);
    assert_eq!(store.release(first.id.clone(), 2, NOW).await.unwrap(), 2);
    assert_eq!(keys(&store, State::Queued).await, ["a", "b"]);
    assert_eq!(store.release(first.id.clone(), 2, NOW).await.unwrap(), 1);
    assert!(store.releasable_walks().await.unwrap().is_empty());
    let due = store.due_runs("f".to_owned(), NOW, 10, Vec::new()).await.unwrap();
    let order: Vec<i64> = due.runs.iter().map(|run| run.position).collect();
    assert_eq!(order, [0, 1, 2]);
}

#[tokio::test]
async fn only_the_newest_are_kept_where_a_flow_asks_for_that() {
    let (_folder, store) = open();
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let walk = walk();
    let close = Close { keep_newest: Some(1), ..close() };
    store.commit_page(page(&walk, &["a", "b", "c"], None, Some(close))).await.unwrap();
    assert_eq!(keys(&store, State::Held).await, ["c"]);
}

#[tokio::test]
async fn terminal_states_never_change() {
    let (_folder, store) = open();
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
    let settlement = |change, steps| Settlement { run: run.id.clone(), steps, change, started_at: NOW, now_ms: NOW };
    assert!(
        store.settle(Arc::new(settlement(Change::Mark { frames: "{}".to_owned() }, vec![mark.clone()]))).await.unwrap()
    );
    assert!(store.end_run(run.id.clone(), State::Cancelled, None, NOW).await.unwrap());
    let late = StepRow { state: "succeeded".to_owned(), ..mark };
    let end = Change::End { state: State::Succeeded, error: None };
    assert!(!store.settle(Arc::new(settlement(end, vec![late]))).await.unwrap());
    let detail = store.run(run.id.clone()).await.unwrap().unwrap();
    assert_eq!(detail.summary.state, "cancelled");
    assert_eq!(detail.steps[0].state, "sending", "nothing of a refused settlement is written");
}

#[tokio::test]
async fn values_above_a_mebibyte_come_back_whole() {
    let (_folder, store) = open();
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
            run: run.id.clone(),
            steps: vec![step],
            change: end,
            started_at: NOW,
            now_ms: NOW,
        }))
        .await
        .unwrap();
    let detail = store.run(run.id).await.unwrap().unwrap();
    assert_eq!(detail.steps[0].output.as_ref(), Some(&item));
}

#[tokio::test]
async fn another_query_does_not_replay_history() {
    let (_folder, store) = open();
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    let seed = Close { baseline_at: Some(NOW - 500), ..close() };
    store.commit_page(page(&walk(), &["a"], None, Some(seed))).await.unwrap();
    let other = TriggerSync { source: "s2".to_owned(), ..sync("f") };
    store.sync_triggers(vec![other], NOW + 1).await.unwrap();
    let trigger = store.trigger("f".to_owned()).await.unwrap().unwrap();
    assert_eq!(trigger.baseline_at, Some(NOW), "what was covered is history for the new query too");
    assert_eq!((trigger.generation, trigger.value), (1, None));
}

#[tokio::test]
async fn a_vanished_flow_keeps_its_cursor_and_a_renamed_one_takes_it_along() {
    let (_folder, store) = open();
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

#[tokio::test]
async fn a_rewind_begins_a_new_ledger() {
    let (_folder, store) = open();
    store.sync_triggers(vec![sync("f")], NOW).await.unwrap();
    store.commit_page(page(&walk(), &["a"], None, Some(close()))).await.unwrap();
    assert!(store.rewind("f".to_owned(), Some(NOW - 1_000), NOW).await.unwrap());
    let again = WalkRow { generation: 2, ..walk() };
    let committed = store.commit_page(page(&again, &["a"], None, Some(close()))).await.unwrap();
    assert_eq!(committed.queued, 1);
    let late = store.commit_page(page(&walk(), &["z"], None, Some(close()))).await.unwrap();
    assert!(late.is_stale, "a walk of the old ledger is no longer anybody's");
}

#[tokio::test]
async fn keys_are_forgotten_by_when_they_were_last_listed() {
    let (_folder, store) = open();
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

#[tokio::test]
async fn retention_removes_finished_runs_and_leaves_live_ones() {
    let (_folder, store) = open();
    for (key, state) in [("a", State::Queued), ("b", State::Filtered)] {
        store.insert_run(NewRun { state, walk: None, ..run(key, 0, &walk()) }, NOW).await.unwrap();
    }
    let later = NOW + 8 * 86_400_000;
    let cutoffs = super::prune::Cutoffs { runs_ms: later - 30 * 86_400_000, payloads_ms: later - 7 * 86_400_000 };
    while store.prune(cutoffs).await.unwrap() {}
    assert_eq!(keys(&store, State::Queued).await, ["a"]);
    assert!(keys(&store, State::Filtered).await.is_empty());
}

#[tokio::test]
async fn a_slot_that_is_taken_hides_only_runs_that_did_not_begin() {
    let (_folder, store) = open();
    for (key, slot) in [("a", "x"), ("b", "y")] {
        let new = NewRun { state: State::Queued, slot: Some(slot.to_owned()), walk: None, ..run(key, 0, &walk()) };
        store.insert_run(new, NOW).await.unwrap();
    }
    let due = store.due_runs("f".to_owned(), NOW, 10, vec!["x".to_owned()]).await.unwrap();
    assert_eq!(due.runs.iter().filter_map(|run| run.slot.as_deref()).collect::<Vec<_>>(), ["y"]);
    assert_eq!(store.live_flows().await.unwrap(), [("f".to_owned(), NOW)]);
}
