//! What an action takes and gives once its parts are merged into it, as types. Everything that reads `item` or
//! `steps.<id>.output` is typed from here.

use serde_json::Value;

use super::types::{Kinds, Member, Type};
use crate::manifest::connector::{Action, Format, Part};
use crate::manifest::{Connector, Inputs};
use crate::template::{Form, Template};

/// What an action takes and gives.
pub struct Shape {
    /// Its own inputs and those of its parts.
    pub inputs: Inputs,
    /// One record: what a trigger that polls it calls an item.
    pub record: Type,
    /// What a step that calls it has as its output.
    pub output: Type,
    /// The named schema of a record, where it is one.
    pub schema_name: Option<String>,
}

/// The parts that an action takes, in its order; unknown ones are left out.
pub fn parts<'a>(connector: &'a Connector, action: &'a Action) -> Vec<(&'a str, &'a Part)> {
    let names = action.uses.as_slice().iter();
    names.filter_map(|name| connector.parts.get(name).map(|part| (name.as_str(), part))).collect()
}

/// What an action takes and gives.
pub fn shape(connector: &Connector, action: &Action) -> Shape {
    let parts = parts(connector, action);
    let mut inputs = action.inputs.clone();
    for (_, part) in &parts {
        for (name, input) in &part.inputs {
            inputs.entry(name.clone()).or_insert_with(|| input.clone());
        }
    }
    let responses: Vec<_> =
        std::iter::once(&action.response).chain(parts.iter().map(|(_, part)| &part.response)).collect();
    let schema = responses.iter().find_map(|response| response.schema.as_ref());
    let format = responses.iter().find_map(|response| response.format).unwrap_or_default();
    let mut record = match (schema, format) {
        (Some(schema), _) => Type::of_schema(schema, &connector.schemas),
        (None, Format::Text) => Type::text(),
        (None, Format::Binary) => saved(),
        (None, Format::Json | Format::Any) => Type::any(),
    };
    if record.can_be(Kinds::OBJECT) && !record.is_any() {
        // What the schema says of a member that is joined or set is taken at its word.
        let expanded = responses.iter().flat_map(|response| &response.expand);
        for name in expanded.map(|expand| &expand.into).filter(|name| !name.contains('.')) {
            record = with_unless_known(record, name, Member::perhaps(Type::any()));
        }
        for (name, value) in responses.iter().flat_map(|response| &response.set) {
            record = with_unless_known(record, name, made(value));
        }
        for name in responses.iter().flat_map(|response| response.remove.as_slice()) {
            record = record.without(name);
        }
    }
    let paginates = action.paginate.is_some() || parts.iter().any(|(_, part)| part.paginate.is_some());
    let many = responses.iter().find_map(|response| response.many).unwrap_or(paginates);
    let output = match (&action.foreach, many) {
        _ if action.is_composite() => record.clone(),
        (Some(_), _) => partial_result(),
        (None, true) => Type::list(record.clone()),
        (None, false) => record.clone(),
    };
    let schema_name = schema.and_then(|schema| schema.get("$ref")).and_then(Value::as_str).map(str::to_owned);
    Shape { inputs, record, output, schema_name }
}

/// The inputs as a template reads them: one with a default is always there.
pub fn inputs_type(inputs: &Inputs, connector_schemas: &std::collections::BTreeMap<String, Value>) -> Type {
    let mut of = Type::object([]);
    for (name, input) in inputs {
        let member = Member {
            of: Type::of_schema(&Value::Object(input.schema.clone()), connector_schemas),
            required: input.required || input.default_value().is_some(),
        };
        of = of.with(name, member);
    }
    of
}

/// What an action with `foreach` gives: `{status, results}`.
fn partial_result() -> Type {
    Type::object([("status", Member::always(Type::text())), ("results", Member::always(Type::list(Type::any())))])
}

/// What an answer that became a file gives.
fn saved() -> Type {
    let text = || Member::always(Type::text());
    Type::object([("path", text()), ("bytes", Member::always(Type::any())), ("type", text()), ("sha256", text())])
}

fn with_unless_known(record: Type, name: &str, member: Member) -> Type {
    if record.members.contains_key(name) { record } else { record.with(name, member) }
}

/// What `set` puts into a record, as far as its words alone tell.
fn made(value: &Value) -> Member {
    let Value::String(text) = value else {
        return Member::always(Type::any());
    };
    match Template::compile(text) {
        Ok(template) => match template.expression().map(|shape| &shape.form) {
            Some(Form::Call(call)) if matches!(call.helper.signature.name, "maybe" | "coalesce") => {
                Member::perhaps(Type::any())
            }
            Some(_) => Member::always(Type::any()),
            None => Member::always(Type::text()),
        },
        Err(_) => Member::perhaps(Type::any()),
    }
}
