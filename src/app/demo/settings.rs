//! The settings of the demo: the accounts of the local services, and the embedded flows on them.

use std::net::SocketAddr;

use serde_json::json;

use super::super::{Error, Result};
use crate::sandbox::{self, Sandbox};
use crate::settings::Settings;

/// Whose phone gets the tweets.
pub const READER: &str = "+15550199001";
/// Whose phone is asked about outage reports.
pub const ON_CALL: &str = "+15550199002";
/// Whose SMS become tweets.
pub const TRUSTED: [&str; 3] = ["+15550142001", "+15550142002", "+15550142003"];
/// What the tweets are found by.
pub const HASHTAG: &str = "#harbour";
/// Whom outage reports mention.
pub const WATCHED: &str = "@harbourgate";

/// The settings for these servers; approval pages are served at `public`.
pub fn settings(sandbox: &Sandbox, public: SocketAddr) -> Result<Settings> {
    let settings = json!({
        "public": {"url": format!("http://{public}"), "listen": "off"},
        "egress": {"allow": ["127.0.0.1:*"]},
        "connections": {
            "demo-x": {
                "connector": "x",
                "description": "The local X",
                "fields": {
                    "consumer_key": sandbox::X_CONSUMER_KEY,
                    "consumer_secret": sandbox::X_CONSUMER_SECRET,
                    "access_token": sandbox::X_ACCESS_TOKEN,
                    "access_token_secret": sandbox::X_ACCESS_TOKEN_SECRET,
                },
                "hosts": {"api": sandbox.x_url(), "media": sandbox.x_url(), "video": sandbox.x_url()},
            },
            "demo-twilio": {
                "connector": "twilio",
                "description": "The local Twilio",
                "fields": {"account_sid": sandbox::TWILIO_ACCOUNT_SID, "auth_token": sandbox::TWILIO_AUTH_TOKEN},
                "hosts": {
                    "api": sandbox.twilio_url(),
                    "lookups": sandbox.twilio_url(),
                    "verify": sandbox.twilio_url(),
                    "content": sandbox.twilio_url(),
                    "messaging": sandbox.twilio_url(),
                },
                "defaults": {"from": sandbox::TWILIO_NUMBER},
            },
            "demo-json": {
                "connector": "json",
                "description": "The local JSON service",
                "fields": {"url": sandbox.json_url()},
            },
        },
        "flows": {
            // The demo's own tweets carry no hashtag, so it does not answer itself.
            "tweet-to-sms": {"inputs": {"query": HASHTAG, "to": [READER]}, "every": "2s"},
            // Who it answers is not asked about again: answers mention nobody.
            "outage-watch": {
                "inputs": {"query": format!("{WATCHED} (stuck OR down OR outage) -is:retweet"), "on_call": ON_CALL},
                "every": "1s",
            },
            "sms-to-tweet": {"inputs": {"trusted": TRUSTED}, "every": "1s"},
            "json-to-file": {"inputs": {"path": "/linked?limit=1000"}, "every": "2s"},
        },
    });
    serde_json::from_value(settings)
        .map_err(|error| Error::problem("demo_settings", format!("the demo's settings are not readable: {error}")))
}
