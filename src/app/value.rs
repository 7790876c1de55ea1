//! Values as a person writes them on a command line, typed by the schema that they are for: the rules of the
//! files, but without their traps where text alone is asked for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Error, Result};
use crate::manifest::typed::typed;
use crate::manifest::validate;
use crate::manifest::{Inputs, Source, diagnostic};
use crate::yaml;

/// A value for a schema; `schemas` are what `#/schemas/<name>` refers to. Text where the schema asks for
/// nothing else (`@acme`, `#tide`, `+4179...` stay what they are), else YAML: `[a, b]`, `{a: 1}`, `5`, `true`.
pub fn read(text: &str, schema: &Value, schemas: &BTreeMap<String, Value>) -> Value {
    if is_text_alone(schema) {
        return Value::from(text);
    }
    let parsed = yaml::parse(text, 0);
    let Some(root) = parsed.root.filter(|_| parsed.problems.is_empty()) else {
        return Value::from(text);
    };
    let value = validate::free(&root);
    if value.is_null() && text.trim() != "null" {
        // All of it was a comment to YAML: `#tide`.
        return Value::from(text);
    }
    let mut source = Source::new([("the command line".into(), text.into())]);
    source.set_root(root);
    typed(&value, schema, &source, "", schemas)
}

/// One value, or of several texts a list. A text is a list of one where the schema asks for a list alone and the
/// text is none.
pub fn read_all(texts: &[&str], schema: &Value, schemas: &BTreeMap<String, Value>) -> Value {
    let element = schema.get("items").unwrap_or(&Value::Null);
    match texts {
        [text] => match read(text, schema, schemas) {
            value if value.is_array() || schema.get("type").is_none_or(|name| name != "array") => value,
            _ => Value::Array(vec![read(text, element, schemas)]),
        },
        several => several.iter().map(|text| read(text, element, schemas)).collect(),
    }
}

/// `name=value` pairs for inputs; a name that is given again makes a list.
///
/// # Errors
/// `input_syntax`, `input_unknown` with a did-you-mean.
pub fn pairs(given: &[String], inputs: &Inputs, schemas: &BTreeMap<String, Value>) -> Result<Map<String, Value>> {
    let mut texts: Vec<(&str, Vec<&str>)> = Vec::new();
    for pair in given {
        let (name, text) = split(pair)?;
        match texts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, more)) => more.push(text),
            None => texts.push((name, vec![text])),
        }
    }
    let mut values = Map::new();
    for (name, texts) in texts {
        let input = inputs.get(name).ok_or_else(|| unknown(name, inputs))?;
        let schema = Value::Object(input.schema.clone());
        values.insert(name.to_owned(), read_all(&texts, &schema, schemas));
    }
    Ok(values)
}

/// The inputs in a JSON value.
///
/// # Errors
/// `input_syntax` for anything but an object.
pub fn object(json: Value) -> Result<Map<String, Value>> {
    match json {
        Value::Object(members) => Ok(members),
        Value::Null => Ok(Map::new()),
        _ => Err(Error::usage("input_syntax", "the inputs must be one JSON object")
            .with_help("write for example '{\"query\": \"#tidegate\"}'")),
    }
}

/// The name and the text of `name=value`.
pub fn split(pair: &str) -> Result<(&str, &str)> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        Error::usage("input_syntax", format!("`{pair}` is no `name=value`"))
            .with_help("write for example query='#tidegate'")
    })
}

fn describe(inputs: &Inputs) -> String {
    let names: Vec<String> = inputs
        .iter()
        .map(|(name, input)| if input.required { format!("{name} (required)") } else { name.clone() })
        .collect();
    match names.is_empty() {
        true => "it takes no inputs".to_owned(),
        false => format!("its inputs: {}", names.join(", ")),
    }
}

fn unknown(name: &str, inputs: &Inputs) -> Error {
    let help = match diagnostic::did_you_mean(name, inputs.keys().map(String::as_str)) {
        Some(close) => format!("did you mean `{close}`?"),
        None => describe(inputs),
    };
    Error::usage("input_unknown", format!("there is no input `{name}`")).with_help(help)
}

fn is_text_alone(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "string")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_typed_by_what_they_are_for() {
        let none = BTreeMap::new();
        for (text, schema, value) in [
            ("+41791234567", json!({"type": "string"}), json!("+41791234567")),
            ("#tide", json!({"type": "string"}), json!("#tide")),
            ("[a, b]", json!({"type": "string"}), json!("[a, b]")),
            ("#tide", json!({}), json!("#tide")),
            ("007", json!({"type": "integer"}), json!(7)),
            ("true", json!({"type": "boolean"}), json!(true)),
            ("[+41, '5']", json!({"type": "array", "items": {"type": "string"}}), json!(["+41", "5"])),
            ("+4179", json!({"type": ["string", "array"]}), json!("+4179")),
            ("{a: 1", json!({"type": ["string", "object"]}), json!("{a: 1")),
        ] {
            assert_eq!(read(text, &schema, &none), value, "{text} {schema}");
        }
    }

    #[test]
    fn what_is_given_again_or_alone_is_a_list_where_one_is_asked_for() {
        let phones = json!({"type": "array", "items": {"type": "string"}});
        let none = BTreeMap::new();
        for (texts, schema, value) in [
            (vec!["+41", "+42"], phones.clone(), json!(["+41", "+42"])),
            (vec!["+41"], phones.clone(), json!(["+41"])),
            (vec!["[+41]"], phones, json!(["+41"])),
            (vec!["+41"], json!({"type": "string"}), json!("+41")),
            (vec!["1", "2"], json!({"type": "string"}), json!([1, 2])),
        ] {
            assert_eq!(read_all(&texts, &schema, &none), value, "{texts:?}");
        }
    }

    #[test]
    fn pairs_are_inputs() {
        let inputs: Inputs = serde_json::from_value(json!({
            "to": {"type": ["string", "array"], "items": {"type": "string"}, "required": true},
            "limit": {"type": "integer"}
        }))
        .unwrap();
        let none = BTreeMap::new();
        let given = |pairs_given: &[&str]| {
            let given: Vec<String> = pairs_given.iter().map(|pair| (*pair).to_owned()).collect();
            pairs(&given, &inputs, &none).map(Value::Object)
        };
        assert_eq!(given(&["to=+1", "limit=5", "to=+2"]).unwrap(), json!({"to": ["+1", "+2"], "limit": 5}));
        assert_eq!(given(&["to=a=b"]).unwrap(), json!({"to": "a=b"}));
        assert_eq!(given(&["to"]).unwrap_err().code, "input_syntax");
        let unknown = given(&["limti=5"]).unwrap_err();
        assert_eq!((unknown.code.as_str(), unknown.help.as_deref()), ("input_unknown", Some("did you mean `limit`?")));
    }
}
