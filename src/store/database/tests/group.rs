//! Groups: one commit for many, errors and panics kept to themselves, answers only after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rusqlite::Connection;

use super::super::error::Error;
use super::super::queue::Queue;
use super::super::session::Session;
use super::super::writer::{GroupBounds, Writer};
use super::super::{Result, Sql, code, params, task};
use super::{count, insert, open_host, place};

type Closure = Box<dyn FnMut(&mut dyn Sql) -> Result<i64> + Send>;

/// Runs `works` as one batch of a writer on a bare connection; returns their outcomes and the commits.
fn run_batch(works: Vec<Closure>, rows: u64) -> (Vec<Result<i64>>, usize, i64) {
    let commits = Arc::new(AtomicUsize::new(0));
    let mut connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, body TEXT, size BIGINT NOT NULL)")
        .unwrap();
    connection
        .execute_batch("CREATE TABLE links (note TEXT REFERENCES notes(id) DEFERRABLE INITIALLY DEFERRED)")
        .unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    let counter = Arc::clone(&commits);
    let hook = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        false
    };
    connection.commit_hook(Some(hook)).unwrap();
    let queue = Arc::new(Queue::default());
    let receivers: Vec<Receiver<Result<i64>>> = works
        .into_iter()
        .map(|work| {
            let (sender, receiver) = channel();
            assert!(queue.push(task::pack(work, move |outcome| sender.send(outcome).unwrap())).is_ok());
            receiver
        })
        .collect();
    let session = Session::new(&connection, std::path::Path::new("memory").into());
    let mut writer = Writer::new(session, queue, GroupBounds { rows, time_ms: 60_000 }, Duration::ZERO);
    writer.take_waiting();
    writer.drain();
    let outcomes = receivers.iter().map(|receiver| receiver.try_recv().unwrap()).collect();
    drop(writer);
    let stored = connection.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
    (outcomes, commits.load(Ordering::SeqCst), stored)
}

fn inserting(id: impl ToString) -> Closure {
    let id = id.to_string();
    Box::new(move |sql| {
        insert(sql, &id)?;
        count(sql)
    })
}

#[test]
fn what_waits_is_committed_together() {
    let (outcomes, commits, stored) = run_batch((0..100).map(inserting).collect(), 1_000);
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!((commits, stored), (1, 100));
}

#[test]
fn a_group_ends_at_its_bound_of_rows() {
    let (outcomes, commits, stored) = run_batch((0..100).map(inserting).collect(), 10);
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!((commits, stored), (10, 100));
}

#[test]
fn an_error_is_its_own_closures_alone() {
    let mut works: Vec<_> = (0..5).map(inserting).collect();
    works.push(inserting(3));
    works.extend((5..10).map(inserting));
    let (outcomes, commits, stored) = run_batch(works, 1_000);
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().err().map(|error| error.code)).collect();
    let mut expected = vec![None; 11];
    expected[5] = Some(code::CONSTRAINT);
    assert_eq!(codes, expected);
    assert_eq!(stored, 10);
    assert_eq!(commits, 2, "those before the error together, those after it together");
}

#[test]
fn a_closures_own_error_undoes_its_statements() {
    let failing: Closure = Box::new(|sql| {
        insert(sql, "undone")?;
        Err(Error::new("test_refused", "refused", "Nothing"))
    });
    let (outcomes, _, stored) = run_batch(vec![inserting(1), failing, inserting(2)], 1_000);
    assert_eq!(outcomes[1].as_ref().unwrap_err().code, "test_refused");
    assert_eq!((outcomes[0].clone(), outcomes[2].clone()), (Ok(1), Ok(2)));
    assert_eq!(stored, 2);
}

#[test]
fn a_panic_is_rolled_back_and_not_run_again() {
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&runs);
    let panicking: Closure = Box::new(move |sql| {
        insert(sql, "lost")?;
        seen.fetch_add(1, Ordering::SeqCst);
        panic!("a closure of a test")
    });
    let (outcomes, _, stored) = run_batch(vec![inserting(1), panicking, inserting(2)], 1_000);
    assert_eq!(outcomes[1].as_ref().unwrap_err().code, code::PANICKED);
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert_eq!((stored, runs.load(Ordering::SeqCst)), (2, 1));
}

#[test]
fn a_failed_statement_cannot_be_passed_over() {
    let careless: Closure = Box::new(|sql| {
        insert(sql, "first")?;
        let _ = insert(sql, "first");
        Ok(0)
    });
    let (outcomes, _, stored) = run_batch(vec![careless, inserting(1)], 1_000);
    assert_eq!(outcomes[0].as_ref().unwrap_err().code, code::CONSTRAINT);
    assert_eq!(stored, 1);
}

#[test]
fn a_closure_cannot_end_the_groups_transaction() {
    let ending: Closure = Box::new(|sql| {
        sql.execute("ROLLBACK", &[])?;
        Ok(0)
    });
    let (outcomes, _, stored) = run_batch(vec![inserting(1), ending, inserting(2)], 1_000);
    assert_eq!(outcomes[1].as_ref().unwrap_err().code, code::STATEMENT);
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert_eq!(stored, 2);
}

#[test]
fn a_constraint_that_is_checked_at_the_commit_is_pinned_on_its_closure() {
    let dangling: Closure = Box::new(|sql| {
        sql.execute("INSERT INTO links (note) VALUES ($1)", params!["nowhere"])?;
        Ok(0)
    });
    let (outcomes, _, stored) = run_batch(vec![inserting(1), dangling, inserting(2)], 1_000);
    assert_eq!(outcomes[1].as_ref().unwrap_err().code, code::CONSTRAINT);
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert_eq!(stored, 2);
}

#[test]
fn an_answer_comes_only_after_the_commit() {
    let (_directory, path) = place();
    let store = open_host(&path);
    for number in 0..50 {
        store.transaction_blocking(move |sql| insert(sql, &number.to_string())).unwrap();
        let outside = Connection::open(&path).unwrap();
        let seen: i64 = outside.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
        assert_eq!(seen, number + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_during_a_transaction_is_grouped_behind_it() {
    let (_directory, path) = place();
    let store = open_host(&path);
    let (release, held) = channel::<()>();
    let (started, begun) = channel::<()>();
    let first = store.clone();
    let first = tokio::spawn(async move {
        first
            .transaction(move |_| {
                started.send(()).unwrap();
                held.recv().unwrap();
                Ok(())
            })
            .await
    });
    tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
    let waiting: Vec<_> = (0..200)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.transaction(move |sql| insert(sql, &number.to_string())).await })
        })
        .collect();
    assert_eq!(store.read(count).await, Ok(0), "a reader never waits for the writer");
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.read(count).await, Ok(200));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_reader_sees_what_was_committed_before_it_asked_and_cannot_write() {
    let (_directory, path) = place();
    let store = open_host(&path);
    for number in 0..100 {
        store.transaction(move |sql| insert(sql, &number.to_string())).await.unwrap();
        assert_eq!(store.read(count).await, Ok(number + 1));
    }
    let refused = store.read(|sql| insert(sql, "from a reader")).await.unwrap_err();
    assert_eq!(refused.code, code::READ_ONLY);
    let panicked = store.read(|_| -> Result<()> { panic!("a reading closure of a test") }).await.unwrap_err();
    assert_eq!(panicked.code, code::PANICKED);
    assert_eq!(store.read(count).await, Ok(100), "the reader is still there");
}
