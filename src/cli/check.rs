//! `tidegate check`: every diagnostic on standard output, their number on standard error.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::diagnostics::{Style, render, summary, to_json};
use super::exit::{Result, ended};
use super::{Context, output};
use crate::app::{Exit, Place, project};

/// The words of `check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate check                       the project in this folder
  tidegate check examples/shop         another one
  tidegate check --output json         diagnostics as JSON: code, file, line, column, message, help

Exits with 1 if there is an error; warnings alone exit with 0.")]
pub struct Check {
    /// The project's folder, instead of --dir
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// A value for an input of one flow, or of every flow that has such an input
    #[arg(long = "set", value_name = "[FLOW.]INPUT=VALUE")]
    sets: Vec<String>,
}

impl Check {
    pub fn perform(self, context: Context) -> Result {
        let directory = self.folder.unwrap_or_else(|| context.place.directory.clone());
        let place = Place { directory, sets: self.sets, ..context.place };
        // Of a folder that is not there a finding tells, as of any file that cannot be read.
        if place.directory.exists() {
            project::folder(&place)?;
        }
        let project = project::check(&place);
        if context.output.is_json() {
            context.output.json(&to_json(&project.diagnostics))?;
        } else {
            let is_coloured = std::io::stdout().is_terminal();
            let style = if is_coloured { Style::Coloured } else { Style::Plain };
            let rendered = project.diagnostics.iter();
            let rendered = rendered.map(|found| render(found, project.text(&found.file), style));
            output::write(&rendered.collect::<String>())?;
        }
        output::note(&summary(&project.diagnostics))?;
        Ok(if project.has_errors() { ended(Exit::Problem) } else { ExitCode::SUCCESS })
    }
}
