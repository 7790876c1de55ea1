//! The suite that drives the program from outside: one binary, a module per subject.

mod check;
mod diagnostics;
#[cfg(test)]
mod docs;
mod arrows;
