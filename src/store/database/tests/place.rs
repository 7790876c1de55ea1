//! Where a test's store is: a file in a directory of its own, or a PostgreSQL database of its own. A test
//! that says nothing about files runs on both.

use std::path::PathBuf;

use super::super::{Handle, Options, Result, open, open_postgres};
use super::server;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// A place for one store; gone with this value, and the store with it.
pub(crate) enum Place {
    Sqlite { path: PathBuf, _directory: tempfile::TempDir },
    Postgres(server::Database),
}

impl Place {
    pub(crate) fn new(on: On) -> Place {
        match on {
            On::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                Place::Sqlite { path: directory.path().join("tidegate.db"), _directory: directory }
            }
            On::Postgres => Place::Postgres(server::database()),
        }
    }

    pub(crate) fn open(&self, options: &Options) -> Result<Handle> {
        match self {
            Place::Sqlite { path, .. } => open(path, options),
            Place::Postgres(database) => open_postgres(&database.url(), options),
        }
    }
}
