//! The weighted length of a tweet, as X counts it (twitter-text configuration v3): after NFC, Latin and a few
//! other scripts weigh 1, everything else 2, an emoji as a whole 2, and every link 23, however long.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::links;

/// The greatest weighted length of a tweet without a premium account.
pub const MAX_LENGTH: usize = 280;
/// Of a premium account.
const MAX_LONG_LENGTH: usize = 25_000;

/// What every link weighs: X replaces it by one of its own.
const LINK_LENGTH: usize = 23;

/// An emoji that weighs 2 as a whole: flags, keycaps, joined sequences, skin tones and tags. `©` and `®` are
/// emoji only with a variation selector; alone they are characters that weigh 1.
#[expect(clippy::expect_used, reason = "the pattern is constant and compiled by a test")]
static EMOJI: LazyLock<Regex> = LazyLock::new(|| {
    let element =
        r"(?:[©®]\x{FE0F}|[\p{Extended_Pictographic}--[©®]]\x{FE0F}?[\x{1F3FB}-\x{1F3FF}]?[\x{E0020}-\x{E007F}]*)";
    let pattern = format!(
        r"[\x{{1F1E6}}-\x{{1F1FF}}]{{2}}|[0-9#*]\x{{FE0F}}?\x{{20E3}}|{element}(?:\x{{200D}}(?:{element}|[♀♂⚕⚖✈]\x{{FE0F}}?))*"
    );
    Regex::new(&pattern).expect("a constant pattern")
});

/// The weighted length of a text.
pub fn weighted_length(text: &str) -> usize {
    let text: String = text.nfc().collect();
    pieces(&text).iter().map(|(_, weight)| weight).sum()
}

/// Whether X takes a text as a tweet of an ordinary account, by its length and characters.
pub fn validate(text: &str) -> Result<(), String> {
    within(text, MAX_LENGTH)
}

/// The same for the longest that any account may post.
pub fn validate_long(text: &str) -> Result<(), String> {
    within(text, MAX_LONG_LENGTH)
}

fn within(text: &str, most: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("a tweet cannot be empty".to_owned());
    }
    if text.contains(['\u{FFFE}', '\u{FEFF}', '\u{FFFF}']) {
        return Err("a tweet cannot hold the characters U+FFFE, U+FEFF and U+FFFF".to_owned());
    }
    match weighted_length(text) {
        length if length > most => Err(format!(
            "a tweet has a weighted length of at most {most}, this one has {length}: shorten it with `truncate … measure='tweet'`"
        )),
        _ => Ok(()),
    }
}

/// The text cut to a weighted length with `ellipsis` at its end, in NFC; a text that fits is left as it is. No
/// link, emoji or character is cut apart.
pub fn truncate(text: &str, length: usize, ellipsis: &str) -> String {
    let normalized: String = text.nfc().collect();
    let pieces = pieces(&normalized);
    let whole: usize = pieces.iter().map(|(_, weight)| weight).sum();
    if whole <= length {
        return text.to_owned();
    }
    let room = length.saturating_sub(weighted_length(ellipsis));
    let mut used = 0;
    let mut end = 0;
    for (range, weight) in &pieces {
        used += weight;
        if used > room {
            break;
        }
        end = range.end;
    }
    format!("{}{ellipsis}", normalized.get(..end).unwrap_or_default().trim_end())
}

/// The text with its links taken out: X replaces each by one of its own, so they tell nothing about whether two
/// texts are the same.
pub fn without_links(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut position = 0;
    for link in links::find(text) {
        kept.push_str(text.get(position..link.start).unwrap_or_default());
        position = link.end;
    }
    kept.push_str(text.get(position..).unwrap_or_default());
    kept
}

/// The links and graphemes of a text with what they weigh.
fn pieces(text: &str) -> Vec<(Range<usize>, usize)> {
    let mut pieces = Vec::new();
    let mut position = 0;
    let end = text.len()..text.len();
    for link in links::find(text).into_iter().chain([end]) {
        let between = text.get(position..link.start).unwrap_or_default();
        for (offset, grapheme) in between.grapheme_indices(true) {
            let start = position + offset;
            pieces.push((start..start + grapheme.len(), weight(grapheme)));
        }
        position = link.end;
        if !link.is_empty() {
            pieces.push((link, LINK_LENGTH));
        }
    }
    pieces
}

fn weight(grapheme: &str) -> usize {
    if grapheme.is_ascii() {
        return grapheme.len();
    }
    let emoji: usize = EMOJI.find_iter(grapheme).count();
    let rest = EMOJI.split(grapheme).flat_map(str::chars).map(character_weight);
    2 * emoji + rest.sum::<usize>()
}

fn character_weight(character: char) -> usize {
    match u32::from(character) {
        0..=0x10FF | 0x2000..=0x200D | 0x2010..=0x201F | 0x2032..=0x2037 => 1,
        _ => 2,
    }
}
