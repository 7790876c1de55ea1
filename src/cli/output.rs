//! Where results go: standard output, as a table or as JSON. With `--output json` it holds exactly one JSON
//! document (or one per line, where a command goes on), a failure's too; whatever else is said is on standard error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::table::{Form, Table};

/// How results are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: a table with borders on a terminal, `plain` elsewhere
    #[default]
    Table,
    /// For programs: one JSON document on standard output
    Json,
    /// A table of Markdown
    Markdown,
    /// Aligned columns without borders
    Plain,
}

/// Writes results to standard output.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    format: Format,
}

impl Output {
    /// In this format.
    pub fn new(format: Format) -> Self {
        Output { format }
    }

    /// Whether results are for programs.
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Shows rows: `value` as JSON, or the table that `table` makes of it. `empty` is said on standard error
    /// where there are none.
    ///
    /// # Errors
    /// When standard output can not be written.
    pub fn rows<T: Serialize + ?Sized>(
        self,
        value: &T,
        empty: &str,
        table: impl FnOnce(&T) -> Table,
    ) -> io::Result<()> {
        if self.is_json() {
            return self.json(value);
        }
        let table = table(value);
        if table.is_empty() {
            return note(empty);
        }
        write(&table.draw(self.form()))
    }

    /// Shows one thing: `value` as JSON, or the text that `text` makes of it, tables in it drawn by the form
    /// that it is given.
    ///
    /// # Errors
    /// When standard output can not be written.
    pub fn one<T: Serialize + ?Sized>(self, value: &T, text: impl FnOnce(&T, Form) -> String) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(value),
            Format::Table | Format::Markdown | Format::Plain => write(&text(value, self.form())),
        }
    }

    /// Shows JSON, spread over lines.
    ///
    /// # Errors
    /// When standard output can not be written.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        write(&format!("{text}\n"))
    }

    fn form(self) -> Form {
        match self.format {
            Format::Markdown => Form::Markdown,
            Format::Table if io::stdout().is_terminal() => Form::Bordered,
            Format::Table | Format::Plain | Format::Json => Form::Plain,
        }
    }
}

/// Writes to standard output at once; escape sequences go to terminals only.
///
/// # Errors
/// When standard output can not be written.
pub fn write(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Says something beside the result: a line on standard error.
///
/// # Errors
/// When standard error can not be written.
pub fn note(text: &str) -> io::Result<()> {
    let mut stderr = anstream::stderr().lock();
    writeln!(stderr, "{text}")
}
