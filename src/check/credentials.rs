//! Whether a step's connection has credentials that the action takes: known from the fields that are given, whatever
//! their values are.

use std::collections::BTreeSet;

use super::findings::{Findings, below};
use crate::manifest::Connector;
use crate::manifest::composite::action_name;
use crate::manifest::connector::{Action, Auth};
use crate::settings::Connection;
use crate::template::{Segment, Template};

/// How deep composites are looked into: one that calls itself is reported where it stands.
const DEEPEST: usize = 8;

/// Warns at `pointer`, the step's, where the connection `name` can sign requests, but none of this action. One that is
/// in the store is not looked at: it was tested when it was made.
pub fn credentials(
    findings: &mut Findings<'_>,
    pointer: &str,
    (written, connector, action): (&str, &Connector, &Action),
    (name, connection): (&str, &Connection),
) {
    let schemes = &connector.connection.auth;
    let has = |scheme: &str| schemes.get(scheme).is_some_and(|auth| lacking(connector, connection, auth).is_empty());
    if connection.is_stored || !schemes.keys().any(|scheme| has(scheme)) {
        return;
    }
    let Some(taken) = first_untaken(connector, action, &has, DEEPEST) else { return };
    let lacks = taken.iter().filter_map(|scheme| {
        let lacking = lacking(connector, connection, schemes.get(*scheme)?);
        Some(format!("`{scheme}` needs {}", lacking.into_iter().collect::<Vec<_>>().join(", ")))
    });
    let lacks: Vec<String> = lacks.collect();
    let message = format!("the connection `{name}` has no credentials that `{written}` takes: {}", lacks.join("; "));
    findings.warning("auth_missing", &below(pointer, "action"), message, "give the fields of one of them");
}

/// The schemes that an action takes, where none of them can be used; of a composite, those of the first of its steps
/// of which that is so and that is always done.
fn first_untaken<'a>(
    connector: &'a Connector,
    action: &'a Action,
    has: &dyn Fn(&str) -> bool,
    deep: usize,
) -> Option<Vec<&'a str>> {
    let Some(steps) = &action.steps else {
        let taken = [&action.auth, &connector.defaults.auth].into_iter().find(|auth| !auth.is_empty())?;
        let taken: Vec<&str> = taken.as_slice().iter().map(String::as_str).collect();
        return (action.builtin.is_none() && !taken.iter().any(|scheme| has(scheme))).then_some(taken);
    };
    let always = steps.iter().filter(|step| step.condition.is_none());
    let called = always.filter_map(|step| action_name(step.action.as_deref()?, Some(&connector.connector)));
    let own = called.filter(|(name, _)| *name == connector.connector);
    let mut found = own.filter_map(|(_, name)| connector.actions.get(name));
    let deeper = deep.checked_sub(1)?;
    found.find_map(|inner| first_untaken(connector, inner, has, deeper))
}

/// The fields that a scheme cannot do without and that are not given.
fn lacking(connector: &Connector, connection: &Connection, auth: &Auth) -> BTreeSet<String> {
    let is_given = |field: &str| {
        let declared = connector.connection.fields.get(field);
        connection.fields.contains_key(field) || declared.is_some_and(|declared| declared.default_value().is_some())
    };
    // What a sign-in gives need not be among the fields.
    let by_sign_in = |member: &str| {
        matches!(auth, Auth::Oauth1 { sign_in: Some(_), .. }) && matches!(member, "/token" | "/token_secret")
    };
    let mut lacking = BTreeSet::new();
    for (member, text) in auth.texts() {
        let Ok(template) = Template::compile(&text) else { continue };
        for read in template.reads().iter().filter(|read| !read.forgiving && read.root() == "connection") {
            if let Some(Segment::Key(field)) = read.path.get(1)
                && !is_given(field)
                && !by_sign_in(&member)
            {
                lacking.insert(field.clone());
            }
        }
    }
    lacking
}
