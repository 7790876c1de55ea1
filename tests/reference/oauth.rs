//! The published vectors of OAuth 1.0a and of percent-encoding.

use serde_json::Value;
use tidegate::connector::auth::oauth1;
use url::Url;

use super::{fixture, reference, settle};

#[test]
fn published_signatures_come_out() {
    let Some(path) = reference("published_signatures_come_out", "fixtures/x/oauth/oauth1-vectors.json") else {
        return;
    };
    let mut wrong = Vec::new();
    let vectors = fixture::json(&path);
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let url = Url::parse(text("url")).unwrap();
        let protocol = vector["oauth_params"].as_object().unwrap();
        let signed = vector["signed_request_params"].as_array().unwrap();
        let parameters: Vec<(&str, &str)> = protocol
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .chain(signed.iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())))
            .collect();
        let base = oauth1::base_string(text("method"), &url, parameters.iter().copied());
        let secrets = (text("consumer_secret"), text("token_secret"));
        for (what, found) in [
            ("parameter_string", oauth1::parameter_string(parameters.iter().copied())),
            ("base_string", base.clone()),
            ("signing_key", oauth1::signing_key(secrets.0, secrets.1)),
            ("signature", oauth1::signature(&base, secrets.0, secrets.1)),
        ] {
            if vector.get(what).is_some_and(|published| *published != found) {
                wrong.push(format!("{}: the {what} is {found}, not {}", vector["name"], vector[what]));
            }
        }
        wrong.extend(wrong_header(vector, &url, protocol, signed));
    }
    settle(&wrong);
}

#[test]
fn published_texts_are_encoded() {
    let Some(path) = reference("published_texts_are_encoded", "fixtures/x/oauth/oauth1-vectors.json") else {
        return;
    };
    let vectors = fixture::json(&path);
    let pairs = vectors["percent_encoding"].as_object().unwrap();
    assert!(!pairs.is_empty());
    for (text, encoded) in pairs {
        assert_eq!(oauth1::percent_encode(text), encoded.as_str().unwrap(), "{text}");
    }
}

/// The answer to a webhook's challenge.
#[tokio::test]
async fn published_challenges_are_answered() {
    let Some(path) = reference("published_challenges_are_answered", "fixtures/x/oauth/oauth1-vectors.json") else {
        return;
    };
    let vectors = fixture::json(&path);
    let cases = vectors["webhook_crc"]["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let fields = serde_json::json!({"consumer_key": "key", "consumer_secret": case["consumer_secret"]});
        let account = super::account::Account::new("x", "http://127.0.0.1:1", 0, &fields);
        let inputs = serde_json::json!({"crc_token": case["crc_token"]});
        let answered = account.call("answer_crc", inputs).await.result.unwrap().into_output();
        assert_eq!(answered["response_token"], case["response_token"]);
    }
}

/// The whole header, where the vector has nothing but what our signer sends.
fn wrong_header(
    vector: &Value,
    url: &Url,
    protocol: &serde_json::Map<String, Value>,
    signed: &[Value],
) -> Option<String> {
    const OURS: [&str; 6] = [
        "oauth_consumer_key",
        "oauth_nonce",
        "oauth_signature_method",
        "oauth_timestamp",
        "oauth_token",
        "oauth_version",
    ];
    if !protocol.keys().all(|name| OURS.contains(&name.as_str())) || !protocol.contains_key("oauth_version") {
        return None;
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let signer = oauth1::Signer::new(
        &text(protocol.get("oauth_consumer_key")),
        &text(vector.get("consumer_secret")),
        &text(protocol.get("oauth_token")),
        &text(vector.get("token_secret")),
    );
    let form: Vec<(String, String)> = signed.iter().map(|pair| (text(pair.get(0)), text(pair.get(1)))).collect();
    let timestamp_s = text(protocol.get("oauth_timestamp")).parse().unwrap();
    let nonce = text(protocol.get("oauth_nonce"));
    let header = signer.header(&text(vector.get("method")), url, &form, &nonce, timestamp_s);
    let signature = text(vector.get("signature"));
    let member = format!("oauth_signature=\"{}\"", oauth1::percent_encode(&signature));
    (!header.ends_with(&member)).then(|| format!("{}: {header} lacks {member}", vector["name"]))
}
