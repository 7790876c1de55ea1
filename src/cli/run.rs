//! `tidegate run`: a flow for one item, now; or what it would send.

use std::process::ExitCode;

use clap::Args;

use super::exit::{Result, ended};
use super::runs::account;
use super::table::Form;
use super::text::{indented, one_line, readable};
use super::{Context, given, output};
use crate::app::{Exit, run};

/// The words of `run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate run tweet-to-sms --item '{\"id\": \"1\", \"text\": \"Hello\"}' --dry-run
  tidegate run tweet-to-sms --item @tweet.json
  tidegate run nightly-report

A dry run shows each step's request and sends no writes. Where a host is at work on this store, it takes the
run up; otherwise this command works it off. Exits with 1 if the run fails.")]
pub struct Run {
    /// The flow's name
    flow: String,
    /// The item: JSON, @FILE, or - for standard input; null unless given
    #[arg(long, value_name = "JSON")]
    item: Option<String>,
    /// Show what would be sent, and send no writes
    #[arg(long)]
    dry_run: bool,
    /// A value for one of the flow's inputs
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
        let mut ran = run::run(&context.place, &self.flow, item, self.dry_run).await?;
        if let (Some(run), false) = (&mut ran.run, self.exchanges) {
            run.steps.iter_mut().for_each(|step| step.exchange = None);
        }
        if ran.by_host {
            output::note("the host that is at work here took it up; `tidegate runs show` tells how it goes on")?;
        }
        context.output.one(&ran, show)?;
        let has_failed = match &ran.run {
            Some(run) => run.row.state == "failed",
            None => ran.requests.iter().any(|preview| preview.error.is_some()),
        };
        Ok(if has_failed { ended(Exit::Problem) } else { ExitCode::SUCCESS })
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
