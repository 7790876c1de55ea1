//! The command line: parses, calls one use case of `app`, and shows what comes of it. A command is one file:
//! its words and what it shows. Refuses to decide anything that another caller of `app` would decide as well.

mod apply;
mod approvals;
pub mod arguments;
mod call;
mod check;
mod completions;
mod connect;
mod connections;
mod connectors;
mod demo;
pub mod diagnostics;
mod exit;
mod flows;
mod given;
mod logging;
mod output;
mod package;
mod run;
mod runs;
mod sandbox;
mod schema;
mod sign_in;
mod signals;
mod store;
mod table;
mod text;
mod triggers;
mod up;

use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Command};
use self::exit::{Error, Result};
use self::logging::Verbosity;
use self::output::Output;
use crate::app::{self, Place};

/// What every command has at hand.
#[derive(Clone, Debug)]
pub struct Context {
    place: Place,
    output: Output,
}

/// The whole program: the process's arguments in, its exit code out.
pub fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    let output = Output::new(global.output);
    let own = verbosity(&command);
    match logging::targets(global.log.as_deref(), global.verbose, own) {
        Ok(targets) => logging::start(targets, global.log_format),
        Err(message) => {
            let error = app::Error::usage("log_filter_invalid", message)
                .with_help("write a level or modules with levels: `debug`, `warn,tidegate::worker=trace`");
            return Error::from(error).tell(output);
        }
    }
    let context = Context { place: global.place(), output };
    match perform(command, context) {
        Ok(code) => code,
        Err(error) => error.tell(output),
    }
}

fn perform(command: Command, context: Context) -> Result {
    match command {
        Command::Demo(demo) => work(demo.perform(context)),
        Command::Up(up) => work(up.perform(context)),
        Command::Check(check) => check.perform(context),
        Command::Apply(apply) => answer(apply.perform(context)),
        Command::Run(run) => answer(run.perform(context)),
        Command::Call(call) => answer(call.perform(context)),
        Command::Flows(flows) => answer(flows.perform(context)),
        Command::Connectors(connectors) => connectors.perform(&context),
        Command::Connect(connect) => answer(connect.perform(context)),
        Command::Package(package) => answer(package.perform(context)),
        Command::Connections(connections) => answer(connections.perform(context)),
        Command::Triggers(triggers) => answer(triggers.perform(context)),
        Command::Runs(runs) => answer(runs.perform(context)),
        Command::Approvals(approvals) => answer(approvals.perform(context)),
        Command::Store(store) => answer(store.perform(context)),
        Command::Schema(schema) => schema.perform(&context),
        Command::Completions(completions) => completions.perform(),
        Command::Sandbox(sandbox) => work(sandbox.perform()),
    }
}

fn verbosity(command: &Command) -> Verbosity {
    match command {
        Command::Up(_) => Verbosity::Host,
        Command::Demo(_) => Verbosity::Table,
        _ => Verbosity::Answer,
    }
}

/// Does something short on this thread.
fn answer(future: impl Future<Output = Result>) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(outliving(future))
}

/// Works until it is stopped, on two threads: measured, more of them gain nothing.
fn work(future: impl Future<Output = Result>) -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(outliving(future))
}

async fn outliving(future: impl Future<Output = Result>) -> Result {
    signals::outlive_size_limits();
    future.await
}
