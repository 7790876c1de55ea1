//! The words of the command line. The words of a command are in the command's own file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::exit::EXIT_CODES;
use super::logging::LogFormat;
use super::output::Format;
use super::{
    apply, approvals, call, check, completions, connect, connections, connectors, demo, flows, package, run, runs,
    sandbox, schema, store, triggers, up,
};
use crate::app::Place;

/// Polls the APIs you use, lets every new item through exactly once, and runs a flow of actions for it
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    max_term_width = 100,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(super) struct Global {
    /// The project's folder, with tidegate.yaml, connectors/ and flows/
    #[arg(long, global = true, value_name = "FOLDER", env = "TIDEGATE_DIR", default_value = ".", help_heading = GLOBAL)]
    pub dir: PathBuf,
    /// Where the state is kept, instead of the settings' `store`
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_STORE", hide_env_values = true, help_heading = GLOBAL)]
    pub store: Option<String>,
    /// The file of the key that stored connections are sealed with, instead of the settings' `key_file`
    #[arg(long, global = true, value_name = "FILE", env = "TIDEGATE_KEY_FILE", help_heading = GLOBAL)]
    pub key_file: Option<PathBuf>,
    /// Where the host listens for /health and /api, instead of the settings' `listen`; or `off`
    #[arg(long, global = true, value_name = "ADDRESS", env = "TIDEGATE_LISTEN", help_heading = GLOBAL)]
    pub listen: Option<String>,
    /// How results are shown
    #[arg(long, short, global = true, value_name = "FORMAT", value_enum, default_value_t, help_heading = GLOBAL)]
    pub output: Format,
    /// What is logged: a level, or modules with levels, as in `warn,tidegate::worker=debug`
    #[arg(long, global = true, value_name = "FILTER", env = "TIDEGATE_LOG", help_heading = GLOBAL)]
    pub log: Option<String>,
    /// How the log is written
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t, help_heading = GLOBAL)]
    pub log_format: LogFormat,
    /// Log more; twice for more still
    #[arg(long, short, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show everything at work on local services, without accounts
    Demo(demo::Demo),
    /// Work: poll, run the flows, take up files that change
    Up(up::Up),
    /// Find mistakes in the project's files before anything runs
    Check(check::Check),
    /// Run a flow for one item, now
    Run(run::Run),
    /// Call one action of a connector
    Call(call::Call),
    /// See flows and how they do; switch them on and off
    #[command(subcommand)]
    Flows(flows::Flows),
    /// See what connectors there are and what they can do
    #[command(subcommand)]
    Connectors(connectors::Connectors),
    /// Make a connection: ask for what it needs, test it, keep it sealed
    Connect(connect::Connect),
    /// See the accounts, test them, change stored ones
    #[command(subcommand)]
    Connections(connections::Connections),
    /// Add what others have put together, or put it together
    #[command(subcommand)]
    Package(package::Package),
    /// See how far each flow has read; read again
    #[command(subcommand)]
    Triggers(triggers::Triggers),
    /// See what ran; replay, cancel and settle runs
    #[command(subcommand)]
    Runs(runs::Runs),
    /// See what people are asked, and decide it
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Publish the project for the hosts on a PostgreSQL store
    Apply(apply::Apply),
    /// Move everything that is remembered to another database
    #[command(subcommand)]
    Store(store::Store),
    /// Print the JSON Schemas of the files, for editors
    Schema(schema::Schema),
    /// Print a script that completes commands in your shell
    Completions(completions::Completions),
    /// Serve local stand-ins of X, Twilio and a JSON service
    #[command(hide = true)]
    Sandbox(sandbox::Sandbox),
}

const GLOBAL: &str = "Global options";

const EXAMPLES: &str = "\
Examples:
  tidegate demo           see it work on local services, without accounts
  tidegate check          find mistakes in the files of this folder
  tidegate up             work: poll, and run the flows
  tidegate runs list      what ran

`tidegate COMMAND --help` has examples of each command.";

impl Global {
    /// Where the command works.
    pub fn place(self) -> Place {
        Place { store: self.store, key_file: self.key_file, listen: self.listen, ..Place::new(self.dir) }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_fit_together() {
        Arguments::command().debug_assert();
    }
}
