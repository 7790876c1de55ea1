//! The suite that drives the program from outside: one binary, a module per subject.

mod arrows;
mod check;
mod diagnostics;
mod reference;
