//! What a test, a bench or the demo does to the sandbox: makes things arrive, injects faults, moves a manual
//! clock, reads the ledger. Every function is quick and never waits; `control_routes.rs` offers the same over
//! HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Options;
use super::exchange::Service;
use super::faults::{Fault, UnknownOperation};
use super::json::Json;
use super::ledger::{Count, Receipt, ReceiptFilter};
use super::server::Shared;
use super::twilio::Twilio;
use super::x::X;
use crate::clock::Clock;

/// Tweets that are to appear.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewTweet {
    /// Username; a user of that name is made when there is none.
    pub author: String,
    /// `{n}` becomes the number of the tweet, from 1.
    pub text: String,
    /// `en` unless given.
    pub lang: String,
    /// UTC epoch ms; now unless given. One in the future is not found before its time.
    pub at_ms: Option<i64>,
    /// How many.
    pub count: u64,
    /// Time between two of them.
    pub spacing_ms: i64,
    /// Ids of the tweets that it answers, quotes or repeats.
    pub reply_to: Option<String>,
    pub quote_of: Option<String>,
    pub retweet_of: Option<String>,
}

/// Incoming SMS that are to appear.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewSms {
    pub from: String,
    /// The account's own number unless given.
    pub to: String,
    /// `{n}` becomes the number of the message, from 1.
    pub body: String,
    /// `date_sent` as UTC epoch ms; now unless given.
    pub sent_ms: Option<i64>,
    /// Not listed before this time (UTC epoch ms): a row that appears late.
    pub visible_ms: Option<i64>,
    /// How long it is listed as `receiving` before it is `received`.
    pub receiving_ms: i64,
    /// How many.
    pub count: u64,
    /// How many media it has.
    pub media: usize,
    /// Sent by the account instead, from its number or from `from` when given with it.
    pub outbound: bool,
}

/// Calls that are to appear.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewCall {
    pub from: String,
    /// The account's own number unless given.
    pub to: String,
    /// Whether the account made it.
    pub outbound: bool,
    /// `start_time` as UTC epoch ms; now unless given.
    pub started_ms: Option<i64>,
    /// Not listed before this time (UTC epoch ms): a row that appears late.
    pub visible_ms: Option<i64>,
    /// How long it takes.
    pub duration_ms: i64,
    /// Whether it is recorded.
    pub is_recorded: bool,
    /// How long after its end the recording is `processing`.
    pub processing_ms: i64,
    /// How many.
    pub count: u64,
}

/// A direct message that is to arrive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// Username; a user of that name is made when there is none.
    pub from: String,
    #[serde(default)]
    pub text: String,
    /// Whether a picture is attached.
    #[serde(default)]
    pub picture: bool,
    /// The metadata of the quick reply that it chooses.
    #[serde(default)]
    pub chosen: Option<String>,
}

/// Items that are to appear in the JSON service.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewItems {
    /// Members besides `id` and `created_at`.
    pub fields: Map<String, Value>,
    /// How many.
    pub count: u64,
    /// `created_at` as UTC epoch ms; now unless given.
    pub at_ms: Option<i64>,
}

/// The sandbox's controls; cheap to clone.
#[derive(Clone)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) x: Arc<X>,
    pub(super) twilio: Arc<Twilio>,
    pub(super) json: Arc<Json>,
}

impl Default for NewTweet {
    fn default() -> Self {
        NewTweet {
            author: "alice".into(),
            text: String::new(),
            lang: "en".into(),
            at_ms: None,
            count: 1,
            spacing_ms: 0,
            reply_to: None,
            quote_of: None,
            retweet_of: None,
        }
    }
}

impl Default for NewSms {
    fn default() -> Self {
        NewSms {
            from: "+41790000000".into(),
            to: super::TWILIO_NUMBER.into(),
            body: String::new(),
            sent_ms: None,
            visible_ms: None,
            receiving_ms: 0,
            count: 1,
            media: 0,
            outbound: false,
        }
    }
}

impl Default for NewCall {
    fn default() -> Self {
        NewCall {
            from: "+41790000000".into(),
            to: super::TWILIO_NUMBER.into(),
            outbound: false,
            started_ms: None,
            visible_ms: None,
            duration_ms: 60_000,
            is_recorded: false,
            processing_ms: 0,
            count: 1,
        }
    }
}

impl Default for NewItems {
    fn default() -> Self {
        NewItems { fields: Map::new(), count: 1, at_ms: None }
    }
}

impl Control {
    pub(super) fn new(shared: Arc<Shared>, options: &Options, media_url: &str) -> Self {
        Control {
            shared,
            x: Arc::new(X::new(options)),
            twilio: Arc::new(Twilio::new(options, media_url)),
            json: Arc::new(Json::new(options.json_token.clone())),
        }
    }

    /// Makes tweets appear; gives their ids.
    pub fn add_tweets(&self, new: &NewTweet) -> Vec<String> {
        self.x.add(new, self.shared.clock.now_ms())
    }

    /// Makes a direct message arrive; gives its id.
    pub fn add_message(&self, new: &NewMessage) -> String {
        self.x.receive(new, self.shared.clock.now_ms())
    }

    /// What was uploaded whole to X: sizes, and hashes where the chunks came in a row.
    pub fn uploads(&self) -> Vec<(u64, Option<String>)> {
        self.x.uploads()
    }

    /// Makes a tweet disappear. False when it is not there.
    pub fn remove_tweet(&self, id: &str) -> bool {
        self.x.remove(id)
    }

    /// Makes a user disappear from lookups and expansions, or come back, while its tweets stay: a missing
    /// author gives `errors` beside `data`. False when there is no such user.
    pub fn hide_user(&self, username: &str, hidden: bool) -> bool {
        self.x.set_hidden(username, hidden)
    }

    /// Makes one user follow another; both are made when there are none.
    pub fn follow(&self, follower: &str, followed: &str) {
        self.x.follow(follower, followed);
    }

    /// How long the OAuth 2 access tokens last that X gives from now on, in ms.
    pub fn set_token_lifetime(&self, lifetime_ms: i64) {
        self.x.set_token_lifetime(lifetime_ms);
    }

    /// Makes SMS arrive; gives their sids.
    pub fn add_sms(&self, new: &NewSms) -> Vec<String> {
        self.twilio.add(new, self.shared.clock.now_ms())
    }

    /// Makes a message that was sent stay undelivered, for a reason among Twilio's error codes. False when it is
    /// not there.
    pub fn fail_sms(&self, sid: &str, error_code: u32) -> bool {
        self.twilio.fail(sid, error_code, self.shared.clock.now_ms())
    }

    /// Makes calls appear; gives their sids.
    pub fn add_calls(&self, new: &NewCall) -> Vec<String> {
        self.twilio.add_calls(new, self.shared.clock.now_ms())
    }

    /// Makes a message disappear, which makes page tokens that name it stale. False when it is not there.
    pub fn remove_sms(&self, sid: &str) -> bool {
        self.twilio.remove(sid)
    }

    /// Makes items appear in the JSON service; gives the first and the last id.
    pub fn add_items(&self, new: &NewItems) -> (u64, u64) {
        self.json.add(&new.fields, new.count, new.at_ms.unwrap_or_else(|| self.shared.clock.now_ms()))
    }

    /// Adds a rule; the first that hits a request wins.
    pub fn inject(&self, fault: Fault) -> Result<(), UnknownOperation> {
        self.shared.faults.add(fault)
    }

    /// The rules that still hit something.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.faults.list()
    }

    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The writes that were received, in order.
    pub fn received(&self, filter: &ReceiptFilter) -> Vec<Receipt> {
        self.shared.ledger.receipts(filter)
    }

    /// How often each operation was called.
    pub fn counts(&self) -> BTreeMap<(Service, &'static str), Count> {
        self.shared.ledger.counts()
    }

    /// How often that operation was called; zeros when never.
    pub fn count(&self, service: Service, operation: &str) -> Count {
        let counts = self.counts();
        let found = counts.into_iter().find(|((at, name), _)| *at == service && *name == operation);
        found.map(|(_, count)| count).unwrap_or_default()
    }

    /// Forgets tweets, messages, items, faults, request windows and the ledger in memory.
    pub fn clear(&self) {
        self.x.clear();
        self.twilio.clear();
        self.json.clear();
        self.shared.faults.clear();
        self.shared.ledger.clear();
    }

    /// The sandbox's clock; a manual one can be advanced.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}
