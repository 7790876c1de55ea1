//! `tidegate connections`: the accounts, how they are, whether they work, and what can be done with stored ones.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::exit::{Result, ended};
use super::sign_in::SignIn;
use super::table::Table;
use super::text::{elapsed, one_line};
use super::{Context, output};
use crate::app::connections::{change, show};
use crate::app::{Exit, connections, open};

/// The words of `connections`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate connections list
  tidegate connections test
  tidegate connections sign-in brand-x")]
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
    /// One account: where each of its fields comes from, its hosts, who uses it
    #[command(after_help = "Examples:\n  tidegate connections show support")]
    Show {
        /// The account's name
        connection: String,
    },
    /// Let flows use a stored account again
    #[command(after_help = "Examples:\n  tidegate connections activate support")]
    Activate {
        /// The account's name
        connection: String,
    },
    /// Keep flows from using a stored account, without forgetting it
    #[command(after_help = "Examples:\n  tidegate connections deactivate support")]
    Deactivate {
        /// The account's name
        connection: String,
    },
    /// Forget a stored account, its secrets and its tokens
    #[command(after_help = "Examples:\n  tidegate connections remove support")]
    Remove {
        /// The account's name
        connection: String,
        /// Even if a flow uses it: the flow stops
        #[arg(long)]
        force: bool,
    },
    /// Seal all stored secrets under a new key
    #[command(after_help = "\
Examples:
  tidegate connections rekey                          a key made now replaces that in the key file
  tidegate connections rekey --new-key-file new.key   this key

All or nothing: if it is interrupted, do it again. A host that works takes the new key from the key file.")]
    Rekey {
        /// A file with the new key; one is made unless given
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
    /// Sign in at the service, so that it grants an account's tokens
    SignIn(SignIn),
}

impl Connections {
    pub async fn perform(self, context: Context) -> Result {
        let empty = "there are no connections: make one with `tidegate connect`, or add it to tidegate.yaml";
        match self {
            Connections::List => {
                let view = open::view(&context.place).await?;
                context.output.rows(&connections::list(&view).await?, empty, |rows| table(rows))?;
                Ok(ExitCode::SUCCESS)
            }
            Connections::SignIn(sign_in) => sign_in.perform(context).await,
            Connections::Test { connection } => {
                let tested = connections::test(&context.place, connection.as_deref()).await?;
                context.output.rows(&tested, empty, |tested| tests(tested))?;
                // Of several, that which only a person can put right.
                let exits = || tested.iter().filter_map(|tested| tested.exit);
                let exit = exits().find(|exit| *exit == Exit::Connection).or_else(|| exits().next());
                Ok(exit.map_or(ExitCode::SUCCESS, ended))
            }
            Connections::Show { connection } => {
                let view = open::view(&context.place).await?;
                context.output.one(&show::show(&view, &connection).await?, |detail, form| {
                    let mut text = table(std::slice::from_ref(&detail.row)).draw(form);
                    text.push_str(&fields(detail).draw(form));
                    text
                })?;
                Ok(ExitCode::SUCCESS)
            }
            Connections::Activate { connection } => {
                changed(&context, &change::activate(&context.place, &connection, true).await?)
            }
            Connections::Deactivate { connection } => {
                changed(&context, &change::activate(&context.place, &connection, false).await?)
            }
            Connections::Remove { connection, force } => {
                changed(&context, &change::remove(&context.place, &connection, force).await?)
            }
            Connections::Rekey { new_key_file } => {
                let rekeyed = change::rekey(&context.place, new_key_file.as_deref()).await?;
                context.output.one(&rekeyed, |rekeyed, _| {
                    let change::Rekeyed { key, sealed, place, .. } = rekeyed;
                    format!("{sealed} secrets are sealed with the key {key} now, from {}\n", one_line(place))
                })?;
                if let Some(advice) = &rekeyed.advice {
                    output::note(advice)?;
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn changed(context: &Context, changed: &change::Changed) -> Result {
    context.output.one(changed, |changed, _| format!("`{}` is {}\n", one_line(&changed.name), changed.state))?;
    Ok(ExitCode::SUCCESS)
}

fn fields(detail: &show::Detail) -> Table {
    let mut table = Table::new(["field", "value", "what it is"]);
    for field in &detail.fields {
        let value = field.value.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let title = field.title.as_deref().unwrap_or_default();
        table.row([field.name.as_str(), value.as_deref().unwrap_or(&field.source), title]);
    }
    for (host, url) in &detail.hosts {
        table.row([host.as_str(), url, "host"]);
    }
    for (input, value) in &detail.defaults {
        table.row([input.as_str(), &value.to_string(), "default"]);
    }
    if let Some(proxy) = &detail.proxy {
        table.row(["proxy", proxy, ""]);
    }
    table
}

fn table(rows: &[connections::Row]) -> Table {
    let mut table = Table::new(["connection", "connector", "state", "used by", "checked", "what it is"]);
    for row in rows {
        let mut state = row.state.clone();
        if let Some(reason) = &row.reason {
            state.push_str(&format!(": {reason}"));
        }
        if let Some(health) = row.health.as_ref().filter(|health| health.failures > 0) {
            let why = health.message.as_deref().unwrap_or_default();
            state.push_str(&format!(", {} failed checks in a row: {why}", health.failures));
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
        let connections::Tested { name, works, action, message, help, elapsed_ms, resumed, .. } = tested;
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
