//! The steps of a flow, in their order: ids, keywords, members, and what each step may read of those before it.
//! What each form takes and gives is in `forms`.

use std::collections::BTreeSet;

use super::expressions;
use super::findings::{Findings, below};
use super::flow::visit;
use super::forms;
use super::names::Names;
use super::schemas::is_identifier;
use super::scope::Scope;
use super::types::{Kinds, Member, Type};
use crate::manifest::Flow;
use crate::manifest::flow::{KEYWORDS, OnError, Step};

/// The members that belong to some keywords alone.
const BELONGS: &[(&str, &[&str])] = &[
    ("with", &["action"]),
    ("as", &["foreach"]),
    ("steps", &["foreach", "repeat"]),
    ("collect", &["foreach"]),
    ("then", &["if"]),
    ("else", &["if"]),
    ("retry", &["action", "http"]),
    ("timeout", &["action", "http"]),
    ("deadline", &["action", "http", "repeat"]),
];

/// Walks the steps of one flow.
pub struct Steps<'w, 'a, 'c> {
    pub findings: &'w mut Findings<'a>,
    pub names: &'w mut Names<'c>,
    ids: BTreeSet<String>,
}

impl<'w, 'a, 'c> Steps<'w, 'a, 'c> {
    /// Nothing walked yet.
    pub fn new(findings: &'w mut Findings<'a>, names: &'w mut Names<'c>) -> Self {
        Steps { findings, names, ids: BTreeSet::new() }
    }

    /// All steps of a flow; `scope` is what its first step reads.
    pub fn flow(&mut self, flow: &Flow, mut scope: Scope) {
        if flow.steps.is_empty() {
            self.findings.error("steps_empty", "/steps", "this flow does nothing", "write at least one step");
        }
        hide_all(&mut scope, &flow.on_failure, "it is done only when the run fails");
        hide_all(&mut scope, &flow.steps, "it is done later");
        self.block(&flow.steps, "/steps", &mut scope);
        // A run can fail anywhere: none of its steps is certain to have been done.
        for (id, member) in scope.shown_steps() {
            scope.show_step(&id, Member::perhaps(member.of));
        }
        hide_all(&mut scope, &flow.on_failure, "it is done later");
        scope.set("error", failure(true));
        self.block(&flow.on_failure, "/on_failure", &mut scope);
    }

    /// The steps of a composite action; `scope` is what its first step reads, and has what they leave.
    pub fn composite(&mut self, steps: &[Step], pointer: &str, scope: &mut Scope) {
        if steps.is_empty() {
            self.findings.error("steps_empty", pointer, "this action does nothing", "write at least one step");
        }
        hide_all(scope, steps, "it is done later");
        self.block(steps, pointer, scope);
    }

    /// Steps one after another; `scope` has what they leave when they are done.
    pub fn block(&mut self, steps: &[Step], pointer: &str, scope: &mut Scope) {
        let mut stopped = false;
        for (position, step) in steps.iter().enumerate() {
            let pointer = below(pointer, position);
            if stopped {
                self.findings.warning(
                    "step_unreachable",
                    &pointer,
                    "this step is never done: the run has stopped before it",
                    "put a condition beside the `stop`, or remove this step",
                );
            }
            self.step(step, &pointer, scope);
            stopped = step.stop.is_some() && step.condition.is_none();
        }
    }

    /// Steps that are done under a condition: what they leave is not certain.
    pub fn branch(&mut self, steps: &[Step], pointer: &str, scope: &Scope) -> Vec<(String, Member)> {
        let mut inner = scope.clone();
        self.block(steps, pointer, &mut inner);
        let ids = ids_of(steps);
        inner
            .shown_steps()
            .into_iter()
            .filter(|(id, _)| ids.contains(id))
            .map(|(id, member)| (id, Member::perhaps(member.of)))
            .collect()
    }

    /// One step at `pointer`; `scope` has what it leaves when it is done.
    pub fn step(&mut self, step: &Step, pointer: &str, scope: &mut Scope) {
        self.id(step, pointer);
        if let Some(id) = &step.id {
            scope.hide_step(id, "a step cannot read itself");
        }
        let keywords = step.keywords();
        self.members(step, pointer, &keywords);
        if let Some(condition) = &step.condition {
            expressions::condition(self.findings, scope, &below(pointer, "if"), condition);
        }
        let output = match keywords.as_slice() {
            [_] => forms::form(self, step, pointer, scope),
            [] => {
                self.findings.error(
                    "step_without_keyword",
                    pointer,
                    "this step says nothing to do",
                    format!("write one of: {}", KEYWORDS.join(", ")),
                );
                Type::any()
            }
            several => {
                let message = format!("this step is several at once: {}", several.join(", "));
                self.findings.error("step_with_several_keywords", pointer, message, "write one step for each");
                Type::any()
            }
        };
        if let Some(id) = &step.id {
            scope.show_step(id, outcome(step, output));
        }
    }

    fn id(&mut self, step: &Step, pointer: &str) {
        let Some(id) = &step.id else { return };
        let pointer = below(pointer, "id");
        if !is_identifier(id) {
            self.findings.error(
                "bad_identifier",
                &pointer,
                format!("`{id}` cannot be read in a template"),
                "use letters, digits and `_`, and begin with a letter",
            );
        }
        if !self.ids.insert(id.clone()) {
            self.findings.error(
                "duplicate_step_id",
                &pointer,
                format!("another step is called `{id}` already"),
                "every id names one step of the flow",
            );
        }
    }

    fn members(&mut self, step: &Step, pointer: &str, keywords: &[&str]) {
        let written = [
            (!step.with.is_empty(), "with"),
            (step.name.is_some(), "as"),
            (step.steps.is_some(), "steps"),
            (step.collect.is_some(), "collect"),
            (step.then.is_some(), "then"),
            (step.otherwise.is_some(), "else"),
            (step.retry.is_some(), "retry"),
            (step.timeout.is_some(), "timeout"),
            (step.deadline.is_some(), "deadline"),
        ];
        let is_written = |name: &str| written.iter().any(|(is_written, written)| *is_written && *written == name);
        for (member, owners) in BELONGS {
            // Where no keyword or several are written, that is the mistake.
            let [keyword] = keywords else { continue };
            if is_written(member) && !owners.contains(keyword) {
                let owners: Vec<String> = owners.iter().map(|owner| format!("`{owner}`")).collect();
                let code = if matches!(*member, "retry" | "timeout" | "deadline") {
                    "setting_without_effect"
                } else {
                    "misplaced_member"
                };
                let message = format!("`{member}` does nothing beside `{keyword}`");
                self.findings.key_error(
                    code,
                    &below(pointer, member),
                    message,
                    format!("it belongs to {}", owners.join(" and ")),
                );
            }
        }
        if let Some(retry) = &step.retry {
            let place = below(pointer, "retry");
            if retry.attempts == 0 {
                self.findings.error(
                    "limit_zero",
                    &below(&place, "attempts"),
                    "0 attempts are none at all",
                    "write 1 for no retries",
                );
            }
            if retry.max < retry.initial {
                self.findings.error(
                    "retry_window",
                    &below(&place, "max"),
                    "the longest wait is shorter than the first one",
                    "make `max` at least as long as `initial`",
                );
            }
        }
        for (length, name) in [(step.timeout, "timeout"), (step.deadline, "deadline")] {
            if length.is_some_and(|length| length.ms == 0) {
                self.findings.error(
                    "limit_zero",
                    &below(pointer, name),
                    format!("with a {name} of 0 the step always fails"),
                    "write how long it may take, for example 30s",
                );
            }
        }
        if let (Some(timeout), Some(deadline)) = (step.timeout, step.deadline)
            && deadline < timeout
        {
            self.findings.error(
                "retry_window",
                &below(pointer, "deadline"),
                "the step must be done before one attempt may end",
                "make `deadline` at least as long as `timeout`",
            );
        }
    }
}

/// The ids of steps at any depth.
pub fn ids_of(steps: &[Step]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    visit(steps, "", &mut |_, step| ids.extend(step.id.clone()));
    ids
}

/// Steps that exist but cannot be read, and why.
pub fn hide_all(scope: &mut Scope, steps: &[Step], why: &str) {
    for id in ids_of(steps) {
        scope.hide_step(&id, why);
    }
}

/// What `steps.<id>` holds once the step is done.
fn outcome(step: &Step, output: Type) -> Member {
    // A step that may be skipped, or may fail without ending the run, may have no output. An `if` step with
    // branches is never skipped itself.
    let guarded = step.condition.is_some() && step.then.is_none() && step.otherwise.is_none();
    let survives = step.on_error == Some(OnError::Continue);
    let output = Member { of: output, required: !guarded && !survives };
    Member::always(Type::object([
        ("status", Member::always(Type::text())),
        ("output", output),
        ("error", Member::perhaps(failure(false))),
    ]))
}

/// A failure as templates see it; `of_run` names the step.
fn failure(of_run: bool) -> Type {
    let of = Type::object([
        ("code", Member::always(Type::text())),
        ("message", Member::always(Type::text())),
        ("status", Member::always(Type::of(Kinds::INTEGER | Kinds::NULL))),
        ("service_code", Member::always(Type::of(Kinds::STRING | Kinds::NULL))),
        ("outcome", Member::always(Type::text())),
        ("help", Member::always(Type::of(Kinds::STRING | Kinds::NULL))),
    ]);
    // A step without an id is named by its place.
    if of_run { of.with("step", Member::always(Type::text())) } else { of }
}
