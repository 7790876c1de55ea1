//! `tidegate call`: one action of a connector, its records as a table, Markdown or JSON.

use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Args;

use super::exit::{Result, ended};
use super::runs::account::exchange;
use super::table::{Form, Table};
use super::text::{indented, one_line, readable};
use super::{Context, given, output, signals};
use crate::app::result::{Status, Table as Rows, Told};
use crate::app::{Exit, call};

/// The words of `call`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate call x.search_tweets query='#rustlang' max_results=20
  tidegate call twilio.send_sms to=+15550101 to=+15550102 body='Down again' --connection support
  tidegate call json.get --inputs @inputs.json --output json
  tidegate call x.get_me --exchanges

An input is typed by the action's schema; the same name twice makes a list. Actions that change something
change it: there is no undo. `tidegate connectors show x` lists actions and their inputs.")]
pub struct Call {
    /// The action, as in `x.search_tweets`
    #[arg(value_name = "CONNECTOR.ACTION")]
    action: String,
    /// Its inputs
    #[arg(value_name = "NAME=VALUE")]
    pairs: Vec<String>,
    /// All inputs as one JSON object: itself, @FILE, or - for standard input; NAME=VALUE wins
    #[arg(long, value_name = "JSON")]
    inputs: Option<String>,
    /// The account to use; may be left out when the connector has just one
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Show every request and response, too, secrets masked
    #[arg(long)]
    exchanges: bool,
}

impl Call {
    pub async fn perform(self, context: Context) -> Result {
        let json = self.inputs.as_deref().map(|given| given::json("--inputs", given)).transpose()?;
        let inputs = call::Inputs { pairs: self.pairs, json };
        signals::end_at_once(|| Some(interrupted()))?;
        let way = call::Way { connection: self.connection.as_deref(), waits: Some(waits) };
        let mut called = call::call(&context.place, &self.action, inputs, way).await?;
        if !self.exchanges {
            called.exchanges.clear();
        }
        context.output.one(&called, show)?;
        for problem in &called.problems {
            output::note(&format!("warning: {}", one_line(problem)))?;
        }
        if let Some(token) = &called.next_token {
            output::note(&format!("there is more: next_token {}", one_line(token)))?;
        }
        if let Some(error) = &called.result.error {
            output::note(failed(error).trim_end())?;
        }
        Ok(match called.result.status {
            Status::Successful => ExitCode::SUCCESS,
            Status::PartiallySuccessful => {
                output::note(&format!("{}: some of it failed", called.result.status.title()))?;
                ended(Exit::Problem)
            }
            Status::Failed => ended(called.exit.unwrap_or(Exit::Service)),
        })
    }
}

fn interrupted() -> String {
    match WAITS.get() {
        Some(run) => {
            format!("interrupted: run {0} goes on without this command; `tidegate runs show {0}`", one_line(run))
        }
        None => {
            "interrupted: a request may have been under way, and nothing is kept of it: look at the service before \
                 you call this again"
                .to_owned()
        }
    }
}

// The run that waits for people.
static WAITS: OnceLock<String> = OnceLock::new();

/// Said while it waits for people.
fn waits(run: &str) {
    // It is told once.
    let _ = WAITS.set(run.to_owned());
    let said = format!("run {} asks, and waits for an answer; it goes on without this command, too", one_line(run));
    // Where standard error is gone the answer is waited for all the same.
    let _ = output::note(&said);
}

/// The failure, for people: which action, why, what to do.
fn failed(error: &Told) -> String {
    let mut text = format!("error: {}\n{}", one_line(&error.message), indented(&error.detail, 2));
    if let Some(help) = &error.help {
        text.push_str(&format!("  help: {}", indented(help, 8).trim_start()));
    }
    let numbers =
        [("status", error.status.map(|status| status.to_string())), ("service code", error.service_code.clone())];
    for (name, number) in numbers {
        if let Some(number) = number {
            text.push_str(&format!("  {name}: {}\n", one_line(&number)));
        }
    }
    text + &format!("  code: {}\n", one_line(&error.code))
}

fn show(called: &call::Called, form: Form) -> String {
    let mut text = String::new();
    for Rows { title, columns, rows } in &called.result.tables {
        if let Some(title) = title {
            let before = if text.is_empty() { "" } else { "\n" };
            let mark = if form == Form::Markdown { "### " } else { "" };
            text.push_str(&format!("{before}{mark}{}\n", one_line(title)));
            if form == Form::Markdown {
                text.push('\n');
            }
        }
        if columns.is_empty() {
            text.push_str(&indented(&readable(&called.result.output), 0));
            continue;
        }
        let mut table = Table::new(columns.iter().map(String::as_str));
        for row in rows {
            table.row(row.iter().map(String::as_str));
        }
        text.push_str(&table.draw(form));
    }
    let number = called.exchanges.len();
    for (index, value) in called.exchanges.iter().enumerate() {
        text.push_str(&format!("\nRequest {} of {number}\n{}", index + 1, exchange(value, 2)));
    }
    text
}
