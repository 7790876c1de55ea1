//! Projects as they were published, for the hosts of a database: all files of one as one text, newest last. What
//! the text means is the caller's.

use super::database::params;
use super::{Result, Store};

/// A published project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Counts up.
    pub version: i64,
    /// Its files.
    pub files: String,
}

/// So many are kept: who published what when is for git.
const KEPT: i64 = 20;

impl Store {
    /// Publishes a project unless the newest one is the same; gives its version, and whether it is new.
    pub async fn publish(&self, files: String, now_ms: i64) -> Result<(i64, bool)> {
        self.database
            .transaction(move |sql| {
                let mut newest = None;
                let text = "SELECT version, files FROM publications ORDER BY version DESC LIMIT 1";
                sql.query(text, &[], &mut |row| {
                    newest = Some((row.int(0)?, row.text(1)? == files));
                    Ok(())
                })?;
                if let Some((version, true)) = newest {
                    return Ok((version, false));
                }
                let mut version = 0;
                let text = "INSERT INTO publications (files, published_at) VALUES ($1, $2) RETURNING version";
                sql.query(text, params![&files, now_ms], &mut |row| {
                    version = row.int(0)?;
                    Ok(())
                })?;
                sql.execute("DELETE FROM publications WHERE version <= $1", params![version - KEPT])?;
                sql.announce();
                Ok((version, true))
            })
            .await
    }

    /// The newest published project.
    pub async fn publication(&self) -> Result<Option<Publication>> {
        self.database
            .read(|sql| {
                let mut newest = None;
                let text = "SELECT version, files FROM publications ORDER BY version DESC LIMIT 1";
                sql.query(text, &[], &mut |row| {
                    newest = Some(Publication { version: row.int(0)?, files: row.text(1)?.to_owned() });
                    Ok(())
                })?;
                Ok(newest)
            })
            .await
    }
}
