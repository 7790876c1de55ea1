//! The one thread that writes to a SQLite store. It gathers the closures that wait into one transaction and
//! answers them when its COMMIT is durable; a lone closure is committed at once. An error undoes the whole
//! group, and each of it is run again by itself: that is cheaper than a savepoint around each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Error, Result, code};
use super::queue::{Arrival, Queue};
use super::session::Session;
use super::task::Work;
use crate::crash;

/// When a group is closed although more is waiting.
#[derive(Clone, Copy, Debug)]
pub struct GroupBounds {
    /// Rows that the group has changed.
    pub rows: u64,
    /// How long the group has been running, in milliseconds of a steady clock.
    pub time_ms: u64,
}

/// With nothing written for so long, the write-ahead log is moved into the file and emptied.
const IDLE: Duration = Duration::from_secs(2);

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

pub(super) struct Writer<'c> {
    session: Session<'c>,
    queue: Arc<Queue>,
    bounds: GroupBounds,
    busy_timeout: Duration,
    batch: VecDeque<Work>,
    /// When something was last written that may still be in the write-ahead log.
    written: Option<Instant>,
}

impl<'c> Writer<'c> {
    pub(super) fn new(session: Session<'c>, queue: Arc<Queue>, bounds: GroupBounds, busy_timeout: Duration) -> Self {
        Writer { session, queue, bounds, busy_timeout, batch: VecDeque::new(), written: None }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(&mut self) {
        loop {
            let deadline = self.written.map(|written| written + IDLE);
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.checkpoint();
            }
            match self.queue.wait(&mut self.batch, deadline) {
                Arrival::Work => self.drain(),
                Arrival::Idle => {}
                Arrival::Closed => return,
            }
        }
    }

    /// Runs what is in the batch, and what arrives meanwhile, in as few groups as the bounds allow.
    pub(super) fn drain(&mut self) {
        while !self.batch.is_empty() {
            self.run_group();
        }
    }

    /// Takes what waits into the batch without sleeping.
    #[cfg(test)]
    pub(super) fn take_waiting(&mut self) {
        self.queue.refill(&mut self.batch);
    }

    fn run_group(&mut self) {
        if let Err(error) = self.session.begin(BEGIN) {
            self.session.rollback();
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

    /// Commits, and only then answers.
    fn settle(&mut self, group: Vec<Work>) {
        crash::point("commit.before");
        let outcome = self.session.commit();
        crash::point("commit.after");
        match &outcome {
            Ok(()) => self.note_written(),
            Err(_) => self.session.rollback(),
        }
        match outcome {
            // Checked at the commit, so it can be any of them. Anything else (a full disk) hits them all.
            Err(error) if error.code == code::CONSTRAINT && group.len() > 1 => {
                for work in group {
                    self.run_alone(work);
                }
            }
            outcome => finish_all(group, &outcome),
        }
    }

    /// The group was undone because `failed` ended in `error`. Those before it went well and are run again,
    /// together; only if that fails as well, one by one.
    fn isolate(&mut self, group: Vec<Work>, failed: Work, error: Error) {
        let first = group.is_empty();
        if !first {
            self.rerun(group);
        }
        if first || error.code == code::PANICKED {
            failed.finish(Err(error));
        } else {
            self.run_alone(failed);
        }
    }

    fn rerun(&mut self, mut group: Vec<Work>) {
        let outcome = self
            .session
            .begin(BEGIN)
            .and_then(|()| group.iter_mut().try_for_each(|work| self.session.attempt(work.as_mut())));
        if outcome.is_ok() {
            self.settle(group);
            return;
        }
        self.session.rollback();
        for work in group {
            self.run_alone(work);
        }
    }

    fn run_alone(&mut self, mut work: Work) {
        let outcome = self.session.run_alone(BEGIN, work.as_mut());
        if outcome.is_ok() {
            self.note_written();
        }
        work.finish(outcome);
    }

    fn note_written(&mut self) {
        if self.session.changed_rows() > 0 {
            self.written = Some(Instant::now());
        }
    }

    /// Moves the write-ahead log into the file and empties it. Never waits for a reader that still needs it:
    /// that only puts it off until after the next write, or the end.
    pub(super) fn checkpoint(&mut self) {
        self.written = None;
        // What is in a damaged file is left for whoever mends it.
        if self.session.is_damaged() {
            return;
        }
        if let Err(error) = self.session.checkpoint(self.busy_timeout) {
            tracing::warn!(%error, "the write-ahead log of the store could not be emptied");
        }
    }
}

fn finish_all(works: impl IntoIterator<Item = Work>, outcome: &Result<()>) {
    for work in works {
        work.finish(outcome.clone());
    }
}
