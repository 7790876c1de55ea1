//! What the parser refused, in words that say what to change. The parser often stumbles some way behind the
//! mistake, so the lines before are searched for the mistakes that YAML makes easy.

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use super::region::{Region, line_end, line_start};
use super::{Problem, Span};

/// `text: {{name}}` without quotes.
pub fn unquoted_template(span: Span, template: &str) -> Problem {
    Problem {
        code: "yaml_unquoted_template",
        span,
        message: "a value with a template must be quoted: to YAML `{` begins a mapping".to_owned(),
        help: Some(format!("quote it: \"{template}\"")),
    }
}

/// `query: #acme` without quotes.
pub fn comment_value(span: Span, written: &str) -> Problem {
    Problem {
        code: "yaml_comment_value",
        span,
        message: "there is no value here: to YAML everything from `#` on is a comment".to_owned(),
        help: Some(format!("quote the value: \"{written}\"")),
    }
}

/// The problem behind what the parser says; `bracket` is where the outermost open one is.
pub fn scan_error(error: &ScanError, text: &str, file: u16, bracket: Option<Span>) -> Problem {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let from = bracket.map_or(at, |span| at.min(span.start as usize));
    let region =
        Region { text, file, is_in_bracket: bracket.is_some(), start: line_start(text, from), end: line_end(text, at) };
    indicator(error.kind(), &region, at)
        .or_else(|| tab(&region, at))
        .or_else(|| template(&region))
        .or_else(|| hashtag(&region))
        .or_else(|| unclosed(error.kind(), &region, at))
        .unwrap_or_else(|| {
            let (code, message, help) = words(error.kind());
            region.problem(code, at, 1, message, help)
        })
}

/// A character that no unquoted value may begin with.
fn indicator(kind: &ErrorKind, region: &Region<'_>, at: usize) -> Option<Problem> {
    let ErrorKind::UnexpectedCharacter { character } = kind else {
        return None;
    };
    if character.is_control() {
        let message = format!("the control character U+{:04X} is in the file", *character as u32);
        let help = "remove it; in double quotes it can be written as an escape such as \\x00";
        return Some(region.problem("yaml_control_character", at, 1, message, help));
    }
    let rest = region.text.get(at..region.end).unwrap_or_default();
    let value = rest.split(" #").next().unwrap_or_default();
    let value = match region.is_in_bracket {
        true => value.split([',', ']', '}']).next().unwrap_or_default(),
        false => value,
    };
    let value = value.trim_end();
    let (code, name) = match character {
        '@' => ("yaml_unquoted_at", "`@`".to_owned()),
        '`' => ("yaml_unquoted_character", "a backtick".to_owned()),
        _ => ("yaml_unquoted_character", format!("`{character}`")),
    };
    let message = format!("a value that begins with {name} must be quoted");
    let help = format!("quote it: \"{value}\"");
    Some(region.problem(code, at, value.len().max(1), message, &help))
}

/// A tab before the first word of this line or of the next one.
fn tab(region: &Region<'_>, at: usize) -> Option<Problem> {
    let mut start = line_start(region.text, at);
    for line in region.text.get(start..)?.split_inclusive('\n').take(3) {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(place) = line.get(..indentation).and_then(|text| text.find('\t')) {
            return Some(region.problem(
                "yaml_tab",
                start + place,
                1,
                "a tab is used for indentation; YAML takes spaces only",
                "replace it by spaces",
            ));
        }
        start += line.len();
    }
    None
}

fn template(region: &Region<'_>) -> Option<Problem> {
    let at = region.unquoted(|rest, _| rest.starts_with("{{"))?;
    let rest = region.text.get(at..line_end(region.text, at))?;
    let length = rest.find("}}").map_or(rest.len(), |close| close + 2);
    let mut problem = unquoted_template(region.span(at, length), "");
    problem.help = Some("put quotes around the whole value that it is in".to_owned());
    Some(problem)
}

/// A quote or a bracket that is opened some lines before the parser stumbles.
fn unclosed(kind: &ErrorKind, region: &Region<'_>, at: usize) -> Option<Problem> {
    let place = match kind {
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => region.unclosed_quote(at)?,
        _ if words(kind).0 == "yaml_unclosed" && region.start < line_start(region.text, at) => {
            let line = region.text.get(region.start..)?;
            region.start + line.find(['[', '{'])?
        }
        _ => return None,
    };
    let (code, _, help) = words(kind);
    let message = match region.text.get(place..)?.chars().next()? {
        '"' | '\'' => "the quote that opens here is not closed",
        _ => "the bracket that opens here is not closed, or a comma is missing in it",
    };
    Some(region.problem(code, place, 1, message, help))
}

fn hashtag(region: &Region<'_>) -> Option<Problem> {
    let at = region.unquoted(|rest, before| {
        let mut characters = rest.chars();
        characters.next() == Some('#')
            && characters.next().is_some_and(|first| first.is_alphanumeric() || first == '_')
            && matches!(before, Some(' ' | '[' | ',' | '{'))
    })?;
    let rest = region.text.get(at..line_end(region.text, at))?;
    let word = rest.split([',', '}', ']', ' ']).next()?;
    Some(comment_value(region.span(at, word.len()), word))
}

/// The code, the message and the help for what has no better explanation.
fn words(kind: &ErrorKind) -> (&'static str, String, &'static str) {
    let (code, message, help) = match kind {
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            ("yaml_unclosed", "a quote is not closed", "close it")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence => (
            "yaml_unclosed",
            "a bracket is not closed, or a comma is missing before this",
            "write lists as [a, b] and mappings as {key: value, other: value}; quote a value that has brackets or commas in it",
        ),
        ErrorKind::MisplacedFlowCollectionEnd | ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            ("yaml_unclosed", "this bracket closes nothing", "remove it, or quote the value if it is text")
        }
        ErrorKind::MappingValueNotAllowed => (
            "yaml_syntax",
            "a `:` is not expected here",
            "quote a value that has `: ` in it; or check the indentation, and that every key is followed by `: `",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey => (
            "yaml_syntax",
            "a key and its `:` are expected here",
            "write `key: value`, and indent it like the keys around it",
        ),
        ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::BlockEntryInFlowCollection => {
            ("yaml_syntax", "a list does not fit here", "put each item on a line of its own after `- `, indented alike")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            ("yaml_syntax", "there is text after the closing quote", "put the whole value into one pair of quotes")
        }
        ErrorKind::UnknownQuotedScalarEscape => (
            "yaml_escape",
            "an escape in this text is not one that YAML knows",
            "write \\\\ for a backslash, or use single quotes, where nothing is an escape",
        ),
        ErrorKind::RecursionLimitExceeded => {
            ("yaml_too_deep", "lists and mappings are nested too deep", "flatten the file")
        }
        ErrorKind::InvalidIndentation | ErrorKind::InvalidBlockScalarIndent => (
            "yaml_indentation",
            "this line is indented differently from the lines that it belongs to",
            "indent all keys of a mapping alike, with spaces",
        ),
        ErrorKind::MissingAnchorOrAliasName => {
            ("yaml_unquoted_character", "a value that begins with `*` or `&` must be quoted", "quote it")
        }
        other => {
            let message = format!("this is not YAML: {other}");
            return ("yaml_syntax", message, "quote the value if it is text");
        }
    };
    (code, message.to_owned(), help)
}
