//! `foreach`: its steps are done for each element of a list in turn. What `collect` leaves of each turn makes
//! the output. The list is journaled once, as the step's input.

use serde_json::Value;

use super::{Block, Compiler, EndOfTurn, Entered, Error, Form, Keyword, Move};
use crate::manifest::{Problem, flow};
use crate::template::{Expression, Scope, Tree};

pub(super) const KEYWORD: Keyword = Keyword { name: "foreach", compile };

const DEFAULT_NAME: &str = "element";

/// What the scope holds anyhow.
const TAKEN: &[&str] = &["item", "inputs", "steps", "flow", "run", "error"];

#[derive(Debug)]
struct ForEach {
    list: List,
    name: String,
    index_name: String,
    /// What `collect` made of the turn before; null in the first.
    before_name: String,
    collect: Option<Tree>,
    blocks: [Block; 1],
}

#[derive(Debug)]
enum List {
    /// `foreach: item.tags`
    Named(Expression),
    /// `foreach: [a, b]`
    Written(Tree),
}

impl Form for ForEach {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        let input = match &self.list {
            List::Named(expression) => expression.evaluate(scope)?,
            List::Written(tree) => tree.evaluate(scope)?,
        };
        if !input.is_array() {
            return Err(Error::new(
                "foreach_no_list",
                "`foreach` goes over a list, and this value is none",
                "put it into a list with `array`, or give the path of a list",
            ));
        }
        Ok(Entered { input, then: Move::Blocks })
    }

    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn is_loop(&self) -> bool {
        true
    }

    fn block(&self, turn: usize, input: &Value) -> Option<usize> {
        input.as_array().is_some_and(|list| turn < list.len()).then_some(0)
    }

    fn locals(&self, turn: usize, input: &mut Value, left: Option<&Value>) -> Vec<(String, Value)> {
        let element = input.get_mut(turn).map(Value::take).unwrap_or(Value::Null);
        let mut locals = vec![(self.name.clone(), element), (self.index_name.clone(), Value::from(turn))];
        if self.collect.is_some() {
            locals.push((self.before_name.clone(), left.cloned().unwrap_or(Value::Null)));
        }
        locals
    }

    fn collects(&self) -> bool {
        self.collect.is_some()
    }

    fn end_turn(&self, _turn: usize, scope: &Scope) -> Result<EndOfTurn, Error> {
        Ok(match &self.collect {
            Some(tree) => EndOfTurn::Leave(tree.evaluate(scope)?),
            None => EndOfTurn::Next,
        })
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let name = step.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    if TAKEN.contains(&name.as_str()) {
        compiler.report(
            Problem::new(compiler.pointer("as"), "name_taken", format!("`{name}` means something else already"))
                .with_help("give the element a name of its own"),
        );
    }
    let list = match step.foreach.as_ref()? {
        Value::String(text) => compiler.expression(text, "foreach").map(List::Named),
        written => compiler.tree(written, "foreach").map(List::Written),
    };
    let collect = match &step.collect {
        Some(value) => Some(compiler.tree(value, "collect")?),
        None => None,
    };
    let steps = step.steps.as_deref().unwrap_or_default();
    if steps.is_empty() && collect.is_none() {
        compiler.report(
            Problem::new(compiler.pointer("foreach"), "foreach_without_steps", "nothing is done for the elements")
                .with_help("write `steps:` beside `foreach`"),
        );
    }
    let block = compiler.block(steps, "steps", "");
    let (index_name, before_name) = (format!("{name}_index"), format!("{name}_before"));
    Some(Box::new(ForEach { list: list?, index_name, before_name, name, collect, blocks: [block] }))
}
