//! Reads a JSON Schema as a type: references, choices and conjunctions become one [`Type`].

use std::collections::BTreeMap;
use std::ops::BitOr;
use std::sync::Arc;

use serde_json::Value;

use super::types::{Kinds, Member, Type};

/// How deep schemas are followed before a value counts as unknown: bounds what a recursive schema costs.
const DEPTH: usize = 24;

impl Type {
    /// What a JSON Schema says; `definitions` are what `#/schemas/<name>` refers to. What it does not say, and
    /// what lies beyond a reference to itself, is unknown.
    pub fn of_schema(schema: &Value, definitions: &BTreeMap<String, Value>) -> Type {
        let mut lowering = Lowering { definitions, open_references: Vec::new() };
        lowering.lower(schema, 0)
    }
}

struct Lowering<'a> {
    definitions: &'a BTreeMap<String, Value>,
    open_references: Vec<&'a str>,
}

impl<'a> Lowering<'a> {
    fn lower(&mut self, schema: &'a Value, depth: usize) -> Type {
        let Some(words) = schema.as_object() else {
            return Type::any();
        };
        if depth > DEPTH {
            return Type::any();
        }
        if let Some(name) = words.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/schemas/")) {
            let Some((name, target)) = self.definitions.get_key_value(name) else {
                return Type::any();
            };
            if self.open_references.contains(&name.as_str()) {
                return Type::any();
            }
            self.open_references.push(name);
            let lowered = self.lower(target, depth + 1);
            self.open_references.pop();
            return lowered;
        }
        let mut found = self.plain(words, depth);
        for keyword in ["oneOf", "anyOf"] {
            if let Some(choices) = words.get(keyword).and_then(Value::as_array) {
                let choice =
                    choices.iter().map(|choice| self.lower(choice, depth + 1)).reduce(|left, right| left.or(&right));
                found = both(found, choice.unwrap_or_else(Type::any));
            }
        }
        for part in words.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            let part = self.lower(part, depth + 1);
            found = both(found, part);
        }
        found
    }

    fn plain(&mut self, words: &'a serde_json::Map<String, Value>, depth: usize) -> Type {
        let required: Vec<&str> =
            words.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let members: BTreeMap<String, Member> = words
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let member = Member { of: self.lower(schema, depth + 1), required: required.contains(&name.as_str()) };
                (name.clone(), member)
            })
            .collect();
        // A schema that lists properties is taken at its word: services add members, but a template that reads
        // one that the schema does not know is a slip far more often than not. `additionalProperties` opens it.
        let open = match words.get("additionalProperties") {
            Some(Value::Bool(open)) => *open,
            Some(_) => true,
            None => members.is_empty(),
        };
        let element = words.get("items").map(|items| Arc::new(self.lower(items, depth + 1)));
        Type { kinds: kinds(words), members: Arc::new(members), open, element }
    }
}

fn kinds(words: &serde_json::Map<String, Value>) -> Kinds {
    let named = |value: &Value| value.as_str().and_then(Kinds::named).unwrap_or(Kinds::NONE);
    match words.get("type") {
        Some(Value::String(_)) => words.get("type").map_or(Kinds::ANY, named),
        Some(Value::Array(names)) => names.iter().map(named).fold(Kinds::NONE, Kinds::bitor),
        _ => match (words.get("const"), words.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => Kinds::of(value),
            (None, Some(values)) => values.iter().map(Kinds::of).fold(Kinds::NONE, Kinds::bitor),
            (None, None) if words.contains_key("properties") => Kinds::OBJECT,
            (None, None) if words.contains_key("items") => Kinds::ARRAY,
            (None, None) => Kinds::ANY,
        },
    }
}

/// A value that is of both types at once.
fn both(left: Type, right: Type) -> Type {
    let kinds = left.kinds.and(right.kinds);
    let (left_open, right_open) = (left.open, right.open);
    let silent = |one: &Type| one.members.is_empty() && one.open;
    let open = match (silent(&left), silent(&right)) {
        (true, _) => right_open,
        (_, true) => left_open,
        _ => left_open || right_open,
    };
    let mut members = Arc::unwrap_or_clone(left.members);
    for (name, member) in right.members.iter() {
        members
            .entry(name.clone())
            .and_modify(|known| {
                *known = Member {
                    of: both(known.of.clone(), member.of.clone()),
                    required: known.required || member.required,
                };
            })
            .or_insert_with(|| member.clone());
    }
    Type { kinds, members: Arc::new(members), open, element: left.element.or(right.element) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::types::Found;
    use serde_json::json;

    fn of(schema: Value) -> Type {
        Type::of_schema(&schema, &BTreeMap::new())
    }

    #[test]
    fn a_choice_has_the_members_of_each_and_requires_those_of_all() {
        let choice = of(json!({"oneOf": [
            {"type": "object", "required": ["id", "text"], "properties": {"id": {"type": "string"}, "text": {"type": "string"}}},
            {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
        ]}));
        let Found::Member(id) = choice.member("id") else { panic!("id is missing") };
        assert!(id.required);
        assert_eq!(id.of.kinds, Kinds::STRING | Kinds::INTEGER);
        let Found::Member(text) = choice.member("text") else { panic!("text is missing") };
        assert!(!text.required);
        assert_eq!(choice.member("other"), Found::Missing);
    }

    #[test]
    fn parts_add_up() {
        let all = of(json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}},
            {"type": "object", "required": ["a"], "properties": {"b": {"type": "integer"}}}
        ]}));
        assert!(matches!(all.member("a"), Found::Member(member) if member.of.kinds == Kinds::STRING));
        assert!(matches!(all.member("b"), Found::Member(_)));
        assert_eq!(all.member("c"), Found::Missing);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let definitions = BTreeMap::from([(
            "node".to_owned(),
            json!({"type": "object", "properties": {"next": {"$ref": "#/schemas/node"}}}),
        )]);
        let node = Type::of_schema(&json!({"$ref": "#/schemas/node"}), &definitions);
        let Found::Member(next) = node.member("next") else { panic!("next is missing") };
        assert!(next.of.is_any());
    }

    #[test]
    fn nothing_is_certain_of_a_value_that_may_be_null() {
        let perhaps =
            of(json!({"type": ["object", "null"], "required": ["a"], "properties": {"a": {"type": "string"}}}));
        assert!(matches!(perhaps.member("a"), Found::Member(member) if !member.required));
    }

    #[test]
    fn open_schemas_allow_anything() {
        assert_eq!(of(json!({"type": "object"})).member("a"), Found::Unknown);
        assert_eq!(
            of(json!({"type": "object", "properties": {"a": {}}, "additionalProperties": true})).member("b"),
            Found::Unknown
        );
        assert_eq!(of(json!({"type": "string"})).member("a"), Found::Scalar);
    }
}
