//! Items that come while their flow is busy: skipped, or in the place of an older run.

use super::*;
use crate::store::id;
use crate::store::repeats::Repeats;
use crate::store::runs::NewRun;

const MINUTE: i64 = 60_000;

/// A flow whose runs wait ten minutes before they tell the service of their item.
fn flow(concurrency: &str) -> String {
    format!(
        "trigger: {{poll: shop.new, every: 1m, start: all}}\nconcurrency: {{{concurrency}}}\nsteps:\n  - {{wait: 10m}}\n  - {{action: shop.tell, with: {{id: \"{{{{item.id}}}}\"}}}}\n"
    )
}

async fn one_more(world: &World) {
    world.clock.advance(MINUTE);
    world.add(1);
    world.work().await;
}

/// The states of all runs and why they are over, the oldest first.
async fn states(world: &World) -> Vec<String> {
    let mut runs = world.host.store.list_runs(Filter { limit: 100, ..Filter::default() }).await.unwrap();
    runs.reverse();
    let told = |run: Summary| {
        let error: Value = serde_json::from_str(run.error.as_deref().unwrap_or("null")).unwrap();
        format!("{} {}", run.state, error["message"].as_str().unwrap_or_default()).trim_end().to_owned()
    };
    runs.into_iter().map(told).collect()
}

const SKIPPED: &str = "skipped the flow was busy";
const REPLACED: &str = "cancelled a newer item took its place";

#[tokio::test]
async fn items_that_come_while_a_flow_is_busy_can_be_skipped() {
    let world = World::new("none", "asc", &flow("limit: 1, on_busy: skip")).await;
    world.add(2);
    world.work().await;
    assert_eq!(states(&world).await, ["running", SKIPPED], "two that come at once");
    one_more(&world).await;
    assert_eq!(states(&world).await, ["running", SKIPPED, SKIPPED], "one that comes while the first waits");
    world.clock.advance(10 * MINUTE);
    world.work().await;
    one_more(&world).await;
    assert_eq!(states(&world).await, ["succeeded", SKIPPED, SKIPPED, "running"], "one that comes when there is room");
}

#[tokio::test]
async fn the_newest_item_takes_the_place_of_a_run_that_waits() {
    let world = World::new("none", "asc", &flow("limit: 1, on_busy: replace")).await;
    world.add(1);
    world.work().await;
    one_more(&world).await;
    assert_eq!(states(&world).await, [REPLACED, "running"], "at once, not when its wait is over");
    // Three at once: the newest takes the place, the others never begin.
    world.clock.advance(MINUTE);
    world.add(3);
    world.work().await;
    assert_eq!(states(&world).await, [REPLACED, REPLACED, REPLACED, REPLACED, "running"]);
    world.clock.advance(10 * MINUTE);
    world.work().await;
    assert_eq!(world.told(), [5]);
}

#[tokio::test]
async fn an_item_takes_the_place_of_the_run_with_its_own_key_alone() {
    let key = "limit: 1, on_busy: replace, key: \"{{item.shelf}}\"";
    let world = World::new("none", "asc", &flow(key)).await;
    let add = |shelf: &str| {
        let fields = [("shelf".to_owned(), Value::from(shelf))].into_iter().collect();
        world.sandbox.control().add_items(&NewItems { fields, count: 1, ..NewItems::default() });
    };
    add("a");
    add("b");
    world.work().await;
    assert_eq!(states(&world).await, ["running", "running"]);
    world.clock.advance(MINUTE);
    add("a");
    add("b");
    world.work().await;
    assert_eq!(states(&world).await, [REPLACED, REPLACED, "running", "running"], "each in the place of its own");
}

#[tokio::test]
async fn a_run_is_not_replaced_while_it_sends() {
    let text = flow("limit: 1, on_busy: replace").replace("  - {wait: 10m}\n", "") + "  - {wait: 1m}\n";
    let world = World::new("none", "asc", &text).await;
    world.add(1);
    world.fault(sandbox::Fault {
        operation: Some("sink".to_owned()),
        delay_answer_ms: 300,
        times: Some(1),
        ..sandbox::Fault::default()
    });
    let host = Arc::clone(&world.host);
    let working = tokio::spawn(async move { drain_due(&host).await.unwrap() });
    while world.told().is_empty() {
        tokio::task::yield_now().await;
    }
    world.add(1);
    world.clock.advance(MINUTE);
    world.host.wake.notify_one();
    working.await.unwrap();
    world.work().await;
    let runs = world.runs(State::Cancelled).await;
    let first = world.host.store.run(runs[0].id.clone()).await.unwrap().unwrap();
    assert_eq!(first.steps[0].state, "succeeded", "what it sent was answered");
    assert_eq!(world.told(), [1, 2]);
}

#[tokio::test]
async fn what_a_person_does_once_more_waits_for_a_place() {
    for on_busy in ["skip", "replace"] {
        let world = World::new("none", "asc", &flow(&format!("limit: 1, on_busy: {on_busy}"))).await;
        world.add(1);
        world.work().await;
        let first = world.only_run().await;
        let replay = NewRun {
            id: id::new(world.clock.now_ms()),
            flow: "f".to_owned(),
            definition: first.definition.clone(),
            state: State::Queued,
            position: 0,
            slot: None,
            walk: None,
            item_key: None,
            item: first.item.clone().unwrap(),
            repeats: Some(Repeats::Replay { of: first.summary.id.clone() }),
            error: None,
        };
        world.host.store.insert_run(replay, world.clock.now_ms()).await.unwrap();
        world.host.stir();
        world.work().await;
        assert_eq!(states(&world).await, ["running", "queued"], "{on_busy}");
        for _ in 0..2 {
            world.clock.advance(10 * MINUTE);
            world.work().await;
        }
        assert_eq!(world.told(), [1, 1], "{on_busy}");
    }
}
