//! How the program ends: the documented exit codes, and the one way that a failure is told.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use serde_json::json;

use super::diagnostics::{self, Style};
use super::output::{self, Output};
use super::text::{indented, one_line};
use crate::app;

/// What a command ends with.
pub type Result<T = ExitCode> = std::result::Result<T, Error>;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for could not be done.
    #[error(transparent)]
    App(Box<app::Error>),
    /// Standard output or the system failed.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// The table of exit codes, as `--help` shows it.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    it did what was asked
  1    files have errors, a run failed, or there is no such flow, run, connector or action
  2    the command line makes no sense
  3    the store or this machine: in use by another host, damaged, newer, no space, a port in use
  4    a connection is missing, or its credentials were refused
  5    the service refused what was asked, or could not be reached
  6    the run is not over: a host has to go on with it, or a person to settle it
  130  stopped at once by Ctrl-C; a host by a second one";

/// Stopped at once, as shells number an interrupt.
pub const STOPPED: i32 = 130;

/// The exit code of something that was done, but did not end well.
pub fn ended(exit: app::Exit) -> ExitCode {
    ExitCode::from(exit.code())
}

impl From<app::Error> for Error {
    fn from(error: app::Error) -> Error {
        Error::App(Box::new(error))
    }
}

impl Error {
    /// Tells why, and gives the exit code.
    pub fn tell(&self, output: Output) -> ExitCode {
        let told = match self {
            Error::App(error) => tell(error, output),
            // Who read the output has read enough: `tidegate runs list | head`.
            Error::System(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Error::System(error) => tell(&app::Error::new(app::Exit::Host, "system", error.to_string()), output),
        };
        match (self, told) {
            (Error::App(error), Ok(())) => ended(error.exit),
            // Where not even standard error can be written, the code alone is left to say it.
            (Error::System(_), _) | (_, Err(_)) => ended(app::Exit::Host),
        }
    }
}

/// For people on standard error; for programs as the one JSON document on standard output, too.
fn tell(error: &app::Error, output: Output) -> io::Result<()> {
    let is_coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = if is_coloured { Style::Coloured } else { Style::Plain };
    for found in &error.diagnostics {
        let text = error.files.get(&found.file).map(|text| &**text);
        output::note(diagnostics::render(found, text, style).trim_end())?;
    }
    output::note(told(error).trim_end())?;
    if output.is_json() {
        output.json(&json!({"error": {
            "code": error.code,
            "message": error.message,
            "help": error.help,
            "diagnostics": error.diagnostics,
        }}))?;
    }
    Ok(())
}

/// `error: ...`, `help: ...` and the code, each on lines of their own.
fn told(error: &app::Error) -> String {
    let mut lines = format!("error: {}", indented(&error.message, 2).trim_start());
    if let Some(help) = &error.help {
        lines.push_str(&format!("  help: {}", indented(help, 8).trim_start()));
    }
    lines.push_str(&format!("  code: {}\n", one_line(&error.code)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_and_what_to_do() {
        let error = app::Error::problem("flow_unknown", "there is no flow `a\u{1b}[2J`")
            .with_help("did you mean `b`?\nor `c`?");
        assert_eq!(
            told(&error),
            "error: there is no flow `a [2J`\n  help: did you mean `b`?\n        or `c`?\n  code: flow_unknown\n"
        );
    }
}
