//! The suite that drives the program from outside: one binary, a module per subject.
#![cfg(test)]

mod app;
mod approvals;
mod arrows;
mod check;
mod cli;
mod cluster;
mod connect;
mod connectors;
mod copy;
#[cfg(feature = "crash-points")]
mod crash;
mod diagnostics;
mod docs;
mod health;
mod kill;
mod outage;
mod package;
mod ports;
mod postgres {
    #[expect(dead_code, reason = "what the library's own tests use of it")]
    pub mod server;
}
mod processes;
mod public;
mod reference;
mod response;
mod shop;
mod sign_in;
mod stop;
mod stores;
mod trouble;
mod upgrade;
mod uploads;
mod vault;
