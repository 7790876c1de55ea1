//! `tidegate runs`: what ran; retrying, replaying, cancelling, and settling what nobody knows.

pub mod account;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::exit::{Result, ended};
use super::output::{Output, note};
use super::table::Table;
use super::text::{elapsed, one_line};
use super::{Context, given};
use crate::app::runs::repeat::{How, Repeated, Which, repeat};
use crate::app::{Exit, Time, View, open, runs};

/// The words of `runs`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate runs list --state failed
  tidegate runs show 9f3c2a --exchanges
  tidegate runs retry 9f3c2a
  tidegate runs retry --flow tweet-to-sms --since 2026-11-20T00:00:00Z
  tidegate runs replay 9f3c2a
  tidegate runs settle 9f3c2a --as retry

A run is named by its id, or by a beginning or end of it that no other run has.")]
pub enum Runs {
    /// Runs, newest first
    #[command(after_help = "\
Examples:
  tidegate runs list
  tidegate runs list --flow tweet-to-sms --state unknown
  tidegate runs list --before 019a9f3c-5d1e-7000-8000-3f2a1b4c5d6e --limit 100")]
    List {
        /// Of this flow alone
        #[arg(long, value_name = "FLOW")]
        flow: Option<String>,
        /// In this state alone: held, queued, running, unknown, succeeded, failed, cancelled, filtered or skipped
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Older than this run: the next page
        #[arg(long, value_name = "RUN")]
        before: Option<String>,
        /// The most rows
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: u32,
    },
    /// One run as an account of what happened: its item, and each attempt of each step
    #[command(after_help = "\
Examples:
  tidegate runs show 9f3c2a
  tidegate runs show 9f3c2a --exchanges      with every request and response, secrets masked")]
    Show {
        /// The run's id, or a beginning or end of it
        run: String,
        /// Show every request and response, too, secrets masked
        #[arg(long)]
        exchanges: bool,
    },
    /// Go on with failed runs where they stopped: what was done is not done again
    #[command(after_help = "\
Examples:
  tidegate runs retry 9f3c2a
  tidegate runs retry --flow tweet-to-sms --error 'status 503'
  tidegate runs retry --since 2026-11-20T08:00:00Z --show

Each becomes a new run that is linked to the failed one, with the definition that the failed one began with. A run
is retried once; if its retry fails, retry that.")]
    Retry(Selection),
    /// Start new runs for the same items with the flow as it is now
    #[command(after_help = "\
Examples:
  tidegate runs replay 9f3c2a
  tidegate runs replay --flow tweet-to-sms --state failed

Everything is done again, also what was done before.")]
    Replay(Selection),
    /// End a run that is not over
    #[command(after_help = "Examples:\n  tidegate runs cancel 9f3c2a")]
    Cancel {
        /// The run's id, or a beginning or end of it
        run: String,
    },
    /// Say what became of a step of which nobody knows whether it was done
    #[command(after_help = "\
Examples:
  tidegate runs settle 9f3c2a --as done --result '{\"id\": \"1985\"}'
  tidegate runs settle 9f3c2a --as retry
  tidegate runs settle 9f3c2a --as failed

Look at the service first: `retry` does it again, and if it was done before, it is done twice.")]
    Settle {
        /// The run's id, or a beginning or end of it
        run: String,
        /// The same as `--as`
        #[arg(value_name = "WORD", hide = true, conflicts_with = "said")]
        became: Option<Became>,
        /// What became of the step
        #[arg(id = "said", long = "as", value_name = "WORD", required_unless_present = "became")]
        said: Option<Became>,
        /// What later steps see as the step's output, with `done`: JSON, @FILE, or - for standard input
        #[arg(long, value_name = "JSON")]
        result: Option<String>,
    },
}

/// Which runs.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Their ids, or beginnings or ends of them
    #[arg(value_name = "RUN", conflicts_with_all = ["flow", "state", "since", "error"], required_unless_present_any = ["flow", "state", "since", "error"])]
    runs: Vec<String>,
    /// All of this flow
    #[arg(long, value_name = "FLOW")]
    flow: Option<String>,
    /// All in this state; failed unless given
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// All found at this time or later, as 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// All whose failure contains this text
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only show which runs are meant
    #[arg(long)]
    show: bool,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Became {
    /// It was done: go on with the next step
    Done,
    /// It was not done: do it
    Retry,
    /// It was not done, and is not to be: the step failed
    Failed,
}

impl Runs {
    pub async fn perform(self, context: Context) -> Result {
        let view = open::view(&context.place).await?;
        let output = context.output;
        match self {
            Runs::List { flow, state, before, limit } => {
                let filter = runs::Filter { flow, state, before, limit, ..runs::Filter::default() };
                output.rows(&runs::list(&view, filter).await?, "there are no such runs", |rows| table(rows))?;
            }
            Runs::Show { run, exchanges } => {
                let mut detail = runs::show(&view, &run).await?;
                if !exchanges {
                    detail.steps.iter_mut().for_each(|step| step.exchange = None);
                }
                output.one(&detail, |detail, _| account::account(detail))?;
            }
            Runs::Retry(selection) => return selection.repeat(&view, output, How::Retry).await,
            Runs::Replay(selection) => return selection.repeat(&view, output, How::Replay).await,
            Runs::Cancel { run } => {
                output.one(&runs::cancel(&view, &run).await?, |row, _| told(row, "is ended"))?;
            }
            Runs::Settle { run, became, said, result } => {
                let Some(became) = said.or(became) else {
                    return Err(
                        crate::app::Error::usage("word_missing", "say what became of the step: `--as done`").into()
                    );
                };
                let result = result.as_deref().map(|given| given::json("--result", given)).transpose()?;
                let said = settlement(became, result)?;
                output.one(&runs::settle(&view, &run, said).await?, |row, _| told(row, "goes on"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Selection {
    async fn repeat(self, view: &View, output: Output, how: How) -> Result {
        let Selection { runs, flow, state, since, error, show } = self;
        let which = if runs.is_empty() {
            let since_ms = since.as_deref().map(Time::parse).transpose()?.map(|since| since.ms);
            let state = Some(state.unwrap_or_else(|| "failed".to_owned()));
            Which::Found(runs::Filter { flow, state, since_ms, error, ..runs::Filter::default() })
        } else {
            Which::Named(runs)
        };
        let mut told = |so_far: &Repeated| {
            let (queued, left) = (so_far.queued.len(), so_far.left.len());
            // Where standard error is gone, nobody is left to be told.
            let _ = note(&format!("{queued} runs so far, {left} left alone"));
        };
        let repeated = repeat(view, how, which, show, &mut told).await?;
        output.one(&repeated, |repeated, _| repeats(repeated, how, show))?;
        // As of one that is named alone and left alone.
        let is_in_vain = repeated.queued.is_empty() && !repeated.left.is_empty();
        Ok(if is_in_vain { ended(Exit::Problem) } else { ExitCode::SUCCESS })
    }
}

fn repeats(repeated: &Repeated, how: How, show: bool) -> String {
    let what = match (how, show) {
        (_, true) => "is meant",
        (How::Retry, false) => "goes on where the failed one stopped",
        (How::Replay, false) => "repeats it",
    };
    let mut text: String = repeated.queued.iter().map(|row| told(row, what)).collect();
    for left in &repeated.left {
        text.push_str(&format!("run {} is left alone: {}\n", one_line(&left.run), one_line(&left.message)));
    }
    match repeated.queued.len() + repeated.left.len() {
        0 if how == How::Retry => "there are no such runs, or each has its retry already\n".to_owned(),
        0 => "there are no such runs\n".to_owned(),
        1 => text,
        _ => format!("{text}{} runs, {} left alone\n", repeated.queued.len(), repeated.left.len()),
    }
}

fn settlement(became: Became, result: Option<Value>) -> crate::app::Result<runs::Settlement> {
    match (became, result) {
        (Became::Done, result) => Ok(runs::Settlement::Done(result.unwrap_or(Value::Null))),
        (Became::Retry, None) => Ok(runs::Settlement::Retry),
        (Became::Failed, None) => Ok(runs::Settlement::Failed),
        (Became::Retry | Became::Failed, Some(_)) => {
            let message = "`--result` is what a step that was done gave: only `done` takes it";
            Err(crate::app::Error::usage("result_without_done", message))
        }
    }
}

fn table(rows: &[runs::Row]) -> Table {
    let mut table = Table::new(["run", "flow", "state", "item", "found", "took", "why"]);
    for row in rows {
        let took = row.ended_at.map_or_else(|| "-".to_owned(), |ended| elapsed(ended.ms - row.created_at.ms));
        table.row([
            row.id.as_str(),
            &row.flow,
            &row.state,
            row.item_key.as_deref().unwrap_or("-"),
            &row.created_at.to_string(),
            &took,
            row.error.as_deref().unwrap_or_default(),
        ]);
    }
    table
}

fn told(row: &runs::Row, what: &str) -> String {
    format!("run {} of {} {what}; it is {}\n", one_line(&row.id), one_line(&row.flow), one_line(&row.state))
}
