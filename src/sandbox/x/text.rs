//! What X does to a tweet's text: links become t.co links, `& < >` are escaped, hashtags, mentions, cashtags
//! and links are found in it, and its length is weighed.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// Longest text of an ordinary account, weighted.
pub(super) const MAX_WEIGHT: usize = 280;

/// A link counts as its t.co form, whatever its length (twitter-text 3).
const LINK_WEIGHT: usize = 23;

/// Something found in a text; positions count Unicode code points, `end` excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
    /// The name without its sign; of a link the t.co form.
    pub text: String,
    /// Where a link leads.
    pub target: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hashtag,
    Mention,
    Cashtag,
    Link,
}

/// A text as X stores and answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub text: String,
    pub entities: Vec<Entity>,
}

/// Shortens links, escapes, and finds entities.
pub(super) fn store(written: &str) -> Stored {
    let mut text = String::with_capacity(written.len() + 16);
    let mut entities = Vec::new();
    let mut length = 0;
    let mut rest = written;
    let mut before = None;
    while let Some(character) = rest.chars().next() {
        let link = link_at(rest, before);
        let (taken, entity) = match link {
            Some(taken) => (taken, Some((Kind::Link, short_link(&rest[..taken])))),
            None => match sign_at(rest, before) {
                Some((taken, kind)) => (taken, Some((kind, rest[1..taken].to_owned()))),
                None => (character.len_utf8(), None),
            },
        };
        let (source, start) = (&rest[..taken], length);
        match entity {
            Some((kind, name)) => {
                let shown = if kind == Kind::Link { &name } else { source };
                text.push_str(shown);
                length += shown.chars().count();
                let target = (kind == Kind::Link).then(|| source.to_owned());
                entities.push(Entity { start, end: length, kind, text: name, target });
            }
            None => {
                let escaped = match character {
                    '&' => "&amp;",
                    '<' => "&lt;",
                    '>' => "&gt;",
                    _ => source,
                };
                text.push_str(escaped);
                length += if escaped.len() == source.len() { 1 } else { escaped.len() };
            }
        }
        before = source.chars().next_back();
        rest = &rest[taken..];
    }
    Stored { text, entities }
}

/// The length of a text as X counts it: twitter-text 3's weights, for links with a scheme.
pub(super) fn weight(text: &str) -> usize {
    if text.is_ascii() && !text.contains("://") {
        return text.len();
    }
    let normal: String = text.nfc().collect();
    let mut weight = 0;
    let mut rest = normal.as_str();
    let mut before = None;
    while let Some(cluster) = rest.graphemes(true).next() {
        let taken = match link_at(rest, before) {
            Some(taken) => {
                weight += LINK_WEIGHT;
                taken
            }
            None => {
                weight += if is_emoji(cluster) { 2 } else { cluster.chars().map(character_weight).sum() };
                cluster.len()
            }
        };
        before = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    weight
}

fn character_weight(character: char) -> usize {
    match u32::from(character) {
        0..=0x10FF | 0x2000..=0x200D | 0x2010..=0x201F | 0x2032..=0x2037 => 1,
        _ => 2,
    }
}

fn is_emoji(cluster: &str) -> bool {
    let pictured = |character| matches!(u32::from(character), 0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x2B00..=0x2BFF);
    cluster.chars().any(|character| pictured(character) || matches!(character, '\u{FE0F}' | '\u{20E3}'))
}

/// The length in bytes of the link that `rest` begins with.
fn link_at(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| rest.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>')).unwrap_or(rest.len());
    let link = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'']);
    (link.len() > scheme.len()).then_some(link.len())
}

/// The length in bytes and the kind of the tag or mention that `rest` begins with.
fn sign_at(rest: &str, before: Option<char>) -> Option<(usize, Kind)> {
    if before.is_some_and(|character| character.is_alphanumeric() || matches!(character, '_' | '&' | '@' | '#')) {
        return None;
    }
    let mut characters = rest.chars();
    let sign = characters.next()?;
    let (kind, most, fits): (_, _, fn(char) -> bool) = match sign {
        '#' => (Kind::Hashtag, 100, |c| c.is_alphanumeric() || c == '_'),
        '@' => (Kind::Mention, 15, |c| c.is_ascii_alphanumeric() || c == '_'),
        '$' => (Kind::Cashtag, 6, |c| c.is_ascii_alphabetic()),
        _ => return None,
    };
    let name: String = characters.take_while(|&character| fits(character)).take(most + 1).collect();
    let length = name.chars().count();
    let valid = length > 0 && length <= most && !name.chars().all(char::is_numeric);
    (valid || (kind == Kind::Mention && length > 0 && length <= most)).then_some((1 + name.len(), kind))
}

/// `https://t.co/` and ten characters that depend on the target alone.
fn short_link(target: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // FNV-1a: stable between runs and builds, which the standard hasher does not promise.
    let mut hash = target
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut link = String::from("https://t.co/");
    for _ in 0..10 {
        link.push(char::from(DIGITS[(hash % 62) as usize]));
        hash /= 62;
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_stored_as_x_answers_it() {
        let stored = store("Ä @acme & #down: https://example.org/a?b=1. $ACME a@b #1");
        let link = short_link("https://example.org/a?b=1");
        assert_eq!(stored.text, format!("Ä @acme &amp; #down: {link}. $ACME a@b #1"));
        let found: Vec<_> = stored
            .entities
            .iter()
            .map(|entity| (entity.kind, entity.start, entity.end, entity.text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (Kind::Mention, 2, 7, "acme"),
                (Kind::Hashtag, 14, 19, "down"),
                (Kind::Link, 21, 44, link.as_str()),
                (Kind::Cashtag, 46, 51, "ACME"),
            ]
        );
        assert_eq!(stored.entities[2].target.as_deref(), Some("https://example.org/a?b=1"));
        assert_eq!(link.len(), 23);
    }

    #[test]
    fn a_text_weighs_what_x_says() {
        for (text, expected) in [
            ("abc", 3),
            ("äöü", 3),
            ("e\u{301}", 1),
            ("日本", 4),
            ("👨‍👩‍👧‍👦", 2),
            ("a https://example.org/a/very/long/path/indeed/beyond/23 b", 27),
            ("…", 2),
        ] {
            assert_eq!(weight(text), expected, "{text}");
        }
    }
}
