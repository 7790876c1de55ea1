//! What becomes of a run: outcomes, retries, marks, crashes, and items that come while a flow is busy.

use super::*;
use crate::sandbox::Fault;

fn flow(concurrency: &str, step: &str) -> String {
    format!(
        "trigger: {{poll: shop.new, every: 1h, start: all}}\nconcurrency: {{{concurrency}}}\nsteps:\n  - {{action: shop.tell, with: {{id: \"{{{{item.id}}}}\"}}{step}}}\n"
    )
}

fn on_sink() -> Fault {
    Fault { operation: Some("sink".to_owned()), times: Some(1), ..Fault::default() }
}

#[tokio::test]
async fn an_unknown_outcome_of_an_unsafe_action_parks_the_run() {
    let world = World::new("none", "asc", &flow("limit: 16", "")).await;
    world.add(1);
    world.fault(Fault { tear: true, ..on_sink() });
    world.work().await;
    world.work_an_hour_later().await;
    assert_eq!(world.told(), [1], "it is never sent again blindly");
    let run = world.only_run().await;
    assert_eq!(run.summary.state, "unknown");
    assert_eq!(run.steps[0].state, "unknown");
    assert_eq!(world.notices().await, ["unknown"], "it wants a person, who is told once");
}

#[tokio::test]
async fn items_that_cannot_be_judged_are_told_together() {
    let text = "trigger: {poll: shop.new, every: 1h, start: all, where: \"eq item.nme 'x'\"}\nsteps:\n  - {action: shop.tell, with: {id: \"{{item.id}}\"}}\n";
    let world = World::new("none", "asc", text).await;
    world.add(5);
    world.work().await;
    world.work_an_hour_later().await;
    assert_eq!(world.runs(State::Failed).await.len(), 5);
    let notices = world.host.store.notices(None, 10).await.unwrap();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!((notices[0].kind.as_str(), notices[0].flow.as_deref()), ("undecided", Some("f")));
    let message = &notices[0].message;
    assert!(message.contains("5 items") && message.contains("item.nme"), "{message}");
}

#[tokio::test]
async fn an_unknown_outcome_of_a_safe_action_is_sent_again_when_it_is_due() {
    let mut world = World::new(
        "natural",
        "asc",
        &flow("limit: 16", ", retry: {attempts: 3, initial: 10m, max: 10m, backoff: fixed}"),
    )
    .await;
    world.add(1);
    world.fault(Fault { tear: true, ..on_sink() });
    world.work().await;
    assert_eq!(world.told(), [1]);
    world.restart().await;
    world.work().await;
    assert_eq!(world.told(), [1], "a retry has a due time, and keeps it over a restart");
    world.clock.advance(600_000);
    world.work().await;
    assert_eq!(world.told(), [1, 1]);
    let run = world.only_run().await;
    assert_eq!(run.summary.state, "succeeded");
    assert_eq!(
        run.steps.iter().map(|step| (step.attempt, step.state.as_str())).collect::<Vec<_>>(),
        [(1, "retrying"), (2, "succeeded")]
    );
}

#[tokio::test]
async fn a_refusal_is_not_sent_again_and_says_why() {
    let world = World::new("none", "asc", &flow("limit: 16", "")).await;
    world.add(1);
    let body = Some("{\"message\":\"no such shelf\"}".to_owned());
    world.fault(Fault { status: Some(400), body, ..on_sink() });
    world.work().await;
    let run = world.only_run().await;
    assert_eq!(run.summary.state, "failed");
    assert!(run.summary.error.as_deref().unwrap_or_default().contains("no such shelf"), "{:?}", run.summary.error);
    let exchange = run.steps[0].exchange.as_deref().unwrap_or_default();
    assert!(exchange.contains("/sink") && exchange.contains("no such shelf"), "{exchange}");
}

#[tokio::test]
async fn a_failed_run_does_what_it_says_on_failure() {
    let text = "trigger: {poll: shop.new, every: 1h, start: all}\nsteps:\n  - {id: first, action: shop.tell, with: {id: \"{{item.id}}\"}}\non_failure:\n  - {action: shop.tell, if: \"eq error.step 'first'\", with: {id: 99}}\n";
    let world = World::new("none", "asc", text).await;
    world.add(1);
    world.fault(Fault { status: Some(422), ..on_sink() });
    world.work().await;
    assert_eq!(world.told(), [99]);
    assert_eq!(world.only_run().await.summary.state, "failed");
}

#[tokio::test]
async fn a_run_that_crashed_while_sending_is_unknown_and_one_that_did_not_send_goes_on() {
    let mut world = World::new("none", "asc", &flow("limit: 16", "")).await;
    world.add(2);
    // Both runs are marked; the first answer never comes, the host dies meanwhile.
    world.fault(Fault { delay_answer_ms: 60_000, times: Some(1), ..on_sink() });
    let host = Arc::clone(&world.host);
    let working = tokio::spawn(async move { drain_due(&host).await });
    while world.told().len() < 2 || world.runs(State::Succeeded).await.is_empty() {
        tokio::task::yield_now().await;
    }
    working.abort();
    world.restart().await;
    world.work().await;
    assert_eq!(world.told().len(), 2);
    assert_eq!(world.runs(State::Unknown).await.len(), 1);
    assert_eq!(world.runs(State::Succeeded).await.len(), 1);
}

#[tokio::test]
async fn a_limit_of_one_waits_for_the_run_before_even_while_that_one_waits() {
    let text = "trigger: {poll: shop.new, every: 1h, start: all}\nconcurrency: {limit: 1}\nsteps:\n  - {wait: 10m}\n  - {action: shop.tell, with: {id: \"{{item.id}}\"}}\n";
    let mut world = World::new("natural", "asc", text).await;
    world.add(2);
    world.work().await;
    world.clock.advance(600_000);
    world.work().await;
    let runs = world.host.store.list_runs(Filter { limit: 9, ..Filter::default() }).await.unwrap();
    assert_eq!(world.told(), [1], "the second began only when the first was over: {runs:?}");
    world.restart().await;
    world.work().await;
    world.clock.advance(600_000);
    world.work().await;
    assert_eq!(world.told(), [1, 2]);
}

#[tokio::test]
async fn what_an_item_contains_is_never_evaluated() {
    let text = "trigger: {poll: shop.new, every: 1h, start: all}\nsteps:\n  - {id: keep, set: {name: \"{{item.name}}\"}}\n  - {id: again, set: {name: \"<{{steps.keep.output.name}}>\"}}\n";
    let world = World::new("natural", "asc", text).await;
    let fields = [("name".to_owned(), Value::from("{{inputs.x}} {{connection.key}}"))].into_iter().collect();
    world.sandbox.control().add_items(&NewItems { fields, count: 1, ..NewItems::default() });
    world.work().await;
    let run = world.only_run().await;
    assert_eq!(run.summary.state, "succeeded");
    let last = run.steps.iter().find(|step| step.step.as_deref() == Some("again")).unwrap();
    assert_eq!(last.output.as_deref(), Some("{\"name\":\"<{{inputs.x}} {{connection.key}}>\"}"));
}

#[tokio::test]
async fn an_answer_that_the_store_cannot_take_is_kept_until_it_can() {
    let world = World::new("none", "asc", &flow("limit: 16", "")).await;
    world.add(1);
    let body = Some(format!("{{\"said\":\"{}\"}}", "x".repeat(300_000)));
    world.fault(Fault { status: Some(201), after_work: true, delay_answer_ms: 500, body, ..on_sink() });
    let host = Arc::clone(&world.host);
    let working = tokio::spawn(async move { drain_due(&host).await });
    while world.told().is_empty() {
        tokio::task::yield_now().await;
    }
    limit_pages(&world, "PRAGMA max_page_count = 1").await;
    while world.host.refusal().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(world.runs(State::Succeeded).await.is_empty(), "nothing is acknowledged on a full disk");
    limit_pages(&world, "PRAGMA max_page_count = 1000000").await;
    working.await.unwrap().unwrap();
    assert_eq!(world.only_run().await.summary.state, "succeeded");
    assert_eq!(world.told(), [1], "what was sent is known to be sent");
}

#[tokio::test]
async fn a_limit_that_is_reached_holds_after_a_restart() {
    let text = flow("limit: 16", "").replace("every: 1h", "every: 1m");
    let mut world = World::new("natural", "asc", &text).await;
    world.add(1);
    world.fault(Fault { status: Some(429), retry_after_s: Some(600), ..on_sink() });
    world.work().await;
    world.restart().await;
    world.clock.advance(120_000);
    world.add(1);
    world.work().await;
    let asked = || world.sandbox.control().count(sandbox::Service::Json, "sink").requests;
    assert_eq!(world.host.store.backlog().await.unwrap(), 2, "both items have their run");
    assert_eq!(asked(), 1, "the second run does not ask what the first was told");
    world.clock.advance(600_000);
    world.work().await;
    let mut told = world.told();
    told.sort_unstable();
    assert_eq!(told, [1, 2]);
}

async fn limit_pages(world: &World, pragma: &'static str) {
    world.host.store.database().transaction(move |sql| sql.query(pragma, &[], &mut |_| Ok(()))).await.unwrap();
}

// One at a time; the first attempt of the first is refused, so that it waits.
async fn first_waits(count: u64) -> World {
    // Read newest first, all of them are due at once.
    let world = World::new("natural", "desc", &flow("limit: 1", "")).await;
    world.add(count);
    world.fault(Fault { status: Some(503), ..on_sink() });
    world.work().await;
    assert_eq!(world.told(), [0; 0]);
    assert_eq!(world.runs(State::Running).await.len(), 1);
    world
}

#[tokio::test]
async fn a_run_that_waits_goes_on_however_many_wait_for_its_place() {
    let world = first_waits(100).await;
    world.clock.advance(60_000);
    world.work().await;
    assert_eq!(world.told(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_run_that_is_cancelled_while_it_waits_gives_its_place_to_the_next() {
    let world = first_waits(3).await;
    let waiting = world.runs(State::Running).await.remove(0);
    assert!(world.host.store.end_run(waiting.id, None, State::Cancelled, None, world.clock.now_ms()).await.unwrap());
    // As the host notices another process's commit.
    world.host.touched();
    world.work().await;
    assert_eq!(world.told(), [2, 3]);
}

#[tokio::test]
async fn an_http_step_that_is_refused_marks_the_connection_that_it_names() {
    let text = "trigger: {poll: shop.new, every: 1h, start: all}\nsteps:\n  - {http: {method: POST, url: \"URL/sink\", connection: shop, json: {id: 1}}}\n";
    let world = World::new("none", "asc", text).await;
    world.add(1);
    world.fault(Fault { status: Some(401), ..on_sink() });
    world.work().await;
    assert_eq!(world.only_run().await.summary.state, "failed");
    assert_eq!(world.notices().await, ["attention"]);
    assert_eq!(world.trigger().await.state, "attention", "its polls wait for a person");
}
