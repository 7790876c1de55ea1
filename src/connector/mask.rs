//! Takes a connection's secrets out of every text before it is stored, logged or shown, also where they
//! appear percent-encoded, escaped for JSON or inside base64. A secret below four characters hides nothing:
//! masking every `a` of a text would ruin it and still give the secret away.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::auth::oauth1::percent_encode;

/// What stands where a secret was.
pub const MASKED: &str = "•••";

/// Shorter secrets (in bytes) are not looked for.
pub const SHORTEST_BYTES: usize = 4;

/// The secrets of one connection, in every form that they can take. Made once when it is bound.
#[derive(Clone, Default)]
pub struct Mask {
    /// All forms, by their first four bytes.
    forms: Vec<(u32, String)>,
    /// One bit per hash of four bytes: most places of a text are passed with one look.
    filter: Vec<u64>,
}

const FILTER_BITS: u32 = 4_096;

impl Mask {
    /// From the values of the secret fields; each in its raw form.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Mask::of(forms_of_all(secrets).collect())
    }

    /// The same with more secrets: tokens that were had since.
    #[must_use]
    pub fn and<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Mask::of(self.forms.iter().cloned().chain(forms_of_all(secrets)).collect())
    }

    fn of(mut forms: Vec<(u32, String)>) -> Self {
        if forms.is_empty() {
            return Mask::default();
        }
        forms.sort_unstable();
        forms.dedup();
        let mut filter = vec![0_u64; FILTER_BITS as usize / 64];
        for (prefix, _) in &forms {
            let (word, bit) = place(*prefix);
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
        }
        Mask { forms, filter }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        self.cover(text).into_owned()
    }

    /// The text without secrets; borrowed when there were none.
    pub fn cover<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.cover_start(text, text.len())
    }

    /// The first `limit_bytes` of the text without secrets. A secret across that border is masked whole.
    pub fn cover_start<'a>(&self, text: &'a str, limit_bytes: usize) -> Cow<'a, str> {
        let mut end = limit_bytes.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut covered = String::new();
        let mut done = 0;
        while let Some((start, stop)) = self.next(text.as_bytes(), done, end) {
            covered.push_str(text.get(done..start).unwrap_or_default());
            covered.push_str(MASKED);
            done = stop;
        }
        let rest = text.get(done..end).unwrap_or_default();
        if done == 0 {
            return Cow::Borrowed(rest);
        }
        covered.push_str(rest);
        Cow::Owned(covered)
    }

    /// The next stretch of secrets that starts in `from..end`; those that overlap or touch count as one.
    fn next(&self, text: &[u8], from: usize, end: usize) -> Option<(usize, usize)> {
        if self.forms.is_empty() {
            return None;
        }
        let (start, mut stop) = (from..end).find_map(|at| Some((at, at + self.longest(text, at)?)))?;
        let mut at = start + 1;
        while at <= stop && at < end {
            if let Some(length) = self.longest(text, at) {
                stop = stop.max(at + length);
            }
            at += 1;
        }
        Some((start, stop))
    }

    /// How long the longest secret that starts here is.
    fn longest(&self, text: &[u8], at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        let prefix = prefix(rest)?;
        let (word, bit) = place(prefix);
        if self.filter.get(word)? & bit == 0 {
            return None;
        }
        let first = self.forms.partition_point(|(known, _)| *known < prefix);
        self.forms
            .get(first..)?
            .iter()
            .take_while(|(known, _)| *known == prefix)
            .filter(|(_, form)| rest.starts_with(form.as_bytes()))
            .map(|(_, form)| form.len())
            .max()
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Mask(..)")
    }
}

/// Whether a header's value is masked whatever it holds; `name` in any case.
pub fn is_secret_header(name: &str) -> bool {
    const WHOLE: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-csrf-token"];
    const PARTS: [&str; 8] =
        ["api-key", "apikey", "auth-token", "access-token", "secret", "password", "signature", "private-token"];
    let name = name.to_ascii_lowercase();
    WHOLE.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part))
}

fn forms_of_all<'a>(secrets: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = (u32, String)> {
    let long_enough = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_BYTES);
    long_enough.flat_map(forms_of).filter_map(|form| Some((prefix(form.as_bytes())?, form)))
}

fn forms_of(secret: &str) -> Vec<String> {
    let percent = percent_encode(secret).into_owned();
    let json = escape_json(secret);
    let mut forms = vec![
        secret.to_owned(),
        // Twice: inside OAuth 1 base strings and URLs within URLs.
        percent_encode(&percent).into_owned(),
        lower_hex(&percent),
        percent.replace("%20", "+"),
        lower_hex(&percent).replace("%20", "+"),
        percent,
        // What `url` and `form_urlencoded` write differs from RFC 3986 in a few characters.
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        json.replace('/', "\\/"),
        escape_ascii(&json),
        escape_ascii(&json).replace('/', "\\/"),
        json,
    ];
    forms.extend(base64_cores(secret.as_bytes()));
    // An encoded form too short to be told from ordinary text is not looked for either.
    forms.retain(|form| form.len() >= SHORTEST_BYTES);
    forms
}

/// As `serde_json` writes it, without the quotes.
fn escape_json(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// As writers that keep to ASCII write it: `\u00e9`.
fn escape_ascii(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut units = [0_u16; 2];
    for letter in text.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

fn lower_hex(percent: &str) -> String {
    let mut hex = 0;
    percent
        .chars()
        .map(|letter| {
            if letter == '%' {
                hex = 2;
                return letter;
            }
            if hex > 0 {
                hex -= 1;
                return letter.to_ascii_lowercase();
            }
            letter
        })
        .collect()
}

/// What base64 of any text that contains the secret must contain, for each of the three ways in which it can
/// be aligned: so `Basic` credentials are found whatever the user name. Letters that also depend on the
/// neighbours are left out.
fn base64_cores(secret: &[u8]) -> Vec<String> {
    let mut cores = Vec::with_capacity(6);
    for before in 0..3 {
        let padded = [&vec![0; before], secret].concat();
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            // Cores of the shortest secrets are words of ordinary texts.
            let core = encoded.get(first..last).filter(|core| core.len() > SHORTEST_BYTES);
            cores.extend(core.map(str::to_owned));
        }
    }
    cores
}

fn prefix(text: &[u8]) -> Option<u32> {
    text.first_chunk().map(|first| u32::from_be_bytes(*first))
}

/// The word and the bit of the filter.
fn place(prefix: u32) -> (usize, u64) {
    let hash = prefix.wrapping_mul(0x9E37_79B1) >> 20;
    (hash as usize / 64, 1 << (hash % 64))
}

#[cfg(test)]
mod tests;
