//! `tidegate flows`: what flows there are, how they do, and switching them on and off.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;

use super::Context;
use super::diagnostics::{Style, render};
use super::exit::Result;
use super::table::{Form, Table};
use super::text::{count, indented, one_line};
use crate::app::{Time, flows, open};

/// The words of `flows`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate flows list
  tidegate flows show tweet-to-sms
  tidegate flows disable tweet-to-sms")]
pub enum Flows {
    /// Every flow, with its state and when it is due
    #[command(after_help = "Examples:\n  tidegate flows list\n  tidegate flows list --output json")]
    List,
    /// One flow: its file, its state, and what a person should know about it
    #[command(after_help = "Examples:\n  tidegate flows show tweet-to-sms")]
    Show {
        /// The flow's name
        flow: String,
    },
    /// Switch a flow on that was switched off by hand
    #[command(after_help = "Examples:\n  tidegate flows enable tweet-to-sms")]
    Enable {
        /// The flow's name
        flow: String,
    },
    /// Switch a flow off: it starts nothing new; runs that have begun go on
    #[command(after_help = "Examples:\n  tidegate flows disable tweet-to-sms")]
    Disable {
        /// The flow's name
        flow: String,
    },
}

impl Flows {
    pub async fn perform(self, context: Context) -> Result {
        let view = open::view(&context.place).await?;
        let output = context.output;
        match self {
            Flows::List => {
                let empty = "there are no flows: write flows/<name>.yaml, see `tidegate schema flow`";
                output.rows(&flows::list(&view).await?, empty, |rows| table(rows))?;
            }
            Flows::Show { flow } => output.one(&flows::show(&view, &flow).await?, describe)?,
            Flows::Enable { flow } => output.one(&flows::enable(&view, &flow).await?, switched)?,
            Flows::Disable { flow } => output.one(&flows::disable(&view, &flow).await?, switched)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(rows: &[flows::Row]) -> Table {
    let mut table = Table::new(["flow", "state", "trigger", "next", "last polled", "runs"]);
    for row in rows {
        let state = match standing(row) {
            (state, Some(why)) => format!("{state}: {why}"),
            (state, None) => state,
        };
        let (next, polled) = (at(row.next_at), at(row.polled_at));
        table.row([&row.name, &state, &row.trigger, &next, &polled, &counts(&row.runs)].map(String::as_str));
    }
    table
}

fn describe(flow: &flows::Detail, _: Form) -> String {
    let flows::Detail { row, description, file, text, diagnostics, notices } = flow;
    let mut told = match &row.title {
        Some(title) => format!("{}: {}\n", one_line(&row.name), one_line(title)),
        None => format!("{}\n", one_line(&row.name)),
    };
    if let Some(description) = description {
        told.push_str(&indented(description, 2));
    }
    let state = match standing(row) {
        (state, Some(why)) => format!("{state} ({why})"),
        (state, None) => state,
    };
    let runs = counts(&row.runs);
    let facts = [
        ("state", state),
        ("trigger", row.trigger.clone()),
        ("next", at(row.next_at)),
        ("last polled", at(row.polled_at)),
        ("runs", if runs.is_empty() { "none".to_owned() } else { runs }),
        ("file", file.clone().unwrap_or_else(|| "gone".to_owned())),
    ];
    for (name, fact) in facts {
        told.push_str(&format!("  {name:<12} {}\n", one_line(&fact)));
    }
    for found in diagnostics {
        told.push('\n');
        told.push_str(&render(found, text.as_deref(), Style::Plain));
    }
    if !notices.is_empty() {
        told.push_str("\nWhat a person should know:\n");
        told.push_str(&told_notices(notices));
    }
    if let Some(text) = text {
        told.push('\n');
        told.push_str(&indented(text, 2));
    }
    told
}

/// How it is, and why. One that is enabled works only where its polls do.
fn standing(row: &flows::Row) -> (String, Option<String>) {
    match (&row.reason, &row.last_failure) {
        (None, Some(failure)) if row.failures > 0 => {
            let polls = count(row.failures.unsigned_abs(), "poll");
            (format!("{}, {polls} failed", row.state), Some(failure.clone()))
        }
        (reason, _) => (row.state.clone(), reason.clone()),
    }
}

/// A line per notice, newest first.
pub fn told_notices(notices: &[flows::Notice]) -> String {
    let lines = notices.iter().map(|notice| {
        let flows::Notice { at, kind, message } = notice;
        format!("  {at}  {}: {}\n", one_line(kind), one_line(message))
    });
    lines.collect()
}

fn switched(row: &flows::Row, _: Form) -> String {
    let next = row.next_at.map(|next| format!(", due {next}")).unwrap_or_default();
    format!("{} is {}{next}\n", one_line(&row.name), one_line(&row.state))
}

fn counts(runs: &BTreeMap<String, i64>) -> String {
    let counts: Vec<String> = runs.iter().map(|(state, count)| format!("{count} {state}")).collect();
    counts.join(", ")
}

fn at(time: Option<Time>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}
