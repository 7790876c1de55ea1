//! Numbers. Integers are exact and never turn into fractions by themselves; what does not fit 64 bits is an
//! error, not a rounded value.

use serde_json::{Number, Value};

use super::super::error::{Error, a_type};
use super::signature::{many, one, optional};
use super::{Arguments, Helper, Signature, Type, logic};

const A_AND_B: &[super::Parameter] = &[one("a", Type::Number), one("b", Type::Number)];
const MANY: &[super::Parameter] = &[one("a", Type::Number), many("b", Type::Number)];
const ANY_LIST: &[super::Parameter] = &[many("value", Type::Any)];
const A: &[super::Parameter] = &[one("number", Type::Number)];

pub(super) const HELPERS: &[Helper] = &[
    Helper::function(Signature::new("add", MANY, Type::Number, "the sum of numbers"), |a| {
        fold(a, i128::checked_add, |x, y| x + y)
    }),
    Helper::function(
        Signature::new("sum", &[one("list", Type::Array)], Type::Number, "the sum of an array's numbers"),
        sum,
    ),
    Helper::function(Signature::new("subtract", A_AND_B, Type::Number, "a less b"), |a| {
        fold(a, i128::checked_sub, |x, y| x - y)
    }),
    Helper::function(Signature::new("multiply", MANY, Type::Number, "the product of numbers"), |a| {
        fold(a, i128::checked_mul, |x, y| x * y)
    }),
    Helper::function(
        Signature::new("divide", A_AND_B, Type::Number, "a divided by b; an integer where it comes out even"),
        divide,
    ),
    Helper::function(
        Signature::new(
            "modulo",
            A_AND_B,
            Type::Number,
            "the remainder of a divided by b; never negative for a positive b",
        ),
        modulo,
    ),
    Helper::function(
        Signature::new(
            "round",
            &[one("number", Type::Number), optional("places", Type::Integer)],
            Type::Number,
            "rounded to an integer, or to places after the point; halves away from zero",
        ),
        round,
    ),
    Helper::function(Signature::new("floor", A, Type::Integer, "the next integer below"), |a| whole(a, f64::floor)),
    Helper::function(Signature::new("ceil", A, Type::Integer, "the next integer above"), |a| whole(a, f64::ceil)),
    Helper::function(
        Signature::new("min", ANY_LIST, Type::Any, "the least of several values, or of an array's elements"),
        |a| extreme(a, std::cmp::Ordering::is_lt),
    ),
    Helper::function(
        Signature::new("max", ANY_LIST, Type::Any, "the greatest of several values, or of an array's elements"),
        |a| extreme(a, std::cmp::Ordering::is_gt),
    ),
    Helper::function(
        Signature::new("number", &[one("value", Type::Text)], Type::Number, "text read as a number; a number as it is"),
        number,
    ),
    Helper::function(
        Signature::new(
            "integer",
            &[one("value", Type::Text)],
            Type::Integer,
            "text read as an integer; a number without fraction as it is",
        ),
        integer,
    ),
];

/// A number to compute with: exact, or not.
#[derive(Clone, Copy)]
enum Quantity {
    Whole(i128),
    Fraction(f64),
}

impl Quantity {
    fn of(number: &Number) -> Self {
        match number.as_i128() {
            Some(whole) => Quantity::Whole(whole),
            None => Quantity::Fraction(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    // An integer that meets a fraction is rounded to its precision.
    fn to_float(self) -> f64 {
        match self {
            Quantity::Whole(whole) => whole as f64,
            Quantity::Fraction(fraction) => fraction,
        }
    }
}

fn sum(a: &Arguments<'_>) -> Result<Value, Error> {
    let mut result = Quantity::Whole(0);
    for (index, element) in a.array(0)?.iter().enumerate() {
        let Value::Number(number) = element else {
            return Err(a.fail(format!("element {index} is {}, not a number", a_type(element))));
        };
        result = joined(a, result, Quantity::of(number), i128::checked_add, |x, y| x + y)?;
    }
    value(a, result)
}

fn quantity(a: &Arguments<'_>, position: usize) -> Result<Quantity, Error> {
    match a.value(position) {
        Value::Number(number) => Ok(Quantity::of(number)),
        _ => Err(a.mistyped(position, Type::Number)),
    }
}

fn fold(
    a: &Arguments<'_>,
    exact: fn(i128, i128) -> Option<i128>,
    rounded: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let mut result = quantity(a, 0)?;
    for position in 1..a.count() {
        result = joined(a, result, quantity(a, position)?, exact, rounded)?;
    }
    value(a, result)
}

/// Two numbers made one: exactly where both are whole.
fn joined(
    a: &Arguments<'_>,
    x: Quantity,
    y: Quantity,
    exact: fn(i128, i128) -> Option<i128>,
    rounded: fn(f64, f64) -> f64,
) -> Result<Quantity, Error> {
    match (x, y) {
        (Quantity::Whole(x), Quantity::Whole(y)) => exact(x, y).map(Quantity::Whole).ok_or_else(|| out_of_range(a)),
        (x, y) => Ok(Quantity::Fraction(rounded(x.to_float(), y.to_float()))),
    }
}

fn divide(a: &Arguments<'_>) -> Result<Value, Error> {
    match (quantity(a, 0)?, quantity(a, 1)?) {
        (_, y) if y.to_float() == 0.0 => Err(a.fail("a number cannot be divided by zero")),
        (Quantity::Whole(x), Quantity::Whole(y)) if x % y == 0 => value(a, Quantity::Whole(x / y)),
        (x, y) => value(a, Quantity::Fraction(x.to_float() / y.to_float())),
    }
}

fn modulo(a: &Arguments<'_>) -> Result<Value, Error> {
    match (quantity(a, 0)?, quantity(a, 1)?) {
        (_, y) if y.to_float() == 0.0 => Err(a.fail("a number cannot be divided by zero")),
        (Quantity::Whole(x), Quantity::Whole(y)) => value(a, Quantity::Whole(x.rem_euclid(y))),
        (x, y) => value(a, Quantity::Fraction(x.to_float().rem_euclid(y.to_float()))),
    }
}

fn round(a: &Arguments<'_>) -> Result<Value, Error> {
    let places = a.integer_if_given(1)?.unwrap_or(0);
    let places = i32::try_from(places).ok().filter(|places| (0..=15).contains(places));
    let places = places.ok_or_else(|| a.fail("`places` has to be 0 to 15"))?;
    match quantity(a, 0)? {
        Quantity::Whole(whole) => value(a, Quantity::Whole(whole)),
        Quantity::Fraction(fraction) if places == 0 => from_float(a, fraction.round()),
        Quantity::Fraction(fraction) => {
            let scale = 10_f64.powi(places);
            let scaled = (fraction * scale).round() / scale;
            // A number too large to be scaled has no places to round.
            let rounded = if scaled.is_finite() { scaled } else { fraction };
            value(a, Quantity::Fraction(rounded))
        }
    }
}

fn whole(a: &Arguments<'_>, round: fn(f64) -> f64) -> Result<Value, Error> {
    match quantity(a, 0)? {
        Quantity::Whole(whole) => value(a, Quantity::Whole(whole)),
        Quantity::Fraction(fraction) => from_float(a, round(fraction)),
    }
}

fn extreme(a: &Arguments<'_>, wins: fn(std::cmp::Ordering) -> bool) -> Result<Value, Error> {
    let candidates: Vec<&Value> = match (a.count(), a.value(0)) {
        (1, Value::Array(elements)) => elements.iter().collect(),
        _ => a.present().collect(),
    };
    let mut candidates = candidates.into_iter();
    let mut best = candidates.next().ok_or_else(|| a.fail("an empty array has no such element"))?;
    for candidate in candidates {
        if wins(logic::order(candidate, best).map_err(|message| a.fail(message))?) {
            best = candidate;
        }
    }
    Ok(best.clone())
}

fn number(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = match a.value(0) {
        Value::Number(number) => return Ok(Value::Number(number.clone())),
        Value::String(text) => text.trim(),
        _ => return Err(a.mistyped(0, Type::Text)),
    };
    if let Ok(whole) = text.parse::<i128>() {
        return value(a, Quantity::Whole(whole));
    }
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(fraction) if is_decimal => value(a, Quantity::Fraction(fraction)),
        _ => Err(a.fail(format!("{} is not a number", a.expression(0)))),
    }
}

fn integer(a: &Arguments<'_>) -> Result<Value, Error> {
    let number = number(a)?;
    match &number {
        Value::Number(found) => match Quantity::of(found) {
            Quantity::Whole(_) => Ok(number),
            Quantity::Fraction(fraction) if fraction.fract() == 0.0 => from_float(a, fraction),
            Quantity::Fraction(_) => {
                Err(a.fail(format!("{} has a fraction", a.expression(0))).with_help("write `round`, `floor` or `ceil`"))
            }
        },
        _ => Ok(number),
    }
}

/// A float without fraction as an integer.
// The cast saturates, and what saturates is refused as out of range.
fn from_float(a: &Arguments<'_>, float: f64) -> Result<Value, Error> {
    if float.is_finite() { value(a, Quantity::Whole(float as i128)) } else { Err(out_of_range(a)) }
}

fn value(a: &Arguments<'_>, quantity: Quantity) -> Result<Value, Error> {
    let number = match quantity {
        Quantity::Whole(whole) => {
            i64::try_from(whole).map(Number::from).or_else(|_| u64::try_from(whole).map(Number::from)).ok()
        }
        Quantity::Fraction(fraction) => Number::from_f64(fraction),
    };
    number.map(Value::Number).ok_or_else(|| out_of_range(a))
}

fn out_of_range(a: &Arguments<'_>) -> Error {
    a.fail("the result does not fit a 64-bit number")
}
