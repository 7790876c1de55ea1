//! No secret survives, in whatever form it comes.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

#[test]
fn a_secret_is_masked_in_every_form() {
    let secret = "pa/ss wörd+\"1";
    let mask = Mask::new([secret]);
    for text in [
        secret.to_owned(),
        percent_encode(secret).into_owned(),
        percent_encode(secret).to_lowercase(),
        percent_encode(&percent_encode(secret)).into_owned(),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        serde_json::Value::from(secret).to_string(),
        r#"pa\/ss w\u00f6rd+\"1"#.to_owned(),
        format!("Basic {}", STANDARD.encode(format!("user:{secret}"))),
        format!("Basic {}", STANDARD.encode(format!("user1:{secret}"))),
        format!("Basic {}", URL_SAFE.encode(format!("user22:{secret}"))),
    ] {
        let shown = mask.text(&text);
        assert!(shown.contains(MASKED), "{text} -> {shown}");
        assert!(!shown.contains("ss w") && !shown.contains("rd+"), "{text} -> {shown}");
    }
}

#[test]
fn overlapping_secrets_leave_no_tail() {
    let mask = Mask::new(["abcdef", "defghi", "abcdefgh1"]);
    assert_eq!(mask.text("xabcdefghix"), format!("x{MASKED}x"));
    assert_eq!(mask.text("abcdefabcdef"), MASKED);
}

#[test]
fn other_texts_are_borrowed_and_short_secrets_hide_nothing() {
    let mask = Mask::new(["hunter22", "", "abc"]);
    assert!(matches!(mask.cover("abc is the alphabet"), Cow::Borrowed("abc is the alphabet")));
    assert!(matches!(Mask::default().cover("hunter22"), Cow::Borrowed("hunter22")));
}

#[test]
fn a_cut_leaves_no_half_secret() {
    let mask = Mask::new(["hunter22"]);
    assert_eq!(mask.cover_start("my hunter22 is", 6), format!("my {MASKED}"));
    assert_eq!(mask.cover_start("hunter22 öö", 10), format!("{MASKED} "));
    assert_eq!(mask.cover_start("öö", 3), "ö");
}

#[test]
fn headers_that_carry_secrets_are_known_by_name() {
    for name in ["Authorization", "COOKIE", "set-cookie", "X-Api-Key", "x-goog-api-key", "X-Auth-Token"] {
        assert!(is_secret_header(name), "{name}");
    }
    for name in ["content-type", "date", "x-rate-limit-remaining", "etag"] {
        assert!(!is_secret_header(name), "{name}");
    }
}

proptest! {
    /// Whatever the text around it and however often, no secret is readable afterwards.
    #[test]
    fn no_secret_survives(
        secrets in prop::collection::vec("[ -~é😀]{4,20}", 1..6),
        texts in prop::collection::vec("[ -~é😀]{0,12}", 1..8),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let mask = Mask::new(secrets.iter().map(String::as_str));
        let mut text = String::new();
        for (around, pick) in texts.iter().zip(&picks) {
            text.push_str(around);
            text.push_str(&secrets[pick.index(secrets.len())]);
        }
        let shown = mask.text(&text);
        let escaped = mask.text(&serde_json::Value::from(text.as_str()).to_string());
        let encoded = mask.text(&percent_encode(&text));
        for secret in &secrets {
            prop_assert!(!shown.contains(secret), "{shown}");
            prop_assert!(!escaped.contains(&escape_json(secret)), "{escaped}");
            prop_assert!(!encoded.contains(&*percent_encode(secret)), "{encoded}");
        }
    }

    /// Base64 of anything that contains a secret does not give it back.
    #[test]
    fn no_secret_survives_in_base64(before in "[a-z]{0,9}", secret in "[ -~]{6,30}", after in "[a-z]{0,9}") {
        let encoded = STANDARD.encode(format!("{before}{secret}{after}"));
        prop_assert!(Mask::new([secret.as_str()]).text(&encoded).contains(MASKED));
    }
}
