//! `tidegate approvals`: what people are asked, what they answered, and deciding it from here.

use std::process::ExitCode;

use clap::Subcommand;

use super::Context;
use super::exit::Result;
use super::table::{Form, Table};
use super::text::one_line;
use crate::app::approvals::{self, Row};
use crate::app::open;

/// The words of `approvals`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate approvals list
  tidegate approvals show k7q2m4
  tidegate approvals decide k7q2m4 approve --text 'as discussed'

An approval is named by its id, or by a beginning of it that no other approval has.")]
pub enum Approvals {
    /// Approvals, newest first; those that wait unless a state is given
    #[command(after_help = "\
Examples:
  tidegate approvals list
  tidegate approvals list --state expired
  tidegate approvals list --state all --output json")]
    List {
        /// In this state: open, decided, expired, split, closed or all
        #[arg(long, value_name = "STATE", default_value = "open")]
        state: String,
        /// The most rows
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: u32,
    },
    /// One approval: what is asked, of whom, and each answer
    #[command(after_help = "Examples:\n  tidegate approvals show k7q2m4")]
    Show {
        /// The approval's id, or a beginning of it
        approval: String,
    },
    /// Decide an approval as a whole, whoever was asked
    #[command(after_help = "\
Examples:
  tidegate approvals decide k7q2m4 approve
  tidegate approvals decide k7q2m4 reject --text 'not this week' --by Mara
  tidegate approvals decide k7q2m4 --text 'Tuesday at nine'     where only a text is asked for")]
    Decide {
        /// The approval's id, or a beginning of it
        approval: String,
        /// The choice
        choice: Option<String>,
        /// A few words, where the approval takes them
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        /// Who decides; the system's user unless given
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

impl Approvals {
    pub async fn perform(self, context: Context) -> Result {
        let view = open::view(&context.place).await?;
        let output = context.output;
        match self {
            Approvals::List { state, limit } => {
                let state = Some(state.as_str()).filter(|state| *state != "all");
                let rows = approvals::list(&view, state, limit).await?;
                output.rows(rows.as_slice(), "there are no such approvals", table)?;
            }
            Approvals::Show { approval } => {
                output.one(&approvals::show(&view, &approval).await?, account)?;
            }
            Approvals::Decide { approval, choice, text, by } => {
                let by = by.or_else(|| std::env::var("USER").ok().filter(|user| !user.is_empty()));
                let row = approvals::decide(&view, &approval, choice, text, by).await?;
                output.one(&row, |row, _| {
                    let what = row.choice.as_deref().or(row.text.as_deref()).unwrap_or_default();
                    format!("approval {} is decided: {}\n", row.id, one_line(what))
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["ID", "FLOW", "STATE", "ASKED", "UNTIL", "QUESTION"]);
    for row in rows {
        let until = row.expires_at.map(|at| at.to_string()).unwrap_or_default();
        let asked = row.created_at.to_string();
        let question = row.question.as_deref().unwrap_or(&row.step);
        table.row([&row.id, &row.flow, row.state.word(), &asked, &until, question]);
    }
    table
}

fn account(row: &Row, _: Form) -> String {
    let mut lines = vec![format!("approval {}: {}", row.id, row.state.word())];
    let mut tell = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("  {name:<9} {}", one_line(&value)));
        }
    };
    tell("question", row.question.clone());
    tell("flow", Some(format!("{}, step {}", row.flow, row.step)));
    tell("run", Some(row.run.clone()));
    tell("choices", Some(row.choices.join(", ")).filter(|choices| !choices.is_empty()));
    tell("asked", Some(row.created_at.to_string()));
    tell("until", row.expires_at.map(|at| at.to_string()));
    tell("decided", row.decided_at.map(|at| at.to_string()));
    tell("choice", row.choice.clone());
    tell("text", row.text.clone());
    tell("by", row.by.clone());
    tell("how", row.how.clone());
    for (position, approver) in row.approvers.iter().enumerate() {
        let name = approver.name.clone().unwrap_or_else(|| format!("approver {}", position + 1));
        let said = match (&approver.choice, &approver.text, &approver.unclear) {
            (Some(choice), Some(text), _) => format!("{choice}: {text}"),
            (Some(said), None, _) | (None, Some(said), _) => said.clone(),
            (None, None, Some(unclear)) => format!("no answer yet; an unclear reply: {unclear}"),
            (None, None, None) => match &approver.unreached {
                Some(why) => format!("could not be asked: {why}"),
                None => "no answer yet".to_owned(),
            },
        };
        let how = approver.how.as_ref().map(|how| format!(" (by {how})")).unwrap_or_default();
        lines.push(one_line(&format!("  {name}, code {}: {said}{how}", approver.code)));
    }
    lines.join("\n") + "\n"
}
