//! X's answer shapes: tweets, users and lists with exactly the fields and expansions that were asked for, in
//! the names that were used to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attached::Attached;
use super::problems;
use super::selection::Selection;
use super::store::{Store, Tweet, User};
use super::text::{Entity, Kind};
use crate::clock::rfc3339;

/// Weighted characters from which on a text is long and has a `note_tweet`.
const LONG: usize = super::text::MAX_WEIGHT;

/// A list of tweets with what they refer to. `meta` is added unless it is null; `data` is left out when empty.
pub(super) fn tweet_list(store: &Store, tweets: &[Arc<Tweet>], selection: &Selection, meta: Value) -> Value {
    let mut answer = Map::new();
    if !tweets.is_empty() {
        answer.insert("data".into(), tweets.iter().map(|tweet| tweet_value(store, tweet, selection)).collect());
    }
    let (includes, errors) = expand(store, tweets, selection);
    if !includes.is_empty() {
        answer.insert("includes".into(), Value::Object(includes));
    }
    if !errors.is_empty() {
        answer.insert("errors".into(), Value::Array(errors));
    }
    if !meta.is_null() {
        answer.insert("meta".into(), meta);
    }
    Value::Object(answer)
}

/// One user, with the tweet that an expansion asks for.
pub(super) fn user_answer(store: &Store, user: &User, selection: &Selection) -> Value {
    let mut answer = json!({"data": user_value(store, user, selection)});
    let latest = latest_tweet(store, user.id).filter(|_| selection.expansions.contains("most_recent_tweet_id"));
    if let Some(tweet) = latest {
        let key = if selection.new_names { "posts" } else { "tweets" };
        answer["includes"] = json!({key: [tweet_value(store, tweet, selection)]});
    }
    answer
}

/// A list of users; `data` is left out when empty, `meta` when it is null.
pub(super) fn user_list(
    store: &Store,
    users: &[&User],
    selection: &Selection,
    errors: Vec<Value>,
    meta: Value,
) -> Value {
    let mut answer = Map::new();
    if !users.is_empty() {
        answer.insert("data".into(), users.iter().map(|user| user_value(store, user, selection)).collect());
    }
    if !errors.is_empty() {
        answer.insert("errors".into(), Value::Array(errors));
    }
    if !meta.is_null() {
        answer.insert("meta".into(), meta);
    }
    Value::Object(answer)
}

fn tweet_value(store: &Store, tweet: &Tweet, selection: &Selection) -> Value {
    let mut value = Map::new();
    let mut add = |name: &'static str, field: Value| {
        value.insert(selection.name(name).into(), field);
    };
    add("id", tweet.id.to_string().into());
    add("text", shown_text(tweet).into());
    add("edit_history_tweet_ids", json!([tweet.id.to_string()]));
    for &field in &selection.tweet {
        match field {
            "author_id" => add(field, tweet.author_id.to_string().into()),
            "created_at" => add(field, rfc3339(tweet.created_ms).into()),
            "lang" => add(field, tweet.lang.as_str().into()),
            "conversation_id" => add(field, tweet.conversation_id.to_string().into()),
            "possibly_sensitive" => add(field, false.into()),
            "reply_settings" => add(field, "everyone".into()),
            "public_metrics" => add(
                field,
                json!({selection.name("retweet_count"): 0, "reply_count": 0, "like_count": 0, "quote_count": 0, "bookmark_count": 0, "impression_count": 0}),
            ),
            "display_text_range" => add(field, json!([0, shown_text(tweet).chars().count()])),
            "edit_controls" => add(
                field,
                json!({"is_edit_eligible": false, "editable_until": rfc3339(tweet.created_ms + 3_600_000), "edits_remaining": 5}),
            ),
            "in_reply_to_user_id" => {
                if let Some(user) = tweet.reply_to_user {
                    add(field, user.to_string().into());
                }
            }
            "referenced_tweets" => {
                let references: Vec<Value> =
                    references(tweet).map(|(kind, id)| json!({"type": kind, "id": id.to_string()})).collect();
                if !references.is_empty() {
                    add(field, references.into());
                }
            }
            "entities" if !tweet.entities.is_empty() => add(field, entities_value(store, &tweet.entities)),
            "attachments" if !tweet.media.is_empty() => {
                let keys: Vec<&str> = tweet.media.iter().map(|medium| medium.key.as_str()).collect();
                add(field, json!({"media_keys": keys}));
            }
            "note_tweet" if is_long(tweet) => add(field, json!({"text": tweet.text})),
            // Places, polls and private metrics: nothing in the sandbox has them.
            _ => {}
        }
    }
    Value::Object(value)
}

fn user_value(store: &Store, user: &User, selection: &Selection) -> Value {
    let mut value = Map::new();
    value.insert("id".into(), user.id.to_string().into());
    value.insert("name".into(), user.name.as_str().into());
    value.insert("username".into(), user.username.as_str().into());
    for &field in &selection.user {
        let shown: Value = match field {
            "created_at" => rfc3339(user.created_ms).into(),
            "description" => format!("{} of the sandbox", user.name).into(),
            "profile_image_url" => {
                "https://abs.twimg.com/sticky/default_profile_images/default_profile_normal.png".into()
            }
            "protected" | "verified" => false.into(),
            "verified_type" => "none".into(),
            "public_metrics" => {
                let tweets = store.tweet_count(user.id);
                let (followers, following) =
                    (store.follows(user.id, false, u64::MAX), store.follows(user.id, true, u64::MAX));
                json!({"followers_count": followers.count(), "following_count": following.count(), selection.name("tweet_count"): tweets, "listed_count": 0, "like_count": 3})
            }
            "most_recent_tweet_id" => match latest_tweet(store, user.id) {
                Some(tweet) => tweet.id.to_string().into(),
                None => continue,
            },
            // Empty ones are absent, as at X: location, url, pinned tweet and the like.
            _ => continue,
        };
        value.insert(selection.name(field).into(), shown);
    }
    Value::Object(value)
}

fn entities_value(store: &Store, entities: &[Entity]) -> Value {
    let mut lists = Map::new();
    for entity in entities {
        let (list, mut value) = match entity.kind {
            Kind::Hashtag => ("hashtags", json!({"tag": entity.text})),
            Kind::Cashtag => ("cashtags", json!({"tag": entity.text})),
            Kind::Mention => ("mentions", json!({"username": entity.text})),
            Kind::Link => ("urls", json!({"url": entity.text})),
        };
        value["start"] = entity.start.into();
        value["end"] = entity.end.into();
        if let Some(target) = &entity.target {
            value["expanded_url"] = target.as_str().into();
            value["display_url"] = target.split_once("://").map_or(target.as_str(), |(_, rest)| rest).into();
        }
        if let Some(user) = store.user_named(&entity.text).filter(|_| entity.kind == Kind::Mention) {
            value["id"] = user.id.to_string().into();
        }
        if let Some(list) = lists.entry(list).or_insert_with(|| json!([])).as_array_mut() {
            list.push(value);
        }
    }
    Value::Object(lists)
}

/// The users, tweets and media that the expansions name, and an error for each that is missing.
fn expand(store: &Store, tweets: &[Arc<Tweet>], selection: &Selection) -> (Map<String, Value>, Vec<Value>) {
    let wants = |expansion| selection.expansions.contains(expansion);
    let mut users = Found::default();
    let mut referenced = Found::default();
    let mut media: BTreeMap<&str, &Attached> = BTreeMap::new();
    for tweet in tweets {
        if wants("attachments.media_keys") {
            media.extend(tweet.media.iter().map(|medium| (medium.key.as_str(), medium)));
        }
        if wants("author_id") {
            users.look_up("author_id", tweet.author_id, store.user(tweet.author_id).is_some());
        }
        if let Some(user) = tweet.reply_to_user.filter(|_| wants("in_reply_to_user_id")) {
            users.look_up("in_reply_to_user_id", user, store.user(user).is_some());
        }
        if wants("entities.mentions.username") {
            let mentions = tweet.entities.iter().filter(|entity| entity.kind == Kind::Mention);
            for user in mentions.filter_map(|mention| store.user_named(&mention.text)) {
                users.look_up("entities.mentions.username", user.id, true);
            }
        }
        for (_, id) in references(tweet) {
            let target = store.tweet(id);
            if wants("referenced_tweets.id") {
                referenced.look_up(
                    if selection.new_names { "referenced_posts" } else { "referenced_tweets.id" },
                    id,
                    target.is_some(),
                );
            }
            if let Some(target) = target.filter(|_| wants("referenced_tweets.id.attachments.media_keys")) {
                media.extend(target.media.iter().map(|medium| (medium.key.as_str(), medium)));
            }
            if let Some(target) = target.filter(|_| wants("referenced_tweets.id.author_id")) {
                users.look_up(
                    "referenced_tweets.id.author_id",
                    target.author_id,
                    store.user(target.author_id).is_some(),
                );
            }
        }
    }
    let mut includes = Map::new();
    let shown: Vec<Value> =
        users.ids.iter().filter_map(|&id| store.user(id)).map(|user| user_value(store, user, selection)).collect();
    if !shown.is_empty() {
        includes.insert("users".into(), shown.into());
    }
    let shown: Vec<Value> = referenced
        .ids
        .iter()
        .filter_map(|&id| store.tweet(id))
        .map(|tweet| tweet_value(store, tweet, selection))
        .collect();
    if !shown.is_empty() {
        includes.insert(if selection.new_names { "posts" } else { "tweets" }.into(), shown.into());
    }
    if !media.is_empty() {
        let shown: Vec<Value> = media.values().map(|medium| medium.value(&selection.media)).collect();
        includes.insert("media".into(), shown.into());
    }
    let missing_users =
        users.missing.iter().map(|(parameter, id)| problems::not_found("user", parameter, &id.to_string()));
    let missing_tweets =
        referenced.missing.iter().map(|(parameter, id)| problems::not_found("tweet", parameter, &id.to_string()));
    (includes, missing_users.chain(missing_tweets).collect())
}

/// Ids that expansions led to, each once.
#[derive(Default)]
struct Found {
    ids: BTreeSet<u64>,
    missing: BTreeSet<(&'static str, u64)>,
}

impl Found {
    fn look_up(&mut self, parameter: &'static str, id: u64, exists: bool) {
        if exists {
            self.ids.insert(id);
        } else {
            self.missing.insert((parameter, id));
        }
    }
}

fn references(tweet: &Tweet) -> impl Iterator<Item = (&'static str, u64)> {
    let all = [("retweeted", tweet.retweet_of), ("quoted", tweet.quote_of), ("replied_to", tweet.reply_to)];
    all.into_iter().filter_map(|(kind, id)| Some((kind, id?)))
}

fn latest_tweet(store: &Store, user_id: u64) -> Option<&Arc<Tweet>> {
    store.between_of(user_id, 0, u64::MAX).next()
}

fn is_long(tweet: &Tweet) -> bool {
    // A character weighs at least one for every four bytes or less, so short texts need no weighing.
    tweet.text.len() > LONG && super::text::weight(&tweet.text) > LONG
}

/// The first part of a long text; `note_tweet` has the whole.
fn shown_text(tweet: &Tweet) -> String {
    if !is_long(tweet) {
        return tweet.text.clone();
    }
    let mut shown: String = tweet.text.chars().take(LONG - 1).collect();
    shown.push('…');
    shown
}
