//! Answers on a real database: exactly one decides, late ones change nothing, and messages are claimed once.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::engine::approval::{Ask, Unreached};
use crate::store::database::Options;
use crate::store::runs::{NewRun, State as RunState};
use crate::store::schema::MIGRATIONS;
use crate::store::settle::{Change, Settlement};

const NOW: i64 = 1_790_000_000_000;
const HOUR: i64 = 3_600_000;

async fn open(approvers: usize, needed: u32) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let handle = database::open(&folder.path().join("t.db"), &Options::new(MIGRATIONS, NOW)).unwrap();
    let store = Store::new(handle);
    let run = NewRun {
        id: "run".to_owned(),
        flow: "f".to_owned(),
        definition: "d".to_owned(),
        state: RunState::Queued,
        position: 0,
        slot: None,
        walk: None,
        item_key: None,
        item: "{}".to_owned(),
        repeats: None,
        error: None,
    };
    store.insert_run(run, NOW).await.unwrap();
    let terms: Terms = serde_json::from_value(json!({
        "id": "a", "approvers": vec![serde_json::Value::Null; approvers], "needed": needed, "expires_ms": HOUR,
        "choices": [{"name": "approve"}, {"name": "reject"}],
    }))
    .unwrap();
    let open = Ask::Open { id: "a".to_owned(), key: "0".to_owned(), step: "ask".to_owned(), terms: Arc::new(terms) };
    let until = Ask::Until { id: "a".to_owned(), expires_ms: NOW + HOUR };
    let asked = (0..approvers).map(|position| Asked {
        connection: "phone".to_owned(),
        address: format!("+1555010{position}"),
        approval: "a".to_owned(),
        position,
    });
    let changes = Changes { asks: vec![open, until], asked: asked.collect(), may_ask: true };
    settle(&store, waits(), changes).await;
    (folder, store)
}

fn waits() -> Change {
    Change::Await { frames: "{}".to_owned(), approval: "a".to_owned(), due_at: NOW + HOUR }
}

async fn settle(store: &Store, change: Change, approvals: Changes) {
    let settlement = Settlement {
        run: "run".to_owned(),
        epoch: 0,
        steps: Vec::new(),
        made: Vec::new(),
        approvals,
        change,
        started_at: NOW,
        now_ms: NOW,
    };
    assert!(store.settle(Arc::new(settlement)).await.unwrap());
}

fn given(choice: &str, now_ms: i64) -> Given {
    Given { choice: Some(choice.to_owned()), text: None, by: None, how: How::Link, now_ms }
}

async fn due(store: &Store) -> i64 {
    store.run("run".to_owned()).await.unwrap().unwrap().summary.due_at.unwrap()
}

async fn claim_one(store: &Store, key: &str, address: &str, message: &str) -> Claim {
    let incoming = Incoming {
        connection: "phone".to_owned(),
        key: key.to_owned(),
        address: address.to_owned(),
        message: message.to_owned(),
        kind: "sms".to_owned(),
    };
    store.database().transaction(move |sql| claim(sql, &incoming, NOW + 1)).await.unwrap()
}

#[tokio::test]
async fn of_two_answers_at_once_exactly_one_decides() {
    let (_folder, store) = open(1, 1).await;
    let answers = ["approve", "reject"].map(|choice| {
        let store = store.clone();
        tokio::spawn(async move { store.answer_approval("a".to_owned(), 0, given(choice, NOW + 5)).await.unwrap() })
    });
    let mut recorded = 0;
    for answer in answers {
        if let Taken::Recorded(_) = answer.await.unwrap() {
            recorded += 1;
        }
    }
    assert_eq!(recorded, 1);
    let approval = store.approval("a".to_owned()).await.unwrap().unwrap();
    assert_eq!(approval.state, State::Decided);
    assert_eq!(approval.choice, approval.approvers[0].choice);
    assert_eq!(due(&store).await, NOW + 5, "the run goes on at once");
}

#[tokio::test]
async fn what_is_late_changes_nothing() {
    let (_folder, store) = open(2, 1).await;
    let first = store.answer_approval("a".to_owned(), 0, given("reject", NOW + 1)).await.unwrap();
    assert!(matches!(first, Taken::Recorded(_)));
    let again = store.answer_approval("a".to_owned(), 0, given("approve", NOW + 2)).await.unwrap();
    assert!(matches!(again, Taken::Before(_)), "{again:?}");
    let other = store.answer_approval("a".to_owned(), 1, given("approve", NOW + 3)).await.unwrap();
    assert!(matches!(other, Taken::Over(_)), "{other:?}");
    let decided = store.decide_approval("a".to_owned(), given("approve", NOW + 4)).await.unwrap();
    let Taken::Over(approval) = decided else { panic!("{decided:?}") };
    assert_eq!((approval.choice.as_deref(), approval.decided_at), (Some("reject"), Some(NOW + 1)));
    assert_eq!(approval.approvers[1].at, None);
}

#[tokio::test]
async fn an_answer_at_the_end_of_the_time_is_too_late() {
    let (_folder, store) = open(1, 1).await;
    let late = store.answer_approval("a".to_owned(), 0, given("approve", NOW + HOUR)).await.unwrap();
    let Taken::Over(approval) = late else { panic!("{late:?}") };
    assert_eq!(approval.state, State::Expired);
    assert_eq!(due(&store).await, NOW + HOUR);
}

#[tokio::test]
async fn as_many_as_are_needed_have_to_answer_alike() {
    let (_folder, store) = open(3, 2).await;
    store.answer_approval("a".to_owned(), 0, given("approve", NOW + 1)).await.unwrap();
    assert_eq!(due(&store).await, NOW + HOUR, "one is not enough");
    store.answer_approval("a".to_owned(), 2, given("approve", NOW + 2)).await.unwrap();
    let approval = store.approval("a".to_owned()).await.unwrap().unwrap();
    assert_eq!((approval.state, approval.choice.as_deref()), (State::Decided, Some("approve")));
}

#[tokio::test]
async fn answers_that_cannot_agree_any_more_split_it() {
    let (_folder, store) = open(2, 2).await;
    store.answer_approval("a".to_owned(), 0, given("approve", NOW + 1)).await.unwrap();
    store.answer_approval("a".to_owned(), 1, given("reject", NOW + 2)).await.unwrap();
    let approval = store.approval("a".to_owned()).await.unwrap().unwrap();
    assert_eq!((approval.state, approval.choice), (State::Split, None));
    assert_eq!(due(&store).await, NOW + 2);
}

#[tokio::test]
async fn a_run_that_goes_to_wait_for_an_answer_that_is_there_is_due() {
    // As when a process ends between the wait's commit and its look at the answers.
    let (_folder, store) = open(2, 2).await;
    store.answer_approval("a".to_owned(), 0, given("approve", NOW - 2)).await.unwrap();
    settle(&store, waits(), Changes::default()).await;
    assert_eq!(due(&store).await, NOW + HOUR, "one of two has answered");
    store.answer_approval("a".to_owned(), 1, given("approve", NOW - 1)).await.unwrap();
    settle(&store, waits(), Changes::default()).await;
    assert_eq!(due(&store).await, NOW);
}

async fn pass_over(store: &Store, positions: &[usize]) {
    let told =
        |position: &usize| Unreached { position: *position, code: "http_400".to_owned(), message: "no".to_owned() };
    let ask = Ask::Unreached { id: "a".to_owned(), unreached: positions.iter().map(told).collect() };
    settle(store, waits(), Changes { asks: vec![ask], asked: Vec::new(), may_ask: true }).await;
}

#[tokio::test]
async fn who_could_not_be_asked_is_not_waited_for() {
    let (_folder, store) = open(3, 2).await;
    pass_over(&store, &[2]).await;
    store.answer_approval("a".to_owned(), 0, given("approve", NOW + 1)).await.unwrap();
    assert_eq!(due(&store).await, NOW + HOUR);
    store.answer_approval("a".to_owned(), 1, given("reject", NOW + 2)).await.unwrap();
    let approval = store.approval("a".to_owned()).await.unwrap().unwrap();
    assert_eq!((approval.state, due(&store).await), (State::Split, NOW + 2));
    // Answers that came while the others were being asked count, and too few are told with the same commit.
    let (_folder, store) = open(3, 3).await;
    store.answer_approval("a".to_owned(), 0, given("approve", NOW - 1)).await.unwrap();
    pass_over(&store, &[1]).await;
    let approval = store.approval("a".to_owned()).await.unwrap().unwrap();
    assert_eq!((approval.state, due(&store).await), (State::Split, NOW));
    // A message that was said to have failed had arrived: whoever answers was asked.
    let (_folder, store) = open(2, 2).await;
    store.answer_approval("a".to_owned(), 1, given("approve", NOW - 1)).await.unwrap();
    pass_over(&store, &[1]).await;
    store.answer_approval("a".to_owned(), 0, given("approve", NOW + 1)).await.unwrap();
    assert_eq!(store.approval("a".to_owned()).await.unwrap().unwrap().state, State::Decided);
}

#[tokio::test]
async fn a_message_is_claimed_once_and_only_from_who_was_asked() {
    let (_folder, store) = open(2, 2).await;
    let rests = async |connection: &str| store.rest_unless_awaited("t".to_owned(), connection.to_owned(), NOW).await;
    assert!(!rests("phone").await.unwrap());
    assert!(rests("other").await.unwrap());
    let code = approval::code("a", 0);
    let message = format!("{code} approve");
    assert_eq!(claim_one(&store, "m1", "+15550109", &message).await, Claim::default(), "another number");
    assert_eq!(claim_one(&store, "m2", "+15550101", &message).await, Claim::default(), "another approver's code");
    assert_eq!(claim_one(&store, "m3", "+15550100", "approve").await, Claim::default(), "no code");
    let unclear = claim_one(&store, "m4", "+15550100", &format!("{code} perhaps")).await;
    assert_eq!(unclear, Claim { is_claimed: true, wakes: None });
    let counted = claim_one(&store, "m5", "+15550100", &message).await;
    assert_eq!(counted, Claim { is_claimed: true, wakes: Some("f".to_owned()) });
    // The same message again, by another poll: claimed, and no second answer.
    assert_eq!(claim_one(&store, "m5", "+15550100", &message).await, Claim { is_claimed: true, wakes: None });
    let approval = store.approval("a".to_owned()).await.unwrap().unwrap();
    let approver = &approval.approvers[0];
    assert_eq!((approver.choice.as_deref(), approver.how.as_deref()), (Some("approve"), Some("sms")));
    assert_eq!(approver.by.as_deref(), Some("+15550100"));
    assert_eq!(approver.unclear, Some(format!("{code} perhaps")));
    assert_eq!(approval.state, State::Open);
}

#[tokio::test]
async fn the_end_of_the_run_closes_what_it_asked() {
    let (_folder, store) = open(1, 1).await;
    let end = Change::End { state: RunState::Failed, error: None };
    settle(&store, end, Changes { may_ask: true, ..Changes::default() }).await;
    let late = store.answer_approval("a".to_owned(), 0, given("approve", NOW + 1)).await.unwrap();
    let Taken::Over(approval) = late else { panic!("{late:?}") };
    assert_eq!(approval.state, State::Closed);
    let code = approval::code("a", 0);
    let claim = claim_one(&store, "m", "+15550100", &format!("{code} approve")).await;
    assert_eq!(claim, Claim { is_claimed: true, wakes: None }, "a late reply is nobody's item");
}
