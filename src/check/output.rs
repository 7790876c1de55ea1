//! What becomes of an action's output beyond its records: values put into them, the connector's shapes, the
//! tables that people see; and who can use the action at all.

use serde_json::{Map, Value};

use super::expressions;
use super::findings::{Findings, below, suggestion};
use super::scope::Scope;
use super::selectors::{of_record, selector};
use super::types::Type;
use crate::manifest::Connector;
use crate::manifest::connector::{Action, Expand, Refusal};

/// The shapes of a connector. What a record of a shape has depends on who sent it, so paths are not known.
pub fn shapes(findings: &mut Findings<'_>, connector: &Connector) {
    let scope = Scope::new().with("record", Type::any()).with("inputs", Type::any());
    for (name, shape) in &connector.shapes {
        let pointer = below("/shapes", name);
        expands(findings, connector, &pointer, &shape.expand, &Type::any());
        for (member, value) in &shape.set {
            expressions::tree(findings, &scope, &below(&below(&pointer, "set"), member), value);
        }
    }
}

/// The name of a shape.
pub fn shape(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, name: Option<&String>) {
    if let Some(name) = name
        && !connector.shapes.contains_key(name)
    {
        let help = suggestion(name, connector.shapes.keys().map(String::as_str));
        findings.error("unknown_shape", pointer, format!("there is no shape `{name}`"), help);
    }
}

/// Values put into a record.
pub fn expands(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, expands: &[Expand], record: &Type) {
    for (position, expand) in expands.iter().enumerate() {
        let pointer = format!("{pointer}/expand/{position}");
        for (name, path) in [("list", &expand.list), ("key", &expand.key)] {
            if let Some(path) = path {
                selector(findings, &below(&pointer, name), path);
            }
        }
        for (name, path) in [("by", &expand.by), ("from", &expand.from)] {
            if let Some(path) = path {
                of_record(findings, &below(&pointer, name), path, record);
            }
        }
        shape(findings, connector, &below(&pointer, "shape"), expand.shape.as_ref());
        let join = [&expand.list, &expand.key, &expand.by].into_iter().flatten().count();
        if !(join == 3 || join == 0 && expand.from.is_some()) {
            findings.error(
                "expand_incomplete",
                &pointer,
                "it is not said where this value comes from",
                "write `from`, or `list`, `key` and `by` together",
            );
        }
    }
}

/// The tables of an action.
pub fn tables(findings: &mut Findings<'_>, pointer: &str, action: &Action) {
    let tables = action.table.as_slice();
    for (position, table) in tables.iter().enumerate() {
        let place = if tables.len() == 1 { pointer.to_owned() } else { below(pointer, position) };
        if let Some(rows) = &table.rows {
            selector(findings, &below(&place, "rows"), rows);
        }
        for (heading, path) in &table.columns {
            selector(findings, &below(&below(&place, "columns"), heading), path.as_str().unwrap_or_default());
        }
    }
}

/// Inputs that do not go together.
pub fn refusals(findings: &mut Findings<'_>, pointer: &str, refusals: &[Refusal], scope: &Scope) {
    for (position, refusal) in refusals.iter().enumerate() {
        expressions::condition(findings, scope, &format!("{pointer}/{position}/when"), &refusal.when);
    }
}

/// What somebody who uses an action at `pointer` should know before it is refused.
pub fn availability(
    findings: &mut Findings<'_>,
    pointer: &str,
    written: &str,
    action: &Action,
    given: &Map<String, Value>,
) {
    for one in action.availability.as_slice().iter().filter(|one| one.concerns(given)) {
        let help = "`tidegate call` shows whether your account can";
        let message = format!("`{written}` is not for every account: {}", one.sentence().trim_end_matches('.'));
        if one.is_rare() {
            findings.warning("availability_limited", pointer, message, help);
        } else {
            findings.note("availability_limited", pointer, message, None);
        }
    }
}
