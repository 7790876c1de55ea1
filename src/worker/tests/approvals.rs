//! Approvals at work: asked, reminded, answered, expired, over restarts; and links that are kept nowhere.

use super::*;
use crate::sandbox::Fault;
use crate::store::approvals::{Approval, Given, How, Taken};

const MINUTE: i64 = 60_000;

/// A flow that asks over `http`, and tells the shop what was decided; `terms` are further words of the approval.
fn flow(terms: &str) -> String {
    format!(
        r#"trigger: {{poll: shop.new, every: 24h, start: all}}
steps:
  - id: ask
    approval:
      send:
        http: {{method: POST, url: "URL/sink", json: {{to: "{{{{approver}}}}", link: "{{{{approval.url}}}}", code: "{{{{approval.code}}}}", round: "{{{{approval.reminder}}}}"}}}}
      choices: [approve, reject]
      expires: 2h
{terms}  - {{action: shop.tell, if: eq steps.ask.output.choice 'approve', with: {{id: "{{{{item.id}}}}"}}}}
"#
    )
}

/// What was sent to whom, in its order.
fn asked(world: &World) -> Vec<Value> {
    let received = world.sandbox.control().received(&sandbox::ReceiptFilter::default());
    let bodies = received.iter().filter_map(|receipt| serde_json::from_str::<Value>(&receipt.fingerprint).ok());
    bodies.filter(|body| body.get("link").is_some()).collect()
}

async fn begin(terms: &str) -> World {
    let world = World::new("natural", "asc", &flow(terms)).await;
    world.add(1);
    world.work().await;
    world
}

async fn approval(world: &World) -> Approval {
    let all = world.host.store.approvals(None, 10).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

async fn answer(world: &World, position: usize, choice: &str) -> Taken {
    let now_ms = world.clock.now_ms();
    let given = Given { choice: Some(choice.to_owned()), text: None, by: None, how: How::Link, now_ms };
    let id = approval(world).await.id;
    let taken = world.host.store.answer_approval(id, position, given).await.unwrap();
    world.host.stir();
    world.work().await;
    taken
}

async fn output(world: &World) -> Value {
    let run = world.only_run().await;
    let step = run.steps.iter().find(|step| step.step.as_deref() == Some("ask")).unwrap();
    serde_json::from_str(step.output.as_deref().unwrap_or("null")).unwrap()
}

#[tokio::test]
async fn an_answer_decides_and_the_run_goes_on() {
    let world = begin("").await;
    assert_eq!(asked(&world).len(), 1);
    assert_eq!(world.only_run().await.summary.state, "running");
    assert!(matches!(answer(&world, 0, "approve").await, Taken::Recorded(_)));
    assert_eq!(world.only_run().await.summary.state, "succeeded");
    assert_eq!(world.told(), [1]);
    let output = output(&world).await;
    assert_eq!((&output["choice"], &output["how"]), (&json!("approve"), &json!("link")));
    assert_eq!(output["answers"][0]["choice"], "approve");
    assert!(matches!(answer(&world, 0, "reject").await, Taken::Before(_)));
}

#[tokio::test]
async fn the_link_works_and_is_written_down_nowhere() {
    let world = begin("").await;
    let sent = asked(&world);
    let link = sent[0]["link"].as_str().unwrap();
    let token = link.strip_prefix("https://gate.example.org/a/").unwrap();
    let named = world.host.links().unwrap().named(token, NOON).await.unwrap().unwrap();
    let (found, position) = world.host.store.approval_of_link(named).await.unwrap().unwrap();
    assert_eq!((found.id, position), (approval(&world).await.id, 0));
    answer(&world, 0, "approve").await;
    let journal = format!("{:?}", world.only_run().await);
    assert!(journal.contains("approval-link-"), "{journal}");
    for path in ["t.db", "t.db-wal"] {
        let bytes = fs::read(world.folder.path().join(path)).unwrap_or_default();
        let secret = &token.as_bytes()[12..];
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{path} holds the token");
    }
}

#[tokio::test]
async fn it_waits_over_a_restart_and_asks_nobody_twice() {
    let mut world = begin("").await;
    for _ in 0..3 {
        world.restart().await;
        world.clock.advance(MINUTE);
        world.work().await;
    }
    assert_eq!(asked(&world).len(), 1);
    answer(&world, 0, "reject").await;
    assert_eq!(world.only_run().await.summary.state, "succeeded");
    assert_eq!(world.told(), Vec::<i64>::new());
    assert_eq!(asked(&world).len(), 1);
}

#[tokio::test]
async fn an_answer_while_no_host_works_counts() {
    let mut world = begin("").await;
    let id = approval(&world).await.id;
    let given =
        Given { choice: Some("approve".to_owned()), text: None, by: None, how: How::Cli, now_ms: NOON + MINUTE };
    world.host.store.decide_approval(id, given).await.unwrap();
    world.clock.advance(5 * HOUR);
    world.restart().await;
    world.work().await;
    assert_eq!(world.told(), [1], "it was given in time, though it is read after the time is over");
    assert_eq!(output(&world).await["how"], "cli");
}

#[tokio::test]
async fn a_time_that_is_over_fails_the_step_or_takes_the_default() {
    let world = begin("").await;
    world.clock.advance(2 * HOUR);
    world.work().await;
    let run = world.only_run().await;
    assert_eq!(run.summary.state, "failed");
    assert!(run.summary.error.unwrap().contains("approval_expired"));
    assert!(matches!(answer(&world, 0, "approve").await, Taken::Over(_)));

    let world = begin("      on_expire: reject\n").await;
    world.clock.advance(2 * HOUR - 1);
    world.work().await;
    assert_eq!(world.only_run().await.summary.state, "running");
    world.clock.advance(1);
    world.work().await;
    assert_eq!(world.only_run().await.summary.state, "succeeded");
    let output = output(&world).await;
    assert_eq!((&output["choice"], &output["how"]), (&json!("reject"), &json!("expired")));
    assert_eq!(world.told(), Vec::<i64>::new());
}

#[tokio::test]
async fn who_has_not_answered_is_reminded_as_often_as_told() {
    let terms = "      approvers: [ann, ben]\n      needed: all\n      reminders: {every: 30m, limit: 2}\n";
    let mut world = begin(terms).await;
    let to = |world: &World| {
        asked(world).iter().map(|body| format!("{} {}", body["to"], body["round"])).collect::<Vec<String>>()
    };
    let both: Vec<String> = vec![r#""ann" 0"#.to_owned(), r#""ben" 0"#.to_owned()];
    assert_eq!(to(&world), both);
    answer(&world, 0, "approve").await;
    world.clock.advance(30 * MINUTE - 1);
    world.work().await;
    assert_eq!(to(&world), both);
    world.clock.advance(1);
    world.work().await;
    world.restart().await;
    for _ in 0..6 {
        world.clock.advance(10 * MINUTE);
        world.work().await;
    }
    let mut reminded = both.clone();
    reminded.extend([r#""ben" 1"#.to_owned(), r#""ben" 2"#.to_owned()]);
    assert_eq!(to(&world), reminded);
    answer(&world, 1, "approve").await;
    assert_eq!(world.told(), [1]);
    let links: std::collections::BTreeSet<String> = asked(&world).iter().map(|body| body["link"].to_string()).collect();
    assert_eq!(links.len(), 2, "each has a link of their own, and keeps it");
}

#[tokio::test]
async fn reminders_do_not_make_the_time_longer() {
    let world = begin("      reminders: {every: 50m, limit: 9}\n      on_expire: reject\n").await;
    for _ in 0..12 {
        world.clock.advance(10 * MINUTE);
        world.work().await;
    }
    assert_eq!(asked(&world).len(), 3);
    assert_eq!(output(&world).await["how"], "expired");
}

#[tokio::test]
async fn answers_that_differ_end_it_as_told() {
    let terms = "      approvers: [ann, ben]\n      needed: all\n      on_expire: reject\n";
    let world = begin(terms).await;
    answer(&world, 0, "approve").await;
    answer(&world, 1, "reject").await;
    let output = output(&world).await;
    assert_eq!((&output["choice"], &output["how"]), (&json!("reject"), &json!("split")));
    assert_eq!(output["answers"].as_array().unwrap().len(), 2);
}

/// The same flow, where each approver is a path of the service: only at `sink` is somebody there.
async fn ask_at(terms: &str) -> World {
    let world = World::new("natural", "asc", &flow(terms).replace("URL/sink", "URL/{{approver}}")).await;
    world.add(1);
    world.work().await;
    world
}

#[tokio::test]
async fn who_cannot_be_asked_keeps_nobody_else_from_deciding() {
    let mut world = ask_at("      approvers: [nowhere, sink]\n").await;
    assert_eq!(asked(&world).len(), 1, "the other is asked all the same");
    let why = &approval(&world).await.terms.unreached;
    assert_eq!((why.len(), why[0].position, why[0].code.as_str()), (1, 0, "http_404"));
    world.restart().await;
    world.work().await;
    answer(&world, 1, "approve").await;
    assert_eq!((asked(&world).len(), world.told()), (1, vec![1]));
    let output = output(&world).await;
    assert_eq!((&output["choice"], &output["how"]), (&json!("approve"), &json!("link")));
    assert_eq!(
        (&output["unreached"][0]["approver"], &output["unreached"][0]["code"]),
        (&json!("nowhere"), &json!("http_404"))
    );
    let run = world.only_run().await;
    let failed: Vec<&str> =
        run.steps.iter().filter(|step| step.state == "failed").map(|step| step.key.as_str()).collect();
    assert_eq!((run.summary.state.as_str(), failed.as_slice()), ("succeeded", ["0[0].0"].as_slice()));
}

#[tokio::test]
async fn where_too_few_can_be_asked_it_ends_at_once_and_bothers_nobody_else() {
    let world = ask_at("      approvers: [sink, nowhere, sink]\n      needed: all\n      on_expire: reject\n").await;
    assert_eq!(asked(&world).len(), 1, "after the second nobody can decide it");
    let told = output(&world).await;
    assert_eq!((&told["choice"], &told["how"]), (&json!("reject"), &json!("unreachable")));
    assert_eq!(world.only_run().await.summary.state, "succeeded");
    assert!(matches!(answer(&world, 0, "approve").await, Taken::Over(_)));

    let world = ask_at("      approvers: [sink, nowhere]\n      needed: all\n").await;
    let run = world.only_run().await;
    let error = run.summary.error.unwrap_or_default();
    assert_eq!(run.summary.state, "failed");
    assert!(error.contains("approval_unreachable") && error.contains("not nowhere"), "{error}");
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_step_fails_as_the_message_did() {
    for (terms, words) in [("", "404"), ("      approvers: [nowhere, astray]\n", "none of 2 could be asked")] {
        let flow = flow(terms).replace("URL/sink", "URL/lost");
        let world = World::new("natural", "asc", &flow).await;
        world.add(1);
        world.work().await;
        let run = world.only_run().await;
        let error = run.summary.error.unwrap_or_default();
        assert_eq!(run.summary.state, "failed");
        assert!(error.contains("http_404") && error.contains(words), "{error}");
        assert_eq!(approval(&world).await.state.word(), "closed");
    }
}

#[tokio::test]
async fn one_of_two_messages_reaches_a_person_whichever_it_is() {
    for lost in [0, 1] {
        let message = |place: usize| {
            let path = if place == lost { "lost" } else { "sink" };
            format!(
                "        - http: {{method: POST, url: \"URL/{path}\", json: {{to: a, link: \"{{{{approval.url}}}}\"}}}}\n"
            )
        };
        let sends = format!("      send:\n{}{}", message(0), message(1));
        let whole = flow("");
        let (before, rest) = whole.split_once("      send:\n").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        let world = World::new("natural", "asc", &format!("{before}{sends}{after}")).await;
        world.add(1);
        world.work().await;
        assert_eq!(asked(&world).len(), 1);
        assert!(matches!(answer(&world, 0, "approve").await, Taken::Recorded(_)));
        assert_eq!(output(&world).await["unreached"], json!([]));
    }
}

#[tokio::test]
async fn who_could_not_be_asked_at_first_may_be_by_the_reminder() {
    let terms = "      approvers: [ann, ben]\n      needed: first\n      reminders: {every: 30m}\n";
    let world = World::new("natural", "asc", &flow(terms)).await;
    world.add(1);
    let refused = Fault { operation: Some("sink".to_owned()), times: Some(1), status: Some(400), ..Fault::default() };
    world.fault(refused);
    world.work().await;
    assert_eq!(approval(&world).await.terms.unreached.len(), 1);
    world.clock.advance(31 * MINUTE);
    world.host.stir();
    world.work().await;
    let to: Vec<Value> = asked(&world).into_iter().map(|sent| sent["to"].clone()).collect();
    assert_eq!(to.iter().filter(|to| *to == "ann").count(), 1, "{to:?}");
    assert_eq!(approval(&world).await.terms.unreached, Vec::new());
    answer(&world, 0, "approve").await;
    assert_eq!(output(&world).await["unreached"], json!([]));
}

#[tokio::test]
async fn a_message_of_unknown_outcome_is_a_persons_to_settle_and_the_answer_counts_all_the_same() {
    let world = World::new("natural", "asc", &flow("")).await;
    world.add(1);
    world.fault(Fault { operation: Some("sink".to_owned()), times: Some(1), tear: true, ..Fault::default() });
    world.work().await;
    assert_eq!(asked(&world).len(), 1);
    assert_eq!(world.only_run().await.summary.state, "unknown", "an http POST is never sent again blindly");
    let id = approval(&world).await.id;
    let given = Given { choice: Some("approve".to_owned()), text: None, by: None, how: How::Link, now_ms: NOON };
    world.host.store.answer_approval(id, 0, given).await.unwrap();
    let run = world.only_run().await.summary.id;
    let said = crate::store::steps::StepRow {
        key: "0[0].0!1".to_owned(),
        attempt: 1,
        scope: "0[0]".to_owned(),
        form: "done".to_owned(),
        state: crate::worker::SETTLED.to_owned(),
        started_at: NOON,
        ended_at: Some(NOON),
        ..Default::default()
    };
    assert!(world.host.store.resume_unknown(run, said, NOON).await.unwrap());
    world.host.stir();
    world.work().await;
    assert_eq!(world.told(), [1]);
    assert_eq!(asked(&world).len(), 1);
}
