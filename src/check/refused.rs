//! What an action refuses of a step whose inputs are written out: its `refuse` rules, where all that one reads is
//! known before anything runs. What the step leaves out is known where its connection is.

use serde_json::{Map, Value};

use super::expressions::holds_template;
use super::findings::{Findings, below};
use super::inputs::Validator;
use super::names::needs_connection;
use super::shapes::parts;
use crate::manifest::connector::Action;
use crate::manifest::connector::restriction::RestrictedAction;
use crate::manifest::typed::typed;
use crate::manifest::{Connector, Inputs};
use crate::settings::{Connection, Source};
use crate::template::{Expression, Read, Scope, Segment};

/// A step's call of an action.
#[derive(Clone, Copy)]
pub struct Called<'a> {
    /// As the step names it.
    pub name: &'a str,
    pub connector: &'a Connector,
    pub action: &'a Action,
    /// Its own inputs and those of its parts.
    pub inputs: &'a Inputs,
    /// What the step gives it.
    pub with: &'a Map<String, Value>,
    /// None where it is not known.
    pub connection: Option<&'a Connection>,
}

/// Reports the first rule that will refuse what stands at `pointer`, the step's.
pub fn refused(findings: &mut Findings<'_>, pointer: &str, called: Called<'_>) {
    let shared = parts(called.connector, called.action).into_iter().flat_map(|(_, part)| &part.refuse);
    for rule in shared.chain(&called.action.refuse) {
        let Ok(when) = Expression::compile(&rule.when) else { continue };
        let Some(scope) = called.scope(findings, pointer, &when) else { continue };
        // What cannot be evaluated is told where the rule stands, or depends on the time.
        if when.is_true(&scope).is_ok_and(|is_true| is_true) {
            let place = if called.with.is_empty() { "action" } else { "with" };
            let message = format!("`{}` refuses this: {}", called.name, rule.message);
            findings.error("input_invalid", &below(pointer, place), message, rule.help.clone());
            return;
        }
    }
}

/// Reports inputs that are written out and that the connection's restrictions do not allow.
pub fn restricted(findings: &mut Findings<'_>, pointer: &str, called: Called<'_>) {
    let Some(connection) = called.connection else { return };
    let definitions = &called.connector.schemas;
    for (held, restricted) in called.held(connection) {
        for (name, input) in &restricted.inputs {
            let Some(value) = called.with.get(name).filter(|value| !holds_template(value)) else { continue };
            if called.is_made_anew(connection, name) {
                continue;
            }
            let schema = Value::Object(input.schema.clone());
            let place = below(&below(pointer, "with"), name);
            let value = typed(value, &schema, findings.source(), &place, definitions);
            // A schema that cannot be used is reported where it stands.
            let Ok(validator) = Validator::of_schema(&schema, definitions) else { continue };
            for problem in validator.problems_named(name, &value) {
                let help = format!("the connection is held to what `{held}` allows: see its `restrictions`");
                findings.error(problem.code, &format!("{place}{}", problem.pointer), problem.message, help);
            }
        }
    }
}

impl Called<'_> {
    /// What `when` reads; none where some of it is not known yet.
    fn scope(&self, findings: &Findings<'_>, pointer: &str, when: &Expression) -> Option<Scope> {
        let (mut inputs, mut fields) = (Map::new(), Map::new());
        for read in when.reads() {
            let (known, name) = match (read.root(), member(read)?) {
                ("inputs", name) => (&mut inputs, name),
                ("connection", name) => (&mut fields, name),
                _ => return None,
            };
            let value = match read.root() {
                "inputs" => self.input(findings, pointer, name, when)?,
                _ => self.field(name)?,
            };
            if !value.is_null() {
                known.insert(name.to_owned(), value);
            }
        }
        let mut scope = Scope::new();
        scope.set("inputs", Value::Object(inputs));
        scope.set("connection", Value::Object(fields));
        Some(scope)
    }

    /// An input's value, null where there will be none; none where that is not known.
    fn input(&self, findings: &Findings<'_>, pointer: &str, name: &str, when: &Expression) -> Option<Value> {
        let input = self.inputs.get(name)?;
        let schema = Value::Object(input.schema.clone());
        let given = self.with.get(name).filter(|value| !value.is_null());
        let (value, place) = match given {
            Some(value) => (Some(value), below(&below(pointer, "with"), name)),
            None => {
                let yields = input.yields_to.as_ref().is_some_and(|other| self.with.contains_key(other));
                let standing = match self.connection {
                    Some(connection) if self.is_made_anew(connection, name) => return None,
                    Some(connection) => connection.defaults.get(name).filter(|_| !yields),
                    None if needs_connection(self.connector) && !yields => return None,
                    None => None,
                };
                (standing.or_else(|| input.default_value()), String::new())
            }
        };
        let Some(value) = value else { return Some(Value::Null) };
        if holds_template(value) || is_seen_from_now(value, when) {
            return None;
        }
        if place.is_empty() {
            return Some(value.clone());
        }
        if self.connection.is_some_and(|connection| self.is_made_anew(connection, name)) {
            return None;
        }
        Some(typed(value, &schema, findings.source(), &place, &self.connector.schemas))
    }

    /// A field of the connection; none where its value is not in the settings.
    fn field(&self, name: &str) -> Option<Value> {
        let field = self.connector.connection.fields.get(name)?;
        match self.connection?.fields.get(name) {
            Some(Source::Value(value)) if !holds_template(value) => Some(value.clone()),
            Some(_) => None,
            None => match field.default_value() {
                Some(value) => (!holds_template(value)).then(|| value.clone()),
                None => Some(Value::Null),
            },
        }
    }

    /// Whether what the connection is held to changes an input before it is looked at.
    fn is_made_anew(&self, connection: &Connection, input: &str) -> bool {
        self.held(connection).any(|(_, restricted)| restricted.set.contains_key(input))
    }

    /// What the connection is held to for this action, by name.
    fn held<'c>(&'c self, connection: &'c Connection) -> impl Iterator<Item = (&'c str, &'c RestrictedAction)> {
        let mut actions = self.connector.actions.iter();
        let name = actions.find(|(_, action)| std::ptr::eq(*action, self.action)).map(|(name, _)| name);
        connection
            .restrictions
            .as_slice()
            .iter()
            .filter_map(move |held| Some((held.as_str(), self.connector.restrictions.get(held)?.actions.get(name?)?)))
    }
}

fn member(read: &Read) -> Option<&str> {
    match read.path.get(1) {
        Some(Segment::Key(name)) => Some(name),
        _ => None,
    }
}

/// A time such as `3 days ago` is another one when the step runs, so rules that reckon with times do not know it.
fn is_seen_from_now(value: &Value, when: &Expression) -> bool {
    let reckons = ["epoch", "date"].iter().any(|word| when.source().contains(word));
    let is_moment = |text: &str| text.trim_start().starts_with(|first: char| first.is_ascii_digit());
    reckons && value.as_str().is_some_and(|text| !is_moment(text) || text.contains("ago"))
}
