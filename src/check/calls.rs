//! The types of helper calls: what each takes and gives, and which comparisons can never hold. Pure; used by
//! `expressions`, which knows where the arguments stand.

use super::types::{Kinds, Type};
use crate::template::ExpressionShape;
use crate::template::helpers::{self, Signature};

/// One argument of a call.
pub struct Given<'a> {
    pub of: Type,
    /// Whether it may give nothing.
    pub absent: bool,
    pub shape: &'a ExpressionShape,
}

/// The kinds that a parameter takes.
pub fn accepted(kind: helpers::Type) -> Kinds {
    match kind.accepted() {
        [] => Kinds::ANY,
        names => names.iter().filter_map(|name| Kinds::named(name)).fold(Kinds::NONE, |all, one| all | one),
    }
}

/// What a call gives, and whether it may give nothing.
pub fn result(signature: &Signature, given: &[Given<'_>]) -> (Type, bool) {
    match (signature.name, given) {
        ("maybe", [value]) => (known(&value.of), true),
        ("default", [value, otherwise]) => (known(&value.of).or(&otherwise.of), otherwise.absent),
        ("coalesce", [.., last]) => {
            let of = given.iter().map(|value| known(&value.of)).reduce(|left, right| left.or(&right));
            (of.unwrap_or_else(Type::any), last.absent || last.of.can_be(Kinds::NULL))
        }
        ("if", [_, then, otherwise]) => (then.of.or(&otherwise.of), then.absent || otherwise.absent),
        ("if", [_, then]) => (then.of.clone(), true),
        _ => {
            let kinds = signature.result.produced().and_then(Kinds::named).unwrap_or(Kinds::ANY);
            (Type::of(kinds), false)
        }
    }
}

/// Why a comparison can never hold: which argument, what is wrong, what to do.
pub fn incomparable<'a>(helper: &str, given: &[Given<'a>]) -> Option<(&'a ExpressionShape, String, Option<String>)> {
    let (first, others) = given.split_first()?;
    match helper {
        "eq" | "ne" => others.iter().find_map(|other| differing(first, &other.of, other.shape)),
        "gt" | "gte" | "lt" | "lte" => {
            let ordered = Kinds::NUMBER | Kinds::STRING;
            let unordered = given.iter().find(|argument| !argument.of.can_be(ordered));
            match unordered {
                Some(argument) => Some((
                    argument.shape,
                    format!("`{helper}` compares numbers or texts, but this is {}", argument.of.kinds),
                    None,
                )),
                None => others.iter().find_map(|other| differing(first, &other.of, other.shape)),
            }
        }
        "in" => match others {
            // The only choice may be the list of choices.
            [only] if only.of.can_be(Kinds::ARRAY) => match &only.of.element {
                Some(element) if !only.of.can_be(Kinds::ANY.without(Kinds::ARRAY)) => {
                    differing(first, element, only.shape)
                }
                _ => None,
            },
            several => several.iter().find_map(|other| differing(first, &other.of, other.shape)),
        },
        _ => None,
    }
}

fn differing<'a>(
    one: &Given<'a>,
    other: &Type,
    shape: &'a ExpressionShape,
) -> Option<(&'a ExpressionShape, String, Option<String>)> {
    let (left, right) = (comparable(one.of.kinds), comparable(other.kinds));
    // Null is comparable with everything, so only what else the two can be counts.
    if left == Kinds::NONE || right == Kinds::NONE || left.overlaps(right) {
        return None;
    }
    let text_and_number =
        (left == Kinds::STRING && right == Kinds::NUMBER) || (left == Kinds::NUMBER && right == Kinds::STRING);
    let help = text_and_number
        .then(|| "write the number in quotes, or read the text as a number with `(number …)`".to_owned());
    Some((shape, format!("{} and {} never equal one another", one.of.kinds, other.kinds), help))
}

/// Without null, and with whole numbers and fractions as one kind: they compare by value.
fn comparable(kinds: Kinds) -> Kinds {
    let kinds = kinds.without(Kinds::NULL);
    if kinds.overlaps(Kinds::NUMBER) { kinds | Kinds::NUMBER } else { kinds }
}

fn known(of: &Type) -> Type {
    Type { kinds: of.kinds.without(Kinds::NULL), ..of.clone() }
}
