//! A thread that reads a PostgreSQL store. Each closure sees one state: everything that was committed before
//! it was handed in. One that meets a lost connection is run again: it had no effect.

use super::super::error::code;
use super::super::queue::Queue;
use super::session::Session;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Works until the queue is closed and empty.
pub(super) fn run(queue: &Queue, session: &mut Session) {
    while let Some(mut work) = queue.next() {
        let outcome = loop {
            if let Err(error) = session.begin(BEGIN) {
                break Err(error);
            }
            match session.attempt(work.as_mut()).and_then(|()| session.commit()) {
                Err(error) if error.code == code::UNREACHABLE => {}
                outcome => break outcome,
            }
        };
        if outcome.is_err() {
            session.rollback();
        }
        work.finish(outcome);
    }
}
