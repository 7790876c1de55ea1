//! Direct messages of the account: sent, listed, deleted, in the forms of version 2. What version 1.1 can besides is
//! in `v1`.

mod v1;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::media::Uploads;
use super::post::is_id;
use super::store::{Store, id_at, own_id};
use super::window::{read_number, refuse_unknown};
use super::{JSON, problems};
use crate::clock::rfc3339;
use crate::sandbox::control::NewMessage;
use crate::sandbox::exchange::{Answer, Call, PICTURE, Parameters, to_json};

/// Events are listed for so long.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
const FIELDS: &[&str] =
    &["dm_event.fields", "expansions", "user.fields", "media.fields", "tweet.fields", "post.fields"];
const EVENT_FIELDS: &str = "attachments created_at dm_conversation_id entities event_type id participant_ids \
    referenced_tweets sender_id text";

/// All conversations.
#[derive(Default)]
pub(super) struct Messages {
    /// Oldest first.
    events: Vec<Event>,
}

struct Event {
    id: u64,
    conversation: String,
    sender: u64,
    text: String,
    media: Option<Medium>,
    /// The answers to choose from, or the one that was chosen; version 1.1 alone tells them.
    quick_reply: Option<QuickReply>,
    at_ms: i64,
}

enum QuickReply {
    /// As they were sent.
    Options(Value),
    /// The metadata of the chosen one.
    Chosen(String),
}

/// Something attached: an upload of the account's own, or what somebody sent.
struct Medium {
    key: String,
    kind: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    text: Option<String>,
    attachments: Option<Vec<Attachment>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attachment {
    media_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    conversation_type: String,
    participant_ids: Vec<String>,
    message: Message,
}

impl Messages {
    /// Somebody writes to the account; gives the event's id.
    pub fn receive(&mut self, sender: u64, new: &NewMessage, at_ms: i64) -> u64 {
        let id = self.next_id(at_ms);
        let media = new.picture.then(|| Medium { key: format!("3_{id}"), kind: "photo" });
        let conversation = conversation(sender, own_id());
        let quick_reply = new.chosen.clone().map(QuickReply::Chosen);
        self.events.push(Event { id, conversation, sender, text: new.text.clone(), media, quick_reply, at_ms });
        self.events.sort_by_key(|event| event.id);
        id
    }

    /// `POST /2/dm_conversations/with/:user/messages` and `.../:id/messages`
    pub fn send(&mut self, store: &Store, uploads: &Uploads, place: &str, call: &Call<'_>) -> Answer {
        let message: Message = match serde_json::from_slice(call.body) {
            Ok(message) => message,
            Err(error) => return problems::invalid_all(&[], &format!("$: {error}")),
        };
        let conversation = match place.strip_prefix("with/") {
            Some(user) => match user.parse().ok().filter(|user| store.user(*user).is_some()) {
                Some(user) => conversation(user, own_id()),
                None => return problems::plain(StatusCode::FORBIDDEN, "You cannot send messages to this user."),
            },
            None => place.to_owned(),
        };
        self.add(uploads, conversation, &message, call)
    }

    /// `POST /2/dm_conversations`
    pub fn begin(&mut self, uploads: &Uploads, call: &Call<'_>) -> Answer {
        let group: Group = match serde_json::from_slice(call.body) {
            Ok(group) => group,
            Err(error) => return problems::invalid_all(&[], &format!("$: {error}")),
        };
        let are_ids = group.participant_ids.iter().all(|id| is_id(id));
        if group.conversation_type != "Group" || !(2..=49).contains(&group.participant_ids.len()) || !are_ids {
            return problems::invalid("$.participant_ids", &[], "$.participant_ids: 2 to 49 users of a Group");
        }
        let conversation = self.next_id(call.now_ms).to_string();
        self.add(uploads, conversation, &group.message, call)
    }

    fn add(&mut self, uploads: &Uploads, conversation: String, message: &Message, call: &Call<'_>) -> Answer {
        let text = message.text.clone().unwrap_or_default();
        let attached: &[Attachment] = message.attachments.as_deref().unwrap_or_default();
        if text.is_empty() && attached.is_empty() {
            return problems::invalid_all(&[], "$: one of `text` and `attachments` is required");
        }
        let media = match attached {
            [] => None,
            [one] => match uploads.usable(&one.media_id, "dm", call.now_ms) {
                Some((id, upload)) => Some(Medium { key: upload.media_key(id), kind: upload.kind() }),
                None => {
                    let message = "Your media IDs are invalid.";
                    return problems::invalid("$.attachments.media_id", &[&one.media_id], message);
                }
            },
            _ => return problems::invalid("$.attachments", &[], "$.attachments: there must be one"),
        };
        let id = self.next_id(call.now_ms);
        let event = Event { id, conversation, sender: own_id(), text, media, quick_reply: None, at_ms: call.now_ms };
        let value = json!({"data": {"dm_conversation_id": event.conversation, "dm_event_id": id.to_string()}});
        let fingerprint = format!("{} {}", event.conversation, event.text);
        self.events.push(event);
        Answer::new(StatusCode::CREATED, JSON, to_json(&value)).wrote(fingerprint, Some(id.to_string()))
    }

    /// Lists of events: all, with a user (`with/ID`), or of a conversation.
    pub fn list(&self, store: &Store, uploads: &Uploads, place: &str, call: &Call<'_>) -> Result<Value, Answer> {
        let parameters = call.parameters(false);
        refuse_unknown(&parameters, &["max_results", "pagination_token", "event_types"], FIELDS)?;
        let size = read_number(&parameters, "max_results", 100, 1, 100)?;
        let size = call.page_limit.map_or(size, |limit| size.min(limit));
        let wanted = match place.strip_prefix("with/") {
            Some(user) => Some(conversation(user.parse().unwrap_or_default(), own_id())),
            None => Some(place.to_owned()).filter(|place| !place.is_empty()),
        };
        let before = match parameters.get("pagination_token") {
            Some(token) => token.strip_prefix("DM").and_then(|id| id.parse::<u64>().ok()).ok_or_else(|| {
                let message = format!("The `pagination_token` query parameter value [{token}] is not valid");
                problems::invalid("pagination_token", &[token], &message)
            })?,
            None => u64::MAX,
        };
        let types = parameters.get("event_types").unwrap_or("MessageCreate,ParticipantsJoin,ParticipantsLeave");
        let has_messages = types.split(',').any(|kind| kind == "MessageCreate");
        let oldest = id_at(call.now_ms - KEPT_MS);
        let newest = id_at(call.now_ms + 1);
        let mut listed = self.events.iter().rev().filter(|event| {
            let is_listed = wanted.as_ref().is_none_or(|wanted| *wanted == event.conversation);
            is_listed && has_messages && event.id < before.min(newest) && event.id >= oldest
        });
        let page: Vec<&Event> = listed.by_ref().take(size).collect();
        let mut meta = json!({"result_count": page.len()});
        if let (Some(_), Some(last)) = (listed.next(), page.last()) {
            meta["next_token"] = format!("DM{:020}", last.id).into();
        }
        let mut answer = self.answer(store, uploads, &page, &parameters)?;
        answer["meta"] = meta;
        Ok(answer)
    }

    /// `GET /2/dm_events/:id`
    pub fn one(&self, store: &Store, uploads: &Uploads, id: &str, call: &Call<'_>) -> Result<Value, Answer> {
        let parameters = call.parameters(false);
        refuse_unknown(&parameters, &[], FIELDS)?;
        let Some(event) = self.events.iter().find(|event| event.id.to_string() == id) else {
            return Err(problems::plain(StatusCode::NOT_FOUND, "Not Found"));
        };
        let mut answer = self.answer(store, uploads, &[event], &parameters)?;
        answer["data"] = answer["data"][0].take();
        Ok(answer)
    }

    pub fn delete(&mut self, id: &str) -> Answer {
        let before = self.events.len();
        self.events.retain(|event| event.id.to_string() != id);
        if self.events.len() == before {
            return problems::plain(StatusCode::NOT_FOUND, "Not Found").wrote(id.into(), None);
        }
        Answer::new(StatusCode::OK, JSON, r#"{"data":{"deleted":true}}"#).wrote(id.into(), Some(id.into()))
    }

    /// The bytes of a picture as `kind`, by the end of its address: `message/medium/name`.
    pub fn download(&self, place: &str, kind: &'static str) -> Answer {
        let is_there = |event: &Event| {
            event.media.as_ref().and_then(|medium| medium.place(event.id)).is_some_and(|known| known == place)
        };
        match self.events.iter().any(is_there) {
            true => Answer::new(StatusCode::OK, kind, PICTURE),
            false => problems::plain(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    fn next_id(&self, at_ms: i64) -> u64 {
        let mut id = id_at(at_ms);
        while self.events.iter().rev().take_while(|event| event.id >= id).any(|event| event.id == id) {
            id += 1;
        }
        id
    }

    fn answer(
        &self,
        store: &Store,
        uploads: &Uploads,
        events: &[&Event],
        parameters: &Parameters<'_>,
    ) -> Result<Value, Answer> {
        let list = |name: &str| -> Vec<&str> {
            parameters.get(name).map(|list| list.split(',').collect()).unwrap_or_default()
        };
        let mut fields = list("dm_event.fields");
        if let Some(wrong) = fields.iter().find(|field| !EVENT_FIELDS.split(' ').any(|known| known == **field)) {
            let message =
                format!("The `dm_event.fields` query parameter value [{wrong}] is not one of [{EVENT_FIELDS}]");
            return Err(problems::invalid("dm_event.fields", &[wrong], &message));
        }
        let expansions = list("expansions");
        // What is expanded is shown in the event as well: by the names of version 2.167 `sender_id` is no field of its own.
        if expansions.contains(&"sender_id") && !fields.contains(&"sender_id") {
            fields.push("sender_id");
        }
        let mut answer = Map::new();
        let data: Vec<Value> = events.iter().map(|event| event.value(&fields)).collect();
        if !data.is_empty() {
            answer.insert("data".into(), data.into());
        }
        let mut includes = Map::new();
        if expansions.contains(&"sender_id") {
            let mut senders: Vec<u64> = events.iter().map(|event| event.sender).collect();
            senders.sort_unstable();
            senders.dedup();
            let users = senders.iter().filter_map(|id| store.user(*id));
            let users: Vec<Value> = users
                .map(|user| json!({"id": user.id.to_string(), "name": user.name, "username": user.username}))
                .collect();
            if !users.is_empty() {
                includes.insert("users".into(), users.into());
            }
        }
        if expansions.contains(&"attachments.media_keys") {
            let media = events.iter().filter_map(|event| Some((event.id, event.media.as_ref()?)));
            let media: Vec<Value> = media.map(|(id, medium)| medium.value(id, uploads)).collect();
            if !media.is_empty() {
                includes.insert("media".into(), media.into());
            }
        }
        if !includes.is_empty() {
            answer.insert("includes".into(), Value::Object(includes));
        }
        Ok(Value::Object(answer))
    }
}

impl Event {
    fn value(&self, fields: &[&str]) -> Value {
        let mut value = json!({"id": self.id.to_string(), "event_type": "MessageCreate", "text": self.text});
        for field in fields {
            match *field {
                "created_at" => value["created_at"] = rfc3339(self.at_ms).into(),
                "dm_conversation_id" => value["dm_conversation_id"] = self.conversation.as_str().into(),
                "sender_id" => value["sender_id"] = self.sender.to_string().into(),
                "attachments" => {
                    if let Some(medium) = &self.media {
                        value["attachments"] = json!({"media_keys": [medium.key]});
                    }
                }
                _ => {}
            }
        }
        value
    }
}

impl Medium {
    /// The medium of an event as version 2 writes it.
    fn value(&self, event: u64, uploads: &Uploads) -> Value {
        let mut value = json!({"media_key": self.key, "type": self.kind});
        if let Some(url) = self.url(event) {
            value["url"] = url.into();
        }
        let id = self.id().parse().ok();
        if let Some(text) = id.and_then(|id| uploads.get(id)).and_then(|upload| upload.alt_text()) {
            value["alt_text"] = text.into();
        }
        value
    }

    /// Its own id, without the number of its kind.
    fn id(&self) -> &str {
        self.key.split_once('_').map_or(self.key.as_str(), |(_, id)| id)
    }

    /// Where a picture is, by the ids of its message and its own.
    fn place(&self, event: u64) -> Option<String> {
        (self.kind == "photo").then(|| format!("{event}/{}/picture.png", self.id()))
    }

    /// Its address, which opens for those alone who take part in the conversation.
    fn url(&self, event: u64) -> Option<String> {
        self.place(event).map(|place| format!("https://ton.twitter.com/1.1/ton/data/dm/{place}"))
    }
}

/// The conversation of two, as X names it: the smaller id first.
fn conversation(one: u64, other: u64) -> String {
    format!("{}-{}", one.min(other), one.max(other))
}
