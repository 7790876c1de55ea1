//! What one schema among alternatives allows, and how that is said in words.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::duration;

/// What may stand here, in words.
pub fn wanted(forms: &[&Value]) -> String {
    let listed: Vec<&str> = forms.iter().flat_map(|form| words(form)).collect();
    let mut wanted: Vec<String> = listed.iter().map(|word| format!("`{word}`")).collect();
    let mut seen = BTreeSet::new();
    for form in forms.iter().filter(|form| words(form).is_empty()) {
        for name in types(form) {
            let description = match name {
                "string" if form.get("pattern").is_some_and(|text| text == duration::PATTERN) => {
                    "a length of time such as 30s, 15m or 1h30m".to_owned()
                }
                "string" => "text".to_owned(),
                "integer" if has_type(form, "number") => continue,
                "integer" => "a whole number".to_owned(),
                "number" => "a number".to_owned(),
                "boolean" => "`true` or `false`".to_owned(),
                "array" => "a list".to_owned(),
                _ => match form.get("required").and_then(|keys| keys.get(0)).and_then(Value::as_str) {
                    Some(key) => format!("a mapping with `{key}`"),
                    None => "a mapping".to_owned(),
                },
            };
            if seen.insert(description.clone()) {
                wanted.push(description);
            }
        }
    }
    match wanted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "left out".to_owned(),
    }
}

/// Whether it says nothing about what may stand here.
pub fn is_free(schema: &Value) -> bool {
    let says = ["type", "enum", "const", "properties"];
    *schema == Value::Bool(true) || (schema.is_object() && says.iter().all(|keyword| schema.get(*keyword).is_none()))
}

/// The types that it names.
pub fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether it names a type.
pub fn has_type(schema: &Value, name: &str) -> bool {
    types(schema).contains(&name)
}

/// The words that a schema lists.
pub fn words(schema: &Value) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Value::as_array);
    let listed = listed.into_iter().flatten().chain(schema.get("const"));
    listed.filter_map(Value::as_str).collect()
}

/// The schema of a named member.
pub fn property<'a>(form: &'a Value, key: &str) -> Option<&'a Value> {
    form.get("properties").and_then(|properties| properties.get(key))
}

/// The names of the members that are named.
pub fn property_names(form: &Value) -> impl Iterator<Item = &str> {
    let properties = form.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
}

/// The schema of members that are not named; none where there can be no others.
pub fn other_members(form: &Value) -> Option<&Value> {
    const ANYTHING: &Value = &Value::Bool(true);
    match form.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(schema) => Some(schema),
        None => Some(ANYTHING),
    }
}

/// The key whose one word tells this form from the others.
pub fn tag(form: &Value) -> Option<&str> {
    let properties = form.get("properties").and_then(Value::as_object)?;
    let tag = properties.iter().find(|(_, schema)| schema.get("const").is_some());
    tag.map(|(name, _)| name.as_str())
}

/// The least or greatest number, from its keyword or from the number's format.
pub fn bound(schema: &Value, keyword: &str) -> Option<i128> {
    let written = schema.get(keyword).and_then(Value::as_i64).map(i128::from);
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    written.or(match (keyword, format) {
        ("maximum", "uint8") => Some(i128::from(u8::MAX)),
        ("maximum", "uint16") => Some(i128::from(u16::MAX)),
        ("maximum", "uint32") => Some(i128::from(u32::MAX)),
        ("maximum", "int64") => Some(i128::from(i64::MAX)),
        _ => None,
    })
}

/// `a`, `b` or `c`
pub fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
