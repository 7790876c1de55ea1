//! The key of a store: found where the settings say, made at first need, proven by the store before it is
//! used, and looked for again once another process has changed it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::sealing::Key;
use crate::secrets::key::{self, KeyPlace};
use crate::store::{self, Store};

/// The key of a store.
pub struct Keys {
    place: KeyPlace,
    store: Store,
    held: Mutex<Option<Arc<Key>>>,
}

/// Why there is no key: a stable code, what and where, and what to do. Never holds a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// `key_missing`, `key_invalid`, `key_unreadable`, `key_wrong` or one of the store's.
    pub code: &'static str,
    /// What happened and where.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Keys {
    /// Of a store; nothing is looked at yet.
    pub fn new(place: KeyPlace, store: Store) -> Self {
        Keys { place, store, held: Mutex::default() }
    }

    /// Where it is looked for.
    pub fn place(&self) -> &KeyPlace {
        &self.place
    }

    /// The key that the store's secrets are sealed under; none where nothing is sealed yet.
    ///
    /// # Errors
    /// `key_wrong`, `key_missing` and the others: nothing is written.
    pub async fn existing(&self) -> Result<Option<Arc<Key>>, Error> {
        let Some(id) = self.store.key_id().await? else { return Ok(None) };
        if let Some(held) = self.held.lock().as_ref().filter(|held| held.id() == id) {
            return Ok(Some(Arc::clone(held)));
        }
        let key = self.place.find(&id).map_err(|error| {
            // A new key would open nothing of what is there.
            let advice = match error.code {
                "key_invalid" => "put that key back: no other opens them",
                _ => &error.help,
            };
            let help = format!("the store's connections are sealed under the key {id}; {advice}");
            Error { help, ..Error::from(error) }
        })?;
        self.store.check_key(&key).await.map_err(|error| {
            let message = format!("{} ({})", error.message, self.place);
            Error { message, ..Error::from(error) }
        })?;
        Ok(Some(self.hold(key)))
    }

    /// The key to seal with; made where there is none yet, and the store's from then on.
    ///
    /// # Errors
    /// As [`Keys::existing`].
    pub async fn key(&self, now_ms: i64) -> Result<Arc<Key>, Error> {
        if let Some(key) = self.existing().await? {
            return Ok(key);
        }
        let key = self.place.read_or_make()?;
        self.store.adopt_key(&key, now_ms).await?;
        Ok(self.hold(key))
    }

    fn hold(&self, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        *self.held.lock() = Some(Arc::clone(&key));
        key
    }
}

impl From<key::Error> for Error {
    fn from(error: key::Error) -> Error {
        Error { code: error.code, message: error.message, help: error.help }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error { code: error.code, message: error.message, help: error.help.into_owned() }
    }
}
