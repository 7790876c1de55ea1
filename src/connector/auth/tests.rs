//! The published vectors of OAuth 1, and where every scheme puts what it adds.

use std::borrow::Cow;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue};
use url::Url;

use super::{Credentials, Outgoing, oauth1};
use crate::connector::message::{Body, Method};
use crate::manifest::connector::auth::{Auth, KeyPlace};

fn outgoing(url: &str, body: Body) -> Outgoing<'static> {
    Outgoing {
        method: Method::POST,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: Cow::Owned(body),
        redirected: false,
    }
}

fn api_key(place: KeyPlace, name: &str, value: &str) -> Credentials {
    Credentials::new(&Auth::ApiKey { r#in: place, name: name.into(), value: value.into() }).unwrap()
}

/// RFC 5849 section 3.4.1.1: names that repeat, empty values, encoded reserved characters, `+` in a form.
#[test]
fn the_base_string_of_the_rfc() {
    let url = Url::parse("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b").unwrap();
    let query: Vec<_> = url.query_pairs().into_owned().collect();
    let others = [
        ("c2", ""),
        ("a3", "2 q"),
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
    ];
    let all = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(others);
    assert_eq!(
        oauth1::base_string("post", &url, all),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
}

/// RFC 5849 section 1.2: the printed signature of its request that has a token and a query.
#[test]
fn the_signature_of_the_rfc() {
    let url = Url::parse("http://photos.example.net/photos?file=vacation.jpg&size=original").unwrap();
    let base = oauth1::base_string(
        "GET",
        &url,
        [
            ("file", "vacation.jpg"),
            ("size", "original"),
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ],
    );
    assert_eq!(oauth1::signature(&base, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00"), "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
}

/// The example of X's page on signing, for the host before and after its move.
#[test]
fn the_signatures_of_x() {
    for (host, expected) in
        [("api.x.com", "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="), ("api.twitter.com", "hCtSmYh+iHYCEqBWrE7C7hYmtUk=")]
    {
        let signer = oauth1::Signer::new(
            "xvz1evFS4wEEPTGEFPHBog",
            "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
            "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        );
        let url = Url::parse(&format!("https://{host}/1.1/statuses/update.json?include_entities=true")).unwrap();
        let form = [("status".to_owned(), "Hello Ladies + Gentlemen, a signed OAuth request!".to_owned())];
        let header = signer.header("POST", &url, &form, "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", 1_318_622_958);
        let encoded = oauth1::percent_encode(expected);
        assert!(header.ends_with(&format!("oauth_signature=\"{encoded}\"")), "{host}: {header}");
    }
}

#[test]
fn json_is_not_signed_and_a_missing_token_is_left_out() {
    let credentials = Credentials::new(&Auth::Oauth1 {
        consumer_key: "key".into(),
        consumer_secret: "secret".into(),
        token: String::new(),
        token_secret: String::new(),
        sign_in: None,
    })
    .unwrap();
    let mut hop = outgoing("http://127.0.0.1/2/tweets", Body::Json(r#"{"text":"hi"}"#.into()));
    credentials.apply(&mut hop, 1_000_500).unwrap();
    let header = hop.headers[AUTHORIZATION].to_str().unwrap();
    assert!(header.contains(r#"oauth_timestamp="1000""#), "{header}");
    assert!(!header.contains("oauth_token="), "{header}");
    let part = |name: &str| {
        let from = header.split(&format!("{name}=\"")).nth(1).unwrap();
        let encoded = from.split('"').next().unwrap();
        percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap().into_owned()
    };
    let base = oauth1::base_string(
        "POST",
        &hop.url,
        [
            ("oauth_consumer_key", "key"),
            ("oauth_nonce", part("oauth_nonce").as_str()),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1000"),
            ("oauth_version", "1.0"),
        ],
    );
    assert_eq!(part("oauth_signature"), oauth1::signature(&base, "secret", ""));
}

#[test]
fn nonces_differ() {
    assert_ne!(oauth1::nonce().unwrap(), oauth1::nonce().unwrap());
}

#[test]
fn basic_and_bearer_become_headers_that_logs_do_not_show() {
    let basic = Auth::Basic { username: "Aladdin".into(), password: "open sesame".into() };
    let bearer = Auth::Bearer { token: "tok".into() };
    // The first is the example of RFC 7617 section 2.
    for (auth, expected) in [(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), (bearer, "Bearer tok")] {
        let credentials = Credentials::new(&auth).unwrap();
        let mut hop = outgoing("http://127.0.0.1/", Body::Empty);
        credentials.apply(&mut hop, 0).unwrap();
        assert_eq!(hop.headers[AUTHORIZATION], expected);
        assert!(hop.headers[AUTHORIZATION].is_sensitive());
        assert!(!format!("{credentials:?}").contains("tok"));
    }
}

#[test]
fn a_key_goes_where_the_service_wants_it() {
    let mut hop = outgoing("http://127.0.0.1/a?x=1", Body::Empty);
    api_key(KeyPlace::Header, "X-Key", "k1").apply(&mut hop, 0).unwrap();
    api_key(KeyPlace::Query, "key", "k 2").apply(&mut hop, 0).unwrap();
    hop.headers.insert(COOKIE, HeaderValue::from_static("a=b"));
    api_key(KeyPlace::Cookie, "sid", "k3").apply(&mut hop, 0).unwrap();
    assert_eq!(hop.headers["x-key"], "k1");
    assert_eq!(hop.url.query(), Some("x=1&key=k+2"));
    assert_eq!(hop.headers[COOKIE], "a=b; sid=k3");

    let mut hop = outgoing("http://127.0.0.1/bot{token}/send", Body::Empty);
    api_key(KeyPlace::Path, "token", "1:a/b").apply(&mut hop, 0).unwrap();
    assert_eq!(hop.url.path(), "/bot1%3Aa%2Fb/send");

    let mut hop = outgoing("http://127.0.0.1/", Body::Json(r#"{"a":1}"#.into()));
    api_key(KeyPlace::Body, "key", "k4").apply(&mut hop, 0).unwrap();
    assert!(matches!(hop.body.as_ref(), Body::Json(text) if text == r#"{"a":1,"key":"k4"}"#));

    let mut hop = outgoing("http://127.0.0.1/", Body::Form(vec![]));
    api_key(KeyPlace::Body, "key", "k5").apply(&mut hop, 0).unwrap();
    assert!(matches!(hop.body.as_ref(), Body::Form(pairs) if pairs[0] == ("key".into(), "k5".into())));
}

#[test]
fn what_can_not_be_sent_says_so_without_the_secret() {
    let broken = Credentials::new(&Auth::Bearer { token: "hunter22\n".into() }).unwrap_err();
    assert_eq!(broken.code, "credential_invalid");
    assert!(!format!("{broken:?}").contains("hunter22"));

    let mut hop = outgoing("http://127.0.0.1/", Body::Json("[1]".into()));
    let misplaced = api_key(KeyPlace::Body, "key", "hunter22").apply(&mut hop, 0).unwrap_err();
    assert_eq!(misplaced.code, "credential_misplaced");
    assert!(!format!("{misplaced:?}").contains("hunter22"));
}

/// The first leg of OAuth 1.0a (RFC 5849, section 2.1): the callback is signed and sent, and there is no token yet.
#[test]
fn the_parameters_of_a_sign_in_are_signed() {
    let signer = oauth1::Signer::new("dpf43f3p2l4k3l03", "kd94hf93k423kf44", "", "")
        .with("oauth_callback", "http://printer.example.com/ready");
    let url = Url::parse("https://photos.example.net/initiate").unwrap();
    let header = signer.header("POST", &url, &[], "wIjqoxSySrNvdS2nGYtk", 137_131_200);
    let base = oauth1::base_string(
        "POST",
        &url,
        [
            ("oauth_callback", "http://printer.example.com/ready"),
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_nonce", "wIjqoxSySrNvdS2nGYtk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131200"),
            ("oauth_version", "1.0"),
        ],
    );
    let signature = oauth1::signature(&base, "kd94hf93k423kf44", "");
    assert!(header.contains("oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\""), "{header}");
    assert!(header.contains(&format!("oauth_signature=\"{}\"", oauth1::percent_encode(&signature))), "{header}");
    assert!(!header.contains("oauth_token"), "{header}");
}

#[test]
fn accounts_differ_by_what_is_no_password() {
    let account = |auth: serde_json::Value| Credentials::new(&serde_json::from_value(auth).unwrap()).unwrap().account();
    let basic = |password: &str| account(serde_json::json!({"type": "basic", "username": "ann", "password": password}));
    assert_eq!((basic("a:b"), basic("c")), ("ann".to_owned(), "ann".to_owned()));
    let signed = |token: &str, secret: &str| {
        account(serde_json::json!({
            "type": "oauth1", "consumer_key": "k", "consumer_secret": "s", "token": token, "token_secret": secret,
        }))
    };
    assert_eq!(signed("a", "x"), signed("a", "y"));
    assert_ne!(signed("a", "x"), signed("b", "x"));
    let bearer = |token: &str| account(serde_json::json!({"type": "bearer", "token": token}));
    assert_ne!(bearer("a"), bearer("b"));
}
