//! Words what the grammar of the `handlebars` crate refuses: its messages name rules of a parser, ours say what
//! people tend to mean and what to write for it.

use handlebars::{TemplateError, TemplateErrorReason};

use super::error::CompileError;

/// The crate's refusal with a place in characters, a message and, for what is often meant, a help.
pub(super) fn refusal(source: &str, error: &TemplateError) -> CompileError {
    let offset = error.pos().map_or(0, |(line, column)| offset(source, line, column));
    let message = match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(opened, closed) => {
            format!("`{{{{#{opened}}}}}` is closed by `{{{{/{closed}}}}}`")
        }
        TemplateErrorReason::InvalidParam(parameter) => {
            format!("`{parameter}` cannot be read as a value")
        }
        _ => "this is not a template that can be read".to_owned(),
    };
    let width = source.chars().count();
    CompileError {
        code: "template_syntax",
        message,
        offset: offset.min(width.saturating_sub(1)),
        length: 1,
        help: help(source, offset).map(str::to_owned),
        others: Vec::new(),
    }
}

/// Lines and columns count from 1, columns in characters.
fn offset(source: &str, line: usize, column: usize) -> usize {
    let before: usize =
        source.split_inclusive('\n').take(line.saturating_sub(1)).map(|text| text.chars().count()).sum();
    before + column.saturating_sub(1)
}

/// What is often meant, by the text around the place.
fn help(source: &str, offset: usize) -> Option<&'static str> {
    let byte = source.char_indices().nth(offset).map_or(source.len(), |(byte, _)| byte);
    let tag = source[..byte].rfind("{{").unwrap_or(0);
    let end = source[tag..].find("}}").map_or(source.len(), |length| tag + length);
    let text = &source[tag..end.max(byte)];
    let count = |what: &str| source.matches(what).count();
    Some(if text.contains("==") || text.contains("!=") {
        "compare with a helper: `eq a b`, `ne a b`"
    } else if text.contains("&&") || text.contains("||") {
        "combine with helpers: `and (eq a b) (gt c d)`, `or …`, `not …`"
    } else if text.contains('|') && !text.contains(" as ") {
        "there are no filters: write the helper first, `upper item.text`"
    } else if text.contains(" = ") {
        "compare with a helper: `eq a b`; an option is written without spaces, `name=value`"
    } else if text.contains(['<', '>', '+', '*']) {
        "compare and compute with helpers: `gt a b`, `lt a b`, `add a b`, `multiply a b`"
    } else if text.contains('?') {
        "choose with `if`: `if (eq a b) 'x' 'y'`; forgive a missing path with `maybe`"
    } else if text.contains('[') && !text.contains(".[") {
        "an element of a list is written with a dot: `items.0`"
    } else if text.trim_start_matches("{{").trim_start().starts_with(['"', '\'']) {
        "a text in quotes can be an argument; for braces that are text write `\\{{`"
    } else if text.matches('(').count() != text.matches(')').count() {
        "every `(` needs its `)`"
    } else if text.matches('\'').count() % 2 == 1 || text.matches('"').count() % 2 == 1 {
        "a quote is not closed"
    } else if count("{{#") != count("{{/") {
        "every `{{#block …}}` needs its `{{/block}}`"
    } else {
        return None;
    })
}
