//! The suite that drives the program from outside: one binary, a module per subject.

mod check;
mod diagnostics;
mod docs;
mod arrows;
