//! Uploads: begin, chunks, end, processing, words about them. Content is counted and hashed, then forgotten, so
//! that any size can be tried.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::post::is_id;
use super::store::id_at;
use super::{JSON, problems};
use crate::sandbox::exchange::{Answer, Call, to_json};
use crate::sandbox::multipart;

const MIB: u64 = 1024 * 1024;
/// The largest chunk that is taken.
const CHUNK_BYTES: usize = 5 * 1024 * 1024;
/// How long an upload can be used.
const LIFE_S: i64 = 86_400;

/// The account's uploads.
#[derive(Default)]
pub(super) struct Uploads {
    all: BTreeMap<u64, Upload>,
}

/// One upload.
pub(super) struct Upload {
    category: String,
    total_bytes: u64,
    /// The size of each chunk.
    chunks: BTreeMap<u32, u64>,
    /// Of the chunks in a row from the first on, and how many those are.
    hash: Sha256,
    hashed: u32,
    is_whole: bool,
    /// How often its processing was looked at.
    looks: u32,
    /// Known once it is whole, where the chunks came in a row.
    sha256: Option<String>,
    alt_text: Option<String>,
    expires_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "members that the sandbox has no use for are still checked for their form")]
struct Beginning {
    media_type: String,
    total_bytes: u64,
    media_category: Option<String>,
    additional_owners: Option<Vec<String>>,
    shared: Option<bool>,
}

impl Upload {
    /// `tweet` or `dm`.
    fn purpose(&self) -> &str {
        self.category.split('_').next().unwrap_or_default()
    }

    /// `photo`, `animated_gif` or `video`.
    pub fn kind(&self) -> &'static str {
        match self.category.rsplit('_').next() {
            Some("image") => "photo",
            Some("gif") => "animated_gif",
            _ => "video",
        }
    }

    /// As X numbers media: what it is, and the upload's id.
    pub fn media_key(&self, id: u64) -> String {
        let prefix = match self.kind() {
            "photo" => 3,
            "animated_gif" => 16,
            _ => 7,
        };
        format!("{prefix}_{id}")
    }

    pub fn alt_text(&self) -> Option<&str> {
        self.alt_text.as_deref()
    }

    fn is_processed(&self) -> bool {
        self.is_whole && (self.kind() == "photo" || self.looks >= 2)
    }

    fn value(&self, id: u64, now_ms: i64) -> Value {
        let mut value = json!({
            "id": id.to_string(),
            "media_key": self.media_key(id),
            "expires_after_secs": (self.expires_ms - now_ms).max(0) / 1000,
        });
        if self.is_whole {
            value["size"] = self.total_bytes.into();
            if self.kind() != "photo" {
                value["processing_info"] = match self.looks {
                    0 => json!({"state": "pending", "check_after_secs": 1}),
                    1 => json!({"state": "in_progress", "check_after_secs": 1, "progress_percent": 50}),
                    _ => json!({"state": "succeeded", "progress_percent": 100}),
                };
            }
        }
        value
    }
}

impl Uploads {
    /// An upload that can be attached to what `purpose` (`tweet` or `dm`) says.
    pub fn usable(&self, id: &str, purpose: &str, now_ms: i64) -> Option<(u64, &Upload)> {
        let id = id.parse().ok()?;
        let upload = self.all.get(&id)?;
        (upload.is_processed() && upload.purpose() == purpose && upload.expires_ms > now_ms).then_some((id, upload))
    }

    pub fn get(&self, id: u64) -> Option<&Upload> {
        self.all.get(&id)
    }

    /// Sizes and hashes of what was uploaded whole.
    pub fn received(&self) -> Vec<(u64, Option<String>)> {
        let whole = self.all.values().filter(|upload| upload.is_whole);
        whole.map(|upload| (upload.total_bytes, upload.sha256.clone())).collect()
    }

    pub fn initialize(&mut self, call: &Call<'_>) -> Answer {
        let body: Beginning = match serde_json::from_slice(call.body) {
            Ok(body) => body,
            Err(error) => return problems::invalid_all(&[], &format!("$: {error}")),
        };
        let category = body.media_category.unwrap_or_else(|| "tweet_image".to_owned());
        let (kind, limit) = match category.as_str() {
            "tweet_image" | "dm_image" => ("image/", 5 * MIB),
            "tweet_gif" | "dm_gif" => ("image/gif", 15 * MIB),
            "tweet_video" | "dm_video" | "amplify_video" => ("video/", 512 * MIB),
            _ => {
                let message = format!("$.media_category: [{category}] is not a value of the enumeration");
                return problems::invalid("$.media_category", &[&category], &message);
            }
        };
        if !body.media_type.starts_with(kind) {
            let message = format!("media type [{}] does not go with category [{category}]", body.media_type);
            return problems::invalid("$.media_type", &[&body.media_type], &message);
        }
        if body.total_bytes == 0 || body.total_bytes > limit {
            let message = format!("File size exceeds {limit} bytes.");
            return problems::invalid("$.total_bytes", &[&body.total_bytes.to_string()], &message);
        }
        let mut id = id_at(call.now_ms);
        while self.all.contains_key(&id) {
            id += 1;
        }
        let upload = Upload {
            category,
            total_bytes: body.total_bytes,
            chunks: BTreeMap::new(),
            hash: Sha256::new(),
            hashed: 0,
            is_whole: false,
            looks: 0,
            sha256: None,
            alt_text: None,
            expires_ms: call.now_ms + LIFE_S * 1000,
        };
        let value = upload.value(id, call.now_ms);
        self.all.insert(id, upload);
        done(&value, id)
    }

    pub fn append(&mut self, id: &str, call: &Call<'_>) -> Answer {
        let Some(parts) = multipart::parts(call) else {
            return problems::invalid_all(&[], "the body is no multipart/form-data");
        };
        let part = |wanted: &str| parts.iter().find(|(name, _)| name == wanted).map(|(_, content)| *content);
        let index = part("segment_index").and_then(|text| std::str::from_utf8(text).ok()?.parse::<u32>().ok());
        let (Some(index), Some(media)) = (index.filter(|index| *index < 1000), part("media")) else {
            return problems::invalid_all(&[], "`media` and `segment_index` from 0 to 999 are required");
        };
        if media.len() > CHUNK_BYTES {
            return problems::plain(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large");
        }
        let Some((number, upload)) = self.open(id) else {
            return unknown(id);
        };
        if upload.chunks.insert(index, media.len() as u64).is_none() && index == upload.hashed {
            upload.hash.update(media);
            upload.hashed += 1;
        }
        let expires_s = upload.expires_ms / 1000;
        done(&json!({"expires_at": expires_s}), number)
    }

    pub fn finalize(&mut self, id: &str, call: &Call<'_>) -> Answer {
        let Some((number, upload)) = self.open(id) else {
            return unknown(id);
        };
        let is_gapless = upload.chunks.keys().copied().eq(0..u32::try_from(upload.chunks.len()).unwrap_or(0));
        if !is_gapless || upload.chunks.values().sum::<u64>() != upload.total_bytes {
            let message = "Segments do not add up to provided total file size.";
            return problems::invalid("media_id", &[id], message);
        }
        upload.is_whole = true;
        if upload.hashed as usize == upload.chunks.len() {
            let hash = upload.hash.clone().finalize();
            upload.sha256 = Some(hash.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        let value = upload.value(number, call.now_ms);
        done(&value, number)
    }

    pub fn status(&mut self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(false);
        if parameters.get("command").is_some_and(|command| command != "STATUS") {
            return problems::invalid("command", &[], "The `command` query parameter is not one of [STATUS]");
        }
        let id = parameters.get("media_id").unwrap_or_default();
        let found = id.parse::<u64>().ok().and_then(|number| Some((number, self.all.get_mut(&number)?)));
        let Some((number, upload)) = found.filter(|_| is_id(id)) else {
            return unknown(id);
        };
        upload.looks = upload.looks.saturating_add(1);
        Answer::new(StatusCode::OK, JSON, to_json(&json!({"data": upload.value(number, call.now_ms)})))
    }

    /// `POST /2/media/metadata`
    pub fn describe(&mut self, call: &Call<'_>) -> Answer {
        let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
        let id = body["id"].as_str().unwrap_or_default();
        let text = body["metadata"]["alt_text"]["text"].as_str().unwrap_or_default();
        if text.chars().count() > 1000 {
            return problems::invalid(
                "$.metadata.alt_text.text",
                &[],
                "$.metadata.alt_text.text: at most 1000 characters",
            );
        }
        let found = id.parse::<u64>().ok().and_then(|number| Some((number, self.all.get_mut(&number)?)));
        let Some((number, upload)) = found else {
            return unknown(id);
        };
        upload.alt_text = Some(text.to_owned());
        done(&json!({"id": id, "associated_metadata": {"alt_text": {"text": text}}}), number)
    }

    /// One that still takes chunks, or is ended once more.
    fn open(&mut self, id: &str) -> Option<(u64, &mut Upload)> {
        let number = id.parse().ok().filter(|_| is_id(id))?;
        Some((number, self.all.get_mut(&number)?))
    }
}

fn done(value: &Value, id: u64) -> Answer {
    let answer = Answer::new(StatusCode::OK, JSON, to_json(&json!({"data": value})));
    answer.wrote(id.to_string(), Some(id.to_string()))
}

fn unknown(id: &str) -> Answer {
    problems::invalid("media_id", &[id], "The media id is invalid or has expired.")
}
