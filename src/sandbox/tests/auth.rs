//! Signatures: the documentation's example, what is signed, freshness.

use axum::http::{HeaderMap, HeaderValue, Method};

use super::*;

/// 2011-10-14T22:09:18Z, the time of the example in X's documentation "Creating a signature".
const EXAMPLE_MS: i64 = 1_318_622_958_000;

fn pairs<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
}

#[test]
fn signs_the_example_of_the_documentation() {
    let verifier =
        Oauth1::new("", "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw", "", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE");
    let parameters = pairs(&[
        ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
        ("include_entities", "true"),
        ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
        ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "1318622958"),
        ("oauth_token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
        ("oauth_version", "1.0"),
    ]);
    for (host, expected) in
        [("api.x.com", "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="), ("API.twitter.com:443", "hCtSmYh+iHYCEqBWrE7C7hYmtUk=")]
    {
        let mut mac = verifier.mac.clone();
        mac.update(base_string("POST", "https", host, "/1.1/statuses/update.json", &parameters).as_bytes());
        assert_eq!(BASE64.encode(mac.finalize().into_bytes()), expected, "{host}");
    }
}

struct Request {
    query: &'static str,
    body: &'static str,
    content_type: &'static str,
    nonce: &'static str,
    now_ms: i64,
}

/// Whether a call is accepted that was signed over `signed` (besides what the header itself holds).
fn accepted(verifier: &Oauth1, request: &Request, signed: &[(&str, &str)]) -> bool {
    let mut oauth = vec![
        ("oauth_consumer_key", "key"),
        ("oauth_nonce", request.nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "1318622958"),
        ("oauth_token", "token"),
        ("oauth_version", "1.0"),
    ];
    let mut parameters = pairs(signed);
    parameters.extend(pairs(&oauth));
    let mut mac = verifier.mac.clone();
    mac.update(base_string("POST", "http", "127.0.0.1:8080", "/2/tweets", &parameters).as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    oauth.push(("oauth_signature", &signature));
    let header: Vec<String> = oauth.iter().map(|(key, value)| format!("{key}=\"{}\"", encode(value))).collect();
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:8080"));
    headers.insert("content-type", HeaderValue::from_static(request.content_type));
    let call = Call {
        method: &Method::POST,
        path: "/2/tweets",
        query: request.query,
        headers: &headers,
        body: request.body.as_bytes(),
        now_ms: request.now_ms,
        in_flight: 1,
        page_limit: None,
    };
    verifier.verify(&call, &header.join(", "))
}

#[test]
fn accepts_what_is_signed_and_nothing_else() {
    let json = Request {
        query: "a=x%20y",
        body: "{\"b\":1}",
        content_type: "application/json",
        nonce: "n1",
        now_ms: EXAMPLE_MS,
    };
    let form = Request { body: "c=1%2B1", content_type: "application/x-www-form-urlencoded", ..json };
    let verifier = || Oauth1::new("key", "consumer secret", "token", "token secret");
    assert!(accepted(&verifier(), &json, &[("a", "x y")]), "a JSON body is not signed");
    assert!(!accepted(&verifier(), &json, &[]), "the query is signed");
    assert!(accepted(&verifier(), &form, &[("c", "1+1"), ("a", "x y")]), "a form is signed");
    assert!(!accepted(&verifier(), &form, &[("a", "x y")]), "a form is signed");
    assert!(!accepted(&Oauth1::new("other", "consumer secret", "token", "token secret"), &json, &[("a", "x y")]));
}

#[test]
fn refuses_old_timestamps_and_used_nonces() {
    let verifier = Oauth1::new("key", "s", "token", "t");
    let at = |nonce, now_ms| Request { query: "", body: "", content_type: "application/json", nonce, now_ms };
    assert!(accepted(&verifier, &at("n1", EXAMPLE_MS), &[]));
    assert!(!accepted(&verifier, &at("n1", EXAMPLE_MS + 299_000), &[]), "the nonce was used");
    assert!(accepted(&verifier, &at("n2", EXAMPLE_MS + 300_000), &[]));
    assert!(!accepted(&verifier, &at("n3", EXAMPLE_MS + 301_000), &[]), "the timestamp is old");
    assert!(!accepted(&verifier, &at("n3", EXAMPLE_MS - 301_000), &[]), "the timestamp is in the future");
}
