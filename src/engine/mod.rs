//! What happens next: pure decisions over live frames, retries and schedules. It never touches the outside
//! world; the worker performs what it decides, and the store commits it.

mod advance;
pub mod approval;
mod asking;
mod blocks;
mod decision;
mod entry;
pub mod failure;
mod flow;
mod frame;
mod nesting;
mod outcome;
mod request;
mod resume;
mod retry;
mod run;
pub mod schedule;
mod walk;

#[cfg(test)]
mod tests;

pub use advance::advance;
pub use decision::{Call, Decision, Ending, Event, LookUp, Next, Reason, Settlement, StepFailure};
pub use entry::{Entry, EntryState};
pub use failure::{Failure, Outcome, Verdict};
pub use flow::{Concurrency, Flow, Trigger};
pub use nesting::Composites;
pub use run::{Facts, Run};
pub use schedule::Schedule;

pub use crate::manifest::typing::type_flow;
pub use crate::steps::{Effect, Target};
