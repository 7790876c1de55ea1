//! X's lists of tweets: recent search, a user's timeline, and counts. Pages are newest first.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answers::tweet_list;
use super::problems;
use super::query::Query;
use super::selection::{Selection, TWEET_EXPANSIONS};
use super::store::{Store, Tweet};
use super::text::Kind;
use super::window::{
    Window, archive_window, bind, continue_from, read_choice, read_number, recent_window, refuse_unknown,
    timeline_window, token,
};
use crate::clock::rfc3339;
use crate::sandbox::Options;
use crate::sandbox::exchange::{Answer, Call, Parameters};

const FIELDS: &[&str] =
    &["tweet.fields", "post.fields", "expansions", "media.fields", "poll.fields", "user.fields", "place.fields"];

/// `GET /2/tweets/search/recent`
pub(super) fn recent(store: &Store, options: &Options, call: &Call<'_>) -> Result<Value, Answer> {
    found(store, options, call, 100, recent_window)
}

/// `GET /2/tweets/search/all`
pub(super) fn archive(store: &Store, options: &Options, call: &Call<'_>) -> Result<Value, Answer> {
    found(store, options, call, 500, archive_window)
}

fn found(
    store: &Store,
    options: &Options,
    call: &Call<'_>,
    most: usize,
    window: fn(&Parameters<'_>, &Options, i64) -> Result<Window, Answer>,
) -> Result<Value, Answer> {
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
    let size = read_number(&parameters, "max_results", 10, 10, most)?;
    read_choice(&parameters, "sort_order", &["recency", "relevancy"])?;
    let window = window(&parameters, options, call.now_ms)?;
    let binding = bind(&parameters, 0);
    let window = continue_from(&parameters, &["next_token", "pagination_token"], binding, window)?;

    let found = store
        .between(window.after, window.before)
        .filter(|tweet| (options.search_retweets || tweet.retweet_of.is_none()) && query.matches(tweet));
    Ok(page(store, found, size, window, binding, &selection, call))
}

/// `GET /2/users/:id/mentions`
pub(super) fn mentions(store: &Store, user_id: u64, options: &Options, call: &Call<'_>) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    const OWN: &[&str] = &["since_id", "until_id", "max_results", "pagination_token", "start_time", "end_time"];
    refuse_unknown(&parameters, OWN, FIELDS)?;
    let selection = Selection::read(&parameters, TWEET_EXPANSIONS)?;
    let size = read_number(&parameters, "max_results", 10, 5, 100)?;
    let window = timeline_window(&parameters, options, call.now_ms)?;
    let binding = bind(&parameters, user_id ^ 1);
    let window = continue_from(&parameters, &["pagination_token"], binding, window)?;
    let name = store.user(user_id).map(|user| user.username.clone()).unwrap_or_default();
    let is_named = |tweet: &&Arc<Tweet>| {
        let mut named = tweet.entities.iter().filter(|entity| entity.kind == Kind::Mention);
        tweet.author_id != user_id && named.any(|entity| entity.text.eq_ignore_ascii_case(&name))
    };
    let found = store.between(window.after, window.before).filter(is_named);
    Ok(page(store, found, size, window, binding, &selection, call))
}

/// `GET /2/users/:id/timelines/reverse_chronological`
pub(super) fn home(store: &Store, user_id: u64, options: &Options, call: &Call<'_>) -> Result<Value, Answer> {
    let followed: HashSet<u64> =
        store.follows(user_id, true, u64::MAX).map(|(_, followed)| followed).chain([user_id]).collect();
    let parameters = call.parameters(false);
    let (window, binding, selection, size, kinds) = timeline_request(&parameters, user_id ^ 2, 1, options, call)?;
    let found = store.between(window.after, window.before);
    let found = found.filter(|tweet| followed.contains(&tweet.author_id) && kinds.take(tweet));
    Ok(page(store, found, size, window, binding, &selection, call))
}

/// `GET /2/users/:id/tweets`
pub(super) fn timeline(store: &Store, user_id: u64, options: &Options, call: &Call<'_>) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    let (window, binding, selection, size, kinds) = timeline_request(&parameters, user_id, 5, options, call)?;
    let found = store.between_of(user_id, window.after, window.before).filter(|tweet| kinds.take(tweet));
    Ok(page(store, found, size, window, binding, &selection, call))
}

/// Which kinds of tweets a timeline leaves out.
struct Kinds {
    no_replies: bool,
    no_retweets: bool,
}

impl Kinds {
    fn take(&self, tweet: &Tweet) -> bool {
        !(self.no_replies && tweet.reply_to.is_some() || self.no_retweets && tweet.retweet_of.is_some())
    }
}

fn timeline_request(
    parameters: &Parameters<'_>,
    subject: u64,
    least: usize,
    options: &Options,
    call: &Call<'_>,
) -> Result<(Window, u64, Selection, usize, Kinds), Answer> {
    const OWN: &[&str] =
        &["since_id", "until_id", "max_results", "pagination_token", "exclude", "start_time", "end_time"];
    refuse_unknown(parameters, OWN, FIELDS)?;
    let selection = Selection::read(parameters, TWEET_EXPANSIONS)?;
    let size = read_number(parameters, "max_results", 10, least, 100)?;
    let exclude = parameters.get("exclude").unwrap_or_default();
    if let Some(other) = exclude.split(',').find(|kind| !matches!(*kind, "" | "replies" | "retweets")) {
        let message = format!("The `exclude` query parameter value [{other}] is not one of [replies,retweets]");
        return Err(problems::invalid("exclude", &[exclude], &message));
    }
    let window = timeline_window(parameters, options, call.now_ms)?;
    let binding = bind(parameters, subject);
    let window = continue_from(parameters, &["pagination_token"], binding, window)?;
    let excludes = |kind| exclude.split(',').any(|excluded| excluded == kind);
    let kinds = Kinds { no_replies: excludes("replies"), no_retweets: excludes("retweets") };
    Ok((window, binding, selection, size, kinds))
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
    let granularity_ms = match read_choice(&parameters, "granularity", &["minute", "hour", "day"])? {
        Some("minute") => 60_000,
        Some("day") => 86_400_000,
        _ => 3_600_000,
    };
    let window = recent_window(&parameters, options, call.now_ms)?;
    // All buckets fit into one answer, so there is never a token to continue with.
    continue_from(&parameters, &["next_token", "pagination_token"], bind(&parameters, 0), window)?;

    let start_ms = super::store::EPOCH_MS + ((window.after + 1) >> 22) as i64;
    let end_ms = super::store::EPOCH_MS + (window.before >> 22) as i64;
    let first_bucket = start_ms.div_euclid(granularity_ms);
    let last_bucket = (end_ms - 1).max(start_ms).div_euclid(granularity_ms);
    let mut counts = vec![0_u64; usize::try_from(last_bucket - first_bucket + 1).unwrap_or(1)];
    for tweet in store.between(window.after, window.before).filter(|tweet| query.matches(tweet)) {
        let bucket = usize::try_from(tweet.created_ms.div_euclid(granularity_ms) - first_bucket).unwrap_or(0);
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

fn read_query(parameters: &Parameters<'_>, options: &Options) -> Result<Query, Answer> {
    let Some(text) = parameters.filled("query") else {
        return Err(problems::invalid("query", &[], "The `query` query parameter can not be empty"));
    };
    let length = text.chars().count();
    if length > options.query_length {
        let message = format!("Rule length must be at most {} characters, but it was {length}", options.query_length);
        return Err(problems::invalid("query", &[text], &message));
    }
    Query::parse(text).map_err(|refused| {
        let message =
            format!("There were errors processing your request: {} (at position {})", refused.reason, refused.position);
        problems::invalid("query", &[text], &message)
    })
}
