//! Lists and objects. Nothing is changed in place: every helper gives a new value.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::super::error::{Error, closest};
use super::signature::{any_number, one, optional};
use super::{Arguments, Helper, Signature, Type, logic};
use crate::formats;

/// The longest list that `range` makes.
const MAX_RANGE: i128 = 10_000;

const LIST: &[super::Parameter] = &[one("list", Type::Array)];
const VALUE: &[super::Parameter] = &[one("value", Type::Any)];
const OBJECT: &[super::Parameter] = &[one("object", Type::Object)];

pub(super) const HELPERS: &[Helper] = &[
    Helper::function(
        Signature::new("len", VALUE, Type::Integer, "how many characters, elements or members a value has; measure='tweet' counts as X does, 'sms' counts segments").with_options(&[optional("measure", Type::String)]),
        len,
    ),
    Helper::function(Signature::new("is_empty", VALUE, Type::Boolean, "whether a value is null, absent, or has no characters, elements or members"), |a| Ok(Value::Bool(is_empty(a)?))),
    Helper::function(Signature::new("not_empty", VALUE, Type::Boolean, "whether a value has characters, elements or members"), |a| Ok(Value::Bool(!is_empty(a)?))),
    Helper::function(Signature::new("first", LIST, Type::Any, "the first element, or null"), |a| Ok(a.array(0)?.first().cloned().unwrap_or_default())),
    Helper::function(Signature::new("last", LIST, Type::Any, "the last element, or null"), |a| Ok(a.array(0)?.last().cloned().unwrap_or_default())),
    Helper::function(Signature::new("pluck", &[one("list", Type::Array), one("key", Type::String)], Type::Array, "one key of every element; dots lead into objects"), pluck),
    Helper::function(Signature::new("where_eq", &[one("list", Type::Array), one("key", Type::String), one("value", Type::Any)], Type::Array, "the elements of which a key equals a value"), where_eq),
    Helper::function(Signature::new("unique", LIST, Type::Array, "the elements without repeats, in their order; with by='key' one element per value of that key, and all that have none").with_options(&[optional("by", Type::String)]), unique),
    Helper::function(
        Signature::new("sort", LIST, Type::Array, "the elements in order, by='key' by one of their keys, order='desc' the other way round; those without it come last").with_options(&[optional("by", Type::String), optional("order", Type::String)]),
        sort,
    ),
    Helper::function(Signature::new("reverse", LIST, Type::Array, "the elements from the last to the first"), |a| Ok(a.array(0)?.iter().rev().cloned().collect())),
    Helper::function(Signature::new("flatten", LIST, Type::Array, "the elements of the arrays in an array"), flatten),
    Helper::function(Signature::new("range", &[one("start", Type::Integer), one("end", Type::Integer)], Type::Array, "the integers from start up to but without end; at most 10,000"), range),
    Helper::function(Signature::new("array", &[any_number("value", Type::Any)], Type::Array, "an array of the values; absent ones are left out"), |a| Ok(a.present().cloned().collect())),
    Helper::function(Signature::new("object", &[], Type::Object, "an object of the named arguments; absent ones are left out").with_options(&[optional("*", Type::Any)]), |a| {
        Ok(Value::Object(a.members().map(|(name, value)| (name.to_owned(), value.clone())).collect()))
    }),
    Helper::function(Signature::new("merge", &[any_number("object", Type::Object)], Type::Object, "the members of all objects; of those of one name the last counts"), merge),
    Helper::function(Signature::new("keys", OBJECT, Type::Array, "the keys of an object"), |a| Ok(a.object(0)?.keys().map(|key| Value::from(key.as_str())).collect())),
    Helper::function(Signature::new("values", OBJECT, Type::Array, "the values of an object"), |a| Ok(a.object(0)?.values().cloned().collect())),
    Helper::function(Signature::new("get", &[one("whole", Type::Any), one("key", Type::Text)], Type::Any, "the member or element that a computed key names"), get),
];

fn len(a: &Arguments<'_>) -> Result<Value, Error> {
    let measure = a.choice("measure", &["characters", "tweet", "sms"])?;
    let length = match a.value(0) {
        Value::String(text) => match formats::measure(measure, text) {
            Some(length) => length,
            None => text.graphemes(true).count(),
        },
        Value::Array(elements) => elements.len(),
        Value::Object(members) => members.len(),
        _ => return Err(a.mistyped(0, Type::Array)),
    };
    Ok(Value::from(length))
}

fn is_empty(a: &Arguments<'_>) -> Result<bool, Error> {
    match a.value(0) {
        Value::Null => Ok(true),
        Value::String(text) => Ok(text.is_empty()),
        Value::Array(elements) => Ok(elements.is_empty()),
        Value::Object(members) => Ok(members.is_empty()),
        Value::Bool(_) | Value::Number(_) => Err(a.mistyped(0, Type::Array)),
    }
}

fn pluck(a: &Arguments<'_>) -> Result<Value, Error> {
    let key = a.string(1)?;
    let elements = a.array(0)?.iter().enumerate();
    elements
        .map(|(index, element)| member(element, key).cloned().ok_or_else(|| lacking(a, index, element, key)))
        .collect()
}

fn where_eq(a: &Arguments<'_>) -> Result<Value, Error> {
    let (key, wanted) = (a.string(1)?, a.value(2));
    let mut found = Vec::new();
    for element in a.array(0)? {
        if let Some(value) = member(element, key)
            && logic::equal(value, wanted).map_err(|message| a.fail(message))?
        {
            found.push(element.clone());
        }
    }
    Ok(found.into())
}

fn unique(a: &Arguments<'_>) -> Result<Value, Error> {
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for (key, element) in by_key(a)? {
        if key.is_none_or(|key| seen.insert(canonical(key))) {
            kept.push(element.clone());
        }
    }
    Ok(kept.into())
}

fn sort(a: &Arguments<'_>) -> Result<Value, Error> {
    let descending = a.choice("order", &["asc", "desc"])? == "desc";
    let mut keyed = by_key(a)?;
    let mut failure = None;
    keyed.sort_by(|(one, _), (other, _)| {
        let (Some(one), Some(other)) = (one, other) else {
            return one.is_none().cmp(&other.is_none());
        };
        let order = logic::order(one, other).unwrap_or_else(|message| {
            failure.get_or_insert(message);
            Ordering::Equal
        });
        if descending { order.reverse() } else { order }
    });
    match failure {
        Some(message) => Err(a.fail(message)),
        None => Ok(keyed.into_iter().map(|(_, element)| element.clone()).collect()),
    }
}

fn flatten(a: &Arguments<'_>) -> Result<Value, Error> {
    let mut flat = Vec::new();
    for element in a.array(0)? {
        match element {
            Value::Array(inner) => flat.extend(inner.iter().cloned()),
            other => flat.push(other.clone()),
        }
    }
    Ok(flat.into())
}

fn range(a: &Arguments<'_>) -> Result<Value, Error> {
    let (start, end) = (a.integer(0)?, a.integer(1)?);
    if i128::from(end) - i128::from(start) > MAX_RANGE {
        return Err(Error::too_large(format!("`range` gives at most {MAX_RANGE} numbers")));
    }
    Ok((start..end).map(Value::from).collect())
}

fn merge(a: &Arguments<'_>) -> Result<Value, Error> {
    let mut merged = Map::new();
    for position in 0..a.count() {
        merged.extend(a.object(position)?.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(Value::Object(merged))
}

fn get(a: &Arguments<'_>) -> Result<Value, Error> {
    let key = a.text(1)?;
    let found = match a.value(0) {
        Value::Array(elements) => key.parse::<usize>().ok().and_then(|index| elements.get(index)),
        Value::Object(members) => members.get(key.as_ref()),
        _ => return Err(a.mistyped(0, Type::Object)),
    };
    found.cloned().ok_or_else(|| {
        // The key may be data: it is not repeated.
        let message = format!("`get`: {} has no member that {} names", a.expression(0), a.expression(1));
        Error::new("template_missing_path", message).with_help("write `maybe (get …)` where it may be missing")
    })
}

/// The member that dotted keys lead to.
fn member<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    key.split('.').try_fold(value, |value, part| match value {
        Value::Object(members) => members.get(part),
        Value::Array(elements) => elements.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The elements, each with what it is told apart by: itself, or what it has at `by=`, unless that is null or absent. A
/// key that none of several has is a mistake.
fn by_key<'a>(a: &'a Arguments<'_>) -> Result<Vec<(Option<&'a Value>, &'a Value)>, Error> {
    let by = a.text_option("by")?;
    let elements = a.array(0)?;
    let Some(key) = by else {
        return Ok(elements.iter().map(|element| (Some(element), element)).collect());
    };
    let known: Vec<_> = elements.iter().map(|element| (member(element, key), element)).collect();
    match known.as_slice() {
        [(None, first), _, ..] if known.iter().all(|(value, _)| value.is_none()) => Err(lacking(a, 0, first, key)),
        _ => Ok(known.into_iter().map(|(value, element)| (value.filter(|value| !value.is_null()), element)).collect()),
    }
}

fn lacking(a: &Arguments<'_>, index: usize, element: &Value, key: &str) -> Error {
    let name = a.call.helper.signature.name;
    let message = format!("`{name}`: element {index} of {} has no `{key}`", a.expression(0));
    let error = Error::new("template_missing_path", message);
    let members = element.as_object().map(|members| members.keys().map(String::as_str));
    match members.and_then(|keys| closest(key, keys)) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// A value as text in which the order of members does not matter.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            let members: Map<String, Value> =
                sorted.into_iter().map(|(key, value)| (key.clone(), Value::from(canonical(value)))).collect();
            format!("object {}", Value::Object(members))
        }
        Value::Array(elements) => {
            format!("array {}", elements.iter().map(|element| Value::from(canonical(element))).collect::<Value>())
        }
        scalar => scalar.to_string(),
    }
}
