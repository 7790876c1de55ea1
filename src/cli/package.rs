//! `tidegate package`: adds what others have put together, and puts together what others can add.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::connect::{answered, prompt};
use super::exit::Result;
use super::table::Table;
use super::text::one_line;
use super::{Context, output, signals};
use crate::app::package::{self, Added, Choice};
use crate::app::{Error, value};

/// The words of `package`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate package import packages/brand-watch.yaml
  tidegate package export --name my-watch --flow outage-watch > my-watch.yaml")]
pub enum Package {
    /// Add a package's connectors, connections and flows: all of it, or nothing
    #[command(after_help = "\
Examples:
  tidegate package import packages/on-call-sms.yaml --plan
  tidegate package import packages/on-call-sms.yaml --set on_call=+15550199 --set auth_token=...

On a terminal it asks for what the package needs, shows what it will add, and asks before it does. Packages of Cerb
(JSON) are read as well.")]
    Import {
        /// The package's file
        file: PathBuf,
        /// An answer to one of its prompts
        #[arg(long = "set", value_name = "PROMPT=VALUE")]
        sets: Vec<String>,
        /// Show what it would add, and add nothing
        #[arg(long)]
        plan: bool,
        /// Add its connections even if their services do not take them now
        #[arg(long)]
        untested: bool,
        /// Do not ask before adding
        #[arg(long)]
        yes: bool,
    },
    /// Print a package of flows with their connectors and connections; secrets become prompts
    #[command(after_help = "Examples:\n  tidegate package export --name my-watch --flow outage-watch > my-watch.yaml")]
    Export {
        /// What the package is called
        #[arg(long)]
        name: String,
        /// A flow; all of them unless given
        #[arg(long = "flow", value_name = "FLOW")]
        flows: Vec<String>,
    },
}

impl Package {
    pub async fn perform(self, context: Context) -> Result {
        match self {
            Package::Import { file, sets, plan, untested, yes } => {
                let mut import = package::read(&file)?;
                for given in &sets {
                    let (name, text) = value::split(given)?;
                    import.answer(name, text)?;
                }
                let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
                if is_asked {
                    signals::end_questions()?;
                    for question in import.questions() {
                        while let Err(error) = import.answer(&question.field, &prompt(&question)?) {
                            output::note(&one_line(&error.message))?;
                        }
                    }
                }
                let planned = import.plan(&context.place)?;
                if plan {
                    context.output.rows(&planned, "the package adds nothing", |planned| table(planned))?;
                    return Ok(ExitCode::SUCCESS);
                }
                if is_asked && !yes && !agreed(import.title(), &planned)? {
                    return Err(Error::problem("package_declined", "nothing was added").into());
                }
                let imported = import.apply(&context.place, untested).await?;
                context.output.one(&imported, |imported, form| table(&imported.added).draw(form))?;
                output::note(&format!("added the package {}", one_line(&imported.package)))?;
                Ok(ExitCode::SUCCESS)
            }
            Package::Export { name, flows } => {
                let exported = package::export(&context.place, &Choice { name, flows })?;
                // A package may be written in either; for programs it is the one JSON document.
                match context.output.is_json() {
                    true => context.output.json(&exported.package)?,
                    false => output::write(&exported.yaml()?)?,
                }
                for left in &exported.left_out {
                    output::note(&format!("{} is not in the package", one_line(left)))?;
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn agreed(title: &str, planned: &[Added]) -> Result<bool> {
    output::note(&format!("{} adds:\n{}", one_line(title), table(planned).draw(super::table::Form::Plain)))?;
    answered(dialoguer::Confirm::new().with_prompt("Add all of it?").default(true).interact())
}

fn table(added: &[Added]) -> Table {
    let mut table = Table::new(["kind", "name", "place", "note"]);
    for one in added {
        let note = if one.is_there { "is there already" } else { "" };
        table.row([one.kind, &one.name, &one.place, note]);
    }
    table
}
