//! What an action that was not sent might have answered: a value of the shape that its connector describes,
//! so that the templates of later steps have something to read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::manifest::Connector;
use crate::manifest::connector::Action;

// Schemas may refer to themselves.
const DEPTH: usize = 6;

/// An answer of an action; an object without members where nothing is described.
pub fn answer(connector: &Connector, action: &Action) -> Value {
    let parts = action.uses.as_slice().iter().filter_map(|part| connector.parts.get(part));
    let mut schemas = std::iter::once(&action.response)
        .chain(parts.map(|part| &part.response))
        .filter_map(|response| response.schema.as_ref());
    match schemas.next() {
        Some(schema) => sample("", schema, &connector.schemas, DEPTH),
        None => Value::Object(Map::new()),
    }
}

fn sample(name: &str, schema: &Value, schemas: &BTreeMap<String, Value>, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/schemas/"));
    if let Some(target) = reference.and_then(|name| schemas.get(name)) {
        return sample(name, target, schemas, depth - 1);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        Some(name) => name.as_str(),
        None if schema.get("properties").is_some() => Some("object"),
        None => None,
    };
    match kind {
        Some("object") => {
            let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            members.map(|(name, member)| (name.clone(), sample(name, member, schemas, depth - 1))).collect()
        }
        Some("array") => Value::Array(Vec::new()),
        Some("integer" | "number") => Value::from(0),
        Some("boolean") => Value::from(false),
        Some("null") => Value::Null,
        _ => Value::from(format!("<{name}>")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn samples_have_the_shape_that_is_described() {
        let schemas = BTreeMap::from([(
            "user".to_owned(),
            json!({"type": "object", "properties": {"name": {"type": ["null", "string"]}, "friend": {"$ref": "#/schemas/user"}}}),
        )]);
        let schema = json!({"type": "object", "properties": {"id": {"type": "string"}, "count": {"type": "integer"}, "author": {"$ref": "#/schemas/user"}}});
        let sample = sample("", &schema, &schemas, DEPTH);
        assert_eq!(sample.pointer("/id"), Some(&json!("<id>")));
        assert_eq!(sample.pointer("/count"), Some(&json!(0)));
        assert_eq!(sample.pointer("/author/friend/name"), Some(&json!("<name>")));
    }
}
