//! The suite that drives the program from outside: one binary, a module per subject.
#![cfg(test)]

mod app;
mod arrows;
mod check;
mod cli;
mod connectors;
mod diagnostics;
mod docs;
mod reference;
