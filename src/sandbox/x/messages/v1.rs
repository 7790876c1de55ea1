//! What version 1.1 can besides: quick replies, typing, reading, and events in its own form.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Event, KEPT_MS, Medium, Messages, QuickReply, conversation};
use crate::sandbox::exchange::{Answer, Call, to_json};
use crate::sandbox::x::JSON;
use crate::sandbox::x::media::Uploads;
use crate::sandbox::x::post::is_id;
use crate::sandbox::x::store::{Store, id_at, own_id};

impl Messages {
    /// `POST /1.1/direct_messages/events/new.json`
    pub fn send_v1(&mut self, store: &Store, uploads: &Uploads, call: &Call<'_>) -> Answer {
        let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
        let create = &body["event"]["message_create"];
        let data = &create["message_data"];
        let user = create["target"]["recipient_id"].as_str().and_then(|id| id.parse().ok());
        let Some(user) = user.filter(|user| store.user(*user).is_some()) else {
            return refused_v1(StatusCode::FORBIDDEN, 349, "You cannot send messages to this user.");
        };
        let options = data["quick_reply"]["options"].as_array().cloned().unwrap_or_default();
        let is_short =
            |option: &Value| (1..=36).contains(&option["label"].as_str().unwrap_or_default().chars().count());
        let described = options.iter().filter(|option| option.get("description").is_some()).count();
        if options.len() > 20 || !options.iter().all(is_short) || (described != 0 && described != options.len()) {
            return refused_v1(StatusCode::BAD_REQUEST, 214, "quick reply options are invalid");
        }
        let media = data["attachment"]["media"]["id"].as_str();
        if media.is_some_and(|id| uploads.usable(id, "dm", call.now_ms).is_none()) {
            return refused_v1(StatusCode::BAD_REQUEST, 324, "Your media IDs are invalid.");
        }
        let media = media.and_then(|id| uploads.usable(id, "dm", call.now_ms));
        let media = media.map(|(id, upload)| Medium { key: upload.media_key(id), kind: upload.kind() });
        let (id, text) = (self.next_id(call.now_ms), data["text"].as_str().unwrap_or_default().to_owned());
        let conversation = conversation(user, own_id());
        let fingerprint = format!("{conversation} {text}");
        let quick_reply = data.get("quick_reply").cloned().map(QuickReply::Options);
        let event = Event { id, conversation, sender: own_id(), text, media, quick_reply, at_ms: call.now_ms };
        let value = json!({"event": event.value_v1()});
        self.events.push(event);
        Answer::new(StatusCode::OK, JSON, to_json(&value)).wrote(fingerprint, Some(id.to_string()))
    }

    /// `GET /1.1/direct_messages/events/list.json`
    pub fn list_v1(&self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(false);
        let size =
            parameters.get("count").map_or(Some(20), |count| count.parse().ok()).filter(|size| (1..=50).contains(size));
        let before = match parameters.get("cursor") {
            Some(cursor) => cursor.strip_prefix("DC").and_then(|id| id.parse::<u64>().ok()),
            None => Some(u64::MAX),
        };
        let (Some(size), Some(before)) = (size, before) else {
            return refused_v1(StatusCode::BAD_REQUEST, 44, "count or cursor parameter is invalid.");
        };
        let (oldest, newest) = (id_at(call.now_ms - KEPT_MS), id_at(call.now_ms + 1));
        let mut listed = self.events.iter().rev().filter(|event| {
            // Groups are not told.
            event.id < before.min(newest) && event.id >= oldest && event.conversation.contains('-')
        });
        let page: Vec<&Event> = listed.by_ref().take(size).collect();
        let events: Vec<Value> = page.iter().map(|event| event.value_v1()).collect();
        let mut answer = json!({"events": events, "apps": {}});
        if let (Some(_), Some(last)) = (listed.next(), page.last()) {
            answer["next_cursor"] = format!("DC{:020}", last.id).into();
        }
        Answer::new(StatusCode::OK, JSON, to_json(&answer))
    }

    /// `GET /1.1/direct_messages/events/show.json`
    pub fn one_v1(&self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(false);
        let wanted = parameters.get("id").unwrap_or_default();
        match self.events.iter().find(|event| event.id.to_string() == wanted) {
            Some(event) => Answer::new(StatusCode::OK, JSON, to_json(&json!({"event": event.value_v1(), "apps": {}}))),
            None => refused_v1(StatusCode::NOT_FOUND, 34, "Sorry, that page does not exist."),
        }
    }

    /// `DELETE /1.1/direct_messages/events/destroy.json`
    pub fn delete_v1(&mut self, call: &Call<'_>) -> Answer {
        let id = call.parameters(false).get("id").unwrap_or_default().to_owned();
        let before = self.events.len();
        self.events.retain(|event| event.id.to_string() != id);
        if self.events.len() == before {
            return refused_v1(StatusCode::NOT_FOUND, 34, "Sorry, that page does not exist.").wrote(id, None);
        }
        Answer::empty(StatusCode::NO_CONTENT).wrote(id.clone(), Some(id))
    }

    /// `indicate_typing.json` and `mark_read.json`: nothing but a word that it was taken.
    pub fn signal(&self, needed: &[&str], call: &Call<'_>) -> Answer {
        let parameters = call.parameters(true);
        match needed.iter().find(|name| !parameters.filled(name).is_some_and(is_id)) {
            Some(name) => refused_v1(StatusCode::BAD_REQUEST, 38, &format!("{name} parameter is missing.")),
            None => Answer::empty(StatusCode::NO_CONTENT).wrote(call.query.to_owned(), Some(needed.join(" "))),
        }
    }
}

impl Event {
    /// As version 1.1 writes it: the receiver is the other of the two.
    fn value_v1(&self) -> Value {
        let two = self.conversation.split_once('-').unwrap_or((self.conversation.as_str(), ""));
        let sender = self.sender.to_string();
        let recipient = if two.0 == sender { two.1 } else { two.0 };
        let mut data = json!({
            "text": self.text,
            "entities": {"hashtags": [], "symbols": [], "user_mentions": [], "urls": []},
        });
        match &self.quick_reply {
            Some(QuickReply::Options(options)) => data["quick_reply"] = options.clone(),
            Some(QuickReply::Chosen(metadata)) => {
                data["quick_reply_response"] = json!({"type": "options", "metadata": metadata});
            }
            None => {}
        }
        if let Some(medium) = &self.media {
            let id = medium.id();
            data["attachment"] = json!({
                "type": "media",
                "media": {"id": id.parse::<u64>().unwrap_or_default(), "id_str": id, "media_url_https": medium.url(self.id), "type": medium.kind},
            });
        }
        json!({
            "type": "message_create",
            "id": self.id.to_string(),
            "created_timestamp": self.at_ms.to_string(),
            "message_create": {"target": {"recipient_id": recipient}, "sender_id": sender, "message_data": data},
        })
    }
}

/// A refusal as version 1.1 writes it.
fn refused_v1(status: StatusCode, code: u32, message: &str) -> Answer {
    let body = json!({"errors": [{"code": code, "message": message}]});
    Answer::new(status, JSON, to_json(&body))
}
