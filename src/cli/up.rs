//! `tidegate up`: the host, its listener, and what it says about itself on standard error.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::diagnostics::{Style, render};
use super::exit::Result;
use super::table::Form;
use super::text::{count, elapsed};
use super::{Context, logging, signals};
use crate::app::up::{self, Change};
use crate::manifest::Diagnostic;
use crate::web;
use crate::worker::{Event, What};

/// The words of `up`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate up
  tidegate up --dir /etc/tidegate --store /var/lib/tidegate/tidegate.db --listen 127.0.0.1:7400
  tidegate up --set tweet-to-sms.to=+15550101
  tidegate up -v                         log every poll and run

Ctrl-C or SIGTERM finishes what is under way and ends; a second one ends at once. Either way nothing is lost.
Changed files are taken up while it works; a broken edit is reported, and what worked before goes on.")]
pub struct Up {
    /// A value for an input of one flow, or of every flow that has such an input
    #[arg(long = "set", value_name = "[FLOW.]INPUT=VALUE")]
    sets: Vec<String>,
}

impl Up {
    pub async fn perform(self, mut context: Context) -> Result {
        context.place.sets = self.sets;
        let stop = signals::stop()?;
        let host = up::start(&context.place).await?;
        let live = host.live();
        // Before the work: a host that cannot be seen should not work unseen.
        let own = web::bind(live.listen(), "--listen").await?;
        let public = web::bind(live.public(), "public.listen:").await?;
        let deployed = host.deployed();
        tell(&deployed)?;
        let (served, serving) = watch::channel(());
        let mut servers = Vec::new();
        if let Some(listener) = own {
            tracing::info!("listening on http://{}", listener.address());
            let router = web::own(live.clone(), listener.address());
            servers.push(tokio::spawn(listener.serve(router, until_dropped(serving.clone()))));
        }
        if let Some(listener) = public {
            tracing::info!("public pages on http://{}", listener.address());
            let router = web::public::router(live);
            servers.push(tokio::spawn(listener.serve(router, until_dropped(serving))));
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            tokio::spawn(log_events(host.events()));
        }
        tokio::spawn(tell_changes(host.changes(), names(&deployed)));
        let summary = host.work(stop).await;
        drop(served);
        for server in servers {
            end(server).await?;
        }
        context.output.one(&summary?, summarise)?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn until_dropped(mut sender: watch::Receiver<()>) {
    // An error means that the host ended in another way: the same for who listens.
    let _ = sender.changed().await;
}

/// Lets answers under way finish, for a moment: a reader that does not read must not keep the host.
async fn end(mut server: JoinHandle<io::Result<()>>) -> io::Result<()> {
    match tokio::time::timeout(Duration::from_secs(1), &mut server).await {
        Ok(served) => served.map_err(io::Error::other)?,
        Err(_) => {
            server.abort();
            Ok(())
        }
    }
}

fn names(change: &Change) -> Vec<String> {
    match change {
        Change::Deployed { flows, .. } => flows.clone(),
        Change::Refused { .. } => Vec::new(),
    }
}

async fn tell_changes(mut changes: broadcast::Receiver<Change>, mut at_work: Vec<String>) {
    loop {
        match changes.recv().await {
            Ok(change) => {
                if let Change::Deployed { flows, .. } = &change {
                    let gone: Vec<String> = at_work.into_iter().filter(|flow| !flows.contains(flow)).collect();
                    if !gone.is_empty() {
                        tracing::warn!(flows = %gone.join(", "), "no longer at work");
                    }
                    at_work = flows.clone();
                }
                if let Err(error) = tell(&change) {
                    tracing::warn!(%error, "what became of a change of files can not be told");
                }
            }
            // What was missed is older than what comes next.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn tell(change: &Change) -> io::Result<()> {
    match change {
        Change::Deployed { flows, diagnostics, files } => {
            show(diagnostics, files)?;
            tracing::info!(flows = %flows.join(", "), "{} at work", count(flows.len() as u64, "flow"));
        }
        Change::Refused { diagnostics, files } => {
            show(diagnostics, files)?;
            tracing::error!("the changed files have errors: what worked before goes on");
        }
    }
    Ok(())
}

fn show(diagnostics: &[Diagnostic], files: &BTreeMap<PathBuf, Arc<str>>) -> io::Result<()> {
    for found in diagnostics {
        let text = files.get(&found.file).map(|text| &**text);
        logging::tell(found, || render(found, text, Style::Plain))?;
    }
    Ok(())
}

/// Each poll and run in the log, where it is asked for: telling costs time per item.
async fn log_events(mut events: broadcast::Receiver<Event>) {
    loop {
        let Event { flow, what, .. } = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "more happens than the log can tell");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        match what {
            What::Polled { listed, started, filtered } => tracing::debug!(flow, listed, started, filtered, "polled"),
            What::PollFailed { message, .. } => tracing::debug!(flow, "poll failed: {message}"),
            What::RunBegan { run } => tracing::debug!(flow, run, "run began"),
            // What a step did holds the item's content, which a log does not.
            What::StepEnded { run, step, state, .. } => tracing::debug!(flow, run, step, state, "step ended"),
            What::RunEnded { run, state, elapsed_ms, .. } => tracing::debug!(flow, run, state, elapsed_ms, "run ended"),
            What::Notice { kind, message } => tracing::debug!(flow, kind, "{message}"),
        }
    }
}

fn summarise(summary: &up::Summary, _: Form) -> String {
    let runs: Vec<String> = summary.runs.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let runs = if runs.is_empty() { "none".to_owned() } else { runs.join(", ") };
    format!("worked for {}; runs in the store: {runs}\n", elapsed(summary.elapsed_ms))
}
