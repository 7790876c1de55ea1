//! `tidegate run`: a flow for one item, now; or what it would send.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::Args;

use super::exit::{Result, ended};
use super::runs::account;
use super::table::Form;
use super::text::{indented, one_line, readable};
use super::{Context, given, output, signals};
use crate::app::runs::Row;
use crate::app::{Exit, run};

/// The words of `run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate run tweet-to-sms --item '{\"id\": \"1\", \"text\": \"Hello\", \"url\": \"x.com/1\"}' --dry-run
  tidegate run tweet-to-sms --item @tweet.json
  tidegate run nightly-report

A dry run shows each step's request and sends no writes. Where a host is at work on this store, it takes the
run up; otherwise this command works it off, and waits for retries for up to five minutes. Exits with 1 if the
run fails, and with 6 if it is not over by then: a host has to go on with it, or a person to settle it.")]
pub struct Run {
    /// The flow's name
    flow: String,
    /// The item: JSON, @FILE, or - for standard input; null unless given
    #[arg(long, value_name = "JSON")]
    item: Option<String>,
    /// Show what would be sent, and send no writes
    #[arg(long)]
    dry_run: bool,
    /// A value for one of the flow's inputs; the same name again makes a list
    #[arg(long = "set", value_name = "NAME=VALUE")]
    sets: Vec<String>,
    /// Show every request and response, too, secrets masked
    #[arg(long)]
    exchanges: bool,
}

impl Run {
    pub async fn perform(self, mut context: Context) -> Result {
        let item = self.item.as_deref().map(|given| given::json("--item", given)).transpose()?;
        context.place.sets = self.sets;
        let begun = Arc::new(OnceLock::new());
        let seen = Arc::clone(&begun);
        signals::end_at_once(move || seen.get().map(|id: &String| interrupted(id)))?;
        let keep = |id: &str| {
            // It is told once.
            let _ = begun.set(id.to_owned());
        };
        let mut ran = run::run_seen(&context.place, &self.flow, item, self.dry_run, keep).await?;
        if let (Some(run), false) = (&mut ran.run, self.exchanges) {
            run.steps.iter_mut().for_each(|step| step.exchange = None);
        }
        if ran.by_host {
            output::note("the host that is at work here took it up")?;
        }
        context.output.one(&ran, show)?;
        Ok(match &ran.run {
            Some(run) => match run.row.state.as_str() {
                "succeeded" => ExitCode::SUCCESS,
                "failed" | "cancelled" => ended(Exit::Problem),
                _ => {
                    output::note(&unfinished(&run.row, ran.by_host))?;
                    ended(Exit::Unfinished)
                }
            },
            None if ran.requests.iter().any(|preview| preview.error.is_some()) => ended(Exit::Problem),
            None => ExitCode::SUCCESS,
        })
    }
}

fn interrupted(id: &str) -> String {
    let id = one_line(id);
    format!(
        "interrupted: a request may have been under way; run {id} is kept, and a host goes on with it: see \
         `tidegate runs show {id}`, or end it with `tidegate runs cancel {id}`"
    )
}

/// Who has to go on with a run, and how.
fn unfinished(run: &Row, by_host: bool) -> String {
    let id = one_line(&run.id);
    match (run.state.as_str(), run.due_at, by_host) {
        ("unknown", ..) => format!(
            "the run waits for you: nobody knows whether its last step was done; look at the service, then \
             `tidegate runs settle {id} --as done|retry|failed`"
        ),
        (_, _, true) => {
            format!("the run is not over: the host at work here goes on with it; `tidegate runs show {id}`")
        }
        (_, Some(due), false) => format!(
            "the run is not over: its next step is due {due}, and no host is at work here; start one with \
             `tidegate up`, and it goes on"
        ),
        (_, None, false) => "the run is not over: start a host with `tidegate up`, and it goes on".to_owned(),
    }
}

fn show(ran: &run::Ran, _: Form) -> String {
    if let Some(run) = &ran.run {
        return account::account(run);
    }
    let mut text = format!("{}: a dry run, nothing was changed\n", one_line(&ran.flow));
    for run::Preview { step, action, sent, request, output, error } in &ran.requests {
        let what = match (error, request, sent) {
            (Some(_), ..) => "would fail",
            (None, None, _) => "done",
            (None, Some(_), true) => "sent, as it only reads",
            (None, Some(_), false) => "not sent",
        };
        text.push_str(&format!("\n{}  {}  {what}\n", one_line(step), one_line(action)));
        if let Some(request) = request {
            text.push_str(&account::request(request, 2));
        }
        if let Some(error) = error {
            text.push_str(&format!("  error: {}\n", one_line(error)));
        }
        if let Some(output) = output.as_ref().filter(|output| !output.is_null()) {
            text.push_str(&format!("  output:\n{}", indented(&readable(output), 4)));
        }
    }
    text
}
