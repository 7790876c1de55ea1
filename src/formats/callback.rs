//! Whether a request that says it comes from Twilio does: the header `X-Twilio-Signature`, by Twilio's page on
//! webhook security. Pure. The key is the account's primary auth token, also where API keys are used.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use url::Url;

/// What came with the request, beside its URL.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A form's parameters, decoded, in any order; none for a GET.
    Form(&'a [(String, String)]),
    /// Any other body as it came; the URL's `bodySHA256` says what it must be.
    Raw(&'a str),
}

/// Whether `signature` is that of this request. `url` is the one that the service was told, with its query; the
/// standard port may stand in it or not, as proxies write it either way.
pub fn is_signed(signature: &str, url: &str, body: Body<'_>, auth_token: &str) -> bool {
    let Ok(signature) = BASE64.decode(signature) else {
        return false;
    };
    let parameters = match body {
        Body::Form(pairs) => joined(pairs),
        Body::Raw(text) if has_digest_of(url, text) => String::new(),
        Body::Raw(_) => return false,
    };
    let url = url.split('#').next().unwrap_or_default();
    spellings(url).iter().any(|url| {
        let Ok(mac) = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()) else {
            return false;
        };
        // Compared in constant time.
        mac.chain_update(url).chain_update(&parameters).verify_slice(&signature).is_ok()
    })
}

/// Names in byte order, each followed by its distinct values in theirs, each with the name before it.
fn joined(pairs: &[(String, String)]) -> String {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in pairs {
        values.entry(name).or_default().insert(value);
    }
    values.into_iter().flat_map(|(name, values)| values.into_iter().flat_map(move |value| [name, value])).collect()
}

fn has_digest_of(url: &str, text: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    url.query_pairs().any(|(name, value)| name == "bodySHA256" && value == digest)
}

/// The URL as it came, and the ways in which the service may have written it: with and without the port, with
/// quotes in its query as they are or encoded.
fn spellings(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    all.extend(with_other_port(url));
    for known in all.clone() {
        let (path, query) = known.split_once('?').unwrap_or((&known, ""));
        if query.contains('\'') {
            all.push(format!("{path}?{}", query.replace('\'', "%27")));
        } else if query.contains("%27") {
            all.push(format!("{path}?{}", query.replace("%27", "'")));
        }
    }
    all
}

fn with_other_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end)?;
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let port = host.rsplit_once(':').filter(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    match (port, scheme) {
        (Some((_, port)), _) => {
            let bare = authority.strip_suffix(port)?.strip_suffix(':')?;
            Some(format!("{scheme}://{bare}{tail}"))
        }
        (None, "https") => Some(format!("{scheme}://{authority}:443{tail}")),
        (None, "http") => Some(format!("{scheme}://{authority}:80{tail}")),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests;
