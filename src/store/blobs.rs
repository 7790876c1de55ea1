//! Values too large for a row: above 1 MiB the row holds a reference, and the text is in `blobs`.

use std::borrow::Cow;

use super::Result;
use super::database::{Sql, params};
use super::id;

/// Texts above this many bytes are kept apart.
pub const LIMIT_BYTES: usize = 1 << 20;

// No JSON text begins with this character, so a reference is never mistaken for a value.
const MARK: char = '\u{1}';

/// What the row holds for `text`: itself, or a reference after writing it to `blobs`.
pub(super) fn keep<'a>(sql: &mut dyn Sql, run: &str, text: &'a str, now_ms: i64) -> Result<Cow<'a, str>> {
    if text.len() <= LIMIT_BYTES {
        return Ok(Cow::Borrowed(text));
    }
    let id = id::new(now_ms);
    sql.execute("INSERT INTO blobs (id, run, body) VALUES ($1, $2, $3)", params![&id, run, text.as_bytes()])?;
    Ok(Cow::Owned(format!("{MARK}{id}")))
}

/// The text behind what a row holds.
pub(super) fn fetch(sql: &mut dyn Sql, held: String) -> Result<String> {
    let Some(id) = held.strip_prefix(MARK) else {
        return Ok(held);
    };
    let mut text = String::new();
    sql.query("SELECT body FROM blobs WHERE id = $1", params![id], &mut |row| {
        text = String::from_utf8_lossy(row.bytes(0)?).into_owned();
        Ok(())
    })?;
    Ok(text)
}

/// The same for a column that may be null.
pub(super) fn fetch_optional(sql: &mut dyn Sql, held: Option<String>) -> Result<Option<String>> {
    held.map(|held| fetch(sql, held)).transpose()
}
