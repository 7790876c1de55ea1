//! A package from a project: the flows that were chosen, the project's own connectors that they use, and their
//! connections, of which every secret becomes a prompt.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Kind, Package, Prompt, invalid};
use crate::app::project::flow_unknown;
use crate::app::{Project, Result, deploy};
use crate::manifest::{Origin, validate};
use crate::settings::{Connection, Source};

/// What is exported.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The package's name.
    pub name: String,
    /// The flows; all of them where none is named.
    pub flows: Vec<String>,
}

/// The package as YAML.
///
/// # Errors
/// `flow_unknown`, `package_invalid`.
pub fn export(project: &Project, choice: &Choice) -> Result<String> {
    let catalog = &project.catalog;
    let mut package = Package { package: choice.name.clone(), ..Package::default() };
    let own = catalog.flows.iter().filter(|(_, loaded)| loaded.origin == Origin::File);
    let flows: Vec<String> = match choice.flows.is_empty() {
        true => own.map(|(name, _)| name.clone()).collect(),
        false => choice.flows.clone(),
    };
    for name in &flows {
        let known = || catalog.flows.keys().map(String::as_str);
        let loaded = catalog.flows.get(name).ok_or_else(|| flow_unknown(name, known()))?;
        let root = loaded.source.root().ok_or_else(|| invalid(&format!("the file of flow `{name}` has errors")))?;
        package.flows.insert(name.clone(), validate::free(root));
        for connector in deploy::connectors_of(&loaded.value, &project.connectors()) {
            if let Some(connection) = deploy::connection_of(catalog, name, &connector)
                && let Some(account) = catalog.settings.value.connections.get(&connection)
            {
                let written = exported(project, &connection, account, &mut package.prompts);
                package.connections.insert(connection, written);
            }
            if let Some(loaded) = catalog.connectors.get(&connector).filter(|loaded| loaded.origin == Origin::File)
                && let Ok(value) = serde_json::to_value(loaded.value.as_ref())
            {
                package.connectors.insert(connector, value);
            }
        }
    }
    let value = serde_json::to_value(&package).map_err(|error| invalid(&error.to_string()))?;
    serde_yaml::to_string(&value).map_err(|error| invalid(&error.to_string()))
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
