//! Where work waits for a thread of the database. A push costs one short lock, and a wake-up only when a
//! thread is asleep: that is what lets tens of thousands of closures a second through.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::task::Work;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

/// Why a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Work,
    /// Nothing came until the deadline.
    Idle,
    /// The queue is closed, and empty.
    Closed,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    closed: bool,
}

impl Queue {
    /// Adds `work`, or gives it back when the queue is closed.
    pub(super) fn push(&self, work: Work) -> Result<(), Work> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(work);
        }
        state.waiting.push_back(work);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Moves everything that waits into the empty `batch`, sleeping until something comes, until
    /// `deadline`, or until the queue is closed.
    pub(super) fn wait(&self, batch: &mut VecDeque<Work>, deadline: Option<Instant>) -> Arrival {
        let mut state = self.state.lock();
        loop {
            if !state.waiting.is_empty() {
                std::mem::swap(&mut state.waiting, batch);
                return Arrival::Work;
            }
            if state.closed {
                return Arrival::Closed;
            }
            match deadline {
                None => self.arrived.wait(&mut state),
                Some(deadline) => {
                    if self.arrived.wait_until(&mut state, deadline).timed_out() && state.waiting.is_empty() {
                        return Arrival::Idle;
                    }
                }
            }
        }
    }

    /// Moves what waits right now into the empty `batch`.
    pub(super) fn refill(&self, batch: &mut VecDeque<Work>) {
        std::mem::swap(&mut self.state.lock().waiting, batch);
    }

    /// One piece of work, sleeping until there is one; `None` when the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            match state.waiting.pop_front() {
                Some(work) => return Some(work),
                None if state.closed => return None,
                None => self.arrived.wait(&mut state),
            }
        }
    }

    /// Refuses what comes from now on; what waits is still done.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }
}
