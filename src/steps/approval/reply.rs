//! What a reply by SMS says: whether it carries an approval's code, and which choice it makes. People type with
//! their thumbs, so case, spaces and punctuation do not count; but what is not clear decides nothing.

use super::terms::{Choice, Terms};

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It carries no such code: it is about something else.
    Other,
    /// It carries the code and answers nothing that was asked.
    Unclear,
    /// It decides.
    Answer {
        /// The choice; none where only a text is asked for.
        choice: Option<String>,
        /// The text of one's own.
        text: Option<String>,
    },
}

/// Reads a reply to the approver with this code.
pub fn read(message: &str, code: &str, terms: &Terms) -> Reply {
    let Some(rest) = without_code(message, code) else {
        return Reply::Other;
    };
    let written = own(&rest);
    let rest = rest.trim_matches(is_blank);
    if terms.choices.is_empty() {
        return match rest {
            "" => Reply::Unclear,
            _ => Reply::Answer { choice: None, text: Some(written.to_owned()) },
        };
    }
    if let Some(name) = choice(rest, terms) {
        return Reply::Answer { choice: Some(name), text: None };
    }
    if !terms.text {
        return Reply::Unclear;
    }
    // The choice first, then a text of one's own.
    let written = written.trim_start_matches(is_blank);
    let (first, more) = written.split_once(is_blank).unwrap_or((written, ""));
    match choice(first, terms) {
        Some(name) => Reply::Answer { choice: Some(name), text: Some(own(more).to_owned()) },
        None => Reply::Unclear,
    }
}

/// The choice that a word means: a name, a title or a declared word, or the beginning of one choice's alone.
fn choice(said: &str, terms: &Terms) -> Option<String> {
    let said = plain(said);
    if said.is_empty() {
        return None;
    }
    let words = |choice: &Choice| -> Vec<String> {
        let named = [choice.name.as_str(), choice.shown()];
        named.into_iter().chain(choice.words.iter().map(String::as_str)).map(plain).collect()
    };
    let exact = terms.choices.iter().find(|choice| words(choice).contains(&said));
    let chosen = exact.or_else(|| {
        let mut begun = terms.choices.iter().filter(|choice| words(choice).iter().any(|word| word.starts_with(&said)));
        let first = begun.next()?;
        begun.next().is_none().then_some(first)
    });
    chosen.map(|choice| choice.name.clone())
}

/// The message without the code, which may be anywhere between two words and have spaces in it.
fn without_code(message: &str, code: &str) -> Option<String> {
    let starts = message.char_indices().filter(|(at, letter)| {
        letter.is_alphanumeric()
            && !message.get(..*at).and_then(|before| before.chars().next_back()).is_some_and(char::is_alphanumeric)
    });
    for (start, _) in starts {
        if let Some(end) = code_end(message, start, code) {
            let (mut before, mut after) = (message.get(..start)?, message.get(end..)?);
            // Brackets around the code are the code's.
            if let (Some(opened), Some(closed)) = (before.strip_suffix('('), after.strip_prefix(')')) {
                (before, after) = (opened, closed);
            }
            return Some(format!("{before} {after}"));
        }
    }
    None
}

/// Where the code that starts here ends.
fn code_end(message: &str, start: usize, code: &str) -> Option<usize> {
    let mut wanted = code.chars().peekable();
    let rest = message.get(start..)?;
    for (at, letter) in rest.char_indices() {
        let Some(next) = wanted.peek() else {
            return (!letter.is_alphanumeric()).then_some(start + at);
        };
        if letter.eq_ignore_ascii_case(next) {
            wanted.next();
        } else if letter.is_alphanumeric() {
            return None;
        }
    }
    wanted.peek().is_none().then_some(message.len())
}

fn plain(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A text of one's own, without what parts it from the code or the choice: how it ends is its writer's.
fn own(text: &str) -> &str {
    let parts = |letter: char| letter.is_whitespace() || ".,;:!?-–—".contains(letter);
    text.trim_start_matches(parts).trim_end_matches(|letter: char| letter.is_whitespace() || ",;:-–—".contains(letter))
}

fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || ".,;:!?-–—\"'()".contains(letter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms(text: bool, choices: serde_json::Value) -> Terms {
        serde_json::from_value(json!({
            "approvers": [null], "needed": 1, "expires_ms": 1, "text": text, "choices": choices,
        }))
        .unwrap()
    }

    fn answer(choice: &str, text: Option<&str>) -> Reply {
        Reply::Answer { choice: Some(choice.to_owned()), text: text.map(str::to_owned) }
    }

    #[test]
    fn a_reply_is_taken_as_people_type_it() {
        let terms = terms(
            false,
            json!([{"name": "approve", "title": "Go ahead", "words": ["yes", "ok"]}, {"name": "reject", "words": ["no"]}, {"name": "review"}]),
        );
        for (message, reply) in [
            ("K7Q2M approve", answer("approve", None)),
            ("k7q2m APPROVE.", answer("approve", None)),
            ("K7 Q2M yes", answer("approve", None)),
            ("  k 7 q 2 m :  Yes!! ", answer("approve", None)),
            ("Approve K7Q2M", answer("approve", None)),
            ("K7Q2M go ahead", answer("approve", None)),
            ("K7Q2M a", answer("approve", None)),
            ("K7Q2M rej", answer("reject", None)),
            ("K7Q2M no", answer("reject", None)),
            // Both `reject` and `review` begin so.
            ("K7Q2M re", Reply::Unclear),
            ("K7Q2M", Reply::Unclear),
            ("K7Q2M yes but not the second", Reply::Unclear),
            ("K7Q2M perhaps", Reply::Unclear),
            ("yes", Reply::Other),
            ("K7Q2N yes", Reply::Other),
            ("XK7Q2M yes", Reply::Other),
            ("K7Q2MX yes", Reply::Other),
            ("", Reply::Other),
        ] {
            assert_eq!(read(message, "K7Q2M", &terms), reply, "{message}");
        }
    }

    #[test]
    fn a_text_of_ones_own_follows_the_choice_or_is_all() {
        let both = terms(true, json!([{"name": "approve"}, {"name": "reject"}]));
        assert_eq!(read("k7q2m reject, too early", "K7Q2M", &both), answer("reject", Some("too early")));
        assert_eq!(read("k7q2m why?", "K7Q2M", &both), Reply::Unclear);
        let text = terms(true, json!([]));
        let said = Reply::Answer { choice: None, text: Some("Tuesday at 9".to_owned()) };
        assert_eq!(read("K7Q2M: Tuesday at 9", "K7Q2M", &text), said);
        assert_eq!(read("K7Q2M", "K7Q2M", &text), Reply::Unclear);
        assert_eq!(read("K7Q2M !?", "K7Q2M", &text), Reply::Unclear);
        // How it ends is its writer's.
        for (message, own) in [
            ("K7Q2M reject - is it over? (update 1)", "is it over? (update 1)"),
            ("K7Q2M reject: \"not now\"!", "\"not now\"!"),
            ("(K7Q2M) reject (see the log)", "(see the log)"),
            ("reject Too early. K7Q2M", "Too early."),
            ("reject, too early, K7Q2M", "too early"),
        ] {
            assert_eq!(read(message, "K7Q2M", &both), answer("reject", Some(own)), "{message}");
        }
    }

    #[test]
    fn nothing_that_comes_in_is_too_strange_to_read() {
        let terms = terms(true, json!([{"name": "approve"}]));
        for message in ["é K7Q2M é", "K7Q2M🥐", "🥐", "K7Q2", "ﬁ K7Q2M", "\u{0}", "K7Q2M\u{301} approve"] {
            let _ = read(message, "K7Q2M", &terms);
        }
        assert_eq!(read("🥐 K7Q2M approve", "K7Q2M", &terms), answer("approve", None));
    }
}
