//! Words and times as people read them. What comes from a service or a file is data: a terminal must not
//! obey what is in it.

use serde_json::Value;

/// On one line, without anything that a terminal would obey.
pub fn one_line(text: &str) -> String {
    let shown = |character: char| match character {
        character if is_obeyed(character) => ' ',
        character => character,
    };
    text.trim_end().chars().map(shown).collect()
}

/// On one line, what a terminal would obey told as it would be written.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_obeyed(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

/// With its line breaks, each line moved in by `indent` spaces, and otherwise as [`one_line`].
pub fn indented(text: &str, indent: usize) -> String {
    let space = " ".repeat(indent);
    let lines = text.lines().map(|line| format!("{space}{}\n", one_line(line)));
    lines.collect()
}

/// JSON as it is read: text without its quotes, a list or object spread over lines.
pub fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => format!("{value:#}"),
        other => other.to_string(),
    }
}

/// JSON in a table's cell: on one line, nothing for null.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        other => one_line(&other.to_string()),
    }
}

/// A length of time: `340ms`, `1.2s`, `3m 20s`, `2h 5m`, `4d 1h`.
pub fn elapsed(length_ms: i64) -> String {
    let seconds = length_ms / 1_000;
    match seconds {
        ..1 => format!("{}ms", length_ms.max(0)),
        1..60 => format!("{seconds}.{}s", length_ms % 1_000 / 100),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// `1 run`, `3 runs`
pub fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Control characters, and the marks that turn the direction of the text after them.
fn is_obeyed(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc\u{202e}d\u{9b}e\n"), "a [2Jb c d e");
        assert_eq!(indented("a\u{1b}c\nb\n", 2), "  a c\n  b\n");
    }

    #[test]
    fn lengths_of_time_are_short() {
        let cases = [
            (0, "0ms"),
            (999, "999ms"),
            (1_250, "1.2s"),
            (200_000, "3m 20s"),
            (7_500_000, "2h 5m"),
            (350_000_000, "4d 1h"),
        ];
        for (length_ms, shown) in cases {
            assert_eq!(elapsed(length_ms), shown);
        }
    }
}
