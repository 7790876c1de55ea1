//! How actions are repeated: what is never sent twice, whose a record is that a look-up finds, what a cancelled or
//! failed run leaves to its retry, and what a clock that is not the service's does to all that.

use super::board::{Board, SECOND};
use super::notes::Fate;
use super::*;
use crate::engine::EntryState;
use crate::store::due::DueRun;
use crate::worker::drive::drive;

const LOOKUP: &str = "{class: lookup, reconcile: {action: list, after: 5s, within: 1m, match: \"eq record.text inputs.text\", time: created_at, absent: ABSENT}}";

const ADD: &str = "steps: [{action: shop.add, with: {text: \"{{item.text}}\"}}]";

fn lookup(absent: &str) -> String {
    LOOKUP.replace("ABSENT", absent)
}

#[tokio::test]
async fn what_is_answered_after_the_request_was_taken_sends_nothing_again() {
    let fates = [401, 404, 429, 500].map(Fate::Redirected).into_iter().chain([Fate::Told(408)]);
    for fate in fates {
        for effect in ["none", &lookup("unknown")] {
            let board = Board::new(effect, ADD, &[json!("a")]).await;
            board.notes.next(&[fate]);
            let run = board.start_and_work("hello").await;
            board.work_for_minutes(3).await;
            assert_eq!(board.notes.posts(), 1, "{fate:?} {effect}");
            let expected = if effect == "none" { "unknown" } else { "succeeded" };
            assert_eq!(board.state(&run).await, expected, "{fate:?} {effect}");
        }
    }
}

#[tokio::test]
async fn a_list_that_is_cut_off_proves_nothing() {
    let board = Board::new(&lookup("retry").replace("action: list", "action: list_two"), ADD, &[]).await;
    board.notes.list_oldest_first();
    for text in ["one", "two"] {
        board.start_and_work(text).await;
    }
    board.work_for_minutes(5).await;
    board.notes.next(&[Fate::Torn]);
    let run = board.start_and_work("mine").await;
    board.work_for_minutes(5).await;
    assert_eq!(
        (board.state(&run).await.as_str(), board.notes.posts()),
        ("unknown", 3),
        "it was there, behind the limit"
    );
}

#[tokio::test]
async fn a_list_of_which_a_part_could_not_be_read_proves_nothing() {
    let board = Board::new(&lookup("retry"), ADD, &[]).await;
    board.notes.list_a_part();
    board.notes.next(&[Fate::Torn]);
    let run = board.start_and_work("mine").await;
    board.work_for_minutes(5).await;
    assert_eq!((board.state(&run).await.as_str(), board.notes.posts()), ("unknown", 1));
}

#[tokio::test]
async fn a_record_that_matches_and_has_no_id_proves_nothing() {
    let board = Board::new(&lookup("retry"), ADD, &[Value::Null]).await;
    board.notes.next(&[Fate::Torn]);
    let run = board.start_and_work("mine").await;
    board.work_for_minutes(5).await;
    assert_eq!((board.state(&run).await.as_str(), board.notes.posts()), ("unknown", 1));
}

#[tokio::test]
async fn a_record_that_another_step_made_by_its_services_word_is_not_found_for_this_one() {
    for ids in [[json!("msg_1"), json!("msg_2")], [json!(1), json!(2)], [json!("50%"), json!("5")]] {
        let board = Board::new(&lookup("retry"), ADD, &ids).await;
        board.notes.next(&[Fate::Added, Fate::Dropped]);
        let first = board.start_and_work("same").await;
        let second = board.start_and_work("same").await;
        board.work_for_minutes(2).await;
        assert_eq!((board.state(&first).await, board.state(&second).await), ("succeeded".into(), "succeeded".into()));
        assert_eq!(board.notes.count(), 2, "{ids:?}: each text was added");
    }
}

#[tokio::test]
async fn a_step_that_only_lists_a_record_did_not_make_it() {
    let flow = "steps:\n  - {action: shop.add, if: eq item.do 'add', with: {text: \"{{item.text}}\"}}\n  - {action: shop.list, if: eq item.do 'list'}";
    let board = Board::new(&lookup("retry"), flow, &[json!("a")]).await;
    board.notes.next(&[Fate::Torn]);
    let adds = board.start(json!({"do": "add", "text": "hello"})).await;
    board.work().await;
    let lists = board.start(json!({"do": "list", "text": ""})).await;
    board.work().await;
    assert_eq!(board.state(&lists).await, "succeeded");
    board.work_for_minutes(2).await;
    assert_eq!((board.state(&adds).await.as_str(), board.notes.posts()), ("succeeded", 1));
}

#[tokio::test]
async fn a_clock_that_is_not_the_services_finds_what_was_done_and_never_proves_absence() {
    for ahead_ms in [-10 * 60 * SECOND, -30 * SECOND, 0, 30 * SECOND, 10 * 60 * SECOND] {
        let board = Board::apart(&lookup("retry"), ADD, &[json!("a"), json!("b")], ahead_ms).await;
        board.notes.next(&[Fate::Torn]);
        let done = board.start_and_work("done").await;
        board.work_for_minutes(2).await;
        assert_eq!((board.state(&done).await.as_str(), board.notes.posts()), ("succeeded", 1), "{ahead_ms}");
        board.notes.next(&[Fate::Dropped]);
        let lost = board.start_and_work("lost").await;
        board.work_for_minutes(2).await;
        let expected = if ahead_ms.abs() > 60 * SECOND { ("unknown", 2) } else { ("succeeded", 3) };
        assert_eq!((board.state(&lost).await.as_str(), board.notes.posts()), expected, "{ahead_ms}");
    }
    let board = Board::new(&lookup("retry"), ADD, &[json!("a")]).await;
    board.notes.keep_time_to_itself();
    board.notes.next(&[Fate::Dropped]);
    let lost = board.start_and_work("lost").await;
    board.work_for_minutes(2).await;
    let run = board.run(&lost).await;
    assert_eq!((run.summary.state.as_str(), board.notes.posts()), ("unknown", 1));
    let why = run.steps[0].error.clone().unwrap();
    assert!(why.contains("does not say what time it has"), "{why}");
}

#[tokio::test]
async fn a_run_that_is_cancelled_while_it_sends_is_not_sent_again_by_its_retry() {
    for effect in ["none", &lookup("retry")] {
        let board = Board::new(effect, ADD, &[json!("a"), json!("b")]).await;
        board.notes.next(&[Fate::Held]);
        let cancelled = board.start(json!({"text": "hello"})).await;
        let working = board.work_until_posts(1).await;
        board.cancel(&cancelled).await;
        // The answer is not there yet: nobody knows.
        let retry = board.retry(&cancelled).await;
        board.advance(6 * SECOND);
        while board.state(&retry).await == "queued" || board.state(&retry).await == "running" {
            drain_one(&board.host, &retry).await;
        }
        let expected = if effect == "none" { "unknown" } else { "succeeded" };
        assert_eq!((board.state(&retry).await.as_str(), board.notes.posts()), (expected, 1), "{effect}");
        board.notes.release.notify_one();
        working.await.unwrap();
        let run = board.run(&cancelled).await;
        assert_eq!(run.summary.state, "cancelled", "a terminal state never changes");
        assert_eq!(run.steps[0].state, "succeeded", "the answer that came is kept");
        assert!(run.steps[0].output.as_deref().unwrap().contains("\"a\""));
    }
}

#[tokio::test]
async fn a_retry_takes_over_the_answer_that_came_after_its_run_was_cancelled() {
    let board = Board::new("none", ADD, &[json!("a")]).await;
    board.notes.next(&[Fate::Held]);
    let cancelled = board.start(json!({"text": "hello"})).await;
    let working = board.work_until_posts(1).await;
    board.cancel(&cancelled).await;
    board.notes.release.notify_one();
    working.await.unwrap();
    let retry = board.retry(&cancelled).await;
    board.work().await;
    assert_eq!((board.state(&retry).await.as_str(), board.notes.posts()), ("succeeded", 1));
}

#[tokio::test]
async fn what_a_run_never_found_out_is_asked_a_person_once_over_all_its_retries() {
    for (said, posts, last) in [("retry", 2, "succeeded"), ("failed", 1, "failed"), ("done", 1, "succeeded")] {
        let board = Board::new("none", ADD, &[json!("a"), json!("b")]).await;
        board.notes.next(&[Fate::Torn]);
        let first = board.start_and_work("hello").await;
        board.cancel(&first).await;
        // One that is cancelled before it begins has a journal without anything in it.
        let second = board.retry(&first).await;
        board.cancel(&second).await;
        let third = board.retry(&second).await;
        board.work().await;
        assert_eq!((board.state(&third).await.as_str(), board.notes.posts()), ("unknown", 1), "{said}");
        board.advance(SECOND);
        board.settle(&third, said).await;
        board.work().await;
        assert_eq!((board.state(&third).await.as_str(), board.notes.posts()), (last, posts), "{said}");
    }
}

#[tokio::test]
async fn what_a_person_said_was_not_done_is_sent_by_the_next_retry() {
    let board = Board::new("none", ADD, &[json!("a"), json!("b")]).await;
    board.notes.next(&[Fate::Torn]);
    let first = board.start_and_work("hello").await;
    board.advance(SECOND);
    board.settle(&first, "failed").await;
    board.work().await;
    assert_eq!(board.state(&first).await, "failed");
    let second = board.retry(&first).await;
    board.work().await;
    assert_eq!((board.state(&second).await.as_str(), board.notes.posts()), ("succeeded", 2));
}

#[tokio::test]
async fn a_retry_of_a_step_that_is_looked_up_begins_with_a_look() {
    let flow = "steps: [{action: shop.add, with: {text: \"{{item.text}}\"}, retry: {attempts: 1}}]";
    for is_there in [true, false] {
        let board = Board::new(&lookup("retry"), flow, &[json!("a"), json!("b")]).await;
        board.notes.list(false);
        board.notes.next(&[if is_there { Fate::Torn } else { Fate::Dropped }]);
        let failed = board.start_and_work("hello").await;
        board.work_for_minutes(2).await;
        assert_eq!(board.state(&failed).await, "failed", "it was not listed, and there is no second attempt");
        board.notes.list(true);
        let (looks, retry) = (board.notes.looks(), board.retry(&failed).await);
        board.work().await;
        assert!(board.notes.looks() > looks);
        let posts = if is_there { 1 } else { 2 };
        assert_eq!((board.state(&retry).await.as_str(), board.notes.posts()), ("succeeded", posts));
    }
}

#[tokio::test]
async fn a_refusal_as_a_duplicate_is_a_failure_at_first_and_after_uncertainty_no_reason_to_try_again() {
    let board = Board::new(&lookup("retry"), ADD, &[json!("a"), json!("b")]).await;
    board.notes.next(&[Fate::Refused(403)]);
    let first = board.start_and_work("hello").await;
    assert_eq!((board.state(&first).await.as_str(), board.notes.looks()), ("failed", 0));
    // Nothing is found, it is tried again, and refused as a repeat of something that is not ours.
    board.notes.next(&[Fate::Dropped, Fate::Refused(403)]);
    let second = board.start_and_work("other").await;
    board.work_for_minutes(5).await;
    assert_eq!((board.state(&second).await.as_str(), board.notes.posts()), ("failed", 3));
    // What is listed only by then is found.
    board.notes.list(false);
    board.notes.next(&[Fate::Torn, Fate::Refused(403)]);
    let third = board.start_and_work("late").await;
    while board.notes.posts() < 5 {
        board.advance(5 * SECOND);
        board.work().await;
    }
    board.notes.list(true);
    board.work_for_minutes(1).await;
    assert_eq!((board.state(&third).await.as_str(), board.notes.posts()), ("succeeded", 5));
}

#[tokio::test]
async fn a_newer_item_never_ends_a_run_of_which_nobody_knows_what_it_did() {
    let flow = format!("concurrency: {{limit: 1, on_busy: replace}}\n{ADD}");
    let board = Board::new(&lookup("unknown"), &flow, &[json!("a"), json!("b")]).await;
    board.notes.next(&[Fate::Torn]);
    let first = board.start_and_work("one").await;
    let second = board.start_and_work("two").await;
    assert_eq!((board.state(&first).await.as_str(), board.state(&second).await.as_str()), ("running", "queued"));
    board.work_for_minutes(1).await;
    assert_eq!((board.state(&first).await.as_str(), board.state(&second).await.as_str()), ("succeeded", "succeeded"));
    assert_eq!(board.notes.posts(), 2);
}

#[tokio::test]
async fn what_was_settled_before_does_not_hide_that_a_host_may_still_be_sending() {
    let flow = "steps: [{action: shop.add, with: {text: one}}, {action: shop.add, with: {text: two}}]";
    let mut board = Board::new("none", flow, &[json!("a"), json!("b")]).await;
    board.notes.next(&[Fate::Torn, Fate::Held]);
    let run = board.start_and_work("").await;
    board.advance(SECOND);
    board.settle(&run, "done").await;
    board.advance(SECOND);
    let working = board.work_until_posts(2).await;
    working.abort();
    board.restart().await;
    let due = board.host.store.due_runs("f".to_owned(), board.clock.now_ms(), 1, Vec::new()).await.unwrap();
    let due = DueRun { may_still_send: true, ..due.runs[0].clone() };
    drive(&board.host, &due).await.unwrap();
    let left = board.run(&run).await;
    assert_eq!(left.summary.state, "unknown");
    let step = left.steps.iter().rfind(|step| step.state == EntryState::Unknown.as_str()).unwrap();
    assert!(step.error.as_deref().unwrap().contains("orphaned"), "{:?}", step.error);
}

#[tokio::test]
async fn what_a_person_said_of_a_step_is_not_taken_for_a_word_about_another_one_whatever_the_clocks_say() {
    let flow = "steps: [{action: shop.add, with: {text: one}}, {action: shop.add, with: {text: two}}]";
    let board = Board::new("none", flow, &[json!("a"), json!("b"), json!("c")]).await;
    board.notes.next(&[Fate::Torn, Fate::Added, Fate::Torn]);
    let run = board.start_and_work("").await;
    // From a machine whose clock is ten minutes ahead.
    board.settle_at(&run, "retry", board.clock.now_ms() + 600 * SECOND).await;
    board.work().await;
    assert_eq!((board.state(&run).await.as_str(), board.notes.posts()), ("unknown", 3));
    board.advance(SECOND);
    board.settle(&run, "failed").await;
    board.work().await;
    assert_eq!((board.state(&run).await.as_str(), board.notes.posts()), ("failed", 3));
}

#[tokio::test]
async fn a_word_about_an_attempt_covers_no_later_one_whatever_the_clocks_say() {
    let board = Board::new("none", ADD, &[json!("a"), json!("b"), json!("c")]).await;
    board.notes.next(&[Fate::Torn, Fate::Torn]);
    let run = board.start_and_work("hello").await;
    board.settle_at(&run, "retry", board.clock.now_ms() + 600 * SECOND).await;
    board.work().await;
    assert_eq!((board.state(&run).await.as_str(), board.notes.posts()), ("unknown", 2));
    board.cancel(&run).await;
    let retry = board.retry(&run).await;
    board.work().await;
    assert_eq!((board.state(&retry).await.as_str(), board.notes.posts()), ("unknown", 2));
}

#[tokio::test]
async fn what_a_person_said_was_done_is_not_done_again_where_the_run_was_cancelled_before_it_went_on() {
    let board = Board::new("none", ADD, &[json!("a"), json!("b")]).await;
    board.notes.next(&[Fate::Torn]);
    let run = board.start_and_work("hello").await;
    board.settle(&run, "done").await;
    board.cancel(&run).await;
    let retry = board.retry(&run).await;
    board.work().await;
    assert_eq!((board.state(&retry).await.as_str(), board.notes.posts()), ("succeeded", 1));
}

/// Works on one run beside whatever else is under way.
async fn drain_one(host: &Arc<Host>, run: &str) {
    let now_ms = host.now_ms();
    let due = host.store.due_runs("f".to_owned(), now_ms, 10, Vec::new()).await.unwrap();
    if let Some(due) = due.runs.iter().find(|due| due.id == run) {
        drive(host, due).await.unwrap();
    }
    tokio::task::yield_now().await;
}
