//! `set`: values for later steps, as `steps.<id>.output.<name>`.

use serde_json::Value;

use super::{Compiler, Entered, Error, Form, Keyword, Move};
use crate::manifest::flow;
use crate::template::{Scope, Tree};

pub(super) const KEYWORD: Keyword = Keyword { name: "set", compile };

#[derive(Debug)]
struct Set(Tree);

impl Form for Set {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        Ok(Entered { input: Value::Null, then: Move::Done(self.0.evaluate(scope)?) })
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let values = Value::Object(step.set.clone()?);
    Some(Box::new(Set(compiler.tree(&values, "set")?)))
}
