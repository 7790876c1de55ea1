//! The helpers of the expression language: a table per topic, each helper with its signature, which `check`
//! types calls with and the documentation is made of. Helpers are pure: the same arguments and the same scope
//! give the same value, whenever and however often.

mod arguments;
mod date;
mod encode;
mod list;
mod logic;
mod number;
mod signature;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

pub(super) use self::arguments::Arguments;
pub use self::signature::{Arity, Parameter, Signature, Type};

use super::error::Error;

/// The memory that one compiled pattern may take, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// A helper: what it takes, what it gives, and how.
pub struct Helper {
    pub signature: Signature,
    pub(super) kind: Kind,
}

/// How a helper is evaluated.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// From the values of its arguments.
    Function(fn(&Arguments<'_>) -> Result<Value, Error>),
    /// By the evaluator: not every argument is evaluated, or missing paths are forgiven.
    Special(Special),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    And,
    Or,
    Not,
    If,
    Maybe,
    Default,
    Coalesce,
}

impl Helper {
    const fn function(signature: Signature, function: fn(&Arguments<'_>) -> Result<Value, Error>) -> Self {
        Helper { signature, kind: Kind::Function(function) }
    }

    const fn special(signature: Signature, special: Special) -> Self {
        Helper { signature, kind: Kind::Special(special) }
    }

    /// Whether a missing path in the argument at `position` is no error. The fallback of `default` is as
    /// strict as the place around it: a typo in it is a mistake.
    pub fn forgives(&self, position: usize) -> bool {
        match self.kind {
            Kind::Special(Special::Maybe | Special::Coalesce) => true,
            Kind::Special(Special::Default) => position == 0,
            Kind::Special(_) | Kind::Function(_) => false,
        }
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Helper({})", self.signature)
    }
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static Helper>> =
    LazyLock::new(|| all().map(|helper| (helper.signature.name, helper)).collect());

/// The helper of a name.
pub fn find(name: &str) -> Option<&'static Helper> {
    BY_NAME.get(name).copied()
}

/// What a helper takes and gives.
pub fn signature(name: &str) -> Option<&'static Signature> {
    find(name).map(|helper| &helper.signature)
}

/// Every helper's signature, topic by topic.
pub fn list() -> impl Iterator<Item = &'static Signature> {
    all().map(|helper| &helper.signature)
}

fn all() -> impl Iterator<Item = &'static Helper> {
    [logic::HELPERS, text::HELPERS, number::HELPERS, date::HELPERS, list::HELPERS, encode::HELPERS]
        .into_iter()
        .flatten()
}

/// Compiles a pattern in the `regex` crate's language: linear time, no look-around. The error is a message.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "this pattern is too large".to_owned(),
        // The last line of the crate's message says what is wrong, those before it draw the pattern.
        other => {
            let message = other.to_string();
            let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("this pattern cannot be read: {reason}")
        }
    })
}
