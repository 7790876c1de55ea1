//! The store as the memory of look-ups: the connector knows nothing of it. What it cannot keep or find is asked
//! for again, and said in the log.

use serde_json::Value;

use crate::connector::resolve::{Later, Remembering};
use crate::store::Store;

/// A store that remembers.
pub struct Remembered(pub Store);

impl Remembering for Remembered {
    fn recall(&self, key: String, now_ms: i64) -> Later<'_, Option<(Value, i64)>> {
        Box::pin(async move {
            let found = self.0.recall(key, now_ms).await;
            let found = found.inspect_err(|error| tracing::warn!(code = error.code, "a look-up is repeated: {error}"));
            let (text, until_ms) = found.ok()??;
            Some((serde_json::from_str(&text).ok()?, until_ms))
        })
    }

    fn remember(&self, key: String, value: Value, until_ms: i64) -> Later<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.0.remember(key, value.to_string(), until_ms).await {
                tracing::warn!(code = error.code, "a look-up is not remembered: {error}");
            }
        })
    }
}
