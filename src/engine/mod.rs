//! What happens next: pure decisions over live frames, retries and schedules. It never touches the outside
//! world; the worker performs what it decides, and the store commits it.

pub mod failure;

pub use failure::{Failure, Outcome, Verdict};
