//! The administration of webhooks and of subscriptions to them. The URLs are never asked: the sandbox takes
//! their CRC answers for granted, except those of hosts below `.invalid`.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::store::{id_at, own_id};
use super::{JSON, problems};
use crate::clock::rfc3339;
use crate::sandbox::exchange::{Answer, Call, to_json};

/// All webhooks of the app.
#[derive(Default)]
pub(super) struct Webhooks {
    all: Vec<Webhook>,
}

struct Webhook {
    id: u64,
    url: String,
    /// The premium environment that it belongs to; empty for version 2.
    environment: String,
    created_ms: i64,
    subscribers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    url: String,
}

impl Webhook {
    fn value(&self) -> Value {
        json!({"id": self.id.to_string(), "url": self.url, "valid": true, "created_at": rfc3339(self.created_ms)})
    }
}

impl Webhooks {
    /// Of an environment, or without one those of version 2.
    pub fn list(&self, environment: &str) -> Answer {
        let listed = self.all.iter().filter(|webhook| webhook.environment == environment);
        let listed: Vec<Value> = listed.map(Webhook::value).collect();
        match environment {
            "" => ok(&json!({"meta": {"result_count": listed.len()}, "data": listed})),
            _ => ok(&listed.into()),
        }
    }

    pub fn register(&mut self, environment: &str, call: &Call<'_>) -> Answer {
        let url = match environment {
            "" => match serde_json::from_slice::<Registration>(call.body) {
                Ok(registration) => registration.url,
                Err(error) => return problems::invalid_all(&[], &format!("$: {error}")),
            },
            _ => call.parameters(true).get("url").unwrap_or_default().to_owned(),
        };
        let refused = |code: &str| problems::invalid("url", &[&url], code);
        let parsed = Url::parse(&url).ok().filter(|parsed| parsed.scheme() == "https" && parsed.port().is_none());
        let Some(parsed) = parsed.filter(|_| url.len() <= 200) else {
            return refused("UrlValidationFailed: the URL must be https, without a port, with at most 200 characters");
        };
        if self.all.iter().any(|webhook| webhook.url == url) {
            return refused("DuplicateUrlFailed: the URL is registered already");
        }
        if parsed.host_str().is_some_and(|host| host.ends_with(".invalid")) {
            return refused("CrcValidationFailed: the URL did not answer the CRC with 200 and the right token");
        }
        let mut id = id_at(call.now_ms);
        while self.all.iter().any(|webhook| webhook.id == id) {
            id += 1;
        }
        let environment = environment.to_owned();
        let webhook = Webhook { id, url, environment, created_ms: call.now_ms, subscribers: Vec::new() };
        let value = webhook.value();
        let fingerprint = webhook.url.clone();
        self.all.push(webhook);
        // X's document has it without `data`.
        ok(&value).wrote(fingerprint, Some(id.to_string()))
    }

    pub fn validate(&self, id: &str) -> Answer {
        match self.all.iter().any(|webhook| webhook.id.to_string() == id) {
            true => ok(&json!({"data": {"valid": true}})),
            false => unknown(id),
        }
    }

    pub fn delete(&mut self, id: &str, is_v1: bool) -> Answer {
        let before = self.all.len();
        self.all.retain(|webhook| webhook.id.to_string() != id);
        match (self.all.len() == before, is_v1) {
            (true, _) => unknown(id).wrote(id.to_owned(), None),
            (false, true) => Answer::empty(StatusCode::NO_CONTENT).wrote(id.to_owned(), Some(id.to_owned())),
            (false, false) => ok(&json!({"data": {"deleted": true}})).wrote(id.to_owned(), Some(id.to_owned())),
        }
    }

    /// The account subscribes to a webhook, by its id or by its environment.
    pub fn subscribe(&mut self, place: &str, is_v1: bool) -> Answer {
        let own = own_id().to_string();
        let found = self.all.iter_mut().find(|webhook| match is_v1 {
            true => webhook.environment == place,
            false => webhook.id.to_string() == place,
        });
        let Some(webhook) = found else {
            return unknown(place);
        };
        if webhook.subscribers.contains(&own) {
            let message = "DuplicateSubscriptionFailed: the subscription exists already";
            return problems::invalid("webhook_id", &[place], message);
        }
        webhook.subscribers.push(own);
        match is_v1 {
            true => Answer::empty(StatusCode::NO_CONTENT).wrote(place.to_owned(), Some(place.to_owned())),
            false => ok(&json!({"data": {"subscribed": true}})).wrote(place.to_owned(), Some(place.to_owned())),
        }
    }

    pub fn check(&self, id: &str) -> Answer {
        let own = own_id().to_string();
        match self.all.iter().find(|webhook| webhook.id.to_string() == id) {
            Some(webhook) => ok(&json!({"data": {"subscribed": webhook.subscribers.contains(&own)}})),
            None => unknown(id),
        }
    }

    pub fn subscribers(&self, id: &str) -> Answer {
        let Some(webhook) = self.all.iter().find(|webhook| webhook.id.to_string() == id) else {
            return unknown(id);
        };
        let listed: Vec<Value> = webhook.subscribers.iter().map(|user| json!({"user_id": user})).collect();
        let value = json!({
            "application_id": "1", "webhook_id": id, "webhook_url": webhook.url, "subscriptions": listed
        });
        ok(&json!({"data": value}))
    }

    /// `place` is `ID/subscriptions/USER`.
    pub fn unsubscribe(&mut self, place: &str) -> Answer {
        let (id, user) = place.split_once("/subscriptions/").unwrap_or((place, ""));
        let found = self.all.iter_mut().find(|webhook| webhook.id.to_string() == id);
        let Some(webhook) = found else {
            return unknown(id);
        };
        webhook.subscribers.retain(|known| known != user);
        ok(&json!({"data": {"subscribed": false}})).wrote(format!("{id} {user}"), Some(id.to_owned()))
    }
}

fn ok(value: &Value) -> Answer {
    Answer::new(StatusCode::OK, JSON, to_json(value))
}

fn unknown(id: &str) -> Answer {
    problems::invalid("webhook_id", &[id], "WebhookIdInvalid: there is no such webhook")
}
