//! What Tidegate can be asked to do, one small file per use case, shared by the command line and the JSON
//! twins. Functions take plain data and give plain data or an [`Error`]; nothing here prints or parses
//! arguments.

pub mod approvals;
pub mod call;
pub mod connect;
pub mod connections;
pub mod connectors;
pub mod copy;
pub mod demo;
pub mod deploy;
pub mod error;
pub mod flows;
pub mod health;
pub mod open;
pub mod package;
pub mod place;
pub mod project;
pub mod publish;
pub mod result;
pub mod run;
pub mod runs;
pub mod schema;
pub mod sign_in;
mod stored;
pub mod time;
pub mod triggers;
pub mod up;
pub mod value;
mod vault;
mod watch;

pub use error::{Error, Exit, Result};
pub use open::View;
pub use place::Place;
pub use project::Project;
pub use time::Time;
