//! JSON, encodings, digests and identifiers.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::super::error::Error;
use super::super::render::scalar_text;
use super::signature::{many, one, optional};
use super::{Arguments, Helper, Signature, Type};
use crate::formats::callback;

/// RFC 3986's unreserved characters stay, everything else is encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const TEXT: &[super::Parameter] = &[one("text", Type::Text)];
const ENCODING: super::Parameter = optional("encoding", Type::String);
const ALGORITHM: super::Parameter = optional("algorithm", Type::String);

pub(super) const HELPERS: &[Helper] = &[
    Helper::function(
        Signature::new("json", &[one("value", Type::Any)], Type::String, "the value as JSON text")
            .with_options(&[optional("pretty", Type::Boolean)]),
        json,
    ),
    Helper::function(
        Signature::new("parse_json", &[one("text", Type::String)], Type::Any, "the value that a JSON text holds"),
        parse_json,
    ),
    Helper::function(
        Signature::new(
            "base64",
            TEXT,
            Type::String,
            "the text in Base64 (RFC 4648); url=true in its URL form without padding",
        )
        .with_options(&[optional("url", Type::Boolean)]),
        base64,
    ),
    Helper::function(
        Signature::new("base64_decode", TEXT, Type::String, "the text that Base64 holds, in either form"),
        base64_decode,
    ),
    Helper::function(
        Signature::new("url_encode", TEXT, Type::String, "the text percent-encoded for any part of a URL"),
        |a| Ok(utf8_percent_encode(&a.text(0)?, UNRESERVED).to_string().into()),
    ),
    Helper::function(
        Signature::new("xml_escape", TEXT, Type::String, "the text as the content of an XML element or attribute"),
        |a| Ok(xml_escaped(&a.text(0)?).into()),
    ),
    Helper::function(
        Signature::new(
            "hash",
            TEXT,
            Type::String,
            "the SHA-256 of a text in hex; algorithm= sha256, sha512 or sha1, encoding= hex or base64",
        )
        .with_options(&[ALGORITHM, ENCODING]),
        hash,
    ),
    Helper::function(
        Signature::new(
            "hmac",
            &[one("text", Type::Text), one("key", Type::Text)],
            Type::String,
            "the HMAC-SHA-256 of a text under a key in hex; algorithm= sha256, sha512 or sha1, encoding= hex or base64",
        )
        .with_options(&[ALGORITHM, ENCODING]),
        hmac,
    ),
    Helper::function(
        Signature::new(
            "twilio_signed",
            &[one("signature", Type::Text), one("url", Type::String), one("body", Type::Any), one("key", Type::Text)],
            Type::Boolean,
            "whether an X-Twilio-Signature is that of a request to this URL with this form (an object) or body (text) under the auth token",
        ),
        twilio_signed,
    ),
    Helper::function(
        Signature::new(
            "uuid",
            &[many("name", Type::Text)],
            Type::String,
            "an identifier that is the same for the same names within a run, and differs between runs",
        ),
        uuid,
    ),
];

fn json(a: &Arguments<'_>) -> Result<Value, Error> {
    let pretty = a.option("pretty") == Some(&Value::Bool(true));
    let written = if pretty { serde_json::to_string_pretty(a.value(0)) } else { serde_json::to_string(a.value(0)) };
    written.map(Value::String).map_err(|error| a.fail(error.to_string()))
}

fn parse_json(a: &Arguments<'_>) -> Result<Value, Error> {
    serde_json::from_str(a.string(0)?).map_err(|error| {
        a.fail(format!("{} is not JSON (line {}, column {})", a.expression(0), error.line(), error.column()))
    })
}

fn base64(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = a.text(0)?;
    let for_url = a.option("url") == Some(&Value::Bool(true));
    Ok(if for_url { URL_SAFE_NO_PAD.encode(text.as_bytes()) } else { STANDARD.encode(text.as_bytes()) }.into())
}

fn base64_decode(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = a.text(0)?;
    let plain: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '=')
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    let bytes = URL_SAFE_NO_PAD.decode(plain).map_err(|_| a.fail(format!("{} is not Base64", a.expression(0))))?;
    String::from_utf8(bytes)
        .map(Value::String)
        .map_err(|_| a.fail(format!("what {} holds is not text", a.expression(0))))
}

fn hash(a: &Arguments<'_>) -> Result<Value, Error> {
    let text = a.text(0)?;
    let digest = match algorithm(a)? {
        "sha1" => Sha1::digest(text.as_bytes()).to_vec(),
        "sha512" => Sha512::digest(text.as_bytes()).to_vec(),
        _ => Sha256::digest(text.as_bytes()).to_vec(),
    };
    encoded(a, &digest)
}

fn hmac(a: &Arguments<'_>) -> Result<Value, Error> {
    let (text, key) = (a.text(0)?, a.text(1)?);
    let (text, key) = (text.as_bytes(), key.as_bytes());
    let code = match algorithm(a)? {
        "sha1" => Hmac::<Sha1>::new_from_slice(key).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()),
        "sha512" => {
            Hmac::<Sha512>::new_from_slice(key).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        }
        _ => Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()),
    };
    encoded(a, &code.map_err(|_| a.fail("this key cannot be used"))?)
}

fn twilio_signed(a: &Arguments<'_>) -> Result<Value, Error> {
    let (signature, url, key) = (a.text(0)?, a.string(1)?, a.text(3)?);
    let pairs: Vec<(String, String)>;
    let body = match a.value(2) {
        Value::String(text) => callback::Body::Raw(text),
        Value::Null => callback::Body::Form(&[]),
        Value::Object(members) => {
            let texts = |value: &Value| match value {
                Value::Array(values) => values.iter().filter_map(scalar_text).map(Cow::into_owned).collect::<Vec<_>>(),
                single => scalar_text(single).map(Cow::into_owned).into_iter().collect(),
            };
            pairs = members
                .iter()
                .flat_map(|(name, value)| texts(value).into_iter().map(|value| (name.clone(), value)))
                .collect();
            callback::Body::Form(&pairs)
        }
        _ => return Err(a.mistyped(2, Type::Object)),
    };
    Ok(callback::is_signed(&signature, url, body, &key).into())
}

/// The five characters that mean something, escaped; control characters, which XML 1.0 cannot hold (section
/// 2.2), left out.
fn xml_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            other if other.is_control() || matches!(other, '\u{FFFE}' | '\u{FFFF}') => {}
            other => escaped.push(other),
        }
    }
    escaped
}

fn algorithm(a: &Arguments<'_>) -> Result<&'static str, Error> {
    a.choice("algorithm", &["sha256", "sha512", "sha1"])
}

fn encoded(a: &Arguments<'_>, bytes: &[u8]) -> Result<Value, Error> {
    Ok(match a.choice("encoding", &["hex", "base64"])? {
        "base64" => STANDARD.encode(bytes).into(),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    })
}

/// Name-based (RFC 9562 version 5), over the run's `seed` and the names, so that a retry gives the same one.
fn uuid(a: &Arguments<'_>) -> Result<Value, Error> {
    let Some(Value::String(seed)) = a.scope.get("seed") else {
        return Err(a.fail("there is no run here to derive an identifier from"));
    };
    let mut digest = Sha1::new();
    let texts = (0..a.count()).map(|position| a.text(position)).collect::<Result<Vec<_>, _>>()?;
    for part in std::iter::once(seed.as_str()).chain(texts.iter().map(AsRef::as_ref)) {
        // Lengths keep `ab c` and `a bc` apart.
        digest.update(part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().zip(digest.finalize()) {
        *place = byte;
    }
    Ok(uuid::Builder::from_sha1_bytes(bytes).into_uuid().to_string().into())
}
