//! The outside world performed: claims what is due, does what `engine` decides through `connector`, and
//! settles it in `store`. One host works on a store; `app` builds it, and `work` runs it.

mod accounts;
mod alerts;
mod answers;
mod appends;
mod batch;
mod busy;
mod claims;
mod closing;
mod composites;
pub mod definition;
pub mod definitions;
mod deployment;
mod drive;
pub mod events;
mod grants;
pub mod health;
mod host;
mod journal;
mod keys;
mod lanes;
pub mod links;
mod lookup;
mod memory;
mod others;
mod page;
mod poll;
mod refusal;
mod remembered;
mod schedule;
mod secret_inputs;
mod send;
mod single;
mod source;
mod told;
mod trouble;
mod undecided;
mod window;
mod work;

#[cfg(test)]
mod tests;

pub use accounts::Accounts;
pub use composites::Composites;
pub use definition::{Definition, Source, Written};
pub use definitions::{CompiledConnector, Definitions};
pub use deployment::Deployment;
pub use events::{Event, Events, What};
pub use grants::StoredGrants;
pub use host::{Host, Options, Stop};
pub use journal::{SETTLED, waiting};
pub use keys::{Error as KeyError, Keys};
pub use links::Links;
pub use memory::{Memory, Remembered};
pub use refusal::Refusal;
pub use secret_inputs::{FlowSecrets, SecretInputs};
pub use single::work_off;
pub use source::source_hash;
pub use work::{drain_due, work};
