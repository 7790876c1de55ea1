//! The conditions of X's search language: words, phrases, tags, and what each operator means.

use super::store::Tweet;
use super::text::Kind;

/// A condition on one tweet. Texts are lower case.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Test {
    Phrase(String),
    Hashtag(String),
    Mention(String),
    Cashtag(String),
    From(String),
    To(String),
    Language(String),
    Conversation(u64),
    ReplyTo(u64),
    QuoteOf(u64),
    RetweetOf(String),
    Link(String),
    IsRetweet,
    IsReply,
    IsQuote,
    Has(Kind),
    /// `has:media`, or a kind of it.
    HasMedia(Option<&'static str>),
    /// `point_radius:`: nothing in the sandbox has a place.
    Near,
    /// `has:geo`, `is:verified`: nothing in the sandbox has it.
    Never,
}

impl Test {
    pub fn matches(&self, tweet: &Tweet) -> bool {
        let has = |kind, name: &str| {
            tweet.entities.iter().any(|entity| entity.kind == kind && entity.text.to_lowercase() == name)
        };
        match self {
            Test::Phrase(phrase) => contains_words(&tweet.lower, phrase),
            Test::Hashtag(name) => has(Kind::Hashtag, name),
            Test::Mention(name) => has(Kind::Mention, name),
            Test::Cashtag(name) => has(Kind::Cashtag, name),
            Test::From(author) => tweet.author_username == *author || tweet.author_id.to_string() == *author,
            Test::To(name) => tweet.reply_to_username.as_deref() == Some(name),
            Test::Language(language) => tweet.lang.eq_ignore_ascii_case(language),
            Test::Conversation(id) => tweet.conversation_id == *id,
            Test::ReplyTo(id) => tweet.reply_to == Some(*id),
            Test::QuoteOf(id) => tweet.quote_of == Some(*id),
            Test::RetweetOf(name) => tweet.retweet_of_username.as_deref() == Some(name),
            Test::Link(part) => tweet.entities.iter().any(|entity| {
                entity.target.as_ref().is_some_and(|target| contains_words(&target.to_lowercase(), part))
            }),
            Test::IsRetweet => tweet.retweet_of.is_some(),
            Test::IsReply => tweet.reply_to.is_some(),
            Test::IsQuote => tweet.quote_of.is_some(),
            Test::Has(kind) => tweet.entities.iter().any(|entity| entity.kind == *kind),
            Test::HasMedia(kind) => tweet.media.iter().any(|medium| kind.is_none_or(|kind| medium.kind == kind)),
            Test::Near | Test::Never => false,
        }
    }

    /// Whether X takes it as the only positive condition of a query.
    pub fn stands_alone(&self) -> bool {
        !matches!(
            self,
            Test::Language(_)
                | Test::IsRetweet
                | Test::IsReply
                | Test::IsQuote
                | Test::Has(_)
                | Test::HasMedia(_)
                | Test::Never
        )
    }
}

/// What a word, or an operator with its value, means; the reason when X refuses it.
pub(super) fn read(operator: Option<&str>, value: &str, quoted: bool) -> Result<Test, String> {
    let lower = value.to_lowercase();
    let Some(operator) = operator else {
        if quoted {
            return Ok(Test::Phrase(lower));
        }
        return Ok(match lower.split_at_checked(1) {
            Some(("#", name)) if !name.is_empty() => Test::Hashtag(name.into()),
            Some(("@", name)) if !name.is_empty() => Test::Mention(name.into()),
            Some(("$", name)) if !name.is_empty() => Test::Cashtag(name.into()),
            _ => Test::Phrase(lower),
        });
    };
    if value.is_empty() {
        return Err(format!("the operator '{operator}' needs a value"));
    }
    let id = || value.parse().map_err(|_| format!("'{value}' is not a valid id for the operator '{operator}'"));
    let unsigned = lower.strip_prefix('@').unwrap_or(&lower).to_owned();
    Ok(match (operator, lower.as_str()) {
        ("from", _) => Test::From(unsigned),
        ("to", _) => Test::To(unsigned),
        ("retweets_of", _) => Test::RetweetOf(unsigned),
        ("lang", _) => Test::Language(lower),
        ("url", _) => Test::Link(lower),
        ("conversation_id", _) => Test::Conversation(id()?),
        ("in_reply_to_tweet_id", _) => Test::ReplyTo(id()?),
        ("quotes_of_tweet_id", _) => Test::QuoteOf(id()?),
        ("is", "retweet") => Test::IsRetweet,
        ("is", "reply") => Test::IsReply,
        ("is", "quote") => Test::IsQuote,
        ("is", "verified" | "nullcast") => Test::Never,
        ("has", "links") => Test::Has(Kind::Link),
        ("has", "mentions") => Test::Has(Kind::Mention),
        ("has", "hashtags") => Test::Has(Kind::Hashtag),
        ("has", "cashtags") => Test::Has(Kind::Cashtag),
        ("has", "media") => Test::HasMedia(None),
        ("has", "images") => Test::HasMedia(Some("photo")),
        ("has", "videos" | "video_link") => Test::HasMedia(Some("video")),
        ("has", "geo") => Test::Never,
        ("point_radius", _) if is_circle(&lower) => Test::Near,
        ("point_radius", _) => {
            return Err(format!("invalid value '{value}' for the operator '{operator}'"));
        }
        ("is" | "has", other) => {
            return Err(format!("invalid value '{other}' for the operator '{operator}'"));
        }
        _ => {
            return Err(format!(
                "Reference to invalid operator '{operator}'. Operator is not available in current product or product packaging"
            ));
        }
    })
}

/// `[longitude latitude radius]`, the radius in `km` or `mi`.
fn is_circle(value: &str) -> bool {
    let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap_or_default();
    let parts: Vec<&str> = inner.split_whitespace().collect();
    let [longitude, latitude, radius] = parts.as_slice() else { return false };
    let within = |text: &str, most: f64| text.parse::<f64>().is_ok_and(|number| number.abs() <= most);
    let radius = radius.strip_suffix("km").or_else(|| radius.strip_suffix("mi")).unwrap_or_default();
    within(longitude, 180.0) && within(latitude, 90.0) && radius.parse::<f64>().is_ok_and(|radius| radius > 0.0)
}

/// Whether `phrase` is in `text` as whole words. Scripts that do not divide words match anywhere.
fn contains_words(text: &str, phrase: &str) -> bool {
    let undivided = phrase.chars().any(|character| u32::from(character) >= 0x2E80);
    text.match_indices(phrase).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let after = text[start + found.len()..].chars().next();
        let inside = |neighbour: Option<char>, edge: Option<char>| {
            neighbour.is_some_and(char::is_alphanumeric) && edge.is_some_and(char::is_alphanumeric)
        };
        undivided || !(inside(before, phrase.chars().next()) || inside(after, phrase.chars().next_back()))
    })
}
