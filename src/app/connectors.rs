//! `tidegate connectors`: what connectors there are and what they can do.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Error, Project, Result, deploy};
use crate::manifest::connector::{Action, ClassedEffect, Effect, PlainEffect};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::input::Visibility;
use crate::manifest::{self, Connector, Inputs, Loaded, Origin, composite};

/// One connector in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Its version.
    pub version: Option<String>,
    /// `embedded`, or its file.
    pub origin: String,
    /// The names of its actions.
    pub actions: Vec<String>,
    /// The names of its triggers.
    pub triggers: Vec<String>,
}

/// A connector as documentation.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: Row,
    /// What it is for.
    pub description: Option<String>,
    /// Its hosts, by name.
    pub hosts: BTreeMap<String, String>,
    /// What an account needs.
    pub fields: Vec<Input>,
    /// What steps can call.
    pub operations: Vec<Operation>,
}

/// An action or a trigger.
#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    /// `action` or `trigger`.
    pub kind: &'static str,
    /// `x.search_tweets`
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// What makes a repeat safe: `read`, `natural`, `key`, `lookup`, `none`; of a trigger how often it polls.
    pub note: String,
    /// What it is given.
    pub inputs: Vec<Input>,
    /// Of an action that is made of steps, the actions that these call, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
}

/// An input, or a field of a connection.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// `string`, `integer`, `string (phone)`, ...
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is masked.
    pub secret: bool,
    /// What is used where none is given.
    pub default: Option<Value>,
    /// What people call it, or what it is for.
    pub title: Option<String>,
}

/// Every connector, by name.
pub fn list(project: &Project) -> Vec<Row> {
    project.catalog.connectors.iter().map(|(name, loaded)| row(name, loaded)).collect()
}

/// One connector, as documentation.
///
/// # Errors
/// `connector_unknown`, with a did-you-mean.
pub fn show(project: &Project, name: &str) -> Result<Detail> {
    let loaded = find(project, name)?;
    let connector = loaded.value.as_ref();
    let actions = connector.actions.iter().map(|(action, written)| Operation {
        kind: "action",
        name: format!("{name}.{action}"),
        title: written.title.clone(),
        description: written.description.clone(),
        note: effect(&written.effect).to_owned(),
        inputs: describe(&inputs_of(connector, written)),
        calls: calls(name, written),
    });
    let triggers = connector.triggers.iter().map(|(trigger, written)| Operation {
        kind: "trigger",
        name: format!("{name}.{trigger}"),
        title: written.title.clone(),
        description: written.description.clone(),
        note: format!("every {}", written.every.unwrap_or(deploy::HOURLY)),
        inputs: describe(&written.inputs),
        calls: Vec::new(),
    });
    Ok(Detail {
        row: row(name, loaded),
        description: connector.description.clone(),
        hosts: connector.hosts.clone(),
        fields: describe(&connector.connection.fields),
        operations: actions.chain(triggers).collect(),
    })
}

/// A connector by its name.
pub(super) fn find<'a>(project: &'a Project, name: &str) -> Result<&'a Loaded<Connector>> {
    let catalog = &project.catalog;
    if let Some(found) = catalog.connectors.get(name) {
        return Ok(found);
    }
    if catalog.broken_connectors.contains(name) {
        let error = Error::problem("connector_broken", format!("the file of connector `{name}` has errors"));
        return Err(error.with_help("`tidegate check` tells them"));
    }
    let error = Error::problem("connector_unknown", format!("there is no connector `{name}`"));
    Err(match did_you_mean(name, catalog.connectors.keys().map(String::as_str)) {
        Some(close) => error.with_help(format!("did you mean `{close}`?")),
        None => error.with_help("`tidegate connectors list` shows them"),
    })
}

/// An action's inputs with those of the parts that it takes.
pub(super) fn inputs_of(connector: &Connector, action: &Action) -> Inputs {
    let parts = action.uses.as_slice().iter().filter_map(|part| connector.parts.get(part));
    let mut inputs: Inputs = parts.flat_map(|part| part.inputs.clone()).collect();
    inputs.extend(action.inputs.clone());
    inputs
}

// Each once.
fn calls(connector: &str, action: &Action) -> Vec<String> {
    let mut calls = Vec::new();
    composite::all_steps(action.steps.as_deref().unwrap_or_default(), &mut |step| {
        if let Some((connector, name)) =
            step.action.as_deref().and_then(|written| composite::action_name(written, Some(connector)))
        {
            let called = format!("{connector}.{name}");
            if !calls.contains(&called) {
                calls.push(called);
            }
        }
    });
    calls
}

fn row(name: &str, loaded: &Loaded<Connector>) -> Row {
    let connector = loaded.value.as_ref();
    Row {
        name: name.to_owned(),
        title: connector.title.clone().unwrap_or_else(|| name.to_owned()),
        version: connector.version.clone(),
        origin: match loaded.origin {
            Origin::Embedded => "embedded".to_owned(),
            Origin::File => loaded.source.path().display().to_string(),
        },
        actions: connector.actions.keys().cloned().collect(),
        triggers: connector.triggers.keys().cloned().collect(),
    }
}

fn describe(inputs: &Inputs) -> Vec<Input> {
    let shown = inputs.iter().filter(|(_, input)| input.visibility != Some(Visibility::Internal));
    let described = shown.map(|(name, input)| {
        let text = |keyword: &str| input.schema.get(keyword).and_then(Value::as_str).map(str::to_owned);
        let title = match (text("title"), text("description")) {
            (Some(title), Some(description)) => Some(format!("{title}: {description}")),
            (title, description) => title.or(description),
        };
        Input {
            name: name.clone(),
            kind: kind(input),
            required: input.required,
            secret: input.secret,
            default: input.default_value().cloned(),
            title,
        }
    });
    described.collect()
}

fn kind(input: &manifest::Input) -> String {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let names = match input.schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(word).collect::<Vec<_>>().join(" or "),
        Some(name) => word(name).unwrap_or_default(),
        None => "any".to_owned(),
    };
    let values = input.schema.get("enum").and_then(Value::as_array);
    let listed = values.map(|values| values.iter().map(shown).collect::<Vec<_>>().join(", "));
    match listed.or_else(|| input.schema.get("format").and_then(word)) {
        Some(more) => format!("{names} ({more})"),
        None => names,
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn effect(effect: &Effect) -> &'static str {
    match effect {
        Effect::Plain(PlainEffect::Read) => "read",
        Effect::Plain(PlainEffect::Natural) => "natural",
        Effect::Plain(PlainEffect::None) => "none",
        Effect::Classed(ClassedEffect::Key { .. }) => "key",
        Effect::Classed(ClassedEffect::Lookup { .. }) => "lookup",
    }
}
