//! Scalars typed by the JSON Schema that they meet: an unquoted `007` is text where text is asked for and a
//! number where a number is. Called for inputs at load, by `check`, and when a flow is compiled.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Inputs, Source};
use crate::yaml;

/// How often `$ref` is followed before a schema counts as saying nothing.
const MAX_REFERENCES: usize = 16;

/// The value with every unquoted scalar in it retyped by the schema that it meets. `pointer` is where the value
/// stands in `source`; `schemas` are what `#/schemas/<name>` refers to. What fits no type that the schema names
/// keeps its canonical one, for validation to complain about; templates and quoted text are left alone.
pub fn typed(
    value: &Value,
    schema: &Value,
    source: &Source,
    pointer: &str,
    schemas: &BTreeMap<String, Value>,
) -> Value {
    let reader = Reader { source, schemas };
    reader.value(value, &[schema], pointer)
}

/// Types the `default`, `const`, `enum` and `examples` of inputs by the inputs' own schemas.
pub fn type_inputs(inputs: &mut Inputs, source: &Source, pointer: &str, schemas: &BTreeMap<String, Value>) {
    for (name, input) in inputs {
        let pointer = format!("{pointer}/{}", escape(name));
        let mut plain = input.schema.clone();
        plain.retain(|keyword, _| !matches!(keyword.as_str(), "enum" | "const"));
        let plain = Value::Object(plain);
        for keyword in ["default", "const"] {
            if let Some(value) = input.schema.get_mut(keyword) {
                let place = format!("{pointer}/{keyword}");
                *value = typed(value, &plain, source, &place, schemas);
            }
        }
        for keyword in ["enum", "examples"] {
            if let Some(Value::Array(values)) = input.schema.get_mut(keyword) {
                for (index, value) in values.iter_mut().enumerate() {
                    let place = format!("{pointer}/{keyword}/{index}");
                    *value = typed(value, &plain, source, &place, schemas);
                }
            }
        }
    }
}

/// A key as a segment of a JSON pointer (RFC 6901).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

struct Reader<'a> {
    source: &'a Source,
    schemas: &'a BTreeMap<String, Value>,
}

impl<'a> Reader<'a> {
    fn value(&self, value: &Value, schemas: &[&'a Value], pointer: &str) -> Value {
        let mut forms = Vec::new();
        for schema in schemas {
            self.collect(schema, &mut forms, 0);
        }
        match value {
            Value::Object(members) => {
                let members = members.iter().map(|(key, member)| {
                    let schemas = member_schemas(&forms, key);
                    let place = format!("{pointer}/{}", escape(key));
                    (key.clone(), self.value(member, &schemas, &place))
                });
                Value::Object(members.collect::<Map<_, _>>())
            }
            Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let schemas = item_schemas(&forms, index);
                    self.value(item, &schemas, &format!("{pointer}/{index}"))
                });
                Value::Array(items.collect())
            }
            scalar => match self.source.plain_text(pointer) {
                Some(text) if !text.contains("{{") && !yaml::is_null(text) => {
                    scalar_by(text, &forms).unwrap_or_else(|| scalar.clone())
                }
                _ => scalar.clone(),
            },
        }
    }

    /// The schema and every schema that it is made of: references, alternatives, conjunctions.
    fn collect(&self, schema: &'a Value, forms: &mut Vec<&'a Value>, depth: usize) {
        if depth > MAX_REFERENCES || !schema.is_object() {
            return;
        }
        forms.push(schema);
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(name) = reference.and_then(|text| text.strip_prefix("#/schemas/"))
            && let Some(target) = self.schemas.get(name)
        {
            self.collect(target, forms, depth + 1);
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            for part in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.collect(part, forms, depth + 1);
            }
        }
        for keyword in ["then", "else"] {
            if let Some(part) = schema.get(keyword) {
                self.collect(part, forms, depth + 1);
            }
        }
    }
}

fn member_schemas<'a>(forms: &[&'a Value], key: &str) -> Vec<&'a Value> {
    let found = forms.iter().filter_map(|form| {
        let named = form.get("properties").and_then(|members| members.get(key));
        named.or_else(|| form.get("additionalProperties"))
    });
    found.collect()
}

fn item_schemas<'a>(forms: &[&'a Value], index: usize) -> Vec<&'a Value> {
    let found = forms.iter().filter_map(|form| {
        let placed = form.get("prefixItems").and_then(|items| items.get(index));
        placed.or_else(|| form.get("items"))
    });
    found.collect()
}

/// The value of an unquoted text where these schemas are met; none where they do not say or it fits none.
fn scalar_by(text: &str, forms: &[&Value]) -> Option<Value> {
    let canonical = yaml::canonical(text);
    let as_text = Value::from(text);
    let listed: Vec<&Value> = forms
        .iter()
        .flat_map(|form| {
            let listed = form.get("enum").and_then(Value::as_array);
            listed.into_iter().flatten().chain(form.get("const"))
        })
        .collect();
    if let Some(value) = [&canonical, &as_text].into_iter().find(|value| listed.contains(value)) {
        return Some(value.clone());
    }
    let types: BTreeSet<&str> = forms
        .iter()
        .filter_map(|form| form.get("type"))
        .flat_map(|names| match names {
            Value::String(name) => vec![name.as_str()],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        })
        .collect();
    by_types(text, canonical, |name| types.contains(name))
}

/// The value of an unquoted text where only some types are asked for: its canonical one if it is among them,
/// else text, else a number written in another way (`007`, `+5`, `1e3`).
pub(super) fn by_types(text: &str, canonical: Value, is_asked: impl Fn(&str) -> bool) -> Option<Value> {
    let fits = |value: &Value| match value {
        Value::Bool(_) => is_asked("boolean"),
        Value::Number(number) => is_asked("number") || (is_asked("integer") && is_whole(number)),
        _ => false,
    };
    if fits(&canonical) {
        return Some(canonical);
    }
    if is_asked("string") {
        return Some(Value::from(text));
    }
    yaml::number(text).map(Value::Number).filter(fits)
}

fn is_whole(number: &serde_json::Number) -> bool {
    number.is_i64() || number.is_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, schema: Value) -> Value {
        let mut source = Source::new([("a.yaml".into(), text.into())]);
        source.set_root(yaml::parse(text, 0).root.unwrap());
        let value = crate::manifest::validate::free(source.root().unwrap());
        let schemas = BTreeMap::from([("phone".to_owned(), json!({"type": "string"}))]);
        typed(&value, &schema, &source, "", &schemas)
    }

    #[test]
    fn scalars_take_the_type_that_they_meet() {
        let text = json!({"type": "string"});
        for (written, schema, value) in [
            ("123", text.clone(), json!("123")),
            ("1.10", text.clone(), json!("1.10")),
            ("true", text.clone(), json!("true")),
            ("no", text.clone(), json!("no")),
            ("'5'", json!({"type": "integer"}), json!("5")),
            ("007", json!({"type": "integer"}), json!(7)),
            ("+5", json!({"type": "integer"}), json!(5)),
            ("1.5", json!({"type": "integer"}), json!(1.5)),
            ("1e3", json!({"type": "number"}), json!(1000.0)),
            ("5", json!({"type": "number"}), json!(5)),
            ("5", json!({"type": ["string", "integer"]}), json!(5)),
            ("05", json!({"type": ["string", "integer"]}), json!("05")),
            ("5", json!({"enum": ["5", "6"]}), json!("5")),
            ("5", json!({"enum": [5, 6]}), json!(5)),
            ("yes", json!({"type": "boolean"}), json!("yes")),
            ("null", text.clone(), json!(null)),
            ("5", json!({}), json!(5)),
            ("5", json!({"$ref": "#/schemas/phone"}), json!("5")),
            ("5", json!({"anyOf": [{"type": "string"}, {"type": "array"}]}), json!("5")),
            ("[1, 02]", json!({"items": {"type": "string"}}), json!(["1", "02"])),
            ("{a: 1, b: 2}", json!({"properties": {"a": {"type": "string"}}}), json!({"a": "1", "b": 2})),
            ("{a/b: 1}", json!({"additionalProperties": {"type": "string"}}), json!({"a/b": "1"})),
        ] {
            assert_eq!(read(written, schema.clone()), value, "{written} {schema}");
        }
    }
}
