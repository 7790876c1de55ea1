//! Look-ups before a request: asked once, remembered over a restart until their time, and told when there is nothing.

use super::*;
use crate::store::prune::Cutoffs;

fn flow(poll: &str, with: &str) -> String {
    format!(
        "trigger: {{poll: shop.{poll}, every: 10m, start: all}}\nsteps: [{{action: shop.tell_newest, with: {with}}}]\n"
    )
}

#[tokio::test]
async fn what_was_looked_up_is_remembered_over_a_restart_until_its_time() {
    let mut world = World::new("none", "asc", &flow("new", "{}")).await;
    world.add(2);
    world.work().await;
    assert_eq!(world.told(), [2, 2], "the newest at that time, for both runs");
    world.restart().await;
    world.add(1);
    world.clock.advance(600_000);
    world.work().await;
    assert_eq!(world.told(), [2, 2, 2], "it is not asked again");
    world.add(1);
    world.clock.advance(1_800_000);
    world.work().await;
    assert_eq!(world.told(), [2, 2, 2, 4], "it is asked again after its time");
}

#[tokio::test]
async fn what_no_longer_holds_is_pruned() {
    let world = World::new("none", "asc", &flow("new", "{}")).await;
    let store = &world.host.store;
    store.remember("a".to_owned(), "1".to_owned(), NOON + 5).await.unwrap();
    store.remember("a".to_owned(), "2".to_owned(), NOON + 9).await.unwrap();
    assert_eq!(store.recall("a".to_owned(), NOON + 8).await.unwrap(), Some(("2".to_owned(), NOON + 9)));
    assert_eq!(store.recall("a".to_owned(), NOON + 9).await.unwrap(), None);
    for (before_ms, left) in [(NOON + 9, true), (NOON + 10, false)] {
        store.prune(Cutoffs { runs_ms: 0, payloads_ms: before_ms }).await.unwrap();
        assert_eq!(store.recall("a".to_owned(), NOON).await.unwrap().is_some(), left);
    }
}

#[tokio::test]
async fn what_is_not_there_fails_the_step_before_anything_is_sent() {
    let world = World::new("none", "asc", &flow("new", "{since: \"2999-01-01T00:00:00Z\"}")).await;
    world.add(1);
    world.work().await;
    let run = world.only_run().await;
    assert_eq!(run.summary.state, "failed");
    let error: Value = serde_json::from_str(run.summary.error.as_deref().unwrap()).unwrap();
    assert_eq!(error["failure"]["code"], "not_found");
    assert_eq!(error["failure"]["outcome"], "not_sent");
    assert_eq!(error["failure"]["message"], "there is nothing since 2999-01-01T00:00:00Z");
    assert!(world.told().is_empty());
}

#[tokio::test]
async fn nothing_is_looked_up_where_the_condition_says_so() {
    let world = World::new("none", "asc", &flow("new", "{id: 7, since: \"2999-01-01T00:00:00Z\"}")).await;
    world.add(1);
    world.work().await;
    assert_eq!(world.told(), [7]);
}

#[tokio::test]
async fn a_poll_looks_up_what_it_needs() {
    let world = World::new("none", "asc", &flow("known", "{id: 8}")).await;
    world.add(2);
    world.work().await;
    assert_eq!(world.told(), [8, 8]);
}
