//! X API v2 as far as Tidegate's connector uses it: search, timelines, counts, users, posting and deleting.
//! Decides who may call what, counts the call against its window, and hands it to the file of its job.

mod answers;
mod attached;
mod condition;
mod media;
mod messages;
mod operations;
mod people;
mod post;
mod problems;
mod query;
mod retweet;
mod search;
mod selection;
mod sign_in;
mod store;
mod text;
mod webhooks;
mod window;

use axum::http::header::HeaderName;
use axum::http::{HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::answers::tweet_list;
use self::media::Uploads;
use self::messages::Messages;
use self::operations::{Caller, Operation, accepted_callers, documented_limit};
use self::people::Way;
use self::selection::{Selection, TWEET_EXPANSIONS};
use self::sign_in::{Leg, SignIns};
use self::store::{Draft, Store, own_id};
use self::webhooks::Webhooks;
use super::auth::{self, Oauth1};
use super::exchange::{Answer, Api, Call, Service, to_json};
use super::limits::{RateLimits, Taken, Windows};
use super::{
    NewMessage, NewTweet, Options, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET, X_BEARER_TOKEN, X_CONSUMER_KEY,
    X_CONSUMER_SECRET, X_USER_TOKEN,
};

const JSON: &str = "application/json; charset=utf-8";

/// What a request is for: an operation of the API, or of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Api(Operation),
    SignIn(Leg),
}

pub(super) struct X {
    options: Options,
    oauth1: Oauth1,
    windows: Windows<(Operation, bool)>,
    store: Mutex<Store>,
    sign_ins: SignIns,
    /// What the account wrote beside tweets. Locked after the store.
    written: Mutex<Written>,
}

/// What the account wrote beside tweets.
#[derive(Default)]
struct Written {
    uploads: Uploads,
    messages: Messages,
    webhooks: Webhooks,
}

impl Api for X {
    const SERVICE: Service = Service::X;
    const OPERATIONS: &'static [&'static str] = operations::NAMES;
    type Operation = Asked;

    fn route<'a>(&self, method: &Method, path: &'a str) -> Option<(Asked, &'a str)> {
        if let Some(leg) = Leg::route(method, path) {
            return Some((Asked::SignIn(leg), ""));
        }
        operations::route(method, path).map(|(operation, argument)| (Asked::Api(operation), argument))
    }

    fn name(asked: Asked) -> &'static str {
        match asked {
            Asked::Api(operation) => Self::OPERATIONS[operation as usize],
            Asked::SignIn(leg) => leg.name(),
        }
    }

    fn answer(&self, asked: Asked, argument: &str, call: &Call<'_>) -> Answer {
        let operation = match asked {
            Asked::Api(operation) => operation,
            Asked::SignIn(leg) => return self.sign_ins.answer(leg, call),
        };
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
        X {
            options: options.clone(),
            oauth1,
            windows: Windows::new(),
            store: Mutex::new(Store::new()),
            sign_ins: SignIns::new(options),
            written: Mutex::default(),
        }
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
                media: Vec::new(),
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

    /// Makes one user follow another; both are made when there are none.
    pub fn follow(&self, follower: &str, followed: &str) {
        self.store.lock().follow(follower, followed);
    }

    /// How long OAuth 2 access tokens that are given from now on last.
    pub fn set_token_lifetime(&self, lifetime_ms: i64) {
        self.sign_ins.set_lifetime(lifetime_ms);
    }

    pub fn clear(&self) {
        *self.store.lock() = Store::new();
        *self.written.lock() = Written::default();
        self.windows.clear();
    }

    fn caller(&self, call: &Call<'_>) -> Option<Caller> {
        if let Some(header) = auth::oauth1(call) {
            return self.oauth1.verify(call, header).then_some(Caller::Oauth1User);
        }
        match auth::bearer(call)? {
            X_BEARER_TOKEN => Some(Caller::App),
            X_USER_TOKEN => Some(Caller::Oauth2User),
            token if self.sign_ins.is_live(token, call.now_ms) => Some(Caller::Oauth2User),
            _ => None,
        }
    }

    /// Lists of one user's.
    fn of_user(&self, store: &Store, operation: Operation, id: &str, call: &Call<'_>) -> Result<Value, Answer> {
        let Some(user) = id.parse().ok().filter(|id| store.user(*id).is_some()) else {
            return Ok(json!({"errors": [problems::not_found("user", "id", id)]}));
        };
        let is_own = user == own_id();
        match operation {
            Operation::GetFollowers => people::follows(store, user, Way::Followers, call),
            Operation::GetFollowing => people::follows(store, user, Way::Following, call),
            Operation::GetMentions => search::mentions(store, user, &self.options, call),
            Operation::GetHome if is_own => search::home(store, user, &self.options, call),
            Operation::GetHome => {
                let message = format!(
                    "The `id` query parameter value [{id}] must be the same as the authenticating user [{}]",
                    own_id()
                );
                Err(problems::invalid("id", &[id], &message))
            }
            _ => search::timeline(store, user, &self.options, call),
        }
    }

    /// Somebody sends the account a message; gives its id.
    pub fn receive(&self, new: &NewMessage, now_ms: i64) -> String {
        let sender = self.store.lock().ensure_user(&new.from);
        self.written.lock().messages.receive(sender, new, now_ms).to_string()
    }

    /// Sizes and SHA-256 (where the chunks came in a row) of what was uploaded whole.
    pub fn uploads(&self) -> Vec<(u64, Option<String>)> {
        self.written.lock().uploads.received()
    }

    fn work(&self, operation: Operation, argument: &str, call: &Call<'_>) -> Answer {
        let mut store = self.store.lock();
        let mut written = self.written.lock();
        let Written { uploads, messages, webhooks } = &mut *written;
        let is_v1 = call.path.starts_with("/1.1/");
        let answered = match operation {
            Operation::PostTweet => return post::post(&mut store, uploads, &self.options, call),
            Operation::Retweet => return retweet::make(&mut store, call),
            Operation::UndoRetweet => return retweet::undo(&mut store, argument),
            Operation::InitializeUpload => return uploads.initialize(call),
            Operation::AppendUpload => return uploads.append(argument, call),
            Operation::FinalizeUpload => return uploads.finalize(argument, call),
            Operation::GetUpload => return uploads.status(call),
            Operation::DescribeMedia => return uploads.describe(call),
            Operation::SendMessage => return messages.send(&store, uploads, argument, call),
            Operation::BeginGroup => return messages.begin(uploads, call),
            Operation::ListMessages => messages.list(&store, uploads, argument, call),
            Operation::GetMessage => messages.one(&store, uploads, argument, call),
            Operation::DeleteMessage => return messages.delete(argument),
            // Version 2 does not say what it is (X's OpenAPI document, dmConversationsMediaDownload).
            Operation::DownloadMedia => return messages.download(argument, "application/octet-stream"),
            Operation::DownloadSignedMedia => return messages.download(argument, "image/png"),
            Operation::ListMessagesV1 => return messages.list_v1(call),
            Operation::GetMessageV1 => return messages.one_v1(call),
            Operation::DeleteMessageV1 => return messages.delete_v1(call),
            Operation::SendMessageV1 => return messages.send_v1(&store, uploads, call),
            Operation::IndicateTyping => return messages.signal(&["recipient_id"], call),
            Operation::MarkRead => return messages.signal(&["recipient_id", "last_read_event_id"], call),
            Operation::ListWebhooks => return webhooks.list(argument),
            Operation::RegisterWebhook => return webhooks.register(argument, call),
            Operation::ValidateWebhook => return webhooks.validate(argument),
            Operation::DeleteWebhook => return webhooks.delete(argument, is_v1),
            Operation::Subscribe => return webhooks.subscribe(argument, is_v1),
            Operation::CheckSubscription => return webhooks.check(argument),
            Operation::ListSubscriptions => return webhooks.subscribers(argument),
            Operation::Unsubscribe => return webhooks.unsubscribe(argument),
            Operation::DeleteTweet => return delete(&mut store, argument),
            Operation::SearchTweets => search::recent(&store, &self.options, call),
            Operation::CountTweets => search::counts(&store, &self.options, call),
            Operation::SearchArchive => search::archive(&store, &self.options, call),
            Operation::GetUser => people::one(&store, call, argument),
            Operation::GetMe => people::one(&store, call, super::X_USERNAME),
            Operation::GetUsers => people::several(&store, call, if argument == "ids" { "ids" } else { "usernames" }),
            Operation::SearchUsers => people::search(&store, call),
            Operation::GetUserTweets
            | Operation::GetMentions
            | Operation::GetHome
            | Operation::GetFollowers
            | Operation::GetFollowing => self.of_user(&store, operation, argument, call),
            Operation::GetTweet => tweet(&store, call, argument),
        };
        drop(store);
        answered.map_or_else(|refusal| refusal, |value| Answer::new(StatusCode::OK, JSON, to_json(&value)))
    }
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
