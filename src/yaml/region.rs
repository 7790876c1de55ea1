//! The lines in which a mistake is, searched without regard to what is in quotes.

use super::{Problem, Span};

/// The lines in which the mistake is.
pub struct Region<'text> {
    /// The whole text.
    pub text: &'text str,
    /// Which file of a manifest it is.
    pub file: u16,
    /// Whether a bracket is open.
    pub is_in_bracket: bool,
    /// Where the first line begins.
    pub start: usize,
    /// Where the last line ends.
    pub end: usize,
}

impl<'text> Region<'text> {
    /// A problem with `length` bytes from `at` on.
    pub fn problem(
        &self,
        code: &'static str,
        at: usize,
        length: usize,
        message: impl Into<String>,
        help: &str,
    ) -> Problem {
        Problem { code, span: self.span(at, length), message: message.into(), help: Some(help.to_owned()) }
    }

    /// A span of this text.
    pub fn span(&self, at: usize, length: usize) -> Span {
        let offset = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
        Span { file: self.file, start: offset(at), end: offset(at + length) }
    }

    fn lines(&self) -> &'text str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// The last quote before `at` that its line leaves open.
    pub fn unclosed_quote(&self, at: usize) -> Option<usize> {
        let mut end = line_end(self.text, at);
        loop {
            let start = line_start(self.text, end);
            let line = self.text.get(start..end)?;
            if let Some(place) = open_quote(line) {
                return Some(start + place);
            }
            end = start.checked_sub(1)?;
        }
    }

    /// The first place outside of quotes where `is_here` holds for the text from there on.
    pub fn unquoted(&self, is_here: impl Fn(&str, Option<char>) -> bool) -> Option<usize> {
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

/// Where a line leaves a quote open.
fn open_quote(line: &str) -> Option<usize> {
    let mut open: Option<(usize, char)> = None;
    let mut before = None;
    for (place, character) in line.char_indices() {
        let opens = matches!(before, None | Some(' ' | '[' | '{' | ','));
        match (open, character) {
            (Some((_, quote)), close) if quote == close => open = None,
            (None, '"' | '\'') if opens => open = Some((place, character)),
            _ => {}
        }
        before = Some(character);
    }
    open.map(|(place, _)| place)
}

/// Where the line of a byte begins.
pub fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// Where the line of a byte ends.
pub fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| at + length)
}
