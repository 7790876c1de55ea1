//! Text. Lengths and positions count characters as a reader sees them (grapheme clusters, UAX #29), so that no
//! helper cuts one apart.

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::super::MAX_OUTPUT_BYTES;
use super::super::error::Error;
use super::super::render::scalar_text;
use super::signature::{one, optional};
use super::{Arguments, Helper, Signature, Type};
use crate::formats::{sms, tweet};

const TEXT: &[super::Parameter] = &[one("text", Type::Text)];

pub(super) const HELPERS: &[Helper] = &[
    Helper::function(Signature::new("lower", TEXT, Type::String, "the text in lower case"), |a| {
        Ok(a.text(0)?.to_lowercase().into())
    }),
    Helper::function(Signature::new("upper", TEXT, Type::String, "the text in upper case"), |a| {
        Ok(a.text(0)?.to_uppercase().into())
    }),
    Helper::function(Signature::new("trim", TEXT, Type::String, "the text without white space at its ends"), |a| {
        Ok(a.text(0)?.trim().into())
    }),
    Helper::function(
        Signature::new(
            "truncate",
            &[one("text", Type::Text), one("length", Type::Integer)],
            Type::String,
            "at most so many characters, the ellipsis among them; measure='tweet' counts as X does",
        )
        .with_options(&[optional("ellipsis", Type::String), optional("measure", Type::String)]),
        truncate,
    ),
    Helper::function(
        Signature::new(
            "measure_sms",
            TEXT,
            Type::Object,
            "what a text takes as SMS: {encoding, characters, units, segments, fits}",
        ),
        measure_sms,
    ),
    Helper::function(
        Signature::new(
            "replace",
            &[one("text", Type::Text), one("from", Type::Text), one("to", Type::Text)],
            Type::String,
            "the text with every occurrence of one text replaced by another",
        ),
        replace,
    ),
    Helper::function(
        Signature::new(
            "split",
            &[one("text", Type::Text), one("separator", Type::Text)],
            Type::Array,
            "the parts of a text between separators",
        ),
        split,
    ),
    Helper::function(
        Signature::new(
            "join",
            &[one("list", Type::Array), optional("separator", Type::Text)],
            Type::String,
            "the elements of an array as one text; `, ` between them unless told otherwise",
        ),
        join,
    ),
    Helper::function(
        Signature::new(
            "slice",
            &[one("value", Type::Any), one("start", Type::Integer), optional("end", Type::Integer)],
            Type::Any,
            "a part of a text or an array, from start up to but without end; negative numbers count from the end",
        ),
        slice,
    ),
    Helper::function(Signature::new("lines", TEXT, Type::Array, "the lines of a text"), |a| {
        Ok(a.text(0)?.lines().map(Value::from).collect())
    }),
    Helper::function(
        Signature::new(
            "pad_left",
            &[one("text", Type::Text), one("length", Type::Integer), optional("with", Type::Text)],
            Type::String,
            "the text filled up at its left with spaces or another character",
        ),
        pad_left,
    ),
    Helper::function(
        Signature::new(
            "prefix",
            &[one("text", Type::Text), one("start", Type::Text)],
            Type::String,
            "the text with a start, added where it is not there yet",
        ),
        prefix,
    ),
    Helper::function(
        Signature::new(
            "capture",
            &[one("text", Type::Text), one("pattern", Type::Pattern)],
            Type::Any,
            "what a regular expression's first group finds, or all of it without groups; null where it finds nothing",
        ),
        capture,
    ),
    Helper::function(
        Signature::new(
            "same_text",
            &[one("a", Type::Text), one("b", Type::Text)],
            Type::Boolean,
            "whether two texts are the same to a reader: white space, Unicode forms, HTML entities and where links lead are ignored",
        ),
        |a| Ok(Value::Bool(comparable(&a.text(0)?) == comparable(&a.text(1)?))),
    ),
    Helper::function(
        Signature::new(
            "html_unescape",
            TEXT,
            Type::String,
            "the text with the characters that HTML escapes: `&` for `&amp;`, and so for `<`, `>` and both quotes",
        ),
        |a| Ok(unescaped(&a.text(0)?).into()),
    ),
];

/// A text as `same_text` compares it. A service replaces links by its own and escapes `&`, `<` and `>`.
fn comparable(text: &str) -> String {
    let normalized: String = tweet::without_links(&unescaped(text)).nfc().collect();
    normalized.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What HTML escapes, once: `&amp;lt;` is the text `&lt;`. So `&amp;` comes last.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

fn measure_sms(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = a.text(0)?;
    let sms::Measure { encoding, units, segments } = sms::measure(&text);
    let encoding = match encoding {
        sms::Encoding::Gsm7 => "gsm-7",
        sms::Encoding::Ucs2 => "ucs-2",
    };
    Ok(json!({
        "encoding": encoding,
        "characters": text.chars().count(),
        "units": units,
        "segments": segments,
        "fits": sms::validate(&text).is_ok(),
    }))
}

fn truncate(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = a.text(0)?;
    let length = a.size(1)?;
    let ellipsis = a.text_option("ellipsis")?.unwrap_or("…");
    if a.choice("measure", &["characters", "tweet"])? == "tweet" {
        return Ok(tweet::truncate(&text, length, ellipsis).into());
    }
    // Every character has a byte: what is shorter in bytes fits.
    if text.len() <= length || text.graphemes(true).nth(length).is_none() {
        return Ok(text.into_owned().into());
    }
    let room = length.saturating_sub(ellipsis.graphemes(true).count());
    let cut: String = text.graphemes(true).take(room).collect();
    Ok(format!("{}{ellipsis}", cut.trim_end()).into())
}

fn replace(a: &Arguments<'_>) -> Result<Value, Error> {
    let (text, from, to) = (a.text(0)?, a.text(1)?, a.text(2)?);
    if from.is_empty() {
        return Err(a.fail("what is replaced cannot be empty"));
    }
    let grown = text.matches(from.as_ref()).count().saturating_mul(to.len());
    if text.len().saturating_add(grown) > 2 * MAX_OUTPUT_BYTES {
        return Err(a.too_large());
    }
    Ok(text.replace(from.as_ref(), &to).into())
}

fn split(a: &Arguments<'_>) -> Result<Value, Error> {
    let (text, separator) = (a.text(0)?, a.text(1)?);
    if separator.is_empty() {
        return Ok(text.graphemes(true).map(Value::from).collect());
    }
    Ok(text.split(separator.as_ref()).map(Value::from).collect())
}

fn join(a: &Arguments<'_>) -> Result<Value, Error> {
    let separator = if a.count() > 1 { a.text(1)? } else { ", ".into() };
    let mut joined = String::new();
    for (index, element) in a.array(0)?.iter().enumerate() {
        if index > 0 {
            joined.push_str(&separator);
        }
        let text = scalar_text(element).ok_or_else(|| {
            a.fail(format!("element {index} has no text of its own"))
                .with_help("take one key of each element with `pluck`")
        })?;
        joined.push_str(&text);
        if joined.len() > MAX_OUTPUT_BYTES {
            return Err(a.too_large());
        }
    }
    Ok(joined.into())
}

fn slice(a: &Arguments<'_>) -> Result<Value, Error> {
    let (start, end) = (a.integer(1)?, a.integer_if_given(2)?);
    if let Value::Array(elements) = a.value(0) {
        let (start, end) = bounds(elements.len(), start, end);
        return Ok(elements.get(start..end).unwrap_or_default().to_vec().into());
    }
    let text = a.text(0)?;
    let characters: Vec<&str> = text.graphemes(true).collect();
    let (start, end) = bounds(characters.len(), start, end);
    Ok(characters.get(start..end).unwrap_or_default().concat().into())
}

/// Positions within a length; negative ones count from its end.
fn bounds(length: usize, start: i64, end: Option<i64>) -> (usize, usize) {
    let place = |position: i64| match usize::try_from(position) {
        Ok(position) => position.min(length),
        Err(_) => length.saturating_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let start = place(start);
    (start, end.map_or(length, place).max(start))
}

fn pad_left(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = a.text(0)?;
    let length = a.size(1)?;
    let filling = if a.count() > 2 { a.text(2)? } else { " ".into() };
    if filling.graphemes(true).count() != 1 {
        return Err(a.fail("`with` has to be one character"));
    }
    let missing = length.saturating_sub(text.graphemes(true).count());
    if missing.saturating_mul(filling.len()) > MAX_OUTPUT_BYTES {
        return Err(a.too_large());
    }
    Ok(format!("{}{text}", filling.repeat(missing)).into())
}

fn prefix(a: &Arguments<'_>) -> Result<Value, Error> {
    let (text, start) = (a.text(0)?, a.text(1)?);
    if text.starts_with(start.as_ref()) {
        return Ok(text.into_owned().into());
    }
    Ok(format!("{start}{text}").into())
}

fn capture(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = a.text(0)?;
    let pattern = a.pattern(1)?;
    let Some(found) = pattern.captures(&text) else {
        return Ok(Value::Null);
    };
    let group = if pattern.captures_len() > 1 { found.get(1) } else { found.get(0) };
    Ok(group.map_or(Value::Null, |group| group.as_str().into()))
}
