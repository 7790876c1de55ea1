//! The body of a request: compiled, and rendered. Of a `json` that is one lone template and a `form` beside it, the
//! form goes where the template gives nothing.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::multipart::Parts;
use super::{Part, pairs, parts, reads, reads_in, replace};
use crate::connector::compile::tree;
use crate::connector::files::Folders;
use crate::connector::message::Body;
use crate::connector::paginator::At;
use crate::connector::template_failure;
use crate::engine::Failure;
use crate::manifest::connector as written;
use crate::manifest::problem::Problem;
use crate::template::{Scope, Segment, Template, Tree};

/// A compiled body.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Empty,
    Json(Tree),
    ConstantJson(Bytes),
    Form(Vec<(String, Part)>),
    JsonOrForm(Tree, Vec<(String, Part)>),
    Raw(Template),
    Multipart(Parts),
}

impl Content {
    pub(super) fn compile(written: &written::Request, pointer: &str, problems: &mut Vec<Problem>) -> Content {
        if let Some(json) = &written.json {
            let tree = tree(json, &format!("{pointer}/json"), problems);
            if let (Some(form), Some(tree)) = (&written.form, &tree) {
                let form = parts(form.iter(), &format!("{pointer}/form"), problems);
                return Content::JsonOrForm(tree.clone(), form);
            }
            let constant = tree.as_ref().filter(|tree| tree.is_constant());
            return match (constant, tree.as_ref()) {
                (Some(_), _) => Content::ConstantJson(Bytes::from(json.to_string())),
                (None, Some(tree)) => Content::Json(tree.clone()),
                (None, None) => Content::Empty,
            };
        }
        if let Some(form) = &written.form {
            return Content::Form(parts(form.iter(), &format!("{pointer}/form"), problems));
        }
        if let Some(parts) = &written.multipart {
            return Content::Multipart(Parts::compile(parts, &format!("{pointer}/multipart"), problems));
        }
        match &written.raw {
            Some(raw) => match Template::compile(raw) {
                Ok(template) => Content::Raw(template),
                Err(error) => {
                    problems.push(Problem::from_template(format!("{pointer}/raw"), error));
                    Content::Empty
                }
            },
            None => Content::Empty,
        }
    }

    pub(super) fn render(&self, scope: &Scope, page: Option<(&str, &At)>, folders: &Folders) -> Result<Body, Failure> {
        Ok(match self {
            Content::Empty => match page {
                None => Body::Empty,
                Some((name, at)) => json_body(&with_page(Value::Object(Map::new()), name, at))?,
            },
            Content::ConstantJson(bytes) => match page {
                None => Body::Json(bytes.clone()),
                Some((name, at)) => {
                    let value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
                    json_body(&with_page(value, name, at))?
                }
            },
            Content::Json(tree) => {
                let value = tree.evaluate_pruned(scope).map_err(|error| template_failure(&error))?;
                match page {
                    None => json_body(&value)?,
                    Some((name, at)) => json_body(&with_page(value, name, at))?,
                }
            }
            Content::Form(form) => render_form(form, scope, page)?,
            Content::JsonOrForm(tree, form) => {
                match tree.evaluate_pruned(scope).map_err(|error| template_failure(&error))? {
                    Value::Null => render_form(form, scope, page)?,
                    value => match page {
                        None => json_body(&value)?,
                        Some((name, at)) => json_body(&with_page(value, name, at))?,
                    },
                }
            }
            Content::Multipart(parts) => Body::Multipart(parts.render(scope, folders)?),
            Content::Raw(template) => {
                let text = template.render(scope).map_err(|error| template_failure(&error))?;
                Body::Raw(Bytes::from(text))
            }
        })
    }

    /// Its JSON alone; null where it has none.
    pub(super) fn json(&self, scope: &Scope) -> Result<Value, Failure> {
        match self {
            Content::Json(tree) => tree.evaluate_pruned(scope).map_err(|error| template_failure(&error)),
            Content::ConstantJson(bytes) => Ok(serde_json::from_slice(bytes).unwrap_or(Value::Null)),
            _ => Ok(Value::Null),
        }
    }

    /// Whether a template of its JSON reads `connection.<field>`.
    pub(super) fn reads_field(&self, field: &str) -> bool {
        let reads = |path: &[Segment]| matches!(path, [Segment::Key(root), Segment::Key(name), ..] if root == "connection" && name == field);
        matches!(self, Content::Json(tree) if tree.reads().any(|(_, read)| reads(&read.path)))
    }

    /// Whether its templates read a root of the scope.
    pub(super) fn reads(&self, root: &str) -> bool {
        match self {
            Content::Empty | Content::ConstantJson(_) => false,
            Content::Json(tree) => reads(tree, root),
            Content::Form(form) => reads_in(form, root),
            Content::JsonOrForm(tree, form) => reads(tree, root) || reads_in(form, root),
            Content::Multipart(parts) => parts.reads(root),
            Content::Raw(template) => template.reads().iter().any(|read| read.root() == root),
        }
    }
}

fn render_form(form: &[(String, Part)], scope: &Scope, page: Option<(&str, &At)>) -> Result<Body, Failure> {
    let mut pairs = pairs(form, scope)?;
    if let Some((name, at)) = page {
        replace(&mut pairs, name, at.text());
    }
    Ok(Body::Form(pairs))
}

fn with_page(mut body: Value, name: &str, at: &At) -> Value {
    let value = match at {
        At::Number(number) => Value::from(*number),
        At::Token(text) | At::Url(text) => Value::from(text.as_str()),
    };
    if let Value::Object(members) = &mut body {
        members.insert(name.to_owned(), value);
    }
    body
}

fn json_body(value: &Value) -> Result<Body, Failure> {
    serde_json::to_vec(value)
        .map(|bytes| Body::Json(Bytes::from(bytes)))
        .map_err(|error| Failure::not_sent("body_invalid", format!("the body cannot be written as JSON: {error}")))
}
