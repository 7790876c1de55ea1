//! Text measures that manifests name as `format`: `tweet`, `long_tweet`, `sms`, `phone`, `sender`, `instant`, `file`,
//! `jmespath`; and who signed a callback. The only per-service Rust there is. Pure; schemas, templates and the sandbox ask it.

pub mod callback;
pub mod date;
pub mod instant;
pub mod jmespath;
mod links;
pub mod phone;
mod sender;
pub mod sms;
pub mod tweet;

/// The names that `format` may have beyond those of JSON Schema.
pub fn names() -> &'static [&'static str] {
    &["tweet", "long_tweet", "sms", "phone", "sender", "instant", "file", "jmespath"]
}

/// Whether a text is what the format asks for; the error says why not, without quoting the text. A format that
/// is not one of [`names`] is an error too.
pub fn validate(format: &str, text: &str) -> Result<(), String> {
    match format {
        "tweet" => tweet::validate(text),
        "long_tweet" => tweet::validate_long(text),
        "sms" => sms::validate(text),
        "phone" => phone::validate(text),
        "file" => path(text),
        "sender" => sender::validate(text),
        "instant" => instant::validate(text),
        "jmespath" => jmespath::validate(text),
        _ => Err(format!("there is no format `{format}`: there are `{}`", names().join("`, `"))),
    }
}

/// The length of a text as the format counts it: weighted characters of a tweet, segments of an SMS, digits of
/// a phone number, else characters. `None` for an unknown format.
pub fn measure(format: &str, text: &str) -> Option<usize> {
    match format {
        "tweet" | "long_tweet" => Some(tweet::weighted_length(text)),
        "sms" => Some(sms::measure(text).segments),
        "phone" => Some(text.chars().filter(char::is_ascii_digit).count()),
        "sender" | "instant" | "file" | "jmespath" => Some(text.chars().count()),
        _ => None,
    }
}

/// The check of a format as a JSON Schema validator takes it.
pub fn checker(format: &str) -> Option<fn(&str) -> bool> {
    match format {
        "tweet" => Some(|text| tweet::validate(text).is_ok()),
        "long_tweet" => Some(|text| tweet::validate_long(text).is_ok()),
        "sms" => Some(|text| sms::validate(text).is_ok()),
        "phone" => Some(|text| phone::validate(text).is_ok()),
        "file" => Some(|text| path(text).is_ok()),
        "sender" => Some(|text| sender::validate(text).is_ok()),
        "instant" => Some(|text| instant::validate(text).is_ok()),
        "jmespath" => Some(|text| jmespath::validate(text).is_ok()),
        _ => None,
    }
}

/// What can be a path at all; whether a file is there is known when it is asked for.
fn path(text: &str) -> Result<(), String> {
    match text {
        "" => Err("a path has at least one character".to_owned()),
        text if text.contains('\0') => Err("a path has no NUL character".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
