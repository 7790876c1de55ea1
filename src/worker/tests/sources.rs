//! What becomes of a flow whose source changes: another account, another query, another key. The past is never
//! replayed, nothing in between is lost in silence, and what cannot change the items changes nothing.

use super::*;

const DATED: &str =
    "trigger: {poll: shop.dated, every: 1h}\nsteps: [{action: shop.tell, with: {id: \"{{item.id}}\"}}]\n";
const PLAIN: &str = "inputs: {from: {type: string, default: \"0\"}, to: {type: string, default: a}}\ntrigger: {poll: shop.plain, with: {since: \"{{inputs.from}}\"}, every: 1h}\nsteps: [{action: shop.tell, with: {id: \"{{item.id}}\"}}]\n";

/// Another service with ids of its own, at the same time.
async fn another(world: &World) -> Sandbox {
    let options = sandbox::Options { clock: world.clock.clone(), ..Default::default() };
    Sandbox::start(options).await.unwrap()
}

async fn point_at(world: &World, sandbox: &Sandbox) {
    let there = format!("{{connector: shop, hosts: {{api: \"{}\"}}}}", sandbox.json_url());
    world.edit("tidegate.yaml", "{connector: shop}", &there).await;
}

fn add(sandbox: &Sandbox, count: u64, at_ms: i64) {
    sandbox.control().add_items(&NewItems { count, at_ms: Some(at_ms), ..NewItems::default() });
}

#[tokio::test]
async fn another_account_is_read_anew_from_where_the_one_before_was_covered() {
    let world = World::new("natural", "asc", DATED).await;
    world.work().await;
    world.clock.advance(HOUR);
    world.add(3);
    world.work().await;
    assert_eq!(world.told(), [1, 2, 3]);
    let other = another(&world).await;
    add(&other, 1, NOON);
    world.clock.advance(HOUR / 2);
    add(&other, 1, NOON + HOUR + 60_000);
    point_at(&world, &other).await;
    world.work().await;
    assert_eq!(told_to(&other), [2], "its first is history, and its second has a key that the other account had");
    add(&other, 1, world.clock.now_ms() + 1_000);
    world.work_an_hour_later().await;
    assert_eq!(told_to(&other), [2, 3]);
    assert_eq!(world.trigger().await.generation, 2);
    assert!(world.notices().await.is_empty(), "nothing was missed");
}

#[tokio::test]
async fn without_dates_another_account_is_history_and_the_gap_is_told_once() {
    let world = World::new("natural", "asc", PLAIN).await;
    world.add(1);
    world.work().await;
    let other = another(&world).await;
    add(&other, 5, NOON);
    world.clock.advance(HOUR);
    let away = || sandbox::Fault { operation: Some("list_items".to_owned()), status: Some(500), ..Default::default() };
    other.control().inject(away()).unwrap();
    point_at(&world, &other).await;
    world.work().await;
    world.work_an_hour_later().await;
    assert!(told_to(&other).is_empty(), "history is not replayed");
    let notices = world.host.store.notices(Some("f".to_owned()), 9).await.unwrap();
    let gaps: Vec<_> = notices.iter().filter(|notice| notice.kind == "gap").collect();
    assert_eq!(gaps.len(), 1, "{notices:?}");
    let details: Value = serde_json::from_str(gaps[0].details.as_deref().unwrap_or_default()).unwrap();
    assert_eq!(details["from_ms"], NOON);
    add(&other, 1, NOON);
    world.work_an_hour_later().await;
    assert_eq!(told_to(&other), [6]);
}

#[tokio::test]
async fn what_cannot_change_the_items_changes_nothing() {
    let world = World::new("natural", "asc", PLAIN).await;
    world.add(1);
    world.work().await;
    world.add(1);
    let source = world.trigger().await.source;
    world.edit("flows/f.yaml", "default: a", "default: b").await;
    world.edit("flows/f.yaml", "every: 1h", "every: 30m, where: \"gt item.id 0\"").await;
    world.edit("flows/f.yaml", "steps: [", "steps: [{wait: 1ms}, ").await;
    world.edit("connectors/shop.yaml", "title: Shop", "title: The shop").await;
    world.edit("tidegate.yaml", "{connector: shop}", "{connector: shop, description: the shop}").await;
    let trigger = world.trigger().await;
    assert_eq!((trigger.source, trigger.generation, trigger.seeded), (source.clone(), 1, true));
    world.edit("flows/f.yaml", "default: \"0\"", "default: \"1\"").await;
    assert_ne!(world.trigger().await.source, source, "what the query reads is another query");
}

#[tokio::test]
async fn what_the_flow_left_out_stays_left_out() {
    let flow = DATED.replace("every: 1h}", "every: 1h, where: \"gt item.id 2\"}");
    let world = World::new("natural", "asc", &flow).await;
    world.work().await;
    world.clock.advance(HOUR);
    world.add(3);
    world.work().await;
    world.edit("flows/f.yaml", "gt item.id 2", "gt item.id 0").await;
    world.add_dated(world.clock.now_ms() + 1_000);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [3, 4]);
}

#[tokio::test]
async fn another_key_does_not_start_again_what_is_dated_in_the_future() {
    let world = World::new("natural", "asc", DATED).await;
    world.work().await;
    world.add_dated(NOON + 48 * HOUR);
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [1]);
    world.edit("connectors/shop.yaml", "key: id", "key: title").await;
    world.work_an_hour_later().await;
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [1]);
}

#[tokio::test]
async fn another_path_and_another_condition_of_the_connector_are_other_items() {
    let world = World::new("natural", "asc", PLAIN).await;
    world.work().await;
    for (count, from, to) in [
        (
            1,
            "request: {method: GET, path: /items, query: {limit: 3, since",
            "request: {method: GET, path: /linked, query: {limit: 3, since",
        ),
        (2, "    poll: list\n    inputs: {since", "    poll: list\n    where: gt record.id 0\n    inputs: {since"),
        (3, "hosts: {api: ", "parts: {}\nhosts: {api: "),
    ] {
        world.edit("connectors/shop.yaml", from, to).await;
        assert_eq!(world.trigger().await.generation, (count + 1).min(3), "{to}");
    }
}

#[tokio::test]
async fn a_first_reading_under_way_begins_again_with_what_is_polled_now() {
    let flow = "trigger: {poll: shop.new, every: 1h}\nsteps: [{action: shop.tell, with: {id: \"{{item.id}}\"}}]\n";
    let world = World::new("natural", "asc", flow).await;
    world.add(8);
    world.refuse_page_two();
    world.work().await;
    let other = another(&world).await;
    add(&other, 4, NOON);
    point_at(&world, &other).await;
    world.work_an_hour_later().await;
    assert!(told_to(&other).is_empty(), "what the new query lists at first is history");
    add(&other, 1, NOON);
    world.work_an_hour_later().await;
    assert_eq!(told_to(&other), [5]);
}

#[tokio::test]
async fn what_an_unfinished_walk_found_is_started_once_and_the_rest_is_found() {
    for order in ["asc", "desc"] {
        let world = World::new("natural", order, DATED).await;
        world.work().await;
        world.clock.advance(HOUR);
        for at in 0..8 {
            let newer = if order == "asc" { at } else { 8 - at };
            world.add_dated(NOON + HOUR / 2 + newer * 1_000);
        }
        world.refuse_page_two();
        world.work().await;
        assert_eq!(world.told().len(), if order == "asc" { 3 } else { 0 }, "{order}");
        world.edit("connectors/shop.yaml", "limit: 3, since", "limit: 3, lang: en, since").await;
        world.work_an_hour_later().await;
        let mut told = world.told();
        told.sort_unstable();
        assert_eq!(told, (1..=8).collect::<Vec<_>>(), "{order}");
    }
}
