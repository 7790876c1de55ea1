//! X's lists of tweets: recent search, a user's timeline, and counts. Which window the parameters mean, what
//! X refuses about them, and the page of that window. Pages are newest first; a token holds the place.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Value, json};

use super::answers::{Selection, TWEET_EXPANSIONS, tweet_list};
use super::problems;
use super::query::Query;
use super::store::{Store, Tweet, id_at};
use crate::clock::rfc3339;
use crate::sandbox::Options;
use crate::sandbox::exchange::{Answer, Call, Parameters};

/// Recent search and counts reach back so far.
const RECENT_MS: i64 = 7 * 24 * 3_600_000;

/// `end_time` must be so long ago.
const END_LAG_MS: i64 = 10_000;

const FIELDS: &[&str] = &[
    "tweet.fields",
    "post.fields",
    "expansions",
    "media.fields",
    "poll.fields",
    "user.fields",
    "place.fields",
];

/// Ids between which tweets are wanted, both excluded.
#[derive(Clone, Copy)]
struct Window {
    after: u64,
    before: u64,
}

/// `GET /2/tweets/search/recent`
pub(super) fn recent(store: &Store, options: &Options, call: &Call<'_>) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    const OWN: &[&str] = &[
        "query",
        "start_time",
        "end_time",
        "since_id",
        "until_id",
        "max_results",
        "next_token",
        "pagination_token",
        "sort_order",
    ];
    refuse_unknown(&parameters, OWN, FIELDS)?;
    let query = read_query(&parameters, options)?;
    let selection = Selection::read(&parameters, TWEET_EXPANSIONS)?;
    let size = read_number(&parameters, "max_results", 10, 10, 100)?;
    read_choice(&parameters, "sort_order", &["recency", "relevancy"])?;
    let window = recent_window(&parameters, options, call.now_ms)?;
    let binding = bind(&parameters, 0);
    let window = continue_from(
        &parameters,
        &["next_token", "pagination_token"],
        binding,
        window,
    )?;

    let found = store.between(window.after, window.before).filter(|tweet| {
        (options.search_retweets || tweet.retweet_of.is_none()) && query.matches(tweet)
    });
    Ok(page(store, found, size, window, binding, &selection, call))
}

/// `GET /2/users/:id/tweets`
pub(super) fn timeline(
    store: &Store,
    user_id: u64,
    options: &Options,
    call: &Call<'_>,
) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    const OWN: &[&str] = &[
        "since_id",
        "until_id",
        "max_results",
        "pagination_token",
        "exclude",
        "start_time",
        "end_time",
    ];
    refuse_unknown(&parameters, OWN, FIELDS)?;
    let selection = Selection::read(&parameters, TWEET_EXPANSIONS)?;
    let size = read_number(&parameters, "max_results", 10, 5, 100)?;
    let exclude = parameters.get("exclude").unwrap_or_default();
    if let Some(other) = exclude
        .split(',')
        .find(|kind| !matches!(*kind, "" | "replies" | "retweets"))
    {
        let message = format!(
            "The `exclude` query parameter value [{other}] is not one of [replies,retweets]"
        );
        return Err(problems::invalid("exclude", &[exclude], &message));
    }
    let window = timeline_window(&parameters, options, call.now_ms)?;
    let binding = bind(&parameters, user_id);
    let window = continue_from(&parameters, &["pagination_token"], binding, window)?;

    let excludes = |kind| exclude.split(',').any(|excluded| excluded == kind);
    let (no_replies, no_retweets) = (excludes("replies"), excludes("retweets"));
    let found = store
        .between_of(user_id, window.after, window.before)
        .filter(|tweet| {
            !(no_replies && tweet.reply_to.is_some() || no_retweets && tweet.retweet_of.is_some())
        });
    Ok(page(store, found, size, window, binding, &selection, call))
}

/// `GET /2/tweets/counts/recent`
pub(super) fn counts(store: &Store, options: &Options, call: &Call<'_>) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    const OWN: &[&str] = &[
        "query",
        "start_time",
        "end_time",
        "since_id",
        "until_id",
        "next_token",
        "pagination_token",
        "granularity",
        "search_count.fields",
    ];
    refuse_unknown(&parameters, OWN, &[])?;
    let query = read_query(&parameters, options)?;
    let granularity_ms = match read_choice(&parameters, "granularity", &["minute", "hour", "day"])?
    {
        Some("minute") => 60_000,
        Some("day") => 86_400_000,
        _ => 3_600_000,
    };
    let window = recent_window(&parameters, options, call.now_ms)?;
    // All buckets fit into one answer, so there is never a token to continue with.
    continue_from(
        &parameters,
        &["next_token", "pagination_token"],
        bind(&parameters, 0),
        window,
    )?;

    let start_ms = super::store::EPOCH_MS + ((window.after + 1) >> 22) as i64;
    let end_ms = super::store::EPOCH_MS + (window.before >> 22) as i64;
    let first_bucket = start_ms.div_euclid(granularity_ms);
    let last_bucket = (end_ms - 1).max(start_ms).div_euclid(granularity_ms);
    let mut counts = vec![0_u64; usize::try_from(last_bucket - first_bucket + 1).unwrap_or(1)];
    for tweet in store
        .between(window.after, window.before)
        .filter(|tweet| query.matches(tweet))
    {
        let bucket = usize::try_from(tweet.created_ms.div_euclid(granularity_ms) - first_bucket)
            .unwrap_or(0);
        if let Some(count) = counts.get_mut(bucket) {
            *count += 1;
        }
    }
    let buckets: Vec<Value> = (first_bucket..)
        .zip(&counts)
        .map(|(bucket, count)| {
            let start = (bucket * granularity_ms).max(start_ms);
            let end = ((bucket + 1) * granularity_ms).min(end_ms.max(start));
            json!({"end": rfc3339(end), "start": rfc3339(start), "tweet_count": count})
        })
        .collect();
    Ok(json!({"data": buckets, "meta": {"total_tweet_count": counts.iter().sum::<u64>()}}))
}

fn page<'a>(
    store: &Store,
    mut found: impl Iterator<Item = &'a Arc<Tweet>>,
    size: usize,
    window: Window,
    binding: u64,
    selection: &Selection,
    call: &Call<'_>,
) -> Value {
    let taken = call.page_limit.map_or(size, |limit| limit.min(size));
    let tweets: Vec<Arc<Tweet>> = found.by_ref().take(taken).cloned().collect();
    let place = tweets.last().map_or(window.before, |tweet| tweet.id);
    let has_more = call.page_limit.is_some() || found.next().is_some();
    let mut meta = json!({});
    if let (Some(newest), Some(oldest)) = (tweets.first(), tweets.last()) {
        meta["newest_id"] = newest.id.to_string().into();
        meta["oldest_id"] = oldest.id.to_string().into();
    }
    meta["result_count"] = tweets.len().into();
    if has_more {
        meta["next_token"] = token(place, binding).into();
    }
    tweet_list(store, &tweets, selection, meta)
}

fn recent_window(
    parameters: &Parameters<'_>,
    options: &Options,
    now_ms: i64,
) -> Result<Window, Answer> {
    let given = |names: &[&str]| names.iter().any(|name| parameters.get(name).is_some());
    if given(&["since_id", "until_id"]) && given(&["start_time", "end_time"]) {
        let names = ["since_id", "until_id", "start_time", "end_time"];
        let values: Vec<(&str, Vec<&str>)> = names
            .iter()
            .filter_map(|name| Some((*name, vec![parameters.get(name)?])))
            .collect();
        let values: Vec<(&str, &[&str])> = values
            .iter()
            .map(|(name, values)| (*name, values.as_slice()))
            .collect();
        let message = "Invalid use of 'since_id' or 'until_id' in conjunction with 'start_time' or 'end_time'.";
        return Err(problems::invalid_all(&values, message));
    }
    let oldest_ms = now_ms - RECENT_MS;
    let mut window = Window {
        after: id_at(oldest_ms).saturating_sub(1),
        before: id_at(now_ms - options.index_lag_ms + 1),
    };
    for name in ["since_id", "until_id"] {
        let Some(id) = read_id(parameters, name)? else {
            continue;
        };
        if id <= id_at(oldest_ms) {
            let message = format!(
                "'{name}' must be a tweet id created after {}. Please use a '{name}' that is larger than {}",
                minute(oldest_ms),
                id_at(oldest_ms)
            );
            return Err(problems::invalid(name, &[&id.to_string()], &message));
        }
        match name {
            "since_id" => window.after = id,
            _ => window.before = window.before.min(id),
        }
    }
    let (start_ms, end_ms) = read_times(parameters)?;
    if let (Some(start_ms), Some(text)) = (start_ms, parameters.get("start_time")) {
        if start_ms < oldest_ms {
            let message = format!(
                "Invalid 'start_time':'{}'. 'start_time' must be on or after {}",
                minute(start_ms),
                minute(oldest_ms)
            );
            return Err(problems::invalid("start_time", &[text], &message));
        }
        window.after = id_at(start_ms).saturating_sub(1);
    }
    if let (Some(end_ms), Some(text)) = (end_ms, parameters.get("end_time")) {
        if end_ms > now_ms - END_LAG_MS {
            let message = format!(
                "Invalid 'end_time':'{}'. 'end_time' must be a minimum of 10 seconds prior to the request time.",
                minute(end_ms)
            );
            return Err(problems::invalid("end_time", &[text], &message));
        }
        window.before = window.before.min(id_at(end_ms));
    }
    Ok(window)
}

/// On timelines an id silently wins over a time.
fn timeline_window(
    parameters: &Parameters<'_>,
    options: &Options,
    now_ms: i64,
) -> Result<Window, Answer> {
    let (start_ms, end_ms) = read_times(parameters)?;
    let after = match read_id(parameters, "since_id")? {
        Some(id) => id,
        None => start_ms.map_or(0, |start_ms| id_at(start_ms).saturating_sub(1)),
    };
    let before = match read_id(parameters, "until_id")? {
        Some(id) => id,
        None => end_ms.map_or(u64::MAX, id_at),
    };
    Ok(Window {
        after,
        before: before.min(id_at(now_ms - options.index_lag_ms + 1)),
    })
}

/// `start_time` and `end_time` in ms, in their order.
fn read_times(parameters: &Parameters<'_>) -> Result<(Option<i64>, Option<i64>), Answer> {
    let read = |name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Some(time.as_millisecond())),
            Err(_) => {
                let message = format!(
                    "Invalid '{name}':'{text}'. '{name}' must be a valid RFC3339 date-time"
                );
                Err(problems::invalid(name, &[text], &message))
            }
        },
    };
    let (start_ms, end_ms) = (read("start_time")?, read("end_time")?);
    if let (Some(start), Some(end)) = (start_ms, end_ms)
        && start >= end
    {
        let (start, end) = (minute(start), minute(end));
        let message =
            format!("Invalid 'start_time':'{start}'. 'start_time' must be before 'end_time':{end}");
        return Err(problems::invalid_all(
            &[("start_time", &[&start]), ("end_time", &[&end])],
            &message,
        ));
    }
    Ok((start_ms, end_ms))
}

fn read_query(parameters: &Parameters<'_>, options: &Options) -> Result<Query, Answer> {
    let Some(text) = parameters.filled("query") else {
        return Err(problems::invalid(
            "query",
            &[],
            "The `query` query parameter can not be empty",
        ));
    };
    let length = text.chars().count();
    if length > options.query_length {
        let message = format!(
            "Rule length must be at most {} characters, but it was {length}",
            options.query_length
        );
        return Err(problems::invalid("query", &[text], &message));
    }
    Query::parse(text).map_err(|refused| {
        let message = format!(
            "There were errors processing your request: {} (at position {})",
            refused.reason, refused.position
        );
        problems::invalid("query", &[text], &message)
    })
}

fn read_id(parameters: &Parameters<'_>, name: &str) -> Result<Option<u64>, Answer> {
    let Some(text) = parameters.get(name) else {
        return Ok(None);
    };
    let valid = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse().ok().filter(|_| valid) {
        Some(id) => Ok(Some(id)),
        None => {
            let message = format!(
                "The `{name}` query parameter value [{text}] does not match ^[0-9]{{1,19}}$"
            );
            Err(problems::invalid(name, &[text], &message))
        }
    }
}

fn read_number(
    parameters: &Parameters<'_>,
    name: &str,
    default: usize,
    least: usize,
    most: usize,
) -> Result<usize, Answer> {
    let Some(text) = parameters.get(name) else {
        return Ok(default);
    };
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            let message = format!(
                "The `{name}` query parameter value [{text}] is not between {least} and {most}"
            );
            problems::invalid(name, &[text], &message)
        })
}

fn read_choice<'p>(
    parameters: &'p Parameters<'_>,
    name: &str,
    all: &[&str],
) -> Result<Option<&'p str>, Answer> {
    match parameters.get(name) {
        Some(text) if !all.contains(&text) => {
            let message = format!(
                "The `{name}` query parameter value [{text}] is not one of [{}]",
                all.join(",")
            );
            Err(problems::invalid(name, &[text], &message))
        }
        choice => Ok(choice),
    }
}

/// X names every parameter that it does not know.
pub(super) fn refuse_unknown(
    parameters: &Parameters<'_>,
    own: &[&str],
    fields: &[&str],
) -> Result<(), Answer> {
    let known = |name: &str| own.contains(&name) || fields.contains(&name);
    match parameters.pairs.iter().find(|(name, _)| !known(name)) {
        None => Ok(()),
        Some((name, value)) => {
            let all = own
                .iter()
                .chain(fields)
                .copied()
                .collect::<Vec<_>>()
                .join(",");
            let message = format!("The query parameter [{name}] is not one of [{all}]");
            Err(problems::invalid(name, &[value], &message))
        }
    }
}

/// Cuts the window where the token says that the last page ended.
fn continue_from(
    parameters: &Parameters<'_>,
    names: &[&str],
    binding: u64,
    window: Window,
) -> Result<Window, Answer> {
    let mut given = names
        .iter()
        .filter_map(|name| Some((*name, parameters.get(name)?)));
    let Some((name, text)) = given.next() else {
        return Ok(window);
    };
    if let Some((other, _)) = given.next() {
        let message = format!("'{name}' and '{other}' cannot be used together");
        return Err(problems::invalid(name, &[text], &message));
    }
    match read_token(text, binding) {
        Some(place) => Ok(Window {
            before: window.before.min(place),
            ..window
        }),
        None => {
            let message = format!("The `{name}` query parameter value [{text}] is not valid");
            Err(problems::invalid(name, &[text], &message))
        }
    }
}

/// What a token is valid for: everything that was asked for except how the records look and how many.
fn bind(parameters: &Parameters<'_>, subject: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    for name in [
        "query",
        "start_time",
        "end_time",
        "since_id",
        "until_id",
        "exclude",
    ] {
        parameters.get(name).hash(&mut hasher);
    }
    hasher.finish()
}

/// Opaque to callers: the place and the binding, 13 digits of base 36 each.
fn token(place: u64, binding: u64) -> String {
    let digits = |mut number: u64| {
        let mut digits = [b'0'; 13];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
            number /= 36;
        }
        String::from_utf8_lossy(&digits).into_owned()
    };
    format!("b26v89c19{}{}", digits(place), digits(binding))
}

fn read_token(text: &str, binding: u64) -> Option<u64> {
    let (place, bound) = text.strip_prefix("b26v89c19")?.split_at_checked(13)?;
    (u64::from_str_radix(bound, 36).ok()? == binding)
        .then(|| u64::from_str_radix(place, 36).ok())?
}

/// `2026-07-31T11:45Z`, the form of times in X's messages.
fn minute(epoch_ms: i64) -> String {
    let full = rfc3339(epoch_ms);
    full.get(..16)
        .map_or(full.clone(), |minute| format!("{minute}Z"))
}
