//! The files of `connectors/<name>/` made one: their sections are put together, and nothing is written over.

use std::collections::HashMap;

use crate::yaml::{Content, Entry, Node, Span};

/// A key that two files have.
#[derive(Debug, PartialEq)]
pub struct Conflict {
    /// The key.
    pub key: String,
    /// Where the one that is kept stands.
    pub kept: Span,
    /// Where the other stands.
    pub other: Span,
}

/// One tree from the trees of several files. `name_key` may be in each of them with the same value.
pub fn merge(roots: Vec<Node>, name_key: &str) -> (Option<Node>, Vec<Conflict>) {
    let mut roots = roots.into_iter();
    let Some(mut merged) = roots.next() else {
        return (None, Vec::new());
    };
    let mut conflicts = Vec::new();
    for root in roots {
        match (&mut merged.content, root.content) {
            (Content::Mapping(target), Content::Mapping(entries)) => {
                let kept = std::mem::take(target).into_vec();
                *target = put_together(kept, entries.into_vec(), &mut conflicts, &|kept, other| {
                    Together::of_section(kept, other, name_key)
                });
            }
            // The tree that is no mapping is told when it is read by its schema.
            (Content::Mapping(_), other) => merged.content = other,
            _ => {}
        }
    }
    (Some(merged), conflicts)
}

/// What becomes of two values under one key.
enum Together {
    /// Their members are put together; so are the members' own where `deep`.
    Members { deep: bool },
    /// They say the same.
    Same,
    /// Only one can stay.
    Conflict,
}

impl Together {
    /// Of two values of a top-level key.
    fn of_section(kept: &Entry, other: &Entry, name_key: &str) -> Self {
        match (&kept.value.content, &other.value.content) {
            (Content::Mapping(_), Content::Mapping(_)) => Together::Members { deep: &*kept.key == "connection" },
            (Content::Scalar(one, _), Content::Scalar(two, _)) if &*kept.key == name_key && one == two => {
                Together::Same
            }
            _ => Together::Conflict,
        }
    }

    /// Of two values within a section.
    fn of_member(kept: &Entry, other: &Entry, deep: bool) -> Self {
        match (&kept.value.content, &other.value.content) {
            (Content::Mapping(_), Content::Mapping(_)) if deep => Together::Members { deep: false },
            _ => Together::Conflict,
        }
    }
}

fn put_together(
    mut kept: Vec<Entry>,
    others: Vec<Entry>,
    conflicts: &mut Vec<Conflict>,
    together: &dyn Fn(&Entry, &Entry) -> Together,
) -> Box<[Entry]> {
    let mut places: HashMap<Box<str>, usize> =
        kept.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).collect();
    for other in others {
        let Some(entry) = places.get(&other.key).and_then(|index| kept.get_mut(*index)) else {
            places.insert(other.key.clone(), kept.len());
            kept.push(other);
            continue;
        };
        match together(entry, &other) {
            Together::Same => {}
            Together::Conflict => {
                conflicts.push(Conflict { key: other.key.to_string(), kept: entry.key_span, other: other.key_span })
            }
            Together::Members { deep } => {
                if let (Content::Mapping(target), Content::Mapping(members)) =
                    (&mut entry.value.content, other.value.content)
                {
                    let kept = std::mem::take(target).into_vec();
                    let members = members.into_vec();
                    *target =
                        put_together(kept, members, conflicts, &|kept, other| Together::of_member(kept, other, deep));
                }
            }
        }
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::validate::free;
    use crate::yaml::parse;
    use serde_json::json;

    #[test]
    fn sections_are_put_together_and_nothing_is_written_over() {
        let roots = [
            "connector: a\nactions: {one: {effect: read}}\nconnection: {fields: {key: {}}}",
            "connector: a\nactions: {two: {}, one: {title: x}}\nconnection: {fields: {secret: {}}, test: one}\ntitle: A",
            "connector: b\ntitle: B\n",
        ];
        let roots = roots.iter().zip(0..).map(|(text, file)| parse(text, file).root.unwrap());
        let (merged, conflicts) = merge(roots.collect(), "connector");
        assert_eq!(
            free(&merged.unwrap()),
            json!({
                "connector": "a",
                "actions": {"one": {"effect": "read"}, "two": {}},
                "connection": {"fields": {"key": {}, "secret": {}}, "test": "one"},
                "title": "A"
            })
        );
        let found: Vec<(&str, u16, u16)> =
            conflicts.iter().map(|conflict| (conflict.key.as_str(), conflict.kept.file, conflict.other.file)).collect();
        assert_eq!(found, [("one", 0, 1), ("connector", 0, 2), ("title", 1, 2)]);
    }
}
