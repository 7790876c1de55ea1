//! What is known of a value before anything runs: the kinds it can be, its members, its elements. Lowered from
//! JSON Schema, joined where a value can come from several places. Data and pure functions; used by every
//! other file of `check` to type templates.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::BitOr;
use std::sync::Arc;

use serde_json::Value;

/// The JSON kinds that a value can be, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// What it can be.
    pub kinds: Kinds,
    /// Its members, where it is an object.
    pub members: Arc<BTreeMap<String, Member>>,
    /// Whether it may have members that are not known.
    pub open: bool,
    /// What its elements are, where it is an array; unknown unless given.
    pub element: Option<Arc<Type>>,
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub of: Type,
    /// Whether it is always there.
    pub required: bool,
}

/// What a look-up of one member or element finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It is there.
    Member(Member),
    /// It may be anything: nothing more is known.
    Unknown,
    /// There is no such member.
    Missing,
    /// The value is never an object or an array.
    Scalar,
}

impl Kinds {
    pub const NONE: Kinds = Kinds(0);
    pub const NULL: Kinds = Kinds(1);
    pub const BOOLEAN: Kinds = Kinds(2);
    pub const INTEGER: Kinds = Kinds(4);
    /// A number with a fraction.
    const FRACTION: Kinds = Kinds(8);
    pub const NUMBER: Kinds = Kinds(12);
    pub const STRING: Kinds = Kinds(16);
    pub const ARRAY: Kinds = Kinds(32);
    pub const OBJECT: Kinds = Kinds(64);
    pub const ANY: Kinds = Kinds(127);

    /// Whether some value is of both.
    pub fn overlaps(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether every value of `other` is of this.
    pub fn contains(self, other: Kinds) -> bool {
        self.0 & other.0 == other.0
    }

    /// These without those.
    #[must_use]
    pub fn without(self, other: Kinds) -> Kinds {
        Kinds(self.0 & !other.0)
    }

    /// Both of them.
    #[must_use]
    pub fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    /// The kind that JSON Schema calls by this name.
    pub fn named(name: &str) -> Option<Kinds> {
        Some(match name {
            "null" => Kinds::NULL,
            "boolean" => Kinds::BOOLEAN,
            "integer" => Kinds::INTEGER,
            "number" => Kinds::NUMBER,
            "string" => Kinds::STRING,
            "array" => Kinds::ARRAY,
            "object" => Kinds::OBJECT,
            _ => return None,
        })
    }

    /// The kind of a value.
    pub fn of(value: &Value) -> Kinds {
        match value {
            Value::Null => Kinds::NULL,
            Value::Bool(_) => Kinds::BOOLEAN,
            Value::Number(number) if number.is_f64() => Kinds::NUMBER,
            Value::Number(_) => Kinds::INTEGER,
            Value::String(_) => Kinds::STRING,
            Value::Array(_) => Kinds::ARRAY,
            Value::Object(_) => Kinds::OBJECT,
        }
    }
}

impl BitOr for Kinds {
    type Output = Kinds;

    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Kinds::ANY {
            return formatter.write_str("any value");
        }
        let mut names: Vec<&str> = [
            (Kinds::STRING, "a text"),
            (Kinds::NUMBER, "a number"),
            (Kinds::BOOLEAN, "a boolean"),
            (Kinds::ARRAY, "a list"),
            (Kinds::OBJECT, "an object"),
            (Kinds::NULL, "null"),
        ]
        .into_iter()
        .filter(|(kind, _)| self.contains(*kind))
        .map(|(_, name)| name)
        .collect();
        if self.contains(Kinds::INTEGER) && !self.contains(Kinds::FRACTION) {
            names.insert(0, "a whole number");
        }
        match names.as_slice() {
            [] => formatter.write_str("nothing"),
            [one] => formatter.write_str(one),
            [first @ .., last] => write!(formatter, "{} or {last}", first.join(", ")),
        }
    }
}

impl Type {
    /// Nothing is known of it.
    pub fn any() -> Type {
        Type { kinds: Kinds::ANY, members: Arc::default(), open: true, element: None }
    }

    /// A value of these kinds, of which nothing else is known.
    pub fn of(kinds: Kinds) -> Type {
        Type { kinds, ..Type::any() }
    }

    /// A text.
    pub fn text() -> Type {
        Type::of(Kinds::STRING)
    }

    /// An object with exactly these members.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Member)>) -> Type {
        let members = members.into_iter().map(|(name, member)| (name.to_owned(), member)).collect();
        Type { kinds: Kinds::OBJECT, members: Arc::new(members), open: false, element: None }
    }

    /// A list of these.
    pub fn list(element: Type) -> Type {
        Type { kinds: Kinds::ARRAY, element: Some(Arc::new(element)), ..Type::any() }
    }

    /// What a literal value is, members and elements included.
    pub fn of_value(value: &Value) -> Type {
        match value {
            Value::Object(members) => {
                Type::object(members.iter().map(|(name, value)| (name.as_str(), Member::always(Type::of_value(value)))))
            }
            Value::Array(elements) => match elements.iter().map(Type::of_value).reduce(|left, right| left.or(&right)) {
                Some(element) => Type::list(element),
                None => Type::list(Type::any()),
            },
            other => Type::of(Kinds::of(other)),
        }
    }

    /// Whether nothing is known of it.
    pub fn is_any(&self) -> bool {
        self.kinds == Kinds::ANY && self.open && self.members.is_empty() && self.element.is_none()
    }

    /// The same with one more member.
    #[must_use]
    pub fn with(mut self, name: &str, member: Member) -> Type {
        Arc::make_mut(&mut self.members).insert(name.to_owned(), member);
        self
    }

    /// The same without a member.
    #[must_use]
    pub fn without(mut self, name: &str) -> Type {
        if self.members.contains_key(name) {
            Arc::make_mut(&mut self.members).remove(name);
        }
        self
    }

    /// A value that is one of the two.
    #[must_use]
    pub fn or(&self, other: &Type) -> Type {
        let (left, right) = (self.can_be(Kinds::OBJECT), other.can_be(Kinds::OBJECT));
        let (members, open) = match (left, right) {
            (true, true) => (joined(self, other), self.open || other.open),
            (false, true) => (Arc::clone(&other.members), other.open),
            _ => (Arc::clone(&self.members), self.open),
        };
        let element = match (self.can_be(Kinds::ARRAY), other.can_be(Kinds::ARRAY)) {
            (true, true) => match (&self.element, &other.element) {
                (Some(left), Some(right)) => Some(Arc::new(left.or(right))),
                _ => None,
            },
            (false, true) => other.element.clone(),
            _ => self.element.clone(),
        };
        Type { kinds: self.kinds | other.kinds, members, open, element }
    }

    /// Whether it can be one of these.
    pub fn can_be(&self, kinds: Kinds) -> bool {
        self.kinds.overlaps(kinds)
    }

    /// The member of that name. A number is an element where the value is an array.
    pub fn member(&self, name: &str) -> Found {
        if !self.can_be(Kinds::OBJECT) {
            return if self.can_be(Kinds::ARRAY) { Found::Missing } else { Found::Scalar };
        }
        match self.members.get(name) {
            Some(member) => Found::Member(Member {
                of: member.of.clone(),
                // Of a value that may as well be null or a text, no member is certain.
                required: member.required && self.kinds == Kinds::OBJECT,
            }),
            None if self.open => Found::Unknown,
            None => Found::Missing,
        }
    }

    /// An element by its place; whether there is one is never known.
    pub fn element(&self) -> Found {
        match (&self.element, self.can_be(Kinds::ARRAY)) {
            (_, false) if self.can_be(Kinds::OBJECT) => Found::Missing,
            (_, false) => Found::Scalar,
            (Some(element), true) => Found::Member(Member { of: Type::clone(element), required: true }),
            (None, true) => Found::Unknown,
        }
    }
}

impl Member {
    /// A member that is always there.
    pub fn always(of: Type) -> Member {
        Member { of, required: true }
    }

    /// A member that may be absent.
    pub fn perhaps(of: Type) -> Member {
        Member { of, required: false }
    }
}

/// The members of either; one that only one of them has, or requires, may be absent.
fn joined(left: &Type, right: &Type) -> Arc<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    for (name, member) in left.members.iter() {
        let member = match right.members.get(name) {
            Some(other) => Member { of: member.of.or(&other.of), required: member.required && other.required },
            None if right.open => Member::perhaps(Type::any()),
            None => Member::perhaps(member.of.clone()),
        };
        members.insert(name.clone(), member);
    }
    for (name, member) in right.members.iter() {
        members.entry(name.clone()).or_insert_with(|| match left.open {
            true => Member::perhaps(Type::any()),
            false => Member::perhaps(member.of.clone()),
        });
    }
    Arc::new(members)
}
