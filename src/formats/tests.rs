//! Cases of our own, and X's conformance cases where `TIDEGATE_REFERENCE` names the folder that has them.

use rstest::rstest;
use serde_json::Value;

use super::sms::Encoding;
use super::{checker, links, measure, names, phone, sms, tweet, validate};

#[rstest]
#[case("", 0)]
#[case("hello", 5)]
#[case("日本", 4)]
#[case("e\u{301}", 1)] // composed first
#[case("see https://example.org/a/very/long/path?with=query now", 31)]
#[case("mail me@example.com", 19)] // no link within an address
#[case("example.com", 23)]
#[case("file.tar.bz2", 12)]
#[case("https://a.example.org, https://b.example.org.", 49)]
#[case("👨‍👩‍👧‍👦", 2)]
#[case("👍🏽", 2)]
#[case("🇨🇭", 2)]
#[case("1\u{fe0f}\u{20e3}", 2)]
#[case("©", 1)]
#[case("©\u{fe0f}", 2)]
#[case("❤\u{fe0f}", 2)]
fn a_tweet_is_weighed(#[case] text: &str, #[case] length: usize) {
    assert_eq!(tweet::weighted_length(text), length, "{text}");
}

#[test]
fn a_tweet_has_at_most_280() {
    assert!(tweet::validate(&"x".repeat(280)).is_ok());
    let error = tweet::validate(&"x".repeat(281)).unwrap_err();
    assert!(error.contains("281"), "{error}");
    assert!(tweet::validate(&"あ".repeat(141)).is_err());
    assert!(tweet::validate_long(&"x".repeat(25_000)).is_ok());
    assert!(tweet::validate_long(&"x".repeat(25_001)).unwrap_err().contains("at most 25000"));
    assert!(tweet::validate("  ").is_err());
    assert!(tweet::validate("a\u{ffff}").is_err());
}

#[test]
fn truncating_keeps_links_and_emoji_whole() {
    let link = "https://example.org/a/path";
    assert_eq!(tweet::truncate(&format!("see {link} now"), 280, "…"), format!("see {link} now"));
    assert_eq!(tweet::truncate(&format!("see {link} now"), 30, "…"), format!("see {link}…"));
    assert_eq!(tweet::truncate(&format!("see {link} now"), 28, "…"), "see…");
    assert_eq!(tweet::truncate("ab👨‍👩‍👧‍👦cd", 5, ""), "ab👨‍👩‍👧‍👦c");
    assert_eq!(tweet::truncate("ab👨‍👩‍👧‍👦cd", 3, ""), "ab");
    let cut = tweet::truncate(&"日".repeat(300), 280, "…");
    assert_eq!(tweet::weighted_length(&cut), 280);
}

#[rstest]
#[case("", Encoding::Gsm7, 0, 0)]
#[case("hello", Encoding::Gsm7, 5, 1)]
#[case("€5", Encoding::Gsm7, 3, 1)]
#[case("grüße", Encoding::Gsm7, 5, 1)]
#[case("ç", Encoding::Ucs2, 1, 1)]
#[case("👍", Encoding::Ucs2, 2, 1)]
fn an_sms_is_measured(#[case] text: &str, #[case] encoding: Encoding, #[case] units: usize, #[case] segments: usize) {
    assert_eq!(sms::measure(text), sms::Measure { encoding, units, segments }, "{text}");
}

#[rstest]
#[case("x", 160, 1)]
#[case("x", 161, 2)]
#[case("x", 306, 2)]
#[case("x", 307, 3)]
#[case("€", 80, 1)]
#[case("€", 81, 2)]
#[case("€", 153, 3)] // 76 pairs fit 153 septets: an escape is not split
#[case("ж", 70, 1)]
#[case("ж", 71, 2)]
#[case("ж", 134, 2)]
#[case("ж", 135, 3)]
#[case("👍", 35, 1)]
#[case("👍", 66, 2)]
#[case("👍", 67, 3)] // 33 pairs fit 67 units
fn an_sms_is_cut_into_segments(#[case] character: &str, #[case] count: usize, #[case] segments: usize) {
    assert_eq!(sms::measure(&character.repeat(count)).segments, segments);
}

#[rstest]
#[case("+41791234567", true)]
#[case("+123456789012345", true)]
#[case("whatsapp:+41791234567", true)]
#[case("rcs:+41791234567", true)]
#[case("whatsapp:41791234567", false)]
#[case("whatsapp:whatsapp:+41791234567", false)]
#[case("+1234567890123456", false)]
#[case("0791234567", false)]
#[case("+0791234567", false)]
#[case("+41 79 123 45 67", false)]
#[case("+4179x", false)]
#[case("+", false)]
#[case("+٤١٧٩", false)]
fn a_phone_number_is_checked(#[case] text: &str, #[case] valid: bool) {
    assert_eq!(phone::validate(text).is_ok(), valid, "{text}");
}

#[rstest]
#[case("+15550100", "")]
#[case("whatsapp:+15550100", "")]
#[case("rcs:brand_agent", "")]
#[case("messenger:1234567890", "")]
#[case("80123", "")]
#[case("Tidegate", "")]
#[case("Tide gate 1", "")]
#[case("0791234567", "a short code has 3 to 8 digits")]
#[case("12", "a short code has 3 to 8 digits")]
#[case("+0791234567", "never begins with 0")]
#[case("Tidegate Ltd.", "not `.`")]
#[case("Tidegate Limited", "at most 11 characters")]
#[case("12-34", "a name with a letter in it")]
#[case("rcs:", "the name of the agent")]
#[case("", "a name with a letter in it")]
fn a_sender_is_checked(#[case] text: &str, #[case] why: &str) {
    match validate("sender", text) {
        Ok(()) => assert_eq!(why, "", "{text} is taken"),
        Err(told) => assert!(!why.is_empty() && told.contains(why), "{text}: {told}"),
    }
}

#[rstest]
#[case("2026-11-20", true)]
#[case("2026-11-20T13:19:00Z", true)]
#[case("2026-11-20T13:19:00.123+01:00", true)]
#[case("2026-11-20T13:19:00", true)]
#[case("Fri, 20 Nov 2026 13:19:00 +0000", true)]
#[case("now", true)]
#[case("3 days ago", true)]
#[case("1 week 2h ago", true)]
#[case("In 30 minutes", true)]
#[case("yesterday", false)]
#[case("3 days", false)]
#[case("in 3 days ago", false)]
#[case("-3 days ago", false)]
#[case("in -3 days", false)]
#[case("days ago", false)]
#[case("2026-13-01", false)]
#[case("20.11.2026", false)]
fn a_day_or_a_time_is_checked(#[case] text: &str, #[case] valid: bool) {
    assert_eq!(validate("instant", text).is_ok(), valid, "{text}");
}

#[test]
fn every_name_has_its_check() {
    for name in names() {
        let check = checker(name).unwrap();
        assert_eq!(check(""), validate(name, "").is_ok());
        assert_eq!(measure(name, ""), Some(0));
    }
    assert!(validate("nothing", "").unwrap_err().contains("`phone`"));
    assert!(checker("nothing").is_none() && measure("nothing", "").is_none());
}

#[test]
fn the_published_cases_of_tweets_hold() {
    let Ok(folder) = std::env::var("TIDEGATE_REFERENCE") else {
        return;
    };
    let path = std::path::Path::new(&folder).join("fixtures/x/twitter-text/conformance-half.json");
    let published: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for group in ["WeightedTweetsWithDiscountedEmojiCounterTest", "UnicodeDirectionalMarkerCounterTest"] {
        for case in published["tests"][group].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let length = tweet::weighted_length(text) as u64;
            if Some(length) != case["expected"]["weightedLength"].as_u64()
                || Some(tweet::validate(text).is_ok()) != case["expected"]["valid"].as_bool()
            {
                wrong.push(format!("{}: {length}, not {}", case["description"], case["expected"]["weightedLength"]));
            }
        }
    }
    for group in ["extract_urls", "extract_tco_urls_with_params"] {
        for case in published["tests"][group].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let found: Vec<&str> = links::find(text).into_iter().map(|range| &text[range]).collect();
            if serde_json::to_value(&found).unwrap() != case["expected"] {
                wrong.push(format!("{}: {found:?}, not {}", case["description"], case["expected"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
