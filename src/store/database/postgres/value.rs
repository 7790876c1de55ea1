//! Values on their way into and out of PostgreSQL. A parameter goes as the type that the statement gives it;
//! a column that does not hold what was asked for is an error that names it.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::error::{Error, Result, code, first_line};
use super::super::sql::{Param, Row};

/// A row of PostgreSQL's, with its statement for messages.
pub(super) struct PostgresRow<'r> {
    pub(super) row: &'r tokio_postgres::Row,
    pub(super) text: &'r str,
}

impl Row for PostgresRow<'_> {
    fn int(&self, column: usize) -> Result<i64> {
        match self.kind(column)? {
            kind if *kind == Type::INT4 => self.get::<i32>(column, "an integer").map(Into::into),
            kind if *kind == Type::INT2 => self.get::<i16>(column, "an integer").map(Into::into),
            kind if *kind == Type::BOOL => self.get::<bool>(column, "an integer").map(Into::into),
            _ => self.get(column, "an integer"),
        }
    }

    fn text(&self, column: usize) -> Result<&str> {
        self.get(column, "text")
    }

    fn bytes(&self, column: usize) -> Result<&[u8]> {
        self.get(column, "bytes")
    }

    fn is_null(&self, column: usize) -> Result<bool> {
        self.get::<IsNullValue>(column, "a column").map(|found| found.0)
    }
}

impl PostgresRow<'_> {
    fn kind(&self, column: usize) -> Result<&Type> {
        let found = self.row.columns().get(column);
        found.map(tokio_postgres::Column::type_).ok_or_else(|| self.unexpected(column, "a column", "nothing"))
    }

    fn get<'a, T: FromSql<'a>>(&'a self, column: usize, wanted: &str) -> Result<T> {
        let kind = self.kind(column)?;
        self.row.try_get(column).map_err(|_| self.unexpected(column, wanted, kind.name()))
    }

    fn unexpected(&self, column: usize, wanted: &str, found: &str) -> Error {
        Error::new(
            code::COLUMN,
            format!("column {column} of `{}` should be {wanted}, but is {found} or null", first_line(self.text)),
            "Either the store was changed by another program, or this is a mistake in Tidegate: please report it",
        )
    }
}

struct IsNullValue(bool);

impl<'a> FromSql<'a> for IsNullValue {
    fn from_sql(_: &Type, _: &'a [u8]) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(IsNullValue(false))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(IsNullValue(true))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Param::Null => return Ok(IsNull::Yes),
            Param::Int(value) => match *kind {
                Type::INT8 => out.put_i64(*value),
                Type::INT4 => out.put_i32(i32::try_from(*value)?),
                Type::INT2 => out.put_i16(i16::try_from(*value)?),
                _ => return Err(unfit("an integer", kind)),
            },
            Param::Text(text) => match *kind {
                Type::TEXT | Type::VARCHAR | Type::JSON | Type::UNKNOWN => out.put_slice(text.as_bytes()),
                _ => return Err(unfit("text", kind)),
            },
            Param::Bytes(bytes) => match *kind {
                Type::BYTEA => out.put_slice(bytes),
                _ => return Err(unfit("bytes", kind)),
            },
        }
        Ok(IsNull::No)
    }

    // Which value it is decides, so it is known only when it is sent.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn unfit(value: &str, kind: &Type) -> Box<dyn StdError + Sync + Send> {
    format!("the statement takes {} where it was given {value}", kind.name()).into()
}
