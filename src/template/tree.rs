//! A JSON tree whose strings are templates: what a request or a step is `with`. Compiled once; constant parts
//! are kept as they are. Keys are names, never templates.

use serde_json::{Map, Value};

use super::error::{CompileError, Error};
use super::reads::Read;
use super::{Scope, Template};

/// A compiled JSON tree.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Branch,
    reads: Vec<(String, Read)>,
}

#[derive(Clone, Debug)]
enum Branch {
    Constant(Value),
    Template(Template),
    Array(Vec<Branch>),
    Object(Vec<(String, Branch)>),
}

impl Tree {
    /// Compiles every string of `value`; `pointer` is the JSON pointer of `value` itself, the beginning of
    /// those that errors and reads carry. All errors are given, not only the first.
    pub fn compile(value: &Value, pointer: &str) -> Result<Tree, Vec<(String, CompileError)>> {
        let mut reads = Vec::new();
        let mut errors = Vec::new();
        let root = Branch::compile(value, pointer, &mut reads, &mut errors);
        if errors.is_empty() { Ok(Tree { root, reads }) } else { Err(errors) }
    }

    /// The value; members and elements whose template yields `absent` are left out.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, Error> {
        Ok(self.root.evaluate(scope, false)?.unwrap_or(Value::Null))
    }

    /// The value; `absent`, null and emptied values are left out: an object or array that becomes empty by
    /// this goes too, one that was written empty stays. Data that a template yields is not looked into. The
    /// root itself stays, if need be as an empty object or array.
    pub fn evaluate_pruned(&self, scope: &Scope) -> Result<Value, Error> {
        Ok(match self.root.evaluate(scope, true)? {
            Some(value) => value,
            None => match self.root {
                Branch::Object(_) => Value::Object(Map::new()),
                Branch::Array(_) => Value::Array(Vec::new()),
                Branch::Constant(_) | Branch::Template(_) => Value::Null,
            },
        })
    }

    /// The paths that its templates read, with the JSON pointer of the string that reads them.
    pub fn reads(&self) -> impl Iterator<Item = (&str, &Read)> {
        self.reads.iter().map(|(pointer, read)| (pointer.as_str(), read))
    }

    /// Its templates with their JSON pointers, constants left out, for type checks.
    pub fn templates(&self, pointer: &str) -> Vec<(String, &Template)> {
        let mut found = Vec::new();
        self.root.templates(pointer, &mut found);
        found
    }

    /// Whether it has no expressions at all.
    pub fn is_constant(&self) -> bool {
        matches!(self.root, Branch::Constant(_))
    }
}

impl Branch {
    fn compile(
        value: &Value,
        pointer: &str,
        reads: &mut Vec<(String, Read)>,
        errors: &mut Vec<(String, CompileError)>,
    ) -> Branch {
        match value {
            Value::String(text) => match Template::compile(text) {
                Ok(template) => match template.literal() {
                    Some(text) => Branch::Constant(Value::from(text)),
                    None => {
                        reads.extend(template.reads().iter().map(|read| (pointer.to_owned(), read.clone())));
                        Branch::Template(template)
                    }
                },
                Err(error) => {
                    errors.push((pointer.to_owned(), error));
                    Branch::Constant(Value::Null)
                }
            },
            Value::Array(elements) => {
                let branches: Vec<Branch> = elements
                    .iter()
                    .enumerate()
                    .map(|(index, element)| Branch::compile(element, &format!("{pointer}/{index}"), reads, errors))
                    .collect();
                // Null is pruned at evaluation, so a tree that holds one is not a constant.
                match branches.iter().map(Branch::lasting).collect::<Option<Vec<_>>>() {
                    Some(constants) => Branch::Constant(Value::Array(constants)),
                    None => Branch::Array(branches),
                }
            }
            Value::Object(members) => {
                let branches: Vec<(String, Branch)> = members
                    .iter()
                    .map(|(key, member)| {
                        let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                        if key.contains("{{") {
                            errors.push((pointer.clone(), key_error(key)));
                        }
                        (key.clone(), Branch::compile(member, &pointer, reads, errors))
                    })
                    .collect();
                let constants = branches.iter().map(|(key, branch)| Some((key.clone(), branch.lasting()?)));
                match constants.collect::<Option<Map<_, _>>>() {
                    Some(constants) => Branch::Constant(Value::Object(constants)),
                    None => Branch::Object(branches),
                }
            }
            other => Branch::Constant(other.clone()),
        }
    }

    /// A constant that pruning leaves alone.
    fn lasting(&self) -> Option<Value> {
        match self {
            Branch::Constant(value) if !value.is_null() => Some(value.clone()),
            _ => None,
        }
    }

    fn evaluate(&self, scope: &Scope, prune: bool) -> Result<Option<Value>, Error> {
        let value = match self {
            Branch::Constant(value) => Some(value.clone()),
            Branch::Template(template) => template.evaluate_optional(scope)?,
            Branch::Array(branches) => {
                let mut elements = Vec::with_capacity(branches.len());
                for branch in branches {
                    elements.extend(branch.evaluate(scope, prune)?);
                }
                let emptied = prune && elements.is_empty();
                (!emptied).then_some(Value::Array(elements))
            }
            Branch::Object(branches) => {
                let mut members = Map::with_capacity(branches.len());
                for (key, branch) in branches {
                    if let Some(value) = branch.evaluate(scope, prune)? {
                        members.insert(key.clone(), value);
                    }
                }
                let emptied = prune && members.is_empty();
                (!emptied).then_some(Value::Object(members))
            }
        };
        Ok(value.filter(|value| !(prune && value.is_null())))
    }

    fn templates<'t>(&'t self, pointer: &str, found: &mut Vec<(String, &'t Template)>) {
        match self {
            Branch::Constant(_) => {}
            Branch::Template(template) => found.push((pointer.to_owned(), template)),
            Branch::Array(branches) => {
                for (index, branch) in branches.iter().enumerate() {
                    branch.templates(&format!("{pointer}/{index}"), found);
                }
            }
            Branch::Object(branches) => {
                for (key, branch) in branches {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    branch.templates(&format!("{pointer}/{key}"), found);
                }
            }
        }
    }
}

fn key_error(key: &str) -> CompileError {
    CompileError {
        code: "template_key",
        message: "a key is a name, not a template".to_owned(),
        offset: 0,
        length: key.chars().count().max(1),
        help: Some("build an object with a key of your choice in a step with `transform`".to_owned()),
        others: Vec::new(),
    }
}
