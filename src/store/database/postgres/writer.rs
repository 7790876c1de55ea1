//! A thread that writes to PostgreSQL: it gathers the closures that wait into one transaction and answers
//! them when its COMMIT is durable. What fails by itself is run again by itself; transactions in each other's
//! way are run again; a lost connection is waited out, and what was under way is run again where it does not
//! stand. Other threads, and other hosts, may commit between two statements of a closure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::error::{Error, Result, code};
use super::super::queue::{Arrival, Queue};
use super::super::task::Work;
use super::super::writer::GroupBounds;
use super::session::Session;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// How often a closure is run again that is in another's way.
const CONFLICTS_MAX: u32 = 20;
const CONFLICT_PAUSE: Duration = Duration::from_millis(2);

pub(super) struct Writer {
    session: Session,
    queue: Arc<Queue>,
    bounds: GroupBounds,
    batch: VecDeque<Work>,
}

impl Writer {
    pub(super) fn new(session: Session, queue: Arc<Queue>, bounds: GroupBounds) -> Writer {
        Writer { session, queue, bounds, batch: VecDeque::new() }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(&mut self) {
        while self.queue.wait(&mut self.batch, None) == Arrival::Work {
            while !self.batch.is_empty() {
                self.run_group();
            }
        }
        self.session.close();
    }

    fn run_group(&mut self) {
        if let Err(error) = self.session.begin(BEGIN) {
            finish_all(self.batch.drain(..), &Err(error));
            return;
        }
        let began = Instant::now();
        let mut group = Vec::new();
        while let Some(mut work) = self.next() {
            if let Err(error) = self.session.attempt(work.as_mut()) {
                self.session.rollback();
                self.isolate(group, work, error);
                return;
            }
            group.push(work);
            if self.session.changed_rows() >= self.bounds.rows
                || began.elapsed() >= Duration::from_millis(self.bounds.time_ms)
            {
                break;
            }
        }
        self.settle(group);
    }

    fn next(&mut self) -> Option<Work> {
        if self.batch.is_empty() {
            self.queue.refill(&mut self.batch);
        }
        self.batch.pop_front()
    }

    // Commits, and only then answers.
    fn settle(&mut self, group: Vec<Work>) {
        match self.commit() {
            // Decided at the commit, so it can be any of them.
            Err(error) if matches!(error.code, code::CONSTRAINT | code::CONFLICT) => {
                for work in group {
                    self.run_alone(work);
                }
            }
            Err(error) if error.code == code::UNREACHABLE => self.put_back(group),
            outcome => finish_all(group, &outcome),
        }
    }

    // `store_unreachable` means that nothing of it stands.
    fn commit(&mut self) -> Result<()> {
        let outcome = self.session.commit();
        match outcome {
            Err(error) if error.code == code::UNREACHABLE => match self.session.was_committed() {
                Ok(true) => Ok(()),
                Ok(false) => Err(error),
                Err(unknown) => Err(Error { code: code::CLOSED, retryable: false, ..unknown }),
            },
            Err(error) => {
                self.session.rollback();
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    // The group was undone because `failed` ended in `error`. Those before it went well and are run again,
    // together; only if that fails as well, one by one.
    fn isolate(&mut self, mut group: Vec<Work>, failed: Work, error: Error) {
        if error.code == code::UNREACHABLE {
            group.push(failed);
            self.put_back(group);
            return;
        }
        let is_first = group.is_empty();
        if !is_first {
            self.rerun(group);
        }
        let is_final = error.code != code::CONFLICT && (is_first || error.code == code::PANICKED);
        if is_final { failed.finish(Err(error)) } else { self.run_alone(failed) }
    }

    fn rerun(&mut self, mut group: Vec<Work>) {
        let session = &mut self.session;
        let outcome =
            session.begin(BEGIN).and_then(|()| group.iter_mut().try_for_each(|work| session.attempt(work.as_mut())));
        match outcome {
            Ok(()) => self.settle(group),
            Err(_) => {
                self.session.rollback();
                for work in group {
                    self.run_alone(work);
                }
            }
        }
    }

    fn run_alone(&mut self, mut work: Work) {
        let mut conflicts = 0;
        let outcome = loop {
            let session = &mut self.session;
            // An error here is final: waiting for the database has been given up.
            if let Err(error) = session.begin(BEGIN) {
                break Err(error);
            }
            let outcome = match session.attempt(work.as_mut()) {
                Ok(()) => self.commit(),
                Err(error) => {
                    self.session.rollback();
                    Err(error)
                }
            };
            match outcome {
                Err(error) if error.code == code::UNREACHABLE => {}
                Err(error) if error.code == code::CONFLICT && conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    std::thread::park_timeout(CONFLICT_PAUSE * conflicts);
                }
                outcome => break outcome,
            }
        };
        work.finish(outcome);
    }

    // They are the next group, in their order.
    fn put_back(&mut self, group: Vec<Work>) {
        for work in group.into_iter().rev() {
            self.batch.push_front(work);
        }
    }
}

fn finish_all(works: impl IntoIterator<Item = Work>, outcome: &Result<()>) {
    for work in works {
        work.finish(outcome.clone());
    }
}
