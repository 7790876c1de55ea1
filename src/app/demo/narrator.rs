//! From the host's events to what the demo shows: one line for each run that ends, with what it sent.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Shown, Totals};
use crate::worker::{Event, What};

// The flow that writes lines.
const LINES: &str = "json-to-file";

/// What is known of a run that has not ended.
#[derive(Default)]
struct Known {
    step: String,
    summary: String,
    /// A person decided: what they said, and what was done of it, is then what the run is about.
    decision: Decision,
}

/// What became of a question to a person.
#[derive(Default, PartialEq, Eq)]
enum Decision {
    /// Nobody was asked, or nobody has answered.
    #[default]
    None,
    /// It is decided.
    Taken,
    /// Something was done because of it.
    FollowedUp,
}

impl Known {
    fn take(&mut self, step: &str, form: &str, state: &str, summary: &str) {
        if form == "approval" && state == "succeeded" {
            *self = Known { step: step.to_owned(), summary: summary.to_owned(), decision: Decision::Taken };
        } else if self.decision != Decision::None && state == "succeeded" {
            if self.decision == Decision::Taken && !summary.is_empty() {
                self.summary = format!("{}: {summary}", self.summary);
                self.decision = Decision::FollowedUp;
            }
        } else if self.summary.is_empty() || state == "failed" {
            // The first step is what the flow is for; later ones only note it down. A failure says more.
            self.step = step.to_owned();
            self.summary = summary.to_owned();
        }
    }
}

/// Tells what happens until the host is gone.
pub async fn narrate(
    mut events: broadcast::Receiver<Event>,
    shown: broadcast::Sender<Shown>,
    counted: Arc<Mutex<Totals>>,
) {
    let mut runs: HashMap<String, Known> = HashMap::new();
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            // Some were missed: the totals are the services' own.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let told = match event.what {
            What::StepEnded { run, step, form, state, summary } => {
                let known = runs.entry(run).or_default();
                known.take(&step, &form, &state, &summary);
                (state == "retrying").then_some(Shown::Done {
                    flow: event.flow,
                    state,
                    step,
                    summary,
                    elapsed_ms: None,
                })
            }
            What::RunEnded { run, state, message, elapsed_ms } => {
                match state {
                    "succeeded" => counted.lock().runs_succeeded += 1,
                    "failed" => counted.lock().runs_failed += 1,
                    _ => {}
                }
                let known = runs.remove(&run).unwrap_or_default();
                if state == "succeeded" && known.decision == Decision::FollowedUp {
                    counted.lock().replies_out += 1;
                }
                if known.decision != Decision::None {
                    counted.lock().settled += 1;
                }
                if state == "succeeded" && event.flow == LINES {
                    counted.lock().lines_out += 1;
                }
                let summary = message.unwrap_or(known.summary);
                let elapsed_ms = Some(elapsed_ms);
                Some(Shown::Done { flow: event.flow, state: state.to_owned(), step: known.step, summary, elapsed_ms })
            }
            What::Notice { message, .. } => Some(Shown::Notice { message }),
            What::PollFailed { message, .. } => Some(Shown::Notice { message: format!("{}: {message}", event.flow) }),
            What::Polled { .. } | What::RunBegan { .. } => None,
        };
        if let Some(told) = told {
            // An error means that nobody watches.
            let _ = shown.send(told);
        }
    }
}
