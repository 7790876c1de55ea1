//! What must become of X's answers: its table of errors read anew, and records member by member.

use serde_json::{Value, json};
use tidegate::engine::{Failure, Verdict};

use crate::reference::answer::{Follows, changed_members, first_text, first_words, wrong_with};
use crate::reference::fixture::Answer;

/// Members that say the same elsewhere, or under the older of their two names.
const RENAMED: [&str; 5] = ["text", "note_tweet", "note_post", "referenced_posts", "edit_history_post_ids"];

/// Where an answer that names no reset may be asked again at the earliest.
pub const PATIENCE_MS: i64 = 60_000;

fn is_single(action: &str) -> bool {
    !matches!(action, "search_tweets" | "get_own_tweets" | "count_tweets")
}

pub fn must_fail(action: &str, answer: &Answer) -> bool {
    // What is gone already needs no deleting.
    let is_gone = action == "delete_tweet" && answer.status == 404;
    (answer.status >= 400 && !is_gone)
        || (is_single(action) && !answer.body["errors"].is_null() && answer.body["data"].is_null())
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
    let recorded = match &body["data"] {
        _ if action == "count_tweets" => return wrong_counts(ours, body),
        Value::Null => Vec::new(),
        Value::Array(records) => records.clone(),
        record => vec![record.clone()],
    };
    if ours.len() != recorded.len() {
        return vec![format!("{} records were recorded, {} came out", recorded.len(), ours.len())];
    }
    let is_tweet = matches!(action, "search_tweets" | "get_own_tweets");
    let renamed: &[&str] = if is_tweet { &RENAMED } else { &[] };
    let mut wrong = Vec::new();
    for (recorded, ours) in recorded.iter().zip(ours) {
        wrong.extend(changed_members(recorded, ours, renamed));
        if !is_tweet {
            continue;
        }
        let told = ["/note_tweet/text", "/note_post/text", "/text"];
        let text = first_text(recorded, &told);
        if ours["text"].as_str() != text.as_deref() {
            wrong.push(format!("the text of {} became {}", recorded["id"], ours["text"]));
        }
        let users = body["includes"]["users"].as_array().into_iter().flatten();
        let author = users.into_iter().find(|user| user["id"] == recorded["author_id"]);
        if let Some(author) = author.filter(|_| !recorded["author_id"].is_null())
            && &ours["author"] != author
        {
            wrong.push(format!("the author of {} became {}", recorded["id"], ours["author"]));
        }
    }
    wrong
}

fn wrong_counts(ours: &[Value], body: &Value) -> Vec<String> {
    let total = first_text(&body["meta"], &["/total_tweet_count", "/total_post_count"]);
    let total = total.map(|total| total.parse::<u64>().unwrap());
    let expected = json!([{"total": total, "buckets": body["data"]}]);
    (json!(ours) != expected).then(|| "the counts are others".to_owned()).into_iter().collect()
}
pub fn reset_ms(answer: &Answer) -> Option<i64> {
    let seconds: i64 = answer.header("x-rate-limit-reset")?.parse().unwrap();
    Some(seconds * 1_000)
}
