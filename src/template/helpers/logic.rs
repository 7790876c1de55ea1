//! Comparison and logic. Strings and numbers never equal one another silently: a comparison of different types
//! is an error, except with null, which equals only itself.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::super::error::{Error, a_type};
use super::signature::{many, one, optional};
use super::{Arguments, Helper, Signature, Special, Type};

const A_AND_B: &[super::Parameter] = &[one("a", Type::Any), one("b", Type::Any)];
const TEXTS: &[super::Parameter] = &[one("text", Type::Text), one("part", Type::Text)];

pub(super) const HELPERS: &[Helper] = &[
    Helper::function(
        Signature::new(
            "eq",
            A_AND_B,
            Type::Boolean,
            "whether two values are equal; a string and a number are an error",
        ),
        |a| equal_arguments(a).map(Value::Bool),
    ),
    Helper::function(
        Signature::new("ne", A_AND_B, Type::Boolean, "whether two values differ; a string and a number are an error"),
        |a| Ok(Value::Bool(!equal_arguments(a)?)),
    ),
    Helper::function(
        Signature::new(
            "gt",
            A_AND_B,
            Type::Boolean,
            "whether a is greater than b: numbers, strings of digits of any length by their value, other strings by their characters",
        ),
        |a| ordered(a, Ordering::is_gt),
    ),
    Helper::function(
        Signature::new("gte", A_AND_B, Type::Boolean, "whether a is greater than b or equal to it"),
        |a| ordered(a, Ordering::is_ge),
    ),
    Helper::function(Signature::new("lt", A_AND_B, Type::Boolean, "whether a is less than b"), |a| {
        ordered(a, Ordering::is_lt)
    }),
    Helper::function(Signature::new("lte", A_AND_B, Type::Boolean, "whether a is less than b or equal to it"), |a| {
        ordered(a, Ordering::is_le)
    }),
    Helper::special(
        Signature::new(
            "and",
            &[many("condition", Type::Boolean)],
            Type::Boolean,
            "whether all conditions hold; stops at the first that does not",
        ),
        Special::And,
    ),
    Helper::special(
        Signature::new(
            "or",
            &[many("condition", Type::Boolean)],
            Type::Boolean,
            "whether a condition holds; stops at the first that does",
        ),
        Special::Or,
    ),
    Helper::special(
        Signature::new("not", &[one("condition", Type::Boolean)], Type::Boolean, "whether the condition does not hold"),
        Special::Not,
    ),
    Helper::special(
        Signature::new(
            "if",
            &[one("condition", Type::Boolean), one("then", Type::Any), optional("otherwise", Type::Any)],
            Type::Any,
            "one value or the other; only the chosen one is evaluated",
        ),
        Special::If,
    ),
    Helper::special(
        Signature::new(
            "maybe",
            &[one("value", Type::Any)],
            Type::Any,
            "the value, or absent where it is missing or null",
        ),
        Special::Maybe,
    ),
    Helper::special(
        Signature::new(
            "default",
            &[one("value", Type::Any), one("otherwise", Type::Any)],
            Type::Any,
            "the value, or the other one where it is missing or null",
        ),
        Special::Default,
    ),
    Helper::special(
        Signature::new(
            "coalesce",
            &[many("value", Type::Any)],
            Type::Any,
            "the first value that is neither missing nor null, or absent",
        ),
        Special::Coalesce,
    ),
    Helper::function(
        Signature::new(
            "in",
            &[one("value", Type::Any), many("choice", Type::Any)],
            Type::Boolean,
            "whether the value is one of the choices, or an element of the array that is the only choice",
        ),
        is_in,
    ),
    Helper::function(
        Signature::new(
            "contains",
            &[one("whole", Type::Any), one("part", Type::Any)],
            Type::Boolean,
            "whether a text has a part, an array an element, or an object a key",
        ),
        contains,
    ),
    Helper::function(Signature::new("starts_with", TEXTS, Type::Boolean, "whether a text begins with a part"), |a| {
        Ok(Value::Bool(a.text(0)?.starts_with(a.text(1)?.as_ref())))
    }),
    Helper::function(Signature::new("ends_with", TEXTS, Type::Boolean, "whether a text ends with a part"), |a| {
        Ok(Value::Bool(a.text(0)?.ends_with(a.text(1)?.as_ref())))
    }),
    Helper::function(
        Signature::new(
            "matches",
            &[one("text", Type::Text), one("pattern", Type::Pattern)],
            Type::Boolean,
            "whether a regular expression finds something in a text",
        ),
        |a| Ok(Value::Bool(a.pattern(1)?.is_match(a.text(0)?.as_ref()))),
    ),
];

/// Whether two values are equal: numbers by value, whatever their form. The error names the types.
pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Ok(compare_numbers(a, b) == Some(Ordering::Equal)),
        (Value::Null, _) | (_, Value::Null) => Ok(a.is_null() && b.is_null()),
        _ if std::mem::discriminant(a) == std::mem::discriminant(b) => Ok(a == b),
        _ => Err(format!("{} and {} never equal one another", a_type(a), a_type(b))),
    }
}

/// The order of two numbers or two strings; strings of digits are numbers of any length.
pub(super) fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            compare_numbers(a, b).ok_or_else(|| "these numbers have no order".to_owned())
        }
        (Value::String(a), Value::String(b)) => Ok(match (digits(a), digits(b)) {
            (Some(a), Some(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            _ => a.cmp(b),
        }),
        _ => Err(format!("{} and {} have no order", a_type(a), a_type(b))),
    }
}

fn equal_arguments(a: &Arguments<'_>) -> Result<bool, Error> {
    equal(a.value(0), a.value(1)).map_err(|message| mixed(a, &message))
}

fn ordered(a: &Arguments<'_>, holds: fn(Ordering) -> bool) -> Result<Value, Error> {
    let order = order(a.value(0), a.value(1)).map_err(|message| mixed(a, &message))?;
    Ok(Value::Bool(holds(order)))
}

fn is_in(a: &Arguments<'_>) -> Result<Value, Error> {
    let listed = match (a.count(), a.value(1)) {
        (2, Value::Array(elements)) => return any_equal(a, elements.iter()),
        _ => (1..a.count()).map(|position| a.value(position)),
    };
    any_equal(a, listed)
}

fn any_equal<'v>(a: &Arguments<'_>, mut listed: impl Iterator<Item = &'v Value>) -> Result<Value, Error> {
    let found = listed.try_fold(false, |found, value| Ok::<_, String>(found || equal(a.value(0), value)?));
    found.map(Value::Bool).map_err(|message| mixed(a, &message))
}

fn contains(a: &Arguments<'_>) -> Result<Value, Error> {
    let part = a.value(1);
    match a.value(0) {
        Value::Array(elements) => {
            let found =
                elements.iter().try_fold(false, |found, element| Ok::<_, String>(found || equal(element, part)?));
            found.map(Value::Bool).map_err(|message| mixed(a, &message))
        }
        Value::Object(members) => Ok(Value::Bool(members.contains_key(a.text(1)?.as_ref()))),
        _ => Ok(Value::Bool(a.text(0)?.contains(a.text(1)?.as_ref()))),
    }
}

fn mixed(a: &Arguments<'_>, message: &str) -> Error {
    let error = Error::of_type(format!("`{}`: {message} ({})", a.call.helper.signature.name, a.expression(0)));
    error.with_help("write `number x` to read text as a number, or put a number in quotes to compare it as text")
}

/// Exact, also between a 64-bit integer and a fraction.
fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => compare_with_float(a, b.as_f64()?),
        (None, Some(b)) => compare_with_float(b, a.as_f64()?).map(Ordering::reverse),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

// The casts saturate, and the fraction decides what they cut off.
fn compare_with_float(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    let whole = float.trunc();
    Some(integer.cmp(&(whole as i128)).then_with(|| 0.0_f64.total_cmp(&(float - whole + 0.0))))
}

/// The digits of a text of digits, without leading zeros.
fn digits(text: &str) -> Option<&str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.trim_start_matches('0'))
}
