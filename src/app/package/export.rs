//! A package from a project: the flows that were chosen, the project's own connectors that they use, and their
//! connections, of which every secret becomes a prompt.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Kind, Package, Prompt, invalid};
use crate::app::project::flow_unknown;
use crate::app::{Place, Project, Result, deploy, project};
use crate::manifest::{Input, Inputs, Origin, validate};
use crate::settings::{Connection, Source};

/// What is exported.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The package's name.
    pub name: String,
    /// The flows; all of them where none is named.
    pub flows: Vec<String>,
}

/// A package, and what is not in it.
#[derive(Clone, Debug, Default)]
pub struct Exported {
    /// The package.
    pub package: Package,
    /// Secret values of the project that whoever imports it has to give, in words.
    pub left_out: Vec<String>,
}

impl Exported {
    /// The package as a file of YAML.
    ///
    /// # Errors
    /// `package_invalid`.
    pub fn yaml(&self) -> Result<String> {
        let value = serde_json::to_value(&self.package).map_err(|error| invalid(&error.to_string()))?;
        serde_yaml::to_string(&value).map_err(|error| invalid(&error.to_string()))
    }
}

/// Puts a package together. Flows and connectors become files where it is imported, and files are not sealed: what
/// is secret in them is left out instead of asked for.
///
/// # Errors
/// `folder_missing`, `flow_unknown`, `package_invalid`.
pub fn export(place: &Place, choice: &Choice) -> Result<Exported> {
    project::folder(place)?;
    let project = &project::load(place);
    let catalog = &project.catalog;
    let mut package = Package { package: choice.name.clone(), ..Package::default() };
    let mut left_out = Vec::new();
    let own = catalog.flows.iter().filter(|(_, loaded)| loaded.origin == Origin::File);
    let flows: Vec<String> = match choice.flows.is_empty() {
        true => own.map(|(name, _)| name.clone()).collect(),
        false => choice.flows.clone(),
    };
    for name in &flows {
        let known = || catalog.flows.keys().map(String::as_str);
        let loaded = catalog.flows.get(name).ok_or_else(|| flow_unknown(name, known()))?;
        let root = loaded.source.root().ok_or_else(|| invalid(&format!("the file of flow `{name}` has errors")))?;
        let mut flow = validate::free(root);
        for input in without_defaults(flow.get_mut("inputs"), &loaded.value.inputs) {
            left_out.push(format!("the default of the secret input `{input}` of flow `{name}`"));
        }
        package.flows.insert(name.clone(), flow);
        for connector in deploy::connectors_of(&loaded.value, &project.connectors()) {
            if let Some(connection) = deploy::connection_of(catalog, name, &connector)
                && let Some(account) = catalog.settings.value.connections.get(&connection)
            {
                let mut written = exported(project, &connection, account, &mut package.prompts);
                written.defaults.retain(|input, _| {
                    let is_secret = inputs_of(project, &account.connector).any(|(name, of)| name == input && of.secret);
                    if is_secret {
                        left_out
                            .push(format!("the default of the secret input `{input}` in connection `{connection}`"));
                    }
                    !is_secret
                });
                package.connections.insert(connection, written);
            }
            if let Some(loaded) = catalog.connectors.get(&connector).filter(|loaded| loaded.origin == Origin::File)
                && let Ok(mut value) = serde_json::to_value(loaded.value.as_ref())
            {
                for field in without_defaults(value.pointer_mut("/connection/fields"), &loaded.value.connection.fields)
                {
                    left_out.push(format!("the default of the secret field `{field}` of connector `{connector}`"));
                }
                package.connectors.insert(connector, value);
            }
        }
    }
    left_out.sort();
    left_out.dedup();
    Ok(Exported { package, left_out })
}

/// Takes away the defaults of those that are secret, and names them.
fn without_defaults(written: Option<&mut Value>, declared: &Inputs) -> Vec<String> {
    let Some(written) = written else { return Vec::new() };
    let secret = declared.iter().filter(|(_, input)| input.secret);
    let taken = secret.filter(|(name, _)| {
        let one = written.get_mut(name.as_str()).and_then(Value::as_object_mut);
        one.and_then(|one| one.shift_remove("default")).is_some()
    });
    taken.map(|(name, _)| name.clone()).collect()
}

/// The inputs of all that a connector does.
fn inputs_of<'a>(project: &'a Project, connector: &str) -> impl Iterator<Item = (&'a String, &'a Input)> {
    let found = project.catalog.connectors.get(connector).map(|loaded| loaded.value.as_ref());
    found.into_iter().flat_map(|connector| {
        let own = connector.actions.values().flat_map(|action| &action.inputs);
        own.chain(connector.parts.values().flat_map(|part| &part.inputs))
    })
}

fn exported(project: &Project, name: &str, account: &Connection, prompts: &mut BTreeMap<String, Prompt>) -> Connection {
    let fields = project.catalog.connectors.get(&account.connector).map(|loaded| &loaded.value.connection.fields);
    let mut written = Connection { proxy: None, is_stored: false, ..account.clone() };
    for (field, source) in &mut written.fields {
        let input = fields.and_then(|fields| fields.get(field));
        let is_secret = input.is_none_or(|input| input.secret);
        let title = input.and_then(|input| input.schema.get("title")).and_then(Value::as_str);
        let default = match source {
            Source::Value(value) if !is_secret => Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            _ => None,
        };
        let prompt = format!("{name}_{field}").replace('-', "_");
        let asked = Prompt {
            kind: if is_secret { Kind::Secret } else { Kind::Text },
            title: title.map(|title| format!("{title} ({name})")),
            default,
            ..Prompt::default()
        };
        *source = Source::Value(Value::from(format!("{{{{prompts.{prompt}}}}}")));
        prompts.insert(prompt, asked);
    }
    written
}
