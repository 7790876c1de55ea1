//! Diagnostics for people and for programs: `file:line:column: code: message`, the line underlined, what to
//! do about it; or a JSON list. Used by every command that loads a project.

use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::manifest::{Diagnostic, Severity};

/// Whether colours are wanted: on a terminal, unless `NO_COLOR` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without any escape sequence.
    Plain,
    /// With colours.
    Coloured,
}

/// One diagnostic as it is printed, ending with a line break. `text` is the file that it is about.
pub fn render(diagnostic: &Diagnostic, text: Option<&str>, style: Style) -> String {
    let mut lines = heading(diagnostic);
    lines.push('\n');
    if let Some(source) = text.and_then(|text| underlined(diagnostic, text, style)) {
        lines.push_str(&source);
        lines.push('\n');
    }
    if let Some(help) = &diagnostic.help {
        lines.push_str(&format!("  help: {}\n", one_line(help)));
    }
    lines
}

/// `file:line:column: code: message`; without the numbers where the whole file is meant.
fn heading(diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, severity, file, line, column, message, .. } = diagnostic;
    let place = match line {
        0 => file.display().to_string(),
        _ => format!("{}:{line}:{column}", file.display()),
    };
    let severity = match severity {
        Severity::Error => "",
        Severity::Warning => " (warning)",
        Severity::Note => " (note)",
    };
    format!("{place}: {code}: {}{severity}", one_line(message))
}

/// All diagnostics as a JSON list, for `--output json`.
pub fn to_json(diagnostics: &[Diagnostic]) -> serde_json::Value {
    diagnostics.iter().map(|diagnostic| serde_json::json!(diagnostic)).collect()
}

/// `3 errors, 1 warning`
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity: Severity, name: &str| {
        let of_it = diagnostics.iter().filter(|found| found.severity == severity);
        match of_it.count() {
            1 => format!("1 {name}"),
            number => format!("{number} {name}s"),
        }
    };
    let errors = count(Severity::Error, "error");
    let warnings = count(Severity::Warning, "warning");
    format!("{errors}, {warnings}")
}

/// The line with the marked part underlined.
fn underlined(diagnostic: &Diagnostic, text: &str, style: Style) -> Option<String> {
    let number = usize::try_from(diagnostic.line).ok()?;
    let line = text.lines().nth(number.checked_sub(1)?)?;
    let first = usize::try_from(diagnostic.column).ok()?.checked_sub(1)?;
    let byte = |character: usize| line.char_indices().nth(character).map_or(line.len(), |(at, _)| at);
    let start = byte(first);
    let end = byte(first + usize::try_from(diagnostic.length).ok()?);
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let snippet = Snippet::source(line).line_start(number).annotation(AnnotationKind::Primary.span(start..end));
    let report = [Group::with_level(level).element(snippet)];
    Some(renderer.term_width(DEFAULT_TERM_WIDTH).render(&report))
}

/// What comes out of files may hold line breaks and escape sequences; a terminal must not obey them.
fn one_line(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() { ' ' } else { character }
    };
    text.chars().map(shown).collect()
}
