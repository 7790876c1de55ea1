//! What the parser refused, in words that say what to change. The parser often stumbles some way behind the
//! mistake, so the lines before are searched for the mistakes that YAML makes easy.

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use super::{Problem, Span};

/// `text: {{name}}` without quotes.
pub fn unquoted_template(span: Span, template: &str) -> Problem {
    Problem {
        code: "yaml_unquoted_template",
        span,
        message: "a value with a template must be quoted: to YAML `{` begins a mapping".to_owned(),
        help: Some(format!("quote the whole value: \"{template}\"")),
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
    let region = Region {
        text,
        file,
        start: line_start(text, from),
        end: line_end(text, at),
    };
    indicator(error.kind(), &region, at)
        .or_else(|| tab(&region, at))
        .or_else(|| template(&region))
        .or_else(|| hashtag(&region))
        .unwrap_or_else(|| {
            let (code, message, help) = words(error.kind());
            region.problem(code, at, 1, message, help)
        })
}

/// The lines in which the mistake is.
struct Region<'text> {
    text: &'text str,
    file: u16,
    start: usize,
    end: usize,
}

impl<'text> Region<'text> {
    fn problem(
        &self,
        code: &'static str,
        at: usize,
        length: usize,
        message: impl Into<String>,
        help: &str,
    ) -> Problem {
        Problem {
            code,
            span: self.span(at, length),
            message: message.into(),
            help: Some(help.to_owned()),
        }
    }

    fn span(&self, at: usize, length: usize) -> Span {
        let offset = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
        Span {
            file: self.file,
            start: offset(at),
            end: offset(at + length),
        }
    }

    fn lines(&self) -> &'text str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// The places outside of quotes where `is_here` holds for the text from there on.
    fn unquoted(&self, is_here: impl Fn(&str, Option<char>) -> bool) -> Option<usize> {
        let lines = self.lines();
        let mut quote = None;
        let mut before = None;
        for (place, character) in lines.char_indices() {
            let opens = matches!(before, None | Some(' ' | '\n' | '[' | '{' | ','));
            match (quote, character) {
                (Some(open), close) if open == close => quote = None,
                (None, '"' | '\'') if opens => quote = Some(character),
                (None, _) if is_here(lines.get(place..).unwrap_or_default(), before) => {
                    return Some(self.start + place);
                }
                _ => {}
            }
            before = Some(character);
        }
        None
    }
}

/// A character that no unquoted value may begin with.
fn indicator(kind: &ErrorKind, region: &Region<'_>, at: usize) -> Option<Problem> {
    let ErrorKind::UnexpectedCharacter { character } = kind else {
        return None;
    };
    if character.is_control() {
        let message = format!(
            "the control character U+{:04X} is in the file",
            *character as u32
        );
        let help = "remove it; in double quotes it can be written as an escape such as \\x00";
        return Some(region.problem("yaml_control_character", at, 1, message, help));
    }
    let rest = region.text.get(at..region.end).unwrap_or_default();
    let value = rest.split(" #").next().unwrap_or_default().trim_end();
    let code = match character {
        '@' => "yaml_unquoted_at",
        _ => "yaml_unquoted_character",
    };
    let message = format!("a value that begins with `{character}` must be quoted");
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
    Some(unquoted_template(
        region.span(at, length),
        rest.get(..length)?,
    ))
}

fn hashtag(region: &Region<'_>) -> Option<Problem> {
    let at = region.unquoted(|rest, before| {
        let mut characters = rest.chars();
        characters.next() == Some('#')
            && characters
                .next()
                .is_some_and(|first| first.is_alphanumeric() || first == '_')
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
        ErrorKind::MisplacedFlowCollectionEnd | ErrorKind::MismatchedFlowCollectionEnd { .. } => (
            "yaml_unclosed",
            "this bracket closes nothing",
            "remove it, or quote the value if it is text",
        ),
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
        | ErrorKind::BlockEntryInFlowCollection => (
            "yaml_syntax",
            "a list does not fit here",
            "put each item on a line of its own after `- `, indented alike",
        ),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "yaml_syntax",
            "there is text after the closing quote",
            "put the whole value into one pair of quotes",
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            "yaml_escape",
            "an escape in this text is not one that YAML knows",
            "write \\\\ for a backslash, or use single quotes, where nothing is an escape",
        ),
        ErrorKind::RecursionLimitExceeded => (
            "yaml_too_deep",
            "lists and mappings are nested too deep",
            "flatten the file",
        ),
        ErrorKind::InvalidIndentation | ErrorKind::InvalidBlockScalarIndent => (
            "yaml_indentation",
            "this line is indented differently from the lines that it belongs to",
            "indent all keys of a mapping alike, with spaces",
        ),
        ErrorKind::MissingAnchorOrAliasName => (
            "yaml_unquoted_character",
            "a value that begins with `*` or `&` must be quoted",
            "quote it",
        ),
        other => {
            let message = format!("this is not YAML: {other}");
            return ("yaml_syntax", message, "quote the value if it is text");
        }
    };
    (code, message.to_owned(), help)
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text.get(at..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    /// What is wrong first, with the text that is marked.
    fn first(text: &str) -> Option<(&'static str, String)> {
        let parsed = super::super::parse(text, 0);
        assert!(parsed.problems.len() < 3, "{:?}", parsed.problems);
        parsed.problems.first().map(|problem| {
            let marked = text.get(problem.span.start as usize..problem.span.end as usize);
            (problem.code, marked.unwrap_or("<end>").to_owned())
        })
    }

    #[rstest]
    #[case("a: {{x}}", "yaml_unquoted_template", "{{x}}")]
    #[case("a: {{x}} and {{y}}", "yaml_unquoted_template", "{{x}}")]
    #[case("b: {a: {{x}}, c: 1}", "yaml_unquoted_template", "{{x}}")]
    #[case("b: {a: hi {{x}} you, c: 1}", "yaml_unquoted_template", "{{x}}")]
    #[case("a: [{{x}}]", "yaml_unquoted_template", "{{x}}")]
    #[case("a: {{#if x}}y{{/if}}", "yaml_unquoted_template", "{{#if x}}")]
    #[case("a: Hi {{n}}: see", "yaml_unquoted_template", "{{n}}")]
    #[case("{{x}}: 1", "yaml_unquoted_template", "{{x}}")]
    #[case("a: {b: {{x}}", "yaml_unquoted_template", "{{x}}")]
    #[case("a: \"{{x}}\" b", "yaml_syntax", "b")]
    #[case("a: @acme down # who", "yaml_unquoted_at", "@acme down")]
    #[case("a: `x`", "yaml_unquoted_character", "`x`")]
    #[case("a: %x", "yaml_unquoted_character", "%x")]
    #[case("a: \0", "yaml_control_character", "\0")]
    #[case("a: #acme\nb: 1", "yaml_comment_value", "#acme")]
    #[case("a: 1\nb:   #acme or x\n", "yaml_comment_value", "#acme or x")]
    #[case("- a\n- #acme\n- b", "yaml_comment_value", "#acme")]
    #[case("- #acme", "yaml_comment_value", "#acme")]
    #[case("a:\n  - #acme\nb: 1", "yaml_comment_value", "#acme")]
    #[case("b: {q: #acme, c: 1}\nd: 1", "yaml_comment_value", "#acme")]
    #[case("b: {q: #acme, c: 1}\n", "yaml_comment_value", "#acme")]
    #[case("b: [#acme]\nd: 1\n", "yaml_comment_value", "#acme")]
    #[case("a:\n\tb: 1", "yaml_tab", "\t")]
    #[case("a:\n  b: 1\n\tc: 2", "yaml_tab", "\t")]
    #[case("a: b: c", "yaml_syntax", ":")]
    #[case("a: \"x", "yaml_unclosed", "\"")]
    #[case("a: {b: 1", "yaml_unclosed", "{")]
    #[case("a: [1, 2\nb: 3\n", "yaml_unclosed", ":")]
    #[case("a: }", "yaml_unclosed", "}")]
    #[case("a: *x", "yaml_unknown_alias", "*x")]
    #[case("a: &x [*x]", "yaml_unknown_alias", "*x")]
    #[case("a: !foo x", "yaml_unknown_tag", "!foo")]
    #[case("a: 1\n---\nb: 2", "yaml_multiple_documents", "---")]
    #[case("? [a]\n: b", "yaml_complex_key", "[a]")]
    #[case("a: &x {b: 1}\nc: {<<: *x}", "yaml_merge_key", "<<")]
    #[case("a: 1\nb: 2\na: 3", "duplicate_key", "a")]
    #[case("a: \"\\q\"", "yaml_escape", "\"")]
    fn every_mistake_has_its_code_and_place(
        #[case] text: &str,
        #[case] code: &str,
        #[case] marked: &str,
    ) {
        let (found, place) = first(text).expect("a problem");
        assert_eq!((found, place.as_str()), (code, marked));
    }

    #[rstest]
    #[case("a:\n  # a comment\n  b: 1")]
    #[case("a:\n#acme\n  b: 1")]
    #[case("a: # a comment\n  b: 1")]
    #[case("a: #acme\n  b: 1")]
    #[case("a:\nb: 1 #acme")]
    #[case("a: Hi {{x}}")]
    #[case("a: !!str 5")]
    #[case("a: &x 1\nb: *x")]
    #[case("---\na: 1\n...\n")]
    fn what_is_plain_is_not_complained_about(#[case] text: &str) {
        assert_eq!(first(text), None);
    }

    #[test]
    fn alias_bombs_and_depth_are_bounded() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let previous = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert_eq!(first(&bomb).map(|(code, _)| code), Some("yaml_alias_bomb"));
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            for depth in [100, 100_000] {
                let deep = open.repeat(depth) + &close.repeat(depth);
                assert_eq!(first(&deep).map(|(code, _)| code), Some("yaml_too_deep"));
            }
        }
        let many = format!("[{}]", "a,".repeat(600_000));
        assert_eq!(
            first(&many).map(|(code, _)| code),
            Some("yaml_too_many_values")
        );
    }
}
