//! The JSON Schemas of the three kinds of file, made from the Rust types: what `validate` reads by, and what
//! editors read from `schemas/`.

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::Value;

use super::{Connector, Flow};
use crate::settings::Settings;

/// The three schemas.
#[derive(Debug)]
pub struct Schemas {
    /// Of `connectors/<name>.yaml`.
    pub connector: Value,
    /// Of `flows/<name>.yaml`.
    pub flow: Value,
    /// Of `tidegate.yaml`.
    pub settings: Value,
}

impl Schemas {
    /// Makes them; about a millisecond of work.
    pub fn new() -> Self {
        Schemas {
            connector: of::<Connector>("A Tidegate connector"),
            flow: of::<Flow>("A Tidegate flow"),
            settings: of::<Settings>("Tidegate's settings"),
        }
    }
}

impl Default for Schemas {
    fn default() -> Self {
        Schemas::new()
    }
}

/// The files of `schemas/`: name and text.
pub fn generate() -> Vec<(String, String)> {
    let Schemas { connector, flow, settings } = Schemas::new();
    [("connector", connector), ("flow", flow), ("settings", settings)]
        .into_iter()
        .map(|(name, schema)| (format!("{name}.schema.json"), format!("{schema:#}\n")))
        .collect()
}

fn of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// A key that may be left out is not a key that may be null: an empty one is a slip, and is told.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
        forms.retain(|form| form.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = forms.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only);
        }
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_schemas_are_the_types() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        for (name, text) in generate() {
            let path = folder.join(&name);
            if std::env::var_os("TIDEGATE_UPDATE").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(written == text, "schemas/{name} is stale: run the tests once with TIDEGATE_UPDATE=1");
        }
    }

    #[test]
    fn the_schemas_are_schemas() {
        for (name, text) in generate() {
            let schema: Value = serde_json::from_str(&text).unwrap();
            assert!(jsonschema::meta::is_valid(&schema), "{name}");
            assert!(!text.contains("\"type\": \"null\""), "{name} lets null through");
        }
    }
}
