//! Values on their way into and out of SQLite. A column that does not hold what was asked for is an error
//! that names it: SQLite itself would convert.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::error::{Error, Result, code};
use super::sql::{Param, Row};

/// A row of SQLite's, which names the statement when a column is not what was asked for.
pub(super) struct SqliteRow<'r> {
    pub(super) row: &'r rusqlite::Row<'r>,
    pub(super) text: &'r str,
}

impl Row for SqliteRow<'_> {
    fn int(&self, column: usize) -> Result<i64> {
        match self.get(column)? {
            ValueRef::Integer(value) => Ok(value),
            other => Err(self.unexpected(column, "an integer", other.data_type())),
        }
    }

    fn text(&self, column: usize) -> Result<&str> {
        match self.get(column)? {
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| self.unexpected(column, "text", "not UTF-8"))
            }
            other => Err(self.unexpected(column, "text", other.data_type())),
        }
    }

    fn bytes(&self, column: usize) -> Result<&[u8]> {
        match self.get(column)? {
            ValueRef::Blob(bytes) => Ok(bytes),
            other => Err(self.unexpected(column, "bytes", other.data_type())),
        }
    }

    fn is_null(&self, column: usize) -> Result<bool> {
        Ok(self.get(column)? == ValueRef::Null)
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Param::Null => ValueRef::Null,
            Param::Int(value) => ValueRef::Integer(*value),
            Param::Text(text) => ValueRef::Text(text.as_bytes()),
            Param::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl SqliteRow<'_> {
    fn get(&self, column: usize) -> Result<ValueRef<'_>> {
        self.row.get_ref(column).map_err(|_| self.unexpected(column, "a column", "nothing"))
    }

    fn unexpected(&self, column: usize, wanted: &str, found: impl std::fmt::Display) -> Error {
        let text = self.text.trim().lines().next().unwrap_or_default();
        Error::new(
            code::COLUMN,
            format!("column {column} of `{text}` should be {wanted}, but is {found}"),
            "Either the store was changed by another program, or this is a mistake in Tidegate: please report it",
        )
    }
}
