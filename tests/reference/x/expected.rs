//! What must become of X's answers: its table of errors read anew, and records member by member.

use serde_json::{Value, json};
use tidegate::engine::{Failure, Verdict};

use crate::reference::answer::{Follows, changed_members, first_text, first_words, wrong_with};
use crate::reference::fixture::Answer;

/// Members of a tweet that say the same elsewhere, or under the older of their two names.
const RENAMED: [&str; 5] = ["text", "note_tweet", "note_post", "referenced_posts", "edit_history_post_ids"];

/// What an action's records are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tweet,
    User,
    Other,
}

impl Kind {
    fn of(action: &str) -> Kind {
        match action {
            "search_tweets" | "search_archive" | "get_own_tweets" | "get_tweet" | "get_user_timeline"
            | "get_home_timeline" | "get_mentions" => Kind::Tweet,
            "get_user" | "get_users" | "get_me" | "search_users" | "get_followers" | "get_following" => Kind::User,
            _ => Kind::Other,
        }
    }
}

/// Where an answer that names no reset may be asked again at the earliest.
pub const PATIENCE_MS: i64 = 60_000;

pub fn must_fail(action: &str, answer: &Answer) -> bool {
    // What is gone already needs no deleting.
    let is_gone = action == "delete_tweet" && answer.status == 404;
    let has_nothing = !answer.body["errors"].is_null() && answer.body["data"].is_null();
    let fails = match action {
        // Errors alone mean that there is no such thing, nobody whose list it would be, or no way to read it just now. Of
        // names that are looked up together some may be nobody's, or all.
        "get_users" => false,
        "search_tweets" | "search_archive" | "search_users" | "get_own_tweets" | "get_user_timeline"
        | "get_home_timeline" | "get_mentions" | "get_followers" | "get_following" | "list_counts" => {
            answer.body["meta"].is_null()
        }
        _ => true,
    };
    (answer.status >= 400 && !is_gone) || (fails && has_nothing)
}

/// Section 8 of the reference's page about X, read anew.
pub fn wrong_failure(failure: &Failure, action: &str, answer: &Answer, now_ms: i64) -> Vec<String> {
    if !must_fail(action, answer) {
        return vec![format!("it was taken for a failure: {failure:?}")];
    }
    let body = &answer.body;
    let kind = first_text(body, &["/type"]).unwrap_or_default();
    let kind = kind.rsplit('/').next().unwrap_or_default();
    let code = first_text(body, &["/errors/0/code", "/title"]);
    let message = first_text(body, &["/errors/0/message"]).unwrap_or_default();
    let is_too_old =
        message.contains("must be a tweet id created after") || message.contains("'start_time' must be on or after");
    let is_capped = kind == "usage-capped" || body["title"] == "UsageCapExceeded";
    let follows = match (answer.status, code.as_deref()) {
        (400, _) if is_too_old => Follows::CursorExpired,
        (401, _) => Follows::Reauth,
        (402, _) => Follows::Suspended,
        // A person has to go to X for these: a locked account, or a token of the wrong kind.
        (403, Some("64" | "326")) => Follows::Suspended,
        (403, _) if matches!(kind, "unsupported-authentication" | "oauth1-permissions") => Follows::Reauth,
        (429, _) if is_capped => Follows::Suspended,
        (429, _) => Follows::RateLimited,
        (500 | 502..=504, _) => Follows::Retry,
        _ => Follows::Fail,
    };
    let told =
        ["/errors/0/message", "/errors/0/detail", "/detail", "/error_description", "/title", "/error", "/errors"];
    let words = first_text(body, &told).or_else(|| first_words(body));
    let mut wrong = wrong_with(failure, answer, follows, words.as_deref(), code);
    if let Verdict::RateLimited { until_ms } = failure.verdict {
        let is_used_up = answer.header("x-rate-limit-remaining") == Some("0");
        match reset_ms(answer).filter(|_| is_used_up) {
            Some(reset_ms) if until_ms != reset_ms.max(now_ms) => {
                wrong.push(format!("it waits until {until_ms}, and the window ends at {reset_ms}"));
            }
            None if until_ms < now_ms + PATIENCE_MS => wrong.push("it waits less than a minute".to_owned()),
            _ => {}
        }
    }
    wrong
}

pub fn wrong_records(action: &str, ours: &[Value], body: &Value) -> Vec<String> {
    if action == "list_counts" {
        return wrong_counts(ours, body);
    }
    let is_old = body["data"].is_null();
    let recorded = match (&body["data"], body) {
        (Value::Array(records), _) | (Value::Null, Value::Array(records)) => records.clone(),
        (Value::Null, body) => match (&body["statuses"], &body["users"], &body["events"]) {
            (Value::Array(records), ..) | (_, Value::Array(records), _) | (.., Value::Array(records)) => {
                records.clone()
            }
            _ if body["id"].is_null() => Vec::new(),
            _ => vec![body.clone()],
        },
        (record, _) => vec![record.clone()],
    };
    if ours.len() != recorded.len() {
        return vec![format!("{} records were recorded, {} came out", recorded.len(), ours.len())];
    }
    let pairs = recorded.iter().zip(ours);
    let wrong = pairs.flat_map(|(recorded, ours)| match (Kind::of(action), is_old) {
        (Kind::Tweet, false) => wrong_tweet(recorded, ours, body),
        (Kind::Tweet, true) => wrong_old_tweet(recorded, ours),
        (Kind::User, false) => changed_members(recorded, ours, &[]),
        (Kind::User, true) => wrong_old_user(recorded, ours),
        (Kind::Other, true) if recorded["message_create"].is_object() => wrong_old_message(recorded, ours),
        (Kind::Other, _) => changed_members(recorded, ours, &[]),
    });
    wrong.collect()
}

fn wrong_old_message(recorded: &Value, ours: &Value) -> Vec<String> {
    let message = &recorded["message_create"];
    let pairs = [
        ("id", &recorded["id"]),
        ("sender_id", &message["sender_id"]),
        ("recipient_id", &message["target"]["recipient_id"]),
        ("text", &message["message_data"]["text"]),
        ("entities", &message["message_data"]["entities"]),
    ];
    let wrong = pairs.into_iter().filter(|(name, recorded)| &ours[*name] != *recorded);
    wrong.map(|(name, recorded)| format!("{name} is {}, recorded {recorded}", ours[name])).collect()
}

fn wrong_tweet(recorded: &Value, ours: &Value, body: &Value) -> Vec<String> {
    let mut wrong = changed_members(recorded, ours, &RENAMED);
    let told = ["/note_tweet/text", "/note_post/text", "/text"];
    let mut text = first_text(recorded, &told);
    let references = ["referenced_tweets", "referenced_posts"].map(|name| recorded[name].as_array());
    let included = |list: &str, key: &str, wanted: &Value| {
        let elements = body["includes"][list].as_array().into_iter().flatten();
        elements.into_iter().find(|element| element[key] == *wanted && !wanted.is_null()).cloned()
    };
    for reference in references.into_iter().flatten().flatten() {
        let found = included("tweets", "id", &reference["id"]).or_else(|| included("posts", "id", &reference["id"]));
        let Some(found) = found else { continue };
        let place = match reference["type"].as_str() {
            Some("retweeted") => "original",
            Some("quoted") => "quoted",
            _ => "replied_to",
        };
        wrong.extend(changed_members(&found, &ours[place], &RENAMED));
        if let Some(whole) = first_text(&found, &told).filter(|_| place == "original") {
            let own = text.unwrap_or_default();
            let head = own.strip_prefix("RT @").and_then(|rest| rest.split_once(": ")).map(|(name, _)| name);
            text = Some(head.map(|name| format!("RT @{name}: ")).unwrap_or_default() + &whole);
        }
    }
    if ours["text"].as_str() != text.map(unescaped).as_deref() {
        wrong.push(format!("the text of {} became {}", recorded["id"], ours["text"]));
    }
    if let Some(author) = included("users", "id", &recorded["author_id"]) {
        wrong.extend(changed_members(&author, &ours["author"], &[]));
    }
    let keys = recorded["attachments"]["media_keys"].as_array().cloned().unwrap_or_default();
    let urls: Vec<Value> = keys
        .iter()
        .filter_map(|key| included("media", "media_key", key))
        .filter_map(|media| first_text(&media, &["/url", "/preview_image_url"]).map(Value::from))
        .collect();
    if ours["media_urls"] != json!(urls) {
        wrong.push(format!("the media of {} are {}, not {urls:?}", recorded["id"], ours["media_urls"]));
    }
    wrong
}

/// What the author wrote: the service escapes three characters.
fn unescaped(text: String) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The fields that Microsoft's models need, out of version 1.1.
fn wrong_old_tweet(recorded: &Value, ours: &Value) -> Vec<String> {
    let mut wrong = wrong_old_user(&recorded["user"], &ours["author"]);
    for (name, old) in [
        ("/id", "/id_str"),
        ("/lang", "/lang"),
        ("/public_metrics/retweet_count", "/retweet_count"),
        ("/in_reply_to_user_id", "/in_reply_to_user_id_str"),
        ("/favorited", "/favorited"),
        ("/original/id", "/retweeted_status/id_str"),
        ("/quoted/id", "/quoted_status/id_str"),
    ] {
        wrong.extend(differs(recorded, old, ours, name));
    }
    if recorded["retweeted_status"].is_null() {
        let text = first_text(recorded, &["/extended_tweet/full_text", "/full_text", "/text"]);
        if ours["text"].as_str() != text.map(unescaped).as_deref() {
            wrong.push(format!("the text of {} became {}", recorded["id"], ours["text"]));
        }
    }
    wrong
}

fn wrong_old_user(recorded: &Value, ours: &Value) -> Vec<String> {
    let names = [
        ("/id", "/id_str"),
        ("/name", "/name"),
        ("/username", "/screen_name"),
        ("/location", "/location"),
        ("/description", "/description"),
        ("/public_metrics/followers_count", "/followers_count"),
        ("/public_metrics/following_count", "/friends_count"),
        ("/public_metrics/tweet_count", "/statuses_count"),
        ("/public_metrics/like_count", "/favourites_count"),
        ("/profile_image_url", "/profile_image_url_https"),
    ];
    names.iter().filter_map(|(name, old)| differs(recorded, old, ours, name)).collect()
}

fn differs(recorded: &Value, old: &str, ours: &Value, name: &str) -> Option<String> {
    let was = recorded.pointer(old).filter(|was| !was.is_null())?;
    (ours.pointer(name) != Some(was)).then(|| format!("{old} was {was}, and {name} is {:?}", ours.pointer(name)))
}

fn wrong_counts(ours: &[Value], body: &Value) -> Vec<String> {
    let total = first_text(&body["meta"], &["/total_tweet_count", "/total_post_count"]);
    let total = total.map(|total| total.parse::<u64>().unwrap());
    let summed: u64 = ours.iter().filter_map(|bucket| bucket["tweet_count"].as_u64()).sum();
    let is_right = total == Some(summed) && (json!(ours) == body["data"] || ours.is_empty() && body["data"].is_null());
    (!is_right).then(|| "the counts are others".to_owned()).into_iter().collect()
}
pub fn reset_ms(answer: &Answer) -> Option<i64> {
    let seconds: i64 = answer.header("x-rate-limit-reset")?.parse().unwrap();
    Some(seconds * 1_000)
}
