//! What a transaction may do: run statements with `$1` parameters, the same text on every database. Values
//! are 64-bit integers, text (JSON is text), bytes and null, and nothing else. Where two databases differ,
//! a statement is put together with a fragment of the [`Dialect`].

use std::borrow::Cow;
use std::sync::Arc;

use super::error::Result;

/// One parameter of a statement. It borrows where it can: a database copies it when it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// One row of an answer. Columns count from 0. Every method fails with `store_column` where the column is
/// missing or holds another type than asked for.
pub trait Row {
    fn int(&self, column: usize) -> Result<i64>;
    fn text(&self, column: usize) -> Result<&str>;
    fn bytes(&self, column: usize) -> Result<&[u8]>;
    fn is_null(&self, column: usize) -> Result<bool>;

    /// An integer that stands for a `bool`: anything but 0 is true.
    fn flag(&self, column: usize) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        if self.is_null(column)? { Ok(None) } else { self.int(column).map(Some) }
    }

    fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        if self.is_null(column)? { Ok(None) } else { self.text(column).map(Some) }
    }

    fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>> {
        if self.is_null(column)? { Ok(None) } else { self.bytes(column).map(Some) }
    }
}

/// The statements of one transaction. A text is prepared once per connection and found again by its
/// address, so a literal costs nothing to repeat; a text made at run time is found by its content, and
/// should come from a small set. A statement that fails fails its whole transaction, even where the
/// closure goes on: PostgreSQL would not have it otherwise.
pub trait Sql {
    /// Runs one statement that answers no rows; returns how many rows an INSERT, UPDATE or DELETE changed
    /// (of no meaning for any other statement).
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64>;

    /// Runs one statement once for each of `rows`; returns how many rows were changed in all.
    fn execute_many(&mut self, sql: &str, rows: &[Vec<Param<'_>>]) -> Result<u64>;

    /// Runs one statement (a SELECT, or one with RETURNING) and hands each row of its answer to `each`.
    fn query(&mut self, sql: &str, params: &[Param<'_>], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()>;

    /// Runs several statements without parameters, parted by semicolons: for migrations.
    fn batch(&mut self, sql: &str) -> Result<()>;

    /// Says that other hosts may find something to do once this is committed: a hint, where there are others.
    fn announce(&mut self);

    fn dialect(&self) -> &'static Dialect;
}

/// The differences between databases, as pieces of SQL text.
#[derive(Debug)]
pub struct Dialect {
    /// `sqlite` or `postgres`.
    pub name: &'static str,
    /// After the `)` of a CREATE TABLE whose primary key is its natural order.
    pub without_rowid: &'static str,
    /// The type of a column of bytes.
    pub bytes: &'static str,
    /// The type and constraint of a primary key that counts up by itself.
    pub counting_key: &'static str,
    /// After a text column or expression whose order must be that of its bytes.
    pub collate_bytes: &'static str,
    /// At the end of a SELECT: lock the rows until the transaction ends.
    pub for_update: &'static str,
    /// At the end of a SELECT: lock the rows, leaving out those that another transaction has locked.
    pub for_update_skip_locked: &'static str,
    /// The function that gives the larger, or the smaller, of its two arguments.
    pub greatest: &'static str,
    pub least: &'static str,
    /// Whether several machines may work on it: their clocks differ, so that its own time counts among them.
    pub is_shared: bool,
    /// An expression: the database's time in UTC epoch milliseconds.
    pub now_ms: &'static str,
    /// An expression: when the database itself was started, in UTC epoch milliseconds.
    pub started_ms: &'static str,
    /// A query for the texts of the JSON list that stands in place of `?`.
    pub json_texts: &'static str,
    /// A query for what the hosts say of themselves that may be at work; none where a lock on a file says it.
    pub hosts_at_work: Option<&'static str>,
    /// A condition on a row of `nodes`: its host still holds its session. A kill frees it, a pause does not.
    pub lives: &'static str,
    /// Statements that keep other writers and new hosts away from these tables, and hosts that may wake, until the
    /// transaction ends, however long it takes.
    pub hold_still: fn(tables: &[&str]) -> String,
    /// A query for every column of every table: table, column, its type, its place in the primary key (0: none).
    pub columns: &'static str,
    /// A statement that says that a store which was made as a copy is whole.
    pub whole: fn() -> String,
    /// A query after which a counting key goes on behind the last one that is there, where that needs to be said.
    pub count_on: fn(table: &str, column: &str) -> Option<String>,
    /// Whether a text may hold the NUL character.
    pub holds_nul: bool,
    /// A query for one integer that changes when another process has committed.
    pub data_version: &'static str,
    /// A statement that hands up to this many free pages back to the file system, if there is one.
    pub vacuum_some: fn(pages: u32) -> Option<String>,
}

/// `params![id, count, name]`: a slice of [`Param`], each made with `Param::from`.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::database::Param::from($value)),*] };
}
pub(crate) use params;

impl From<i64> for Param<'_> {
    fn from(value: i64) -> Self {
        Param::Int(value)
    }
}

impl From<i32> for Param<'_> {
    fn from(value: i32) -> Self {
        Param::Int(value.into())
    }
}

impl From<u32> for Param<'_> {
    fn from(value: u32) -> Self {
        Param::Int(value.into())
    }
}

impl From<bool> for Param<'_> {
    fn from(value: bool) -> Self {
        Param::Int(value.into())
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Param::Text(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(value: &'a String) -> Self {
        Param::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Param<'_> {
    fn from(value: String) -> Self {
        Param::Text(Cow::Owned(value))
    }
}

impl<'a> From<&'a Arc<str>> for Param<'a> {
    fn from(value: &'a Arc<str>) -> Self {
        Param::Text(Cow::Borrowed(value))
    }
}

impl From<Arc<str>> for Param<'_> {
    fn from(value: Arc<str>) -> Self {
        Param::Text(Cow::Owned(value.as_ref().to_owned()))
    }
}

impl<'a> From<Cow<'a, str>> for Param<'a> {
    fn from(value: Cow<'a, str>) -> Self {
        Param::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(value: &'a [u8]) -> Self {
        Param::Bytes(Cow::Borrowed(value))
    }
}

impl From<Vec<u8>> for Param<'_> {
    fn from(value: Vec<u8>) -> Self {
        Param::Bytes(Cow::Owned(value))
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Into::into)
    }
}
