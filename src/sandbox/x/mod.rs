//! X API v2 as far as Tidegate's connector uses it: search, timelines, counts, users, posting and deleting.
//! Decides who may call what, counts the call against its window, and hands it to the file of its job.

mod answers;
mod condition;
mod post;
mod problems;
mod query;
mod search;
mod selection;
mod store;
mod text;
mod window;

use axum::http::header::HeaderName;
use axum::http::{HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::answers::{tweet_list, user_answer};
use self::selection::{Selection, TWEET_EXPANSIONS, USER_EXPANSIONS};
use self::store::{Draft, Store, own_id};
use super::auth::{self, Oauth1};
use super::exchange::{Answer, Api, Call, Service, to_json};
use super::limits::{RateLimits, Taken, Windows};
use super::{
    NewTweet, Options, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET, X_BEARER_TOKEN, X_CONSUMER_KEY, X_CONSUMER_SECRET,
    X_USER_TOKEN,
};

const JSON: &str = "application/json; charset=utf-8";
const USER_FIELDS: &[&str] = &["user.fields", "expansions", "tweet.fields", "post.fields"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    SearchTweets,
    CountTweets,
    GetUserTweets,
    GetUser,
    GetMe,
    GetTweet,
    PostTweet,
    DeleteTweet,
}

/// Who calls, by the kind of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Caller {
    App,
    Oauth1User,
    Oauth2User,
}

pub(super) struct X {
    options: Options,
    oauth1: Oauth1,
    windows: Windows<(Operation, bool)>,
    store: Mutex<Store>,
}

impl Api for X {
    const SERVICE: Service = Service::X;
    const OPERATIONS: &'static [&'static str] = &[
        "search_tweets",
        "count_tweets",
        "get_user_tweets",
        "get_user",
        "get_me",
        "get_tweet",
        "post_tweet",
        "delete_tweet",
    ];
    type Operation = Operation;

    fn route<'a>(&self, method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
        let rest = path.strip_prefix("/2/")?;
        let one = |prefix: &str| rest.strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains('/'));
        match *method {
            Method::POST if rest == "tweets" => Some((Operation::PostTweet, "")),
            Method::DELETE => Some((Operation::DeleteTweet, one("tweets/")?)),
            Method::GET => match rest {
                "tweets/search/recent" => Some((Operation::SearchTweets, "")),
                "tweets/counts/recent" => Some((Operation::CountTweets, "")),
                "users/me" => Some((Operation::GetMe, "")),
                _ => {
                    if let Some(name) = one("users/by/username/") {
                        return Some((Operation::GetUser, name));
                    }
                    if let Some(id) = one("tweets/") {
                        return Some((Operation::GetTweet, id));
                    }
                    let id = rest.strip_prefix("users/")?.strip_suffix("/tweets")?;
                    post::is_id(id).then_some((Operation::GetUserTweets, id))
                }
            },
            _ => None,
        }
    }

    fn name(operation: Operation) -> &'static str {
        Self::OPERATIONS[operation as usize]
    }

    fn answer(&self, operation: Operation, argument: &str, call: &Call<'_>) -> Answer {
        let Some(caller) = self.caller(call) else {
            return problems::plain(StatusCode::UNAUTHORIZED, "Unauthorized");
        };
        let accepted = accepted_callers(operation);
        if !accepted.contains(&caller) {
            let supported: Vec<&str> = accepted.iter().map(|caller| caller.title()).collect();
            return problems::unsupported_authentication(caller.title(), &supported);
        }
        let is_app = caller == Caller::App;
        let limit = match self.options.rate_limits {
            RateLimits::Each(limit) => limit,
            RateLimits::Documented => documented_limit(operation, is_app),
        };
        let taken = self.windows.take((operation, is_app), limit, call.now_ms);
        let answer = if taken.allowed {
            self.work(operation, argument, call)
        } else {
            problems::plain(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
        };
        add_headers(answer, taken, is_app)
    }

    fn unknown(&self, _call: &Call<'_>) -> Answer {
        Answer::empty(StatusCode::NOT_FOUND)
    }

    fn failure(&self, status: StatusCode, _call: &Call<'_>) -> Answer {
        problems::plain(status, status.canonical_reason().unwrap_or("Unknown"))
    }
}

impl X {
    pub fn new(options: &Options) -> Self {
        let oauth1 = Oauth1::new(X_CONSUMER_KEY, X_CONSUMER_SECRET, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET);
        X { options: options.clone(), oauth1, windows: Windows::new(), store: Mutex::new(Store::new()) }
    }

    /// Makes tweets; gives their ids.
    pub fn add(&self, new: &NewTweet, now_ms: i64) -> Vec<String> {
        let mut store = self.store.lock();
        let author_id = store.ensure_user(&new.author);
        let id = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        let mut ids = Vec::new();
        for index in 0..new.count {
            let text = new.text.replace("{n}", &(index + 1).to_string());
            let draft = Draft {
                author_id,
                text: &text,
                lang: &new.lang,
                at_ms: new.at_ms.unwrap_or(now_ms) + new.spacing_ms * i64::try_from(index).unwrap_or(0),
                reply_to: id(&new.reply_to),
                quote_of: id(&new.quote_of),
                retweet_of: id(&new.retweet_of),
            };
            ids.push(store.insert(&draft).id.to_string());
        }
        ids
    }

    pub fn remove(&self, id: &str) -> bool {
        id.parse().is_ok_and(|id| self.store.lock().remove(id))
    }

    /// Makes a user disappear from lookups and expansions, or come back. False when there is no such user.
    pub fn set_hidden(&self, username: &str, hidden: bool) -> bool {
        self.store.lock().set_hidden(username, hidden)
    }

    pub fn clear(&self) {
        *self.store.lock() = Store::new();
        self.windows.clear();
    }

    fn caller(&self, call: &Call<'_>) -> Option<Caller> {
        if let Some(header) = auth::oauth1(call) {
            return self.oauth1.verify(call, header).then_some(Caller::Oauth1User);
        }
        match auth::bearer(call)? {
            X_BEARER_TOKEN => Some(Caller::App),
            X_USER_TOKEN => Some(Caller::Oauth2User),
            _ => None,
        }
    }

    fn work(&self, operation: Operation, argument: &str, call: &Call<'_>) -> Answer {
        let mut store = self.store.lock();
        let answered = match operation {
            Operation::PostTweet => return post::post(&mut store, &self.options, call),
            Operation::DeleteTweet => return delete(&mut store, argument),
            Operation::SearchTweets => search::recent(&store, &self.options, call),
            Operation::CountTweets => search::counts(&store, &self.options, call),
            Operation::GetUserTweets => match argument.parse().ok().filter(|id| store.user(*id).is_some()) {
                Some(id) => search::timeline(&store, id, &self.options, call),
                None => Ok(json!({"errors": [problems::not_found("user", "id", argument)]})),
            },
            Operation::GetUser => user(&store, call, argument),
            Operation::GetMe => user(&store, call, super::X_USERNAME),
            Operation::GetTweet => tweet(&store, call, argument),
        };
        drop(store);
        answered.map_or_else(|refusal| refusal, |value| Answer::new(StatusCode::OK, JSON, to_json(&value)))
    }
}

impl Caller {
    /// The kind of authentication, as X names it in its messages.
    fn title(self) -> &'static str {
        match self {
            Caller::App => "OAuth 2.0 Application-Only",
            Caller::Oauth1User => "OAuth 1.0a User Context",
            Caller::Oauth2User => "OAuth 2.0 User Context",
        }
    }
}

fn user(store: &Store, call: &Call<'_>, username: &str) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    window::refuse_unknown(&parameters, &[], USER_FIELDS)?;
    let selection = Selection::read(&parameters, USER_EXPANSIONS)?;
    let valid =
        (1..=15).contains(&username.len()) && username.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !valid {
        let message =
            format!("The `username` query parameter value [{username}] does not match ^[A-Za-z0-9_]{{1,15}}$");
        return Err(problems::invalid("username", &[username], &message));
    }
    Ok(match store.user_named(username) {
        Some(user) => user_answer(store, user, &selection),
        None => json!({"errors": [problems::not_found("user", "username", username)]}),
    })
}

fn tweet(store: &Store, call: &Call<'_>, id: &str) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    let fields =
        ["tweet.fields", "post.fields", "expansions", "media.fields", "poll.fields", "user.fields", "place.fields"];
    window::refuse_unknown(&parameters, &[], &fields)?;
    let selection = Selection::read(&parameters, TWEET_EXPANSIONS)?;
    let number = read_tweet_id(id)?;
    let Some(found) = store.tweet(number) else {
        return Ok(json!({"errors": [problems::not_found("tweet", "id", id)]}));
    };
    let mut answer = tweet_list(store, std::slice::from_ref(found), &selection, Value::Null);
    answer["data"] = answer["data"][0].take();
    Ok(answer)
}

fn delete(store: &mut Store, id: &str) -> Answer {
    let number = match read_tweet_id(id) {
        Ok(number) => number,
        Err(refusal) => return refusal.wrote(id.into(), None),
    };
    match store.tweet(number).map(|tweet| tweet.author_id) {
        None => {
            let body = json!({"errors": [problems::not_found("tweet", "id", id)]});
            Answer::new(StatusCode::OK, JSON, to_json(&body)).wrote(id.into(), None)
        }
        Some(author) if author != own_id() => {
            problems::plain(StatusCode::FORBIDDEN, "You are not authorized to delete this Tweet.")
                .wrote(id.into(), None)
        }
        Some(_) => {
            store.remove(number);
            Answer::new(StatusCode::OK, JSON, r#"{"data":{"deleted":true}}"#).wrote(id.into(), Some(id.into()))
        }
    }
}

fn read_tweet_id(id: &str) -> Result<u64, Answer> {
    id.parse().ok().filter(|_| post::is_id(id)).ok_or_else(|| {
        let message = format!("The `id` query parameter value [{id}] does not match ^[0-9]{{1,19}}$");
        problems::invalid("id", &[id], &message)
    })
}

/// The security that X's OpenAPI document gives each operation.
fn accepted_callers(operation: Operation) -> &'static [Caller] {
    match operation {
        Operation::SearchTweets | Operation::GetUserTweets | Operation::GetUser | Operation::GetTweet => {
            &[Caller::App, Caller::Oauth1User, Caller::Oauth2User]
        }
        Operation::CountTweets => &[Caller::App],
        Operation::GetMe | Operation::PostTweet | Operation::DeleteTweet => &[Caller::Oauth1User, Caller::Oauth2User],
    }
}

/// Requests per 15 minutes, of the app and of a user (X API documentation, "Rate limits", 2026).
fn documented_limit(operation: Operation, is_app: bool) -> u32 {
    let (app, user) = match operation {
        Operation::SearchTweets => (450, 300),
        Operation::CountTweets => (300, 300),
        Operation::GetUserTweets => (10_000, 900),
        Operation::GetUser => (300, 900),
        Operation::GetMe => (75, 75),
        Operation::GetTweet => (450, 900),
        Operation::PostTweet => (100, 100),
        Operation::DeleteTweet => (50, 50),
    };
    if is_app { app } else { user }
}

fn add_headers(answer: Answer, taken: Taken, is_app: bool) -> Answer {
    const LIMIT: HeaderName = HeaderName::from_static("x-rate-limit-limit");
    const REMAINING: HeaderName = HeaderName::from_static("x-rate-limit-remaining");
    const RESET: HeaderName = HeaderName::from_static("x-rate-limit-reset");
    const VERSION: HeaderName = HeaderName::from_static("api-version");
    const LEVEL: HeaderName = HeaderName::from_static("x-access-level");
    answer
        .with(VERSION, HeaderValue::from_static("2.166"))
        .with(LEVEL, HeaderValue::from_static(if is_app { "read" } else { "read-write" }))
        .with(LIMIT, HeaderValue::from(taken.limit))
        .with(REMAINING, HeaderValue::from(taken.remaining))
        .with(RESET, HeaderValue::from(taken.reset_s))
}
