//! `tidegate connections`: the configured accounts, how they are, and whether they work.

use std::process::ExitCode;

use clap::Subcommand;

use super::Context;
use super::exit::{Result, ended};
use super::table::Table;
use super::text::elapsed;
use crate::app::{Exit, connections, open};

/// The words of `connections`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate connections list
  tidegate connections test")]
pub enum Connections {
    /// Every account, with how it is and which flows use it
    #[command(after_help = "Examples:\n  tidegate connections list")]
    List,
    /// Ask the service whether an account works; polls that were stopped because of it go on if it does
    #[command(after_help = "\
Examples:
  tidegate connections test              all of them
  tidegate connections test brand-x      one

Exits with 4 if one does not work.")]
    Test {
        /// The account's name; all of them unless given
        connection: Option<String>,
    },
}

impl Connections {
    pub async fn perform(self, context: Context) -> Result {
        let empty = "there are no connections: add them under `connections` in tidegate.yaml";
        match self {
            Connections::List => {
                let view = open::view(&context.place).await?;
                context.output.rows(&connections::list(&view).await?, empty, |rows| table(rows))?;
                Ok(ExitCode::SUCCESS)
            }
            Connections::Test { connection } => {
                let tested = connections::test(&context.place, connection.as_deref()).await?;
                context.output.rows(&tested, empty, |tested| tests(tested))?;
                let all_work = tested.iter().all(|tested| tested.works);
                Ok(if all_work { ExitCode::SUCCESS } else { ended(Exit::Connection) })
            }
        }
    }
}

fn table(rows: &[connections::Row]) -> Table {
    let mut table = Table::new(["connection", "connector", "state", "used by", "checked", "what it is"]);
    for row in rows {
        let mut state = row.state.clone();
        if let Some(reason) = &row.reason {
            state.push_str(&format!(": {reason}"));
        }
        if let Some(until) = row.blocked_until {
            state.push_str(&format!(", at its limit until {until}"));
        }
        table.row([
            row.name.as_str(),
            &row.connector,
            &state,
            &row.flows.join(", "),
            &row.checked_at.map_or_else(|| "-".to_owned(), |time| time.to_string()),
            row.description.as_deref().unwrap_or_default(),
        ]);
    }
    table
}

fn tests(tests: &[connections::Tested]) -> Table {
    let mut table = Table::new(["connection", "works", "asked", "took", "what the service said"]);
    for tested in tests {
        let connections::Tested { name, works, action, message, help, elapsed_ms, resumed } = tested;
        let mut said = message.clone();
        if let Some(help) = help {
            said.push_str(&format!("; {help}"));
        }
        if !resumed.is_empty() {
            said.push_str(&format!("; polls again: {}", resumed.join(", ")));
        }
        let works = if *works { "yes" } else { "no" };
        table.row([name.as_str(), works, action.as_deref().unwrap_or("-"), &elapsed(*elapsed_ms), &said]);
    }
    table
}
