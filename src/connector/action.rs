//! One operation of a connector, compiled: everything that a call needs and that no call changes.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::errors::Errors;
use super::files::input::FileInput;
use super::foreach::ForEach;
use super::inputs::Inputs;
use super::paginator::Paginator;
use super::reconcile::Reconcile;
use super::request::Request;
use super::resolve::Resolve;
use super::selector::Selector;
use super::table::TableOf;
use crate::engine::Failure;
use crate::manifest::connector::{Availability, Builtin, Effect, Format, Limit};
use crate::template::{Expression, Scope, Template, Tree};

/// A compiled action.
#[derive(Debug)]
pub struct Action {
    /// Its connector's name.
    pub connector: String,
    /// Its name within the connector.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
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
    /// What is looked up before its request.
    pub resolve: Vec<Resolve>,
    /// Whether it is made of steps, which the engine does.
    pub is_composite: bool,
    /// The part of this program that does it.
    pub builtin: Option<Builtin>,
    /// How the next page is asked for.
    pub paginator: Option<Paginator>,
    /// Members of the body that are masked before it is stored.
    pub secret: Arc<[String]>,
    pub(super) host: HostOf,
    pub(super) request: Request,
    pub(super) selector: Selector,
    pub(super) format: Format,
    pub(super) errors: Errors,
    pub(super) limit: Option<LimitOf>,
    /// How many records are passed over first.
    pub(super) skip: Option<LimitOf>,
    pub(super) tables: Vec<TableOf>,
    pub(super) refusals: Vec<Refusal>,
    /// Who can use it, where not everybody can.
    pub availability: Vec<Availability>,
    pub(super) reads_connection: bool,
    /// Secret fields that its JSON has as keys of `hmac`; `check` refuses them anywhere else.
    pub(super) keys: Vec<String>,
    /// The inputs that are files.
    pub(super) files: Vec<FileInput>,
    /// Where the answer goes, with the format `binary`.
    pub(super) saving: Saving,
}

/// Which of the connection's hosts is asked.
#[derive(Clone, Debug)]
pub(super) enum HostOf {
    Named(String),
    /// Over `inputs`.
    Computed(Template),
}

impl HostOf {
    pub(super) fn name(&self, scope: &Scope) -> Result<Cow<'_, str>, Failure> {
        match self {
            HostOf::Named(name) => Ok(Cow::Borrowed(name)),
            HostOf::Computed(template) => {
                template.render(scope).map(Cow::Owned).map_err(|error| super::template_failure(&error))
            }
        }
    }
}

/// How an answer becomes a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Saving {
    pub(super) path: Option<Template>,
    pub(super) max_bytes: Option<Tree>,
}

/// Inputs that do not go together.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub when: Expression,
    pub message: String,
    pub help: Option<String>,
}

/// A number of records.
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
            title: None,
            effect: Effect::Plain(crate::manifest::connector::PlainEffect::None),
            reconcile: None,
            inputs: Inputs::default(),
            foreach: None,
            limits: Vec::new(),
            timeout_ms: super::compile::TIMEOUT_MS,
            schemes: Vec::new(),
            resolve: Vec::new(),
            is_composite: false,
            builtin: None,
            paginator: None,
            secret: Arc::default(),
            host: HostOf::Named(String::new()),
            request: Request::compile(&crate::manifest::connector::Request::default(), "", &mut problems),
            selector: super::compile::selector(&response, &Arc::default(), false, "", &mut problems),
            format: Format::Json,
            errors: Errors::default(),
            limit: None,
            skip: None,
            tables: Vec::new(),
            refusals: Vec::new(),
            availability: Vec::new(),
            reads_connection: false,
            keys: Vec::new(),
            files: Vec::new(),
            saving: Saving::default(),
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

    /// Refuses inputs that do not go together, or not at this time.
    pub(super) fn refuse(&self, scope: &Scope) -> Result<(), Failure> {
        for refusal in &self.refusals {
            if refusal.when.is_true(scope).map_err(|error| super::template_failure(&error))? {
                let failure = Failure::not_sent("input_invalid", format!("{self}: {}", refusal.message));
                return Err(Failure { help: refusal.help.clone(), ..failure });
            }
        }
        Ok(())
    }

    /// The most records to read, for these inputs: those passed over are among them.
    pub(super) fn most(&self, scope: &Scope) -> Result<Option<usize>, Failure> {
        let most = self.number(self.limit.as_ref(), "limit", scope)?;
        Ok(most.map(|most| most.saturating_add(self.skipped(scope).unwrap_or(0))))
    }

    /// How many records are passed over first, for these inputs.
    pub(super) fn skipped(&self, scope: &Scope) -> Result<usize, Failure> {
        Ok(self.number(self.skip.as_ref(), "skip", scope)?.unwrap_or(0))
    }

    fn number(&self, of: Option<&LimitOf>, word: &str, scope: &Scope) -> Result<Option<usize>, Failure> {
        let template = match of {
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
            let message = format!("the {word} of {self} is {value}, not a number of records");
            Failure::not_sent("limit_invalid", message)
        })
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.connector, self.name)
    }
}
