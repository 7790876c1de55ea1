//! The step forms: one file each, one line each in [`FORMS`]. A form says what its step reads, which blocks it
//! has and what it asks for; `engine` alone keeps positions, retries and the journal.
//!
//! To add a form, write its file and put its line into [`FORMS`].

mod action;
pub mod approval;
mod compile;
mod composite;
mod condition;
mod foreach;
mod http;
mod outside;
mod repeat;
mod set;
mod stop;
mod wait;

use std::fmt::Debug;

use serde_json::Value;

pub use self::compile::{Compiler, Connectors};
pub use self::outside::{Effect, Elements, Outside, Target};

use crate::manifest::flow::{self, OnError, Retry};
use crate::template::{self, Expression, Scope};

/// Every step form there is.
pub const FORMS: &[Keyword] = &[
    action::KEYWORD,
    http::KEYWORD,
    set::KEYWORD,
    condition::KEYWORD,
    foreach::KEYWORD,
    repeat::KEYWORD,
    approval::KEYWORD,
    wait::KEYWORD,
    stop::KEYWORD,
];

/// How a keyword of the flow language becomes a form.
pub struct Keyword {
    /// As it is written: `action`, `foreach`, ...
    pub name: &'static str,
    /// Reads the step at the compiler's pointer; `None` after a problem has been noted.
    pub compile: fn(&flow::Step, &mut Compiler) -> Option<Box<dyn Form>>,
}

/// What a step form offers. Every method is pure.
pub trait Form: Debug + Send + Sync {
    /// The step begins: what it is given, and what it asks for.
    fn enter(&self, scope: &Scope) -> Result<Entered, Error>;

    /// The request that [`Move::Call`] asks for.
    fn outside(&self) -> Option<&Outside> {
        None
    }

    /// The composite action that it calls: the steps inside it see what that action is given, and nothing else.
    fn composite(&self) -> Option<&Target> {
        None
    }

    /// Whether it asks people: its terms are its input, and the engine gives them an id.
    fn asks(&self) -> bool {
        false
    }

    /// Whether a `deadline` beside it ends the steps inside it.
    fn is_timed(&self) -> bool {
        false
    }

    /// The steps inside it.
    fn blocks(&self) -> &[Block] {
        &[]
    }

    /// Whether its block is done any number of times, each turn by itself: `2[3].0` instead of `2.then.0`.
    fn is_loop(&self) -> bool {
        false
    }

    /// The block to do in this turn, counted from 0; `None` when there is nothing more to do.
    /// `input` is what [`Form::enter`] gave.
    fn block(&self, _turn: usize, _input: &Value) -> Option<usize> {
        None
    }

    /// The same for a form that goes by what its earlier turns left.
    fn next_block(&self, turn: usize, input: &Value, _collected: &[Value]) -> Option<usize> {
        self.block(turn, input)
    }

    /// Whether a failure in this turn does not fail the step: the turn's other steps are done all the same. Where
    /// none of them can be, the turn leaves `{missed}`, the first failure.
    fn may_miss(&self, _turn: usize, _input: &Value) -> bool {
        false
    }

    /// The names that the steps of this turn see. What they hold may be moved out of `input`; `left` is what the
    /// turn before left.
    fn locals(&self, _turn: usize, _input: &mut Value, _left: Option<&Value>) -> Vec<(String, Value)> {
        Vec::new()
    }

    /// Whether its turns leave something.
    fn collects(&self) -> bool {
        false
    }

    /// What the end of a turn means; seen with the turn's own names and steps.
    fn end_turn(&self, _turn: usize, _scope: &Scope) -> Result<EndOfTurn, Error> {
        Ok(EndOfTurn::Next)
    }
}

/// What the end of a turn means.
#[derive(Debug, PartialEq)]
pub enum EndOfTurn {
    /// The next turn, where [`Form::block`] names one.
    Next,
    /// The same, and what this turn leaves for the output's list.
    Leave(Value),
    /// The next turn after a while.
    Pause {
        /// Milliseconds.
        length_ms: i64,
    },
    /// The step is done, with this output.
    Done(Value),
}

/// What a step does when it begins.
#[derive(Debug, PartialEq)]
pub struct Entered {
    /// What it was given, for the journal.
    pub input: Value,
    /// What it asks for.
    pub then: Move,
}

/// What a step asks for when it begins.
#[derive(Debug, PartialEq)]
pub enum Move {
    /// Nothing: it is done.
    Done(Value),
    /// Its request, with the input that it was given.
    Call,
    /// Its blocks, see [`Form::block`].
    Blocks,
    /// Time.
    Wait {
        /// UTC epoch milliseconds.
        due_ms: i64,
    },
    /// Answers to what the step around it asks.
    Await,
    /// The end of the run.
    Stop {
        /// Whether it ends as a failure.
        failed: bool,
        /// Why.
        message: Option<String>,
    },
}

/// A compiled step.
#[derive(Debug)]
pub struct Step {
    /// What other steps call it.
    pub id: Option<String>,
    /// What people call it.
    pub title: Option<String>,
    /// Its keyword.
    pub form_name: &'static str,
    /// It is skipped where this is false.
    pub guard: Option<Expression>,
    /// As written; the default depends on the effect.
    pub retry: Option<Retry>,
    /// Of one attempt, where the step says so.
    pub timeout_ms: Option<i64>,
    /// Of the step with its waits.
    pub deadline_ms: Option<i64>,
    /// What a failure of it means.
    pub on_error: OnError,
    /// What it does.
    pub form: Box<dyn Form>,
}

/// Steps done one after another.
#[derive(Debug, Default)]
pub struct Block {
    /// What keys call it: `then`, `else`; empty for the block of a loop.
    pub label: &'static str,
    /// In their order.
    pub steps: Vec<Step>,
    /// The ids of all steps in it, at any depth.
    pub ids: Vec<String>,
}

impl Block {
    /// Whether a step in it, at any depth, asks people.
    pub fn asks(&self) -> bool {
        self.steps.iter().any(|step| step.form.asks() || step.form.blocks().iter().any(Block::asks))
    }
}

/// Why a step could not be done before anything was asked of the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Stable, `snake_case`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Error {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: &str) -> Self {
        Error { code, message: message.into(), help: Some(help.to_owned()) }
    }
}

impl From<template::Error> for Error {
    fn from(error: template::Error) -> Self {
        Error { code: error.code, message: error.message, help: error.help }
    }
}
