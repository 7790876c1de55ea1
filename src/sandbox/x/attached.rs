//! What is attached to a tweet, kept with the tweet: uploads are forgotten after a day, tweets are not.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The fields of media that can be asked for.
pub(super) const MEDIA_FIELDS: &str = "alt_text duration_ms height media_key non_public_metrics organic_metrics \
    preview_image_url promoted_metrics public_metrics type url variants width";

/// A picture, an animation or a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    /// As X numbers media.
    pub key: String,
    /// `photo`, `animated_gif` or `video`.
    pub kind: &'static str,
    pub alt_text: Option<String>,
}

impl Attached {
    /// With the fields that were asked for; its key and what it is are always there.
    pub fn value(&self, fields: &BTreeSet<&'static str>) -> Value {
        let mut value = Map::new();
        value.insert("media_key".into(), self.key.as_str().into());
        value.insert("type".into(), self.kind.into());
        let address = format!("https://pbs.twimg.com/media/{}.jpg", self.key);
        for &field in fields {
            match (field, self.kind) {
                // Content is not kept, so sizes and lengths are not known.
                ("url", "photo") => value.insert(field.into(), address.as_str().into()),
                ("preview_image_url", "video" | "animated_gif") => value.insert(field.into(), address.as_str().into()),
                ("alt_text", "photo") => {
                    self.alt_text.as_ref().and_then(|text| value.insert(field.into(), text.as_str().into()))
                }
                _ => None,
            };
        }
        Value::Object(value)
    }
}
