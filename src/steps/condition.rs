//! `if` with `then` and `else`. An `if` beside another keyword is a guard and none of this form's business.

use serde_json::Value;

use super::{Block, Compiler, Entered, Error, Form, Keyword, Move};
use crate::manifest::{Problem, flow};
use crate::template::{Expression, Scope};

pub(super) const KEYWORD: Keyword = Keyword { name: "if", compile };

#[derive(Debug)]
struct Condition {
    condition: Expression,
    /// `then` and `else`.
    blocks: [Block; 2],
}

impl Form for Condition {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        Ok(Entered { input: Value::Bool(self.condition.is_true(scope)?), then: Move::Blocks })
    }

    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn block(&self, turn: usize, input: &Value) -> Option<usize> {
        let chosen = usize::from(input != &Value::Bool(true));
        (turn == 0).then_some(chosen)
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let then = step.then.as_deref().unwrap_or_default();
    let otherwise = step.otherwise.as_deref().unwrap_or_default();
    let blocks = [compiler.block(then, "then", "then"), compiler.block(otherwise, "else", "else")];
    let Some(condition) = &step.condition else {
        compiler.report(
            Problem::new(compiler.pointer("then"), "if_without_condition", "`then` and `else` have no condition")
                .with_help("write `if: <condition>` beside them"),
        );
        return None;
    };
    if then.is_empty() && otherwise.is_empty() {
        compiler.report(
            Problem::new(compiler.pointer("if"), "if_without_steps", "this condition decides nothing")
                .with_help("write `then:` with steps, or put the condition beside the step that it guards"),
        );
    }
    Some(Box::new(Condition { condition: compiler.expression(condition, "if")?, blocks }))
}
