//! What goes into `advance` and what comes out of it. Plain data, performed by `worker`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::approval::{Ask, Asking, Awaited, Resolution};
use super::{Effect, Entry, Failure, Target};
use crate::manifest::connector::Reconcile;

/// What has happened outside. An event that does not fit where the run stands changes nothing: the run says
/// again what it waits for.
#[derive(Clone, Debug)]
pub enum Event {
    /// The run is taken up: at its start, or after a restart.
    Begin,
    /// The service did what was asked.
    Answered {
        /// What it gave.
        output: Value,
    },
    /// The attempt, or the look-up, failed.
    Failed(Failure),
    /// A wait or a retry may be due; one that comes early changes nothing.
    Due,
    /// The process died and the run was resumed. With a mark in the journal the attempt's outcome is unknown;
    /// without one it is simply repeated.
    Crashed,
    /// The same, but the process that made the mark is only out of sight, and may still send: nothing that a
    /// look-up finds, or does not find, would tell.
    Orphaned,
    /// A look-up found what the attempt made.
    Found {
        /// As the action would have given it.
        output: Value,
    },
    /// A look-up found nothing.
    NotFound {
        /// Why that proves nothing, whatever the manifest says of absence.
        doubt: Option<String>,
    },
    /// A person settled what nobody knew.
    Settled(Settlement),
    /// Enough of those who were asked have answered, or their time is over.
    Resolved(Box<Resolution>),
    /// A reminder is due.
    Remind {
        /// Who has answered already, by position.
        answered: Vec<usize>,
    },
}

/// What a person says of an attempt whose outcome nobody knew.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// It was done, with this output.
    Done(Value),
    /// It was not done: try again, whatever the limit of attempts.
    Retry,
    /// Treat it as failed.
    Failed,
}

/// What to write down and what to do next.
#[derive(Clone, Debug)]
pub struct Decision {
    /// For the journal, in their order; one commit together with [`super::Run::frames`].
    pub entries: Vec<Entry>,
    /// What changes about approvals; of the same commit.
    pub asks: Vec<Ask>,
    /// What the run needs.
    pub next: Next,
}

/// What a run needs.
#[derive(Clone, Debug)]
pub enum Next {
    /// A request, answered by [`Event::Answered`] or [`Event::Failed`].
    Call(Box<Call>),
    /// A look-up, answered by [`Event::Found`], [`Event::NotFound`] or [`Event::Failed`].
    Reconcile(Box<LookUp>),
    /// Time, ended by [`Event::Due`].
    Wait {
        /// UTC epoch milliseconds.
        due_ms: i64,
        /// What it waits for.
        reason: Reason,
    },
    /// Answers to an approval, given by [`Event::Resolved`], or [`Event::Remind`] when that is due.
    Answers(Box<Awaited>),
    /// A person, who answers with [`Event::Settled`].
    Unknown,
    /// Nothing more.
    Ended(Ending),
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A `wait` step.
    Wait,
    /// The next attempt.
    Retry,
    /// The service's limit.
    RateLimit,
    /// The next look at what an attempt of unknown outcome did.
    LookUp,
    /// Nothing: much was decided at once, and it shall be committed before more is.
    Commit,
}

/// One request to make.
#[derive(Clone, Debug)]
pub struct Call {
    /// The step's place in the run; of an element its own.
    pub key: String,
    /// The loop's turn that it belongs to.
    pub scope: String,
    /// The step's id, or else its key: what people are told.
    pub step: String,
    /// What people call the step.
    pub title: Option<String>,
    /// 1 for the first.
    pub attempt: u32,
    /// Who is asked.
    pub target: Target,
    /// The action's inputs as the step gives them; for [`Target::Http`] the rendered request
    /// (`method url query headers json form raw connection`).
    pub inputs: Arc<Value>,
    /// The element, where the action makes one request per element.
    pub element: Option<Value>,
    /// What makes a repeat safe.
    pub effect: Effect,
    /// Whether [`super::Run::mark`] must be committed before the request leaves.
    pub needs_mark: bool,
    /// The same for every attempt; only where the effect takes one.
    pub idempotency_key: Option<String>,
    /// Of this attempt.
    pub timeout_ms: Option<i64>,
    /// Whether an earlier attempt may have been done.
    pub after_uncertain: bool,
    /// Whom it asks, where it sends an approval.
    pub asking: Option<Asking>,
}

/// One look at what an attempt of unknown outcome did.
#[derive(Clone, Debug)]
pub struct LookUp {
    /// The uncertain step's place in the run.
    pub key: String,
    /// Its id, or else its key.
    pub step: String,
    /// The uncertain action.
    pub target: Target,
    /// Its inputs.
    pub inputs: Arc<Value>,
    /// Its element.
    pub element: Option<Value>,
    /// How to look.
    pub reconcile: Arc<Reconcile>,
    /// Start of the first uncertain attempt, UTC epoch milliseconds: nothing older is of its making.
    pub since_ms: i64,
    /// Whom it asks, where it sends an approval.
    pub asking: Option<Asking>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Ending {
    /// All steps are done.
    Succeeded,
    /// A `stop` ended it well.
    Stopped {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A step failed, or a `stop` ended it as a failure.
    Failed(StepFailure),
}

/// Which step failed a run, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepFailure {
    /// The step's id, or else its key.
    pub step: String,
    /// Why.
    pub failure: Failure,
    /// Why the steps of `on_failure` failed in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Box<StepFailure>>,
}
