//! `POST /2/tweets`: what X checks about a new tweet before it takes it.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::attached::Attached;
use super::media::Uploads;
use super::store::{Draft, Store, own_id};
use super::{problems, text};
use crate::sandbox::Options;
use crate::sandbox::exchange::{Answer, Call};

/// The members of X's `TweetCreateRequest`; any other is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "members that the sandbox has no use for are still checked for their form")]
struct Body {
    text: Option<String>,
    reply: Option<Reply>,
    quote_tweet_id: Option<String>,
    media: Option<Media>,
    poll: Option<Poll>,
    geo: Option<Geo>,
    edit_options: Option<EditOptions>,
    reply_settings: Option<ReplySettings>,
    card_uri: Option<String>,
    community_id: Option<String>,
    direct_message_deep_link: Option<String>,
    for_super_followers_only: Option<bool>,
    made_with_ai: Option<bool>,
    nullcast: Option<bool>,
    paid_partnership: Option<bool>,
    share_with_followers: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "see Body")]
struct Reply {
    in_reply_to_tweet_id: String,
    exclude_reply_user_ids: Option<Vec<String>>,
    auto_populate_reply_metadata: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "see Body")]
struct Media {
    media_ids: Vec<String>,
    tagged_user_ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "see Body")]
struct Poll {
    options: Vec<String>,
    duration_minutes: u32,
    reply_settings: Option<ReplySettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "see Body")]
struct Geo {
    place_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditOptions {
    previous_post_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ReplySettings {
    Following,
    MentionedUsers,
    Subscribers,
    Verified,
}

/// Takes the tweet of the account that the credentials belong to.
pub(super) fn post(store: &mut Store, uploads: &Uploads, options: &Options, call: &Call<'_>) -> Answer {
    if !call.has_content_type("application/json") {
        let message = "Requests with bodies must have content-type of application/json.";
        return problems::invalid_all(&[], message);
    }
    let body: Body = match serde_json::from_slice(call.body) {
        Ok(body) => body,
        Err(error) => return problems::invalid_all(&[], &schema_message(&error.to_string())),
    };
    let written = body.text.clone().unwrap_or_default();
    match take(store, uploads, options, &body, call.now_ms) {
        Ok((id, stored)) => {
            let json = json!({"data": {"id": id, "text": stored}}).to_string();
            Answer::new(StatusCode::CREATED, super::JSON, json)
                .with_text(axum::http::header::LOCATION, &format!("https://api.twitter.com/2/tweets/{id}"))
                .wrote(written, Some(id))
        }
        Err(refusal) => refusal.wrote(written, None),
    }
}

/// The id and the text as it was stored.
fn take(
    store: &mut Store,
    uploads: &Uploads,
    options: &Options,
    body: &Body,
    now_ms: i64,
) -> Result<(String, String), Answer> {
    check_form(body)?;
    let media = match &body.media {
        Some(media) => attached(media, uploads, now_ms)?,
        None => Vec::new(),
    };
    let draft = Draft {
        author_id: own_id(),
        text: body.text.as_deref().unwrap_or_default(),
        lang: "",
        at_ms: now_ms,
        reply_to: body.reply.as_ref().and_then(|reply| reply.in_reply_to_tweet_id.parse().ok()),
        quote_of: body.quote_tweet_id.as_ref().and_then(|id| id.parse().ok()),
        retweet_of: None,
        media,
    };
    if draft.reply_to.is_some_and(|id| store.tweet(id).is_none()) {
        let detail = "You attempted to reply to a Tweet that is deleted or not visible to you.";
        return Err(problems::plain(StatusCode::FORBIDDEN, detail));
    }
    if store.note_post(&draft, options.duplicate_window_ms) {
        let detail = "You are not allowed to create a Tweet with duplicate content.";
        return Err(problems::plain(StatusCode::FORBIDDEN, detail));
    }
    let tweet = store.insert(&draft);
    Ok((tweet.id.to_string(), tweet.text.clone()))
}

fn check_form(body: &Body) -> Result<(), Answer> {
    let ids = [
        ("$.reply.in_reply_to_tweet_id", body.reply.as_ref().map(|reply| &reply.in_reply_to_tweet_id)),
        ("$.quote_tweet_id", body.quote_tweet_id.as_ref()),
        ("$.edit_options.previous_post_id", body.edit_options.as_ref().map(|edit| &edit.previous_post_id)),
    ];
    for (path, id) in ids {
        if let Some(id) = id.filter(|id| !is_id(id)) {
            let message = format!("{path}: does not match the regex pattern ^[0-9]{{1,19}}$");
            return Err(problems::invalid(path, &[id], &message));
        }
    }
    if let Some(media) = &body.media
        && !(1..=4).contains(&media.media_ids.len())
    {
        return Err(problems::invalid("$.media.media_ids", &[], "$.media.media_ids: there must be 1 to 4 items"));
    }
    if let Some(poll) = &body.poll {
        let fits = (2..=4).contains(&poll.options.len())
            && poll.options.iter().all(|option| (1..=25).contains(&option.chars().count()))
            && (5..=10_080).contains(&poll.duration_minutes);
        if !fits {
            return Err(problems::invalid(
                "$.poll",
                &[],
                "$.poll: 2 to 4 options of 1 to 25 characters, 5 to 10080 minutes",
            ));
        }
        if body.quote_tweet_id.is_some() {
            return Err(problems::invalid("$.poll", &[], "'poll' and 'quote_tweet_id' are mutually exclusive"));
        }
    }
    if body.text.as_deref().unwrap_or_default().trim().is_empty() && body.media.is_none() {
        return Err(problems::invalid_all(&[], "Tweet text is required when there is no media."));
    }
    if text::weight(body.text.as_deref().unwrap_or_default()) > text::MAX_WEIGHT {
        let message = "Your Tweet text is too long. For more information on how Twitter determines text length see https://github.com/twitter/twitter-text.";
        return Err(problems::invalid_all(&[], message));
    }
    Ok(())
}

/// Four pictures, or one animation, or one video; each uploaded for a tweet and ready.
fn attached(media: &Media, uploads: &Uploads, now_ms: i64) -> Result<Vec<Attached>, Answer> {
    let ids: Vec<&str> = media.media_ids.iter().map(String::as_str).collect();
    let found: Vec<_> = ids.iter().filter_map(|id| uploads.usable(id, "tweet", now_ms)).collect();
    if found.len() != ids.len() {
        return Err(problems::invalid("media.media_ids", &ids, "Your media IDs are invalid."));
    }
    if found.len() > 1 && found.iter().any(|(_, upload)| upload.kind() != "photo") {
        let message = "A Tweet can have at most 4 photos, or 1 animated GIF, or 1 video.";
        return Err(problems::invalid("media.media_ids", &ids, message));
    }
    let attached = found.into_iter().map(|(id, upload)| Attached {
        key: upload.media_key(id),
        kind: upload.kind(),
        alt_text: upload.alt_text().map(str::to_owned),
    });
    Ok(attached.collect())
}

pub(super) fn is_id(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What X's validator says about a body that does not have the right members.
fn schema_message(error: &str) -> String {
    match error.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        Some((name, _)) => {
            format!("$.{name}: is not defined in the schema and the schema does not allow additional properties")
        }
        None => format!("$: {error}"),
    }
}
