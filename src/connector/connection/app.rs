//! What the connections of one app have in common: a hash of the credential that names the app. It stands in the
//! names of limits, which are stored and logged, so it must not tell the credential.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// 64 bits: enough to tell a host's apps apart.
const DIGITS: usize = 16;

/// By the first of `names` that is given among `fields`; none where none is.
pub(super) fn of(names: &[String], fields: &Map<String, Value>) -> Option<String> {
    let given = |name: &String| {
        let text = crate::connector::selector::scalar_text(fields.get(name)?)?;
        (!text.is_empty()).then(|| (name.clone(), text))
    };
    let (name, text) = names.iter().find_map(given)?;
    let mut hash = Sha256::new();
    // The field's name: equal values of different fields name nothing in common.
    for part in ["app", &name, &text] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(hex.chars().take(DIGITS).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(fields: Value) -> Option<String> {
        let names = ["consumer_key".to_owned(), "bearer_token".to_owned()];
        of(&names, fields.as_object().unwrap())
    }

    #[test]
    fn the_first_field_that_is_given_names_the_app_and_its_value_is_not_told() {
        let named = app(json!({"consumer_key": "key-one", "access_token": "ann"})).unwrap();
        assert_eq!(app(json!({"consumer_key": "key-one", "bearer_token": "b"})), Some(named.clone()));
        assert_ne!(app(json!({"consumer_key": "key-two"})), Some(named.clone()));
        assert_ne!(app(json!({"bearer_token": "key-one"})), Some(named.clone()));
        assert_eq!(app(json!({"access_token": "ann", "consumer_key": ""})), None);
        assert_eq!(named.len(), DIGITS);
        assert!(!named.contains("key-one"));
    }
}
