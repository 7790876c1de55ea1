//! Accounts that a service refuses, and what becomes of the flows that poll with them.

use super::*;
use crate::engine::Failure;
use crate::store::connections::Standing;
use crate::worker::trouble::{resume_connection, stop_connection};

#[tokio::test]
async fn a_flow_that_is_switched_off_stays_off_when_its_account_is_refused_and_works_again() {
    let world = World::new(
        "none",
        "asc",
        "trigger: {poll: shop.new, every: 1h, start: all}\nsteps:\n  - {action: shop.tell, with: {id: 1}}\n",
    )
    .await;
    world.work().await;
    let store = &world.host.store;
    for (before, during, after) in [("disabled", "disabled", "disabled"), ("enabled", "attention", "enabled")] {
        store.set_trigger_state("f".to_owned(), before, Some("by hand".to_owned()), None, NOON).await.unwrap();
        let state = async || store.trigger("f".to_owned()).await.unwrap().unwrap().state;
        let definition = Arc::clone(&world.host.deployment().flows["f"]);
        let connection = world.host.connection(&definition, "shop").unwrap();
        let refused = Failure::not_sent("http_401", "refused");
        stop_connection(&world.host, &connection, Standing::Attention, &refused).await.unwrap();
        assert_eq!(state().await, during);
        resume_connection(&world.host, &connection).await.unwrap();
        assert_eq!(state().await, after);
    }
}
