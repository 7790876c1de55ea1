//! A thread that reads a SQLite store beside the writer. Each closure sees one consistent state: everything
//! that was committed before it was handed in.

use super::queue::Queue;
use super::session::Session;

/// Works until the queue is closed and empty.
pub(super) fn run(queue: &Queue, session: &mut Session<'_>) {
    while let Some(mut work) = queue.next() {
        let outcome = session.run_alone("BEGIN", work.as_mut());
        work.finish(outcome);
    }
}
