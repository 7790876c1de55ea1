//! Signed assertions: JSON Web Tokens (RFC 7519) by HS256 or RS256 (RFC 7518), sent as they are or exchanged
//! for a token (RFC 7523, section 2.1).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use url::Url;

use super::places::Places;
use super::source::Asking;
use super::{Grant, answer};
use crate::connector::auth::Credentials;
use crate::connector::message::{Body, HttpRequest, Method};
use crate::engine::Failure;
use crate::manifest::connector::auth::{Algorithm, Jwt};

/// How long an assertion lasts unless the scheme says otherwise, in milliseconds.
const LIFETIME_MS: i64 = 600_000;

/// What makes assertions. Secret: has no `Debug`.
pub struct Assertion {
    key: Key,
    header: String,
    claims: Map<String, Value>,
    lifetime_ms: i64,
    token: Option<Url>,
    parameters: Vec<(String, String)>,
}

enum Key {
    Hmac(Box<Hmac<Sha256>>),
    Rsa(Arc<RsaKeyPair>),
}

impl Assertion {
    /// From a scheme whose templates were replaced.
    pub fn new(scheme: &Jwt, places: &Places) -> Result<Assertion, Failure> {
        let (name, key) = match scheme.algorithm {
            Algorithm::HS256 => ("HS256", Key::Hmac(Box::new(hmac(scheme.key.as_bytes())))),
            Algorithm::RS256 => ("RS256", Key::Rsa(Arc::new(rsa(&scheme.key)?))),
        };
        let mut header = json!({"alg": name, "typ": "JWT"});
        if let Some(id) = &scheme.key_id {
            header["kid"] = Value::from(id.as_str());
        }
        Ok(Assertion {
            key,
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
            claims: scheme.claims.clone(),
            lifetime_ms: scheme.lifetime.map_or(LIFETIME_MS, |lifetime| lifetime.ms),
            token: scheme.token.as_ref().map(|token| places.url(token)).transpose()?,
            parameters: scheme.token_parameters.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    /// The assertion, or the token that it is exchanged for.
    pub async fn token(&self, asking: &Asking<'_>) -> Result<Grant, Failure> {
        let now_ms = asking.now_ms();
        let assertion = self.signed(now_ms)?;
        let Some(url) = &self.token else {
            return Ok(Grant {
                access_token: assertion,
                expires_at: Some(now_ms.saturating_add(self.lifetime_ms)),
                obtained_at: now_ms,
                ..Grant::default()
            });
        };
        let mut form = vec![
            ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
            ("assertion".to_owned(), assertion.clone()),
        ];
        form.extend(self.parameters.iter().cloned());
        let headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        let request = HttpRequest { method: Method::POST, url: url.clone(), headers, body: Body::Form(form) };
        let response = asking.send(&request, &Credentials::None).await?;
        answer::check(&response, &asking.mask.and([assertion.as_str()]), asking.now_ms())?;
        let mut grant = answer::grant(&response, None, None, asking.now_ms())?;
        grant.refresh_token = None;
        Ok(grant)
    }

    /// `header.claims.signature`; `iat` and `exp` are in whole seconds.
    fn signed(&self, now_ms: i64) -> Result<String, Failure> {
        let mut claims = self.claims.clone();
        let issued_s = now_ms.div_euclid(1_000);
        claims.insert("iat".to_owned(), Value::from(issued_s));
        claims.insert("exp".to_owned(), Value::from(issued_s.saturating_add(self.lifetime_ms.div_euclid(1_000))));
        let mut text = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string()));
        let signature = self.key.sign(text.as_bytes())?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }
}

impl Key {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Failure> {
        match self {
            Key::Hmac(keyed) => {
                let mut keyed = keyed.clone();
                keyed.update(text);
                Ok(keyed.finalize().into_bytes().to_vec())
            }
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature);
                signed.map_err(|_| Failure::not_sent("signature_failed", "the RSA key could not sign"))?;
                Ok(signature)
            }
        }
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length")
}

/// A private key in PEM: PKCS #8 (`PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`).
fn rsa(pem: &str) -> Result<RsaKeyPair, Failure> {
    let unusable = |why: String| {
        Failure::not_sent("credential_invalid", format!("the key of the `jwt` scheme cannot be used: {why}")).with_help(
            "give an RSA private key of 2,048 bits or more in PEM, beginning with -----BEGIN PRIVATE KEY-----",
        )
    };
    // Keys that were put into a JSON file or a variable often have their line breaks written out.
    let text = pem.replace("\\n", "\n");
    let is_pkcs1 = text.contains("-----BEGIN RSA PRIVATE KEY-----");
    let body: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(body).map_err(|_| unusable("it is not PEM".to_owned()))?;
    let key = if is_pkcs1 { RsaKeyPair::from_der(&bytes) } else { RsaKeyPair::from_pkcs8(&bytes) };
    key.map_err(|error| unusable(error.to_string()))
}
