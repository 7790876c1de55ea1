//! Times of a schedule that passed while the host was down.

use super::*;

async fn after_a_short_stop(missed: &str) -> World {
    let flow = format!("trigger: {{every: 5s, missed: {missed}}}\nsteps: [{{action: shop.tell, with: {{id: 7}}}}]\n");
    let mut world = World::new("natural", "asc", &flow).await;
    world.work().await;
    assert_eq!(world.told().len(), 1);
    world.clock.advance(35_000);
    world.restart().await;
    world.work().await;
    world
}

#[tokio::test]
async fn every_time_that_passed_in_a_short_stop_has_its_run_where_that_is_wanted() {
    let world = after_a_short_stop("run_all").await;
    assert_eq!(world.told().len(), 8);
    assert!(world.notices().await.is_empty(), "nothing was left out");
}

#[tokio::test]
async fn one_run_for_several_times_of_a_short_stop_is_told() {
    let world = after_a_short_stop("run_once").await;
    assert_eq!(world.told().len(), 2);
    assert_eq!(world.notices().await, ["missed"]);
}
