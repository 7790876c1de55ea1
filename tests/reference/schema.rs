//! The schemas of an OpenAPI 3.0 document as JSON Schema. That version writes schemas in a dialect of draft 4;
//! its own word `nullable` is said in JSON Schema's words here.

use jsonschema::Draft;
use serde_json::{Value, json};

/// The schemas of one document.
pub struct Schemas {
    components: Value,
}

impl Schemas {
    /// Takes what the document's references lead to.
    pub fn new(document: &Value) -> Schemas {
        let mut components = document["components"].clone();
        say_nullable(&mut components);
        Schemas { components }
    }

    /// What a schema says against a value.
    pub fn wrong(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut schema = schema.clone();
        say_nullable(&mut schema);
        // References begin at the root, so the components are put there.
        let root = json!({"components": self.components, "allOf": [schema]});
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .offline()
            .should_validate_formats(true)
            .with_format("date-time-rfc-2822", is_rfc2822)
            .build(&root)
            .unwrap();
        validator.iter_errors(value).map(|error| format!("at `{}` {error}", error.instance_path())).collect()
    }

    /// A schema by its name.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.components["schemas"].get(name)
    }

    /// What a reference leads to; anything else is itself.
    pub fn target<'a>(&'a self, described: &'a Value) -> &'a Value {
        match described["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix("#/components").unwrap();
                self.target(self.components.pointer(pointer).unwrap())
            }
            None => described,
        }
    }

    /// A text as the type that the schema asks for; as text where it is not of that type.
    pub fn typed(&self, schema: &Value, value: &str) -> Value {
        let typed = match self.target(schema)["type"].as_str() {
            Some("integer" | "number" | "boolean") => serde_json::from_str(value).ok(),
            _ => None,
        };
        typed.unwrap_or_else(|| json!(value))
    }

    /// The elements of a list.
    pub fn typed_list(&self, schema: &Value, values: &[&str]) -> Value {
        values.iter().map(|value| self.typed(&schema["items"], value)).collect()
    }
}

fn is_rfc2822(text: &str) -> bool {
    jiff::fmt::rfc2822::parse(text).is_ok()
}

fn say_nullable(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(say_nullable);
            if members.remove("nullable") == Some(json!(true)) {
                let schema = value.take();
                *value = json!({"anyOf": [{"type": "null"}, schema]});
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(say_nullable),
        _ => {}
    }
}

#[test]
fn nullable_values_may_be_null() {
    let document = json!({"components": {"schemas": {"Name": {"type": "string", "nullable": true}}}});
    let schemas = Schemas::new(&document);
    let list = json!({"type": "array", "items": {"$ref": "#/components/schemas/Name"}});
    assert_eq!(schemas.wrong(&list, &json!([null, "a"])), Vec::<String>::new());
    assert_eq!(schemas.wrong(&list, &json!([1])).len(), 1);
}
