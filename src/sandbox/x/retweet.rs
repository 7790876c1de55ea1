//! Retweets of the account: made once, undone as often as one likes.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::store::{Draft, Store, own_id};
use super::{JSON, problems};
use crate::sandbox::exchange::{Answer, Call, to_json};

/// `POST /2/users/:id/retweets`; once more answers as the first time did.
pub(super) fn make(store: &mut Store, call: &Call<'_>) -> Answer {
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let id = body["tweet_id"].as_str().unwrap_or_default();
    let Some(tweet) = id.parse().ok().filter(|number| store.tweet(*number).is_some()) else {
        let body = json!({"errors": [problems::not_found("tweet", "tweet_id", id)]});
        return Answer::new(StatusCode::OK, JSON, to_json(&body)).wrote(id.into(), None);
    };
    let retweet = match find(store, tweet) {
        Some(known) => known,
        None => {
            let text = store.tweet(tweet).map(|tweet| tweet.text.clone()).unwrap_or_default();
            let draft = Draft {
                author_id: own_id(),
                text: &format!("RT: {text}"),
                lang: "",
                at_ms: call.now_ms,
                reply_to: None,
                quote_of: None,
                retweet_of: Some(tweet),
                media: Vec::new(),
            };
            store.insert(&draft).id
        }
    };
    let body = json!({"data": {"id": retweet.to_string(), "retweeted": true}});
    Answer::new(StatusCode::OK, JSON, to_json(&body)).wrote(id.into(), Some(retweet.to_string()))
}

/// `DELETE /2/users/:id/retweets/:tweet`
pub(super) fn undo(store: &mut Store, id: &str) -> Answer {
    if let Some(retweet) = id.parse().ok().and_then(|tweet| find(store, tweet)) {
        store.remove(retweet);
    }
    Answer::new(StatusCode::OK, JSON, r#"{"data":{"retweeted":false}}"#).wrote(id.into(), Some(id.into()))
}

fn find(store: &Store, tweet: u64) -> Option<u64> {
    store.between_of(own_id(), 0, u64::MAX).find(|own| own.retweet_of == Some(tweet)).map(|own| own.id)
}
