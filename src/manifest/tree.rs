//! The text of a manifest's files to one tree, with what is wrong with the text and with the name in it.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Diagnostic, Severity, Source, file, merge};
use crate::yaml::{self, Content};

/// The tree of a manifest's files, with what is wrong with their text and their name.
pub fn parse(files: Vec<(PathBuf, Arc<str>)>, name: &str, name_key: Option<&'static str>) -> (Source, Vec<Diagnostic>) {
    let mut source = Source::new(files.iter().cloned());
    let mut found = Vec::new();
    let mut roots = Vec::new();
    let mut is_whole = true;
    for ((path, text), file) in files.iter().zip(0..) {
        let parsed = yaml::parse(text, file);
        for problem in parsed.problems.iter().cloned() {
            let yaml::Problem { code, span, message, help } = problem;
            found.push(source.at_span(span, Severity::Error, code, message, help));
        }
        match parsed.root {
            Some(root) if root.plain_text() != Some("") => {
                if let Some(key) = name_key {
                    found.extend(name_mismatch(&source, &root, key, name));
                }
                roots.push(root);
            }
            _ if parsed.problems.is_empty() => {
                let message = "the file is empty".to_owned();
                found.push(file::whole_file(path, "empty_file", message, Some("write into it, or remove it")));
            }
            _ => is_whole = false,
        }
    }
    let (root, conflicts) = merge::merge(roots, name_key.unwrap_or_default());
    for conflict in conflicts {
        let first = source.place_of(conflict.kept);
        let message = format!("the key `{}` is in two files", conflict.key);
        let help =
            format!("the first is at {}:{}:{}; keep one of them", first.file.display(), first.line, first.column);
        found.push(source.at_span(conflict.other, Severity::Error, "duplicate_key", message, Some(help)));
    }
    // A part of a connector alone would look as if the rest were missing.
    if let Some(root) = root.filter(|_| is_whole) {
        source.set_root(root);
    }
    (source, found)
}

/// A name that is not the file's, or that could not be referred to.
fn name_mismatch(source: &Source, root: &yaml::Node, key: &str, name: &str) -> Option<Diagnostic> {
    let entry = root.get(key)?;
    let Content::Scalar(written, _) = &entry.value.content else {
        return None;
    };
    let span = entry.value.span;
    if **written != *name {
        let message = format!("this is called `{written}`, but its file is called `{name}`");
        let help = format!("write `{key}: {name}`, or rename the file");
        return Some(source.at_span(span, Severity::Error, "name_mismatch", message, Some(help)));
    }
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        let message = format!("`{name}` can not be a name");
        let help = "use up to 64 letters, digits, `-` and `_`".to_owned();
        return Some(source.at_span(span, Severity::Error, "invalid_name", message, Some(help)));
    }
    None
}
