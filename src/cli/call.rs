//! `tidegate call`: one action of a connector, its records as a table, Markdown or JSON.

use std::process::ExitCode;

use clap::Args;

use super::exit::{Result, ended};
use super::runs::account::exchange;
use super::table::{Form, Table};
use super::text::{indented, one_line, readable};
use super::{Context, given, output};
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
        let mut called = call::call(&context.place, &self.action, inputs, self.connection.as_deref()).await?;
        if !self.exchanges {
            called.exchanges.clear();
        }
        context.output.one(&called, show)?;
        for problem in &called.problems {
            output::note(&format!("warning: {}", one_line(problem)))?;
        }
        Ok(match called.status.as_str() {
            "succeeded" => ExitCode::SUCCESS,
            "failed" => ended(Exit::Service),
            _ => ended(Exit::Problem),
        })
    }
}

fn show(called: &call::Called, form: Form) -> String {
    let call::Table { columns, rows } = &called.table;
    let mut text = match columns.is_empty() {
        true => indented(&readable(&called.output), 0),
        false => {
            let mut table = Table::new(columns.iter().map(String::as_str));
            for row in rows {
                table.row(row.iter().map(String::as_str));
            }
            table.draw(form)
        }
    };
    let number = called.exchanges.len();
    for (index, value) in called.exchanges.iter().enumerate() {
        text.push_str(&format!("\nRequest {} of {number}\n{}", index + 1, exchange(value, 2)));
    }
    text
}
