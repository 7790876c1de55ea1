//! Words the error for a path that leads nowhere: how far it leads, and what is there instead.

use serde_json::Value;

use super::Scope;
use super::error::{Error, a_type, closest};
use super::evaluate::member;
use super::shape::{Path, Segment, path_text};

/// The error for `path`, whose segment at `position` is missing. `base` is the block's value where the path
/// begins at a block.
pub(super) fn error(scope: &Scope, base: Option<&Value>, path: &Path, position: usize) -> Error {
    let (prefix, rest) = path.segments.split_at(position.min(path.segments.len()));
    let wanted = path_text(rest.get(..1).unwrap_or_default());
    let mut value = base;
    for segment in prefix {
        value = match (value, segment) {
            (Some(value), segment) => member(value, segment),
            (None, Segment::Key(root)) => scope.get(root),
            (None, _) => None,
        };
    }
    let owner = owner(base.is_some(), prefix);
    let message = match value {
        None => format!("`{}` is missing: there is no `{wanted}` here", path.text),
        Some(Value::Array(elements)) if matches!(rest.first(), Some(Segment::Index(_))) => {
            format!("`{}` is missing: {owner} has {} elements, counted from 0", path.text, elements.len())
        }
        Some(Value::Array(_)) => format!("`{}` is missing: {owner} is an array", path.text),
        Some(Value::Object(_)) => format!("`{}` is missing: {owner} has no `{wanted}`", path.text),
        Some(other) => format!("`{}` is missing: {owner} is {}", path.text, a_type(other)),
    };
    let error = Error::new("template_missing_path", message);
    match help(scope, base, path, value, &wanted, prefix, rest) {
        Some(help) => error.with_help(help),
        None => error,
    }
}

fn owner(in_block: bool, prefix: &[Segment]) -> String {
    match (in_block, prefix.is_empty()) {
        (true, true) => "the block's value".to_owned(),
        (true, false) => format!("`{}` of the block's value", path_text(prefix)),
        (false, _) => format!("`{}`", path_text(prefix)),
    }
}

fn help(
    scope: &Scope,
    base: Option<&Value>,
    path: &Path,
    value: Option<&Value>,
    wanted: &str,
    prefix: &[Segment],
    rest: &[Segment],
) -> Option<String> {
    if base.is_some()
        && prefix.is_empty()
        && let Some(Segment::Key(root)) = rest.first()
        && scope.get(root).is_some()
    {
        return Some(format!("inside a block, names are read from its value: write `@root.{}`", path.text));
    }
    let near = match value {
        None => closest(wanted, scope.names()),
        Some(Value::Object(members)) => closest(wanted, members.keys().map(String::as_str)),
        Some(Value::Array(_)) if !matches!(rest.first(), Some(Segment::Index(_))) => {
            return Some(format!("write `{}.0` for its first element, or go over it with `each`", path_text(prefix)));
        }
        Some(_) => {
            return Some(format!("write `maybe {0}` or `default {0} '…'` where it may be missing", path.text));
        }
    };
    match near {
        Some(near) => {
            let mut meant = prefix.to_vec();
            meant.push(Segment::Key(near.to_owned()));
            meant.extend(rest.iter().skip(1).cloned());
            Some(format!("did you mean `{}`?", path_text(&meant)))
        }
        None if value.is_some() => {
            Some(format!("write `maybe {0}` or `default {0} '…'` where it may be missing", path.text))
        }
        None => {
            let roots: Vec<&str> = scope.names().collect();
            (!roots.is_empty()).then(|| format!("there are `{}`", roots.join("`, `")))
        }
    }
}
