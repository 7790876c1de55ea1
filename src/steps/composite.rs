//! An action that is made of steps. Its steps see a scope of their own: the action's `inputs`, its `connection`,
//! the `run` and one another, and nothing of the flow that calls it. Compiled once for all steps of a flow
//! that call it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::approval::{CODE_PLACEHOLDER, OTHER_PLACEHOLDER};
use super::{Block, Compiler, EndOfTurn, Entered, Error, Form, Move, Target};
use crate::manifest::Problem;
use crate::manifest::connector::Action;
use crate::template::{Scope, Tree};

/// What journals call the steps of a composite.
pub(super) const FORM: &str = "composite";

/// The label of its block in keys: `2.steps.0`.
const LABEL: &str = "steps";

/// A step that calls a composite action.
#[derive(Debug)]
pub(super) struct Composite {
    pub with: Tree,
    pub target: Target,
    pub body: Arc<Body>,
}

/// What a composite action does, compiled.
#[derive(Debug)]
pub(super) struct Body {
    blocks: [Block; 1],
    output: Option<Tree>,
    /// Whether any of its steps asks people: then `approval.url` and `approval.code` can be read where it is called.
    asks: bool,
}

impl Form for Composite {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        let input = match self.body.asks && scope.get("approval").is_none() {
            false => self.with.evaluate(scope)?,
            true => {
                let mut asking = scope.clone();
                asking.set("approval", json!({"url": OTHER_PLACEHOLDER, "code": CODE_PLACEHOLDER}));
                self.with.evaluate(&asking)?
            }
        };
        Ok(Entered { input, then: Move::Blocks })
    }

    fn composite(&self) -> Option<&Target> {
        Some(&self.target)
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn blocks(&self) -> &[Block] {
        &self.body.blocks
    }

    fn block(&self, turn: usize, _input: &Value) -> Option<usize> {
        (turn == 0).then_some(0)
    }

    fn locals(&self, _turn: usize, input: &mut Value, _left: Option<&Value>) -> Vec<(String, Value)> {
        let Value::Object(roots) = input.take() else {
            return Vec::new();
        };
        roots.into_iter().collect()
    }

    fn end_turn(&self, _turn: usize, scope: &Scope) -> Result<EndOfTurn, Error> {
        Ok(EndOfTurn::Done(match &self.body.output {
            Some(output) => output.evaluate(scope)?,
            None => Value::Null,
        }))
    }
}

impl Body {
    /// The body of `action`, whose `steps` it has; a problem at the calling step where there is something wrong
    /// with it, since what it is stands in another file (`check` tells it there).
    pub(super) fn compile(connector: &str, name: &str, action: &Action, compiler: &mut Compiler) -> Option<Arc<Body>> {
        let id = (connector.to_owned(), name.to_owned());
        if let Some(body) = compiler.bodies.get(&id) {
            return Some(Arc::clone(body));
        }
        if compiler.open.contains(&id) {
            let message = format!("`{connector}.{name}` calls itself");
            compiler.report(Problem::new(compiler.pointer("action"), "composite_cycle", message));
            return None;
        }
        compiler.open.push(id.clone());
        let compiled = compiler.apart(connector, &format!("/actions/{name}"), |compiler| {
            let block = compiler.block(action.steps.as_deref().unwrap_or_default(), "steps", LABEL);
            let output = match &action.output {
                Some(output) => Some(compiler.tree(output, "output")?),
                None => None,
            };
            let asks = block.asks();
            Some(Body { blocks: [block], output, asks })
        });
        compiler.open.pop();
        match compiled {
            Ok(body) => {
                let body = Arc::new(body?);
                compiler.bodies.insert(id, Arc::clone(&body));
                Some(body)
            }
            Err(problem) => {
                let message = format!("`{connector}.{name}` cannot be used: {} ({})", problem.message, problem.pointer);
                let reported = Problem::new(compiler.pointer("action"), "composite_unusable", message);
                compiler.report(Problem { help: problem.help, ..reported });
                None
            }
        }
    }
}
