//! One operation of a connector, compiled: everything that a call needs and that no call changes.

use std::sync::Arc;

use serde_json::Value;

use super::errors::Errors;
use super::foreach::ForEach;
use super::inputs::Inputs;
use super::paginator::Paginator;
use super::reconcile::Reconcile;
use super::request::Request;
use super::selector::Selector;
use crate::engine::Failure;
use crate::manifest::connector::{Builtin, Effect, Format, Limit};
use crate::template::{Scope, Template};

/// A compiled action.
#[derive(Debug)]
pub struct Action {
    /// Its connector's name.
    pub connector: String,
    /// Its name within the connector.
    pub name: String,
    /// What makes a repeat of it safe.
    pub effect: Effect,
    /// How an attempt whose outcome is not known is looked up; for the effect `lookup`.
    pub reconcile: Option<Reconcile>,
    /// What a step gives it.
    pub inputs: Inputs,
    /// One request per element of a list.
    pub foreach: Option<ForEach>,
    /// How often the service may be asked.
    pub limits: Vec<Limit>,
    /// Of one attempt, in milliseconds.
    pub timeout_ms: i64,
    /// The schemes that it accepts, best first.
    pub schemes: Vec<String>,
    /// The part of this program that does it.
    pub builtin: Option<Builtin>,
    /// How the next page is asked for.
    pub paginator: Option<Paginator>,
    /// Members of the body that are masked before it is stored.
    pub secret: Arc<[String]>,
    pub(super) host: String,
    pub(super) request: Request,
    pub(super) selector: Selector,
    pub(super) format: Format,
    pub(super) errors: Errors,
    pub(super) limit: Option<LimitOf>,
    pub(super) reads_connection: bool,
}

/// The most records to return.
#[derive(Clone, Debug)]
pub(super) enum LimitOf {
    Number(usize),
    Computed(Template),
}

impl Action {
    /// What stands for an `http` step: built-in rules, no connector.
    pub(super) fn ad_hoc() -> Action {
        let mut problems = Vec::new();
        let response = crate::manifest::connector::Response::default();
        Action {
            connector: "http".to_owned(),
            name: "http".to_owned(),
            effect: Effect::Plain(crate::manifest::connector::PlainEffect::None),
            reconcile: None,
            inputs: Inputs::default(),
            foreach: None,
            limits: Vec::new(),
            timeout_ms: super::compile::TIMEOUT_MS,
            schemes: Vec::new(),
            builtin: None,
            paginator: None,
            secret: Arc::default(),
            host: String::new(),
            request: Request::compile(&crate::manifest::connector::Request::default(), "", &mut problems),
            selector: super::compile::selector(&response, false, "", &mut problems),
            format: Format::Json,
            errors: Errors::default(),
            limit: None,
            reads_connection: false,
        }
    }

    /// Whether the output is a list of records.
    pub fn is_list(&self) -> bool {
        self.selector.many
    }

    /// The name of the header that carries the idempotency key.
    pub fn key_header(&self) -> Option<&str> {
        match &self.effect {
            Effect::Classed(crate::manifest::connector::ClassedEffect::Key { header }) => Some(header),
            _ => None,
        }
    }

    /// Whether nothing changes by it.
    pub fn is_read(&self) -> bool {
        self.effect == Effect::Plain(crate::manifest::connector::PlainEffect::Read)
    }

    /// The most records to return, for these inputs.
    pub(super) fn most(&self, scope: &Scope) -> Result<Option<usize>, Failure> {
        let template = match &self.limit {
            None => return Ok(None),
            Some(LimitOf::Number(number)) => return Ok(Some(*number)),
            Some(LimitOf::Computed(template)) => template,
        };
        let value = template.evaluate(scope).map_err(|error| super::template_failure(&error))?;
        let number = match &value {
            Value::Null => return Ok(None),
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.and_then(|number| usize::try_from(number).ok()).map(Some).ok_or_else(|| {
            let message = format!("the limit of {self} is {value}, not a number of records");
            Failure::not_sent("limit_invalid", message)
        })
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.connector, self.name)
    }
}
