//! `repeat`: its condition, its pause and its limit; what its steps leave.

use super::expressions::{self, is_template};
use super::findings::below;
use super::scope::Scope;
use super::steps::{Steps, hide_all, ids_of};
use super::types::{Found, Kinds, Member, Type};
use crate::manifest::Duration;
use crate::manifest::flow::{Repeat, Step};

/// What the output calls the number of turns.
const TURNS: &str = "turns";

/// A step that repeats steps; gives the type of its output.
pub fn repeat(steps: &mut Steps<'_, '_, '_>, step: &Step, written: &Repeat, pointer: &str, scope: &mut Scope) -> Type {
    let place = below(pointer, "repeat");
    let inner_steps = step.steps.as_deref().unwrap_or_default();
    if inner_steps.is_empty() {
        steps.findings.error("repeat_without_steps", &place, "nothing is repeated", "write `steps:` beside `repeat`");
    }
    if written.limit == 0 {
        steps.findings.error(
            "limit_zero",
            &below(&place, "limit"),
            "0 turns are none at all",
            "write how often it may be done at most",
        );
    }
    let mut inner = scope.clone().with("turn", Type::of(Kinds::INTEGER));
    steps.block(inner_steps, &below(pointer, "steps"), &mut inner);
    expressions::condition(steps.findings, &inner, &below(&place, "until"), &written.until);
    if let Some(every) = &written.every {
        pause(steps, every, &below(&place, "every"), &inner);
    }
    hide_all(
        scope,
        inner_steps,
        "the steps of a `repeat` cannot be read outside it; what the last turn gave is in the output of the `repeat`",
    );
    output(steps, inner_steps, pointer, &inner)
}

fn pause(steps: &mut Steps<'_, '_, '_>, every: &str, pointer: &str, scope: &Scope) {
    if is_template(every) {
        expressions::template(steps.findings, scope, pointer, every);
    } else if let Err(message) = every.trim().parse::<Duration>() {
        steps.findings.error("repeat_invalid", pointer, message, "`every` is a length of time such as 5s");
    }
}

/// `{turns, <id>: <output>}` of the last turn.
fn output(steps: &mut Steps<'_, '_, '_>, inner_steps: &[Step], pointer: &str, inner: &Scope) -> Type {
    let ids = ids_of(inner_steps);
    if ids.contains(TURNS) {
        steps.findings.error(
            "name_taken",
            &below(pointer, "steps"),
            "`turns` is what the output calls the number of turns",
            "give that step another id",
        );
    }
    let mut output = Type::object([(TURNS, Member::always(Type::of(Kinds::INTEGER)))]);
    for (id, member) in inner.shown_steps().into_iter().filter(|(id, _)| ids.contains(id)) {
        if let Found::Member(left) = member.of.member("output") {
            output = output.with(&id, Member { required: member.required && left.required, of: left.of });
        }
    }
    output
}
