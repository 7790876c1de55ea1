//! `repeat`: its steps are done again and again until a condition holds, with a pause between two turns. What the
//! steps of the last turn gave makes the output.

use serde_json::{Map, Value, json};

use super::{Block, Compiler, EndOfTurn, Entered, Error, Form, Keyword, Move};
use crate::manifest::{Duration, Problem, flow};
use crate::template::{Expression, Scope, Template};

pub(super) const KEYWORD: Keyword = Keyword { name: "repeat", compile };

/// The number of the turn, counted from 1; in the output how many there were.
const TURN: &str = "turn";
const TURNS: &str = "turns";

#[derive(Debug)]
struct Repeat {
    until: Expression,
    every: Option<Template>,
    limit: u32,
    blocks: [Block; 1],
}

impl Form for Repeat {
    fn enter(&self, _scope: &Scope) -> Result<Entered, Error> {
        Ok(Entered { input: json!({"limit": self.limit}), then: Move::Blocks })
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn is_loop(&self) -> bool {
        true
    }

    // How many there are is decided at the end of each.
    fn block(&self, _turn: usize, _input: &Value) -> Option<usize> {
        Some(0)
    }

    fn locals(&self, turn: usize, _input: &mut Value, _left: Option<&Value>) -> Vec<(String, Value)> {
        vec![(TURN.to_owned(), Value::from(turn + 1))]
    }

    fn end_turn(&self, turn: usize, scope: &Scope) -> Result<EndOfTurn, Error> {
        let turns = turn + 1;
        if self.until.is_true(scope)? {
            return Ok(EndOfTurn::Done(self.output(turns, scope)));
        }
        if turns >= self.limit as usize {
            return Err(Error::new(
                "repeat_limit",
                format!("`{}` did not hold after {turns} turns", self.until.source()),
                "if it only takes longer, give it a larger `limit` or a longer `every`",
            ));
        }
        let Some(every) = &self.every else {
            return Ok(EndOfTurn::Next);
        };
        let length: Duration = every.render(scope)?.trim().parse().map_err(|message: String| {
            Error::new("repeat_invalid", message, "`every` is a length of time such as 5s")
        })?;
        Ok(if length.ms == 0 { EndOfTurn::Next } else { EndOfTurn::Pause { length_ms: length.ms } })
    }
}

impl Repeat {
    /// `{turns, <id>: <output>, ...}` of the turn that has just ended.
    fn output(&self, turns: usize, scope: &Scope) -> Value {
        let mut output = Map::new();
        output.insert(TURNS.to_owned(), Value::from(turns));
        let steps = scope.get("steps").and_then(Value::as_object);
        for id in self.blocks.iter().flat_map(|block| &block.ids) {
            if let Some(left) = steps.and_then(|steps| steps.get(id)?.get("output")) {
                output.insert(id.clone(), left.clone());
            }
        }
        Value::Object(output)
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let repeat = step.repeat.as_ref()?;
    let until = compiler.expression(&repeat.until, "repeat/until");
    let every = match &repeat.every {
        Some(text) => Some(compiler.template(text, "repeat/every")?),
        None => None,
    };
    if let Some(literal) = every.as_ref().and_then(Template::literal)
        && let Err(message) = literal.trim().parse::<Duration>()
    {
        compiler.report(Problem::new(compiler.pointer("repeat/every"), "repeat_invalid", message));
        return None;
    }
    if repeat.limit == 0 {
        compiler.report(
            Problem::new(compiler.pointer("repeat/limit"), "limit_zero", "0 turns are none at all")
                .with_help("write how often it may be done at most"),
        );
    }
    let steps = step.steps.as_deref().unwrap_or_default();
    if steps.is_empty() {
        compiler.report(
            Problem::new(compiler.pointer("repeat"), "repeat_without_steps", "nothing is repeated")
                .with_help("write `steps:` beside `repeat`"),
        );
    }
    let block = compiler.block(steps, "steps", "");
    if block.ids.iter().any(|id| id == TURNS) {
        compiler.report(
            Problem::new(
                compiler.pointer("steps"),
                "name_taken",
                "`turns` is what the output calls the number of turns",
            )
            .with_help("give the step another id"),
        );
    }
    Some(Box::new(Repeat { until: until?, every, limit: repeat.limit, blocks: [block] }))
}
