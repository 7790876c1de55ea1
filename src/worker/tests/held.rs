//! What a walk holds: it never waits for ever, whatever stands in the way of the walk's end.

use super::*;
use crate::worker::work;

const NEW: &str = "trigger: {poll: shop.new, every: 1h}\nsteps: [{action: shop.tell, with: {id: \"{{item.id}}\"}}]\n";

/// With three runs held, and page 2 refused.
async fn stuck(flow: &str) -> World {
    let world = World::new("natural", "desc", flow).await;
    world.work().await;
    world.add(8);
    world.refuse_page_two();
    world.work_an_hour_later().await;
    assert_eq!(world.runs(State::Held).await.len(), 3);
    world
}

#[tokio::test]
async fn what_is_held_is_no_backlog_because_only_polls_can_let_go_of_it() {
    let mut world = World::new("natural", "desc", NEW).await;
    world.options.backlog = 2;
    world.restart().await;
    world.work().await;
    world.add(8);
    world.refuse_page_two();
    world.work_an_hour_later().await;
    world.clock.advance(60_000);
    world.work().await;
    assert_eq!(world.told().len(), 8);
    assert_eq!(world.host.store.backlog().await.unwrap(), 0);
}

#[tokio::test]
async fn a_walk_lets_go_after_an_hour_although_nothing_polls() {
    let world = stuck(NEW).await;
    let now_ms = world.clock.now_ms();
    world.host.store.set_trigger_state("f".to_owned(), "attention", None, None, now_ms).await.unwrap();
    world.clock.advance(HOUR / 2);
    world.work().await;
    assert!(world.told().is_empty());
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [1, 2, 3]);
    assert!(world.notices().await.contains(&"out_of_order".to_owned()));
}

#[tokio::test]
async fn what_keeps_only_the_newest_waits_for_its_end() {
    let flow = NEW.replace("every: 1h}", "every: 1h, start: {last: 2}}");
    let world = World::new("natural", "desc", &flow).await;
    world.add(8);
    world.refuse_page_two();
    world.work().await;
    assert!(world.told().is_empty(), "{:?}", world.trigger().await);
    let operation = Some("list_items".to_owned());
    world.fault(sandbox::Fault { operation, times: Some(100), status: Some(500), ..sandbox::Fault::default() });
    world.work_an_hour_later().await;
    assert!(world.told().is_empty(), "{:?}", world.trigger().await);
    world.work_an_hour_later().await;
    assert!(world.told().is_empty(), "the newest two are not known yet: {:?}", world.told());
    world.sandbox.control().clear_faults();
    world.work_an_hour_later().await;
    let mut told = world.told();
    told.sort_unstable();
    assert_eq!(told, [7, 8]);
}

#[tokio::test]
async fn a_walk_goes_on_under_what_is_deployed_when_what_it_began_with_failed() {
    let world = stuck(NEW).await;
    world.refuse_page_two();
    world.edit("flows/f.yaml", "steps: [", "title: Mended\nsteps: [").await;
    world.clock.advance(60_000);
    world.work().await;
    let walk = world.host.store.open_walk("f".to_owned()).await.unwrap().expect("it is refused again");
    assert_eq!(walk.definition, world.trigger().await.definition);
    world.work_an_hour_later().await;
    let mut told = world.told();
    told.sort_unstable();
    assert_eq!(told, (1..=8).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn a_walk_that_is_closed_from_outside_lets_go_at_once() {
    for change in ["rewind", "kind"] {
        let world = World::new("natural", "desc", NEW).await;
        world.work().await;
        world.add(8);
        world.refuse_page_two();
        world.clock.advance(HOUR);
        // A host that stays at work: what an earlier one left is looked for when it begins, not later.
        let ended = async {
            while world.runs(State::Held).await.len() < 3 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            if change == "rewind" {
                // As the command line does: another process, on the same file.
                world.host.store.rewind("f".to_owned(), None, world.clock.now_ms()).await.unwrap();
                world.host.touched();
            } else {
                world.edit("flows/f.yaml", "{poll: shop.new, every: 1h}", "{manual: true}").await;
            }
            world.clock.advance(2_000);
            while world.told().len() < 3 || !world.runs(State::Held).await.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, work(Arc::clone(&world.host), ended)).await.expect(change).unwrap();
    }
}
