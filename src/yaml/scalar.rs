//! What an unquoted scalar is where no schema says: `null`, `true`, `false` and numbers only in their
//! canonical text; everything else stays the text that was written (`007`, `1.10`, `+41791234567`, `no`).

use serde_json::{Number, Value};

/// The value of an unquoted scalar where no schema says what it is.
pub fn canonical(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match number(text) {
            Some(number) if number.to_string() == text => Value::Number(number),
            _ => Value::from(text),
        },
    }
}

/// Whether an unquoted scalar says that there is no value.
pub fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

/// The number that a text is, however it is written in decimals; none where it does not fit exactly into
/// 64 bits or is no number.
pub fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        return match unsigned.parse::<i64>() {
            Ok(whole) => Some(whole.into()),
            Err(_) => unsigned.parse::<u64>().ok().map(Number::from),
        };
    }
    let is_decimal =
        digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    is_decimal.then(|| text.parse::<f64>().ok()).flatten().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn only_canonical_texts_are_more_than_text() {
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("true", json!(true)),
            ("False", json!("False")),
            ("no", json!("no")),
            ("on", json!("on")),
            ("0", json!(0)),
            ("-5", json!(-5)),
            ("-0", json!("-0")),
            ("+5", json!("+5")),
            ("+41791234567", json!("+41791234567")),
            ("007", json!("007")),
            ("1_000", json!("1_000")),
            ("0x1f", json!("0x1f")),
            ("1e3", json!("1e3")),
            ("1.5", json!(1.5)),
            ("1.10", json!("1.10")),
            ("1.", json!("1.")),
            (".5", json!(".5")),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551616", json!("18446744073709551616")),
            ("123456789012345678901234567890", json!("123456789012345678901234567890")),
            (".nan", json!(".nan")),
            ("1e999", json!("1e999")),
            ("2026-11-20", json!("2026-11-20")),
        ] {
            assert_eq!(canonical(text), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_character_is_ever_lost(text in "[-+0-9a-z._]{1,24}") {
            let shown = match canonical(&text) {
                Value::String(kept) => kept,
                Value::Null => text.clone(),
                other => other.to_string(),
            };
            prop_assert_eq!(shown, text);
        }
    }
}
