//! Requests whose signature was computed apart from this code, and Twilio's published ones where
//! `TIDEGATE_REFERENCE` names the folder that has them.

use rstest::rstest;
use serde_json::Value;

use super::{Body, is_signed, joined};

const TOKEN: &str = "12345";
const URL: &str = "https://gate.example.org/twilio?flow=answers";

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Signs apart from the code above, from the text that the page describes.
fn signature(text: &str) -> String {
    use base64::Engine;
    use hmac::{KeyInit, Mac};
    let mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    base64::engine::general_purpose::STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
}

#[test]
fn names_are_sorted_by_bytes_and_values_told_once_each() {
    let pairs = form(&[("b", "2"), ("Sid", "x"), ("a", "9"), ("a", "1"), ("a", "9"), ("SidAccount", "y")]);
    assert_eq!(joined(&pairs), "SidxSidAccountya1a9b2");
}

#[rstest]
#[case(URL, true)]
#[case("https://gate.example.org:443/twilio?flow=answers", true)]
#[case("https://gate.example.org:8443/twilio?flow=answers", true)] // a port that a proxy added
#[case("https://gate.example.org/twilio?flow=answers#part", true)]
#[case("https://gate.example.org/twilio?flow=answer", false)]
#[case("http://gate.example.org/twilio?flow=answers", false)]
#[case("no address", false)]
fn the_address_is_part_of_what_is_signed(#[case] url: &str, #[case] valid: bool) {
    let pairs = form(&[("To", "+15550100"), ("From", "+15550199")]);
    let signature = signature(&format!("{URL}From+15550199To+15550100"));
    assert_eq!(is_signed(&signature, url, Body::Form(&pairs), TOKEN), valid, "{url}");
}

#[test]
fn a_form_that_was_changed_or_another_key_is_refused() {
    let signed = signature(&format!("{URL}Body'yes'"));
    assert!(is_signed(&signed, URL, Body::Form(&form(&[("Body", "'yes'")])), TOKEN));
    assert!(!is_signed(&signed, URL, Body::Form(&form(&[("Body", "'no'")])), TOKEN));
    assert!(!is_signed(&signed, URL, Body::Form(&form(&[("Body", "'yes'")])), "54321"));
    assert!(!is_signed("", URL, Body::Form(&[]), TOKEN));
}

#[test]
fn quotes_in_the_query_count_in_both_spellings() {
    let signed = signature("https://gate.example.org/?name=%27Ann%27");
    assert!(is_signed(&signed, "https://gate.example.org/?name='Ann'", Body::Form(&[]), TOKEN));
    let signed = signature("https://gate.example.org/?name='Ann'");
    assert!(is_signed(&signed, "https://gate.example.org/?name=%27Ann%27", Body::Form(&[]), TOKEN));
}

#[test]
fn another_body_must_have_its_digest_in_the_address() {
    // The SHA-256 of `{}`.
    let url = "https://gate.example.org/?bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let signed = signature(url);
    assert!(is_signed(&signed, url, Body::Raw("{}"), TOKEN));
    assert!(!is_signed(&signed, url, Body::Raw("{ }"), TOKEN));
    let bare = signature("https://gate.example.org/");
    assert!(!is_signed(&bare, "https://gate.example.org/", Body::Raw("{}"), TOKEN), "no digest, no proof");
}

#[test]
fn the_published_signatures_hold() {
    let Ok(folder) = std::env::var("TIDEGATE_REFERENCE") else {
        return;
    };
    let path = std::path::Path::new(&folder).join("fixtures/twilio/signature-vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let mut pairs = Vec::new();
        for (name, value) in vector["form"].as_object().into_iter().flatten() {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            pairs.extend(values.iter().map(|value| (name.clone(), value.as_str().unwrap().to_owned())));
        }
        let body = vector["json_body"].as_str().map_or(Body::Form(&pairs), Body::Raw);
        let signed = is_signed(text("x_twilio_signature"), text("received_url"), body, text("auth_token"));
        assert_eq!(Some(signed), vector["valid"].as_bool(), "{vector}");
    }
}
