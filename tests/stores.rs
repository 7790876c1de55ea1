//! Where the hosts of a project keep their state: the file beside it, or a database. For what is one test on both.

use std::process::Command;

use rusqlite::types::ValueRef;

use crate::postgres::server::{self, Database};
use crate::processes::{Host, Project};

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// What the hosts of one project have written.
pub struct Store {
    database: Option<Database>,
}

/// One row of an answer: what is absent is empty.
pub type Row = Vec<String>;

impl Store {
    pub fn new(on: On) -> Self {
        Store { database: (on == On::Postgres).then(server::database) }
    }

    /// The command line of a host.
    pub fn up(&self, project: &Project, life: usize) -> Command {
        let mut command = project.up(life);
        if let Some(database) = &self.database {
            command.args(["--store", &database.url()]);
        }
        command
    }

    pub fn host(&self, project: &Project, life: usize) -> Host {
        Host::of(self.up(project, life))
    }

    /// Whether a host has come so far that it can work. It must not have ended.
    pub fn is_held_by(&self, host: &mut Host, project: &Project) -> bool {
        match &self.database {
            None => host.has_store(project),
            Some(_) => {
                assert!(host.ended().is_none(), "the host ended: {}", project.log());
                let name = format!("'process {},%'", host.id());
                self.number(project, &format!("SELECT count(*) FROM nodes WHERE name LIKE {name}")) == Some(1)
            }
        }
    }

    /// How many hosts the others count as alive. Where there is one host at most, there is nothing to count.
    #[cfg(feature = "crash-points")]
    pub fn leases(&self, project: &Project) -> i64 {
        let alive = "SELECT count(*) FROM nodes WHERE lease_until > extract(epoch FROM clock_timestamp()) * 1000";
        self.database.as_ref().and_then(|_| self.number(project, alive)).unwrap_or(0)
    }

    /// What a query gives; nothing while there are no tables yet.
    pub fn rows(&self, project: &Project, query: &str) -> Vec<Row> {
        let Some(database) = &self.database else {
            return project
                .rows(query, |row| (0..row.as_ref().column_count()).map(|at| Ok(text(row.get_ref(at)?))).collect());
        };
        if database.sql("SELECT to_regclass('public.connections') IS NULL") == "t" {
            return Vec::new();
        }
        // As JSON: a text may hold whatever parts columns and rows.
        let lines = database.sql(&format!("SELECT row_to_json(found) FROM ({query}) AS found"));
        lines.lines().map(columns).collect()
    }

    /// The one number that a query gives; none while there are no tables yet.
    pub fn number(&self, project: &Project, query: &str) -> Option<i64> {
        Some(self.rows(project, query).first()?.first()?.parse().unwrap())
    }
}

fn columns(line: &str) -> Row {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let column = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    object.values().map(column).collect()
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        other => other.as_str().unwrap().to_owned(),
    }
}
