//! The outside world performed: claims what is due, does what `engine` decides through `connector`, and
//! settles it in `store`. One host works on a store; `app` builds it, and `work` runs it.

mod accounts;
mod busy;
mod claims;
pub mod definition;
pub mod definitions;
mod drive;
pub mod events;
mod host;
mod journal;
mod lanes;
mod lookup;
mod page;
mod poll;
mod schedule;
mod send;
mod single;
mod trouble;
mod window;
mod work;

#[cfg(test)]
mod tests;

pub use accounts::Accounts;
pub use definition::{Definition, Source, Written};
pub use definitions::{CompiledConnector, Definitions};
pub use events::{Event, Events, What};
pub use host::{Deployment, Host, Options, Stop};
pub use journal::SETTLED;
pub use single::work_off;
pub use work::{drain_due, work};
