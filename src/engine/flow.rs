//! A flow as it is run: every template compiled, every action looked up. Made once per deploy and shared by
//! all runs that are pinned to it.

use serde_json::{Value, json};

use super::{Schedule, Target};
use crate::manifest::flow::{Emit, Missed, OnBusy};
use crate::manifest::{self, Problem};
use crate::steps::{Block, Compiler, Connectors};
use crate::template::{Expression, Template, Tree};

/// A compiled flow.
#[derive(Debug)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What starts it.
    pub trigger: Trigger,
    /// How many runs work at once.
    pub concurrency: Concurrency,
    /// The template root `flow`.
    pub(super) root: Value,
    pub(super) steps: Block,
    pub(super) on_failure: Block,
    may_ask: bool,
}

/// What starts a flow, compiled.
#[derive(Debug)]
pub struct Trigger {
    /// The polled trigger's inputs, over `inputs`.
    pub with: Tree,
    /// Which items are let through, over `item` and `inputs`.
    pub condition: Option<Expression>,
    /// As the flow says; `None` where it says nothing.
    pub schedule: Option<Schedule>,
    /// What happens to times that passed while the host was down.
    pub missed: Missed,
    /// What the items that a poll finds start.
    pub emit: Emit,
}

/// How many runs of a flow work at once, compiled.
#[derive(Debug)]
pub struct Concurrency {
    /// Per key.
    pub limit: u32,
    /// Over `item` and `inputs`; one key for all where there is none.
    pub key: Option<Template>,
    /// What happens to an item that comes while the limit is reached.
    pub on_busy: OnBusy,
}

impl Flow {
    /// Whether it has no steps: then it is polled for what that finds on the way, and starts no run.
    pub fn is_empty(&self) -> bool {
        self.steps.steps.is_empty()
    }

    /// Whether any of its steps is an approval.
    pub fn may_ask(&self) -> bool {
        self.may_ask
    }

    /// Whom the step at a journal's key asks: an action, or a composite that is one. None where no such step asks
    /// anything.
    pub fn target(&self, key: &str) -> Option<&Target> {
        let (mut block, mut rest) = match key.strip_prefix("on_failure.") {
            Some(rest) => (&self.on_failure, rest),
            None => (&self.steps, key),
        };
        loop {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (at, behind) = rest.split_at(digits);
            let form = &block.steps.get(at.parse::<usize>().ok()?)?.form;
            if behind.is_empty() {
                return form.outside().map(|outside| &outside.target).or_else(|| form.composite());
            }
            let blocks = form.blocks();
            (block, rest) = match behind.strip_prefix('[') {
                // A loop's turn. What waits among them asks nothing.
                Some(turn) => (blocks.first()?, turn.split_once("].")?.1),
                None => {
                    let (label, inner) = behind.strip_prefix('.')?.split_once('.')?;
                    (blocks.iter().find(|block| block.label == label)?, inner)
                }
            };
        }
    }

    /// Compiles a flow that [`super::type_flow`] has typed.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first.
    pub fn compile(flow: &manifest::Flow, connectors: &Connectors) -> Result<Flow, Vec<Problem>> {
        let mut compiler = Compiler::new(connectors);
        let with = compiler.tree(&Value::Object(flow.trigger.with.clone()), "trigger/with");
        let condition = match &flow.trigger.condition {
            Some(text) => compiler.expression(text, "trigger/where"),
            None => None,
        };
        let key = match &flow.concurrency.key {
            Some(text) => compiler.template(text, "concurrency/key"),
            None => None,
        };
        let schedule = match Schedule::of_trigger(&flow.trigger) {
            Ok(schedule) => schedule,
            Err(problem) => {
                compiler.report(problem);
                None
            }
        };
        let steps = compiler.block(&flow.steps, "steps", "");
        let on_failure = compiler.block(&flow.on_failure, "on_failure", "on_failure");
        let problems = compiler.into_problems();
        match with {
            Some(with) if problems.is_empty() => Ok(Flow {
                name: flow.flow.clone(),
                title: flow.title.clone(),
                trigger: Trigger { with, condition, schedule, missed: flow.trigger.missed, emit: flow.trigger.emit },
                concurrency: Concurrency { limit: flow.concurrency.limit, key, on_busy: flow.concurrency.on_busy },
                root: json!({"name": flow.flow, "title": flow.title}),
                may_ask: steps.asks() || on_failure.asks(),
                steps,
                on_failure,
            }),
            _ => Err(problems),
        }
    }
}
