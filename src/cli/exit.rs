//! How the program ends: the documented exit codes, and the one way that a failure is told.

use std::process::ExitCode;

use serde::Serialize;

/// How the program ends. The numbers are documented in `--help` and in docs/cli.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Success = 0,
    /// Files have errors, or a run failed.
    Failed = 1,
    /// What was asked makes no sense: an unknown flow, a missing input.
    Usage = 2,
    /// The store or this machine: locked, damaged, newer, full; a port in use.
    Host = 3,
    /// A connection: missing, or its credentials were refused.
    Connection = 4,
    /// The service refused or could not be reached.
    Service = 5,
    /// Stopped at once, by a second Ctrl-C.
    Stopped = 130,
}

/// The table of exit codes, as `--help` shows it.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    it did what was asked
  1    files have errors, or a run failed
  2    what was asked makes no sense: an unknown word, flow, run or input
  3    the state or this machine: in use by another host, damaged, newer, no space, a port in use
  4    a connection: missing, or its credentials were refused
  5    the service refused what was asked, or could not be reached
  130  stopped at once by a second Ctrl-C";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
