//! `tidegate triggers`: how far each flow has read, and reading again.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Context;
use super::exit::Result;
use super::flows::told_notices;
use super::runs::account;
use super::table::{Form, Table};
use super::text::one_line;
use crate::app::triggers::Known;
use crate::app::{Time, open, triggers};

/// The words of `triggers`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate triggers list
  tidegate triggers show tweet-to-sms
  tidegate triggers rewind tweet-to-sms --to 2026-11-01T08:00:00Z")]
pub enum Triggers {
    /// Every trigger, with how far it has read
    #[command(after_help = "Examples:\n  tidegate triggers list")]
    List,
    /// One flow's trigger: its cursor, its ledger, its failures, gaps and notices
    #[command(after_help = "\
Examples:
  tidegate triggers show tweet-to-sms
  tidegate triggers show tweet-to-sms --exchanges   with the last request and its answer, secrets masked")]
    Show {
        /// The flow's name
        flow: String,
        /// Show the last request and its answer, secrets masked
        #[arg(long)]
        exchanges: bool,
    },
    /// Read again: what the service lists from then on starts new runs, also what ran before
    #[command(after_help = "\
Examples:
  tidegate triggers rewind tweet-to-sms --to 2026-11-01T08:00:00Z
  tidegate triggers rewind tweet-to-sms --to 2026-11-01
  tidegate triggers rewind tweet-to-sms --all")]
    Rewind {
        /// The flow's name
        flow: String,
        #[command(flatten)]
        from: From,
    },
}

/// Where reading begins again. One of them must be given: new runs send things again.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct From {
    /// From this time: RFC 3339, or a date in UTC
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// From the oldest that the service still lists
    #[arg(long)]
    all: bool,
}

impl Triggers {
    pub async fn perform(self, context: Context) -> Result {
        let view = open::view(&context.place).await?;
        match self {
            Triggers::List => {
                let empty = "there are no triggers: no host has worked here yet; `tidegate up` starts one";
                context.output.rows(&triggers::list(&view).await?, empty, |rows| table(rows))?;
            }
            Triggers::Show { flow, exchanges } => {
                let known = triggers::known(&view, &flow, exchanges).await?;
                context.output.one(&known, |known, _| describe(known))?;
            }
            Triggers::Rewind { flow, from } => {
                let row = triggers::rewind(&view, &flow, from.to.as_deref()).await?;
                context.output.one(&row, rewound)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(rows: &[triggers::Row]) -> Table {
    let mut table = Table::new(["flow", "state", "due", "covered until", "cursor", "failures", "last failure"]);
    for row in rows {
        table.row([
            row.flow.as_str(),
            &row.state,
            &at(row.due_at),
            &at(row.covered_until),
            row.cursor.as_deref().unwrap_or("-"),
            &row.failures.to_string(),
            row.error.as_deref().unwrap_or_default(),
        ]);
    }
    table
}

fn describe(known: &Known) -> String {
    let Known { trigger: row, notices, exchange } = known;
    let state = match &row.reason {
        Some(reason) => format!("{} ({reason})", row.state),
        None => row.state.clone(),
    };
    let seeded = if row.seeded { "done" } else { "not done: what is there at the first poll is told from news" };
    let failures = match &row.error {
        Some(error) => format!("{} in a row; the last: {error}", row.failures),
        None => "none since the last success".to_owned(),
    };
    let facts = [
        ("state", state),
        ("next due", at(row.due_at)),
        ("last polled", at(row.polled_at)),
        ("cursor", row.cursor.clone().unwrap_or_else(|| "-".to_owned())),
        ("covered until", at(row.covered_until)),
        ("baseline", at(row.baseline_at)),
        ("first reading", seeded.to_owned()),
        ("ledger", format!("generation {}", row.generation)),
        ("failures", failures),
    ];
    let mut told = format!("{}\n", one_line(&row.flow));
    for (name, fact) in facts {
        told.push_str(&format!("  {name:<14} {}\n", one_line(&fact)));
    }
    let (gaps, others): (Vec<_>, Vec<_>) = notices.iter().cloned().partition(|notice| notice.kind == "gap");
    for (title, notices) in [("Gaps, where items may be missing:", gaps), ("Notices:", others)] {
        if !notices.is_empty() {
            told.push_str(&format!("\n{title}\n{}", told_notices(&notices)));
        }
    }
    if let Some(exchange) = exchange {
        told.push_str(&format!("\nLast request\n{}", account::exchange(exchange, 2)));
    }
    told
}

fn rewound(row: &triggers::Row, _: Form) -> String {
    let from = row.baseline_at.map_or_else(|| "the oldest that is listed".to_owned(), |time| time.to_string());
    format!(
        "{} reads again from {from}, into ledger generation {}; due {}\n",
        one_line(&row.flow),
        row.generation,
        at(row.due_at)
    )
}

fn at(time: Option<Time>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::flows;

    #[test]
    fn a_trigger_is_told_with_its_gaps_apart() {
        let trigger = triggers::Row {
            flow: "a".into(),
            state: "attention".into(),
            reason: Some("401".into()),
            due_at: None,
            polled_at: Some(Time::from_ms(0)),
            seeded: true,
            baseline_at: None,
            cursor: Some("17".into()),
            covered_until: Some(Time::from_ms(60_000)),
            generation: 2,
            failures: 3,
            error: Some("x.new_tweet: refused".into()),
        };
        let notice =
            |kind: &str| flows::Notice { at: Time::from_ms(0), kind: kind.into(), message: format!("of {kind}") };
        let told = describe(&Known { trigger, notices: vec![notice("missed"), notice("gap")], exchange: None });
        for part in [
            "attention (401)",
            "covered until  1970-01-01T00:01:00.000Z",
            "generation 2",
            "3 in a row; the last: x.new_tweet: refused",
            "Gaps, where items may be missing:\n  1970-01-01T00:00:00.000Z  gap: of gap",
            "Notices:\n  1970-01-01T00:00:00.000Z  missed: of missed",
        ] {
            assert!(told.contains(part), "`{part}` is not in:\n{told}");
        }
    }
}
