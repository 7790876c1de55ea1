//! `tidegate connectors`: what connectors there are, and each as documentation.

use std::process::ExitCode;

use clap::Subcommand;

use super::Context;
use super::exit::Result;
use super::table::{Form, Table};
use super::text::{cell, indented, one_line};
use crate::app::{connectors, project};

/// The words of `connectors`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate connectors list
  tidegate connectors show x")]
pub enum Connectors {
    /// Every connector: those of the project and those inside the program
    #[command(after_help = "Examples:\n  tidegate connectors list")]
    List,
    /// One connector as documentation: its account's fields, its actions and triggers with their inputs
    #[command(after_help = "\
Examples:
  tidegate connectors show x
  tidegate connectors show x --output markdown > x.md")]
    Show {
        /// The connector's name
        connector: String,
    },
}

impl Connectors {
    pub fn perform(self, context: &Context) -> Result {
        let project = project::load(&context.place);
        match self {
            Connectors::List => {
                let rows = connectors::list(&project);
                context.output.rows(&rows, "there are no connectors", |rows| table(rows))?;
            }
            Connectors::Show { connector } => {
                let detail = connectors::show(&project, &connector)?;
                context.output.one(&detail, document)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(rows: &[connectors::Row]) -> Table {
    let mut table = Table::new(["connector", "title", "version", "from", "actions", "triggers"]);
    for row in rows {
        table.row([
            row.name.as_str(),
            &row.title,
            row.version.as_deref().unwrap_or("-"),
            &row.origin,
            &row.actions.join(", "),
            &row.triggers.join(", "),
        ]);
    }
    table
}

fn document(connector: &connectors::Detail, form: Form) -> String {
    let connectors::Detail { row, description, hosts, fields, operations } = connector;
    let mut text = heading(1, &format!("{} ({})", row.title, row.name), form);
    if let Some(description) = description {
        text.push_str(&format!("{}\n", one_line(description)));
    }
    text.push_str(&format!("From: {}\n", one_line(&row.origin)));
    for (name, url) in hosts {
        text.push_str(&format!("Host {}: {}\n", one_line(name), one_line(url)));
    }
    if !fields.is_empty() {
        text.push_str(&heading(2, "An account needs", form));
        text.push_str(&inputs(fields).draw(form));
    }
    for (kind, title) in [("trigger", "Triggers"), ("action", "Actions")] {
        let mut of_kind = operations.iter().filter(|operation| operation.kind == kind).peekable();
        if of_kind.peek().is_some() {
            text.push_str(&heading(2, title, form));
        }
        for operation in of_kind {
            text.push_str(&operate(operation, form));
        }
    }
    text
}

fn operate(operation: &connectors::Operation, form: Form) -> String {
    let connectors::Operation { kind: _, name, title, description, note, inputs: given, calls } = operation;
    let named = match title {
        Some(title) => format!("{name}: {title}"),
        None => name.clone(),
    };
    let mut text = heading(3, &format!("{named} ({note})"), form);
    if let Some(description) = description {
        text.push_str(&indented(description, 0));
    }
    if !calls.is_empty() {
        text.push_str(&indented(&format!("It is made of steps that call {}.", calls.join(", ")), 0));
    }
    match given.is_empty() {
        true => text.push_str("It takes no inputs.\n"),
        false => text.push_str(&inputs(given).draw(form)),
    }
    text
}

fn inputs(inputs: &[connectors::Input]) -> Table {
    let mut table = Table::new(["name", "type", "required", "default", "what it is"]);
    for input in inputs {
        let connectors::Input { name, kind, required, secret, default, title } = input;
        let kind = if *secret { format!("{kind}, secret") } else { kind.clone() };
        let required = if *required { "yes" } else { "no" };
        let default = default.as_ref().map(cell).unwrap_or_default();
        table.row([name.as_str(), &kind, required, &default, title.as_deref().unwrap_or_default()]);
    }
    table
}

fn heading(level: usize, text: &str, form: Form) -> String {
    let before = if level == 1 { "" } else { "\n" };
    let text = one_line(text);
    match form {
        Form::Markdown => format!("{before}{} {text}\n\n", "#".repeat(level)),
        Form::Bordered | Form::Plain if level == 2 => format!("{before}{}\n", text.to_uppercase()),
        Form::Bordered | Form::Plain => format!("{before}{text}\n"),
    }
}
