//! A closure on its way through a database: run once or more inside a transaction, then told how that
//! ended. The value it made is handed over only with a commit that is durable.

use super::error::{Error, Result};
use super::sql::Sql;

/// Work with its answer's address, the types of both erased.
pub type Work = Box<dyn Task>;

pub trait Task: Send {
    /// Runs the closure inside an open transaction. May be called again after a rollback.
    fn attempt(&mut self, sql: &mut dyn Sql) -> Result<()>;

    /// Hands over what the last attempt made, or the error that ended it.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

struct Call<T, F, R> {
    run: F,
    made: Option<T>,
    reply: R,
}

/// Packs `run`, and where its result goes.
pub(super) fn pack<T, F, R>(run: F, reply: R) -> Work
where
    T: Send + 'static,
    F: FnMut(&mut dyn Sql) -> Result<T> + Send + 'static,
    R: FnOnce(Result<T>) + Send + 'static,
{
    Box::new(Call { run, made: None, reply })
}

impl<T, F, R> Task for Call<T, F, R>
where
    T: Send,
    F: FnMut(&mut dyn Sql) -> Result<T> + Send,
    R: FnOnce(Result<T>) + Send,
{
    fn attempt(&mut self, sql: &mut dyn Sql) -> Result<()> {
        self.made = None;
        self.made = Some((self.run)(sql)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let Call { made, reply, .. } = *self;
        reply(outcome.and_then(|()| made.ok_or_else(Error::closed)));
    }
}
