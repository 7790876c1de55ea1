//! The `vault` section of `tidegate.yaml`, and `{vault: PATH#KEY}` taken apart. Only what is written: who asks the
//! vault is `connector/vault.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;

/// Where `{vault: PATH#KEY}` is read: HashiCorp Vault or OpenBao. What is not given comes from the environment, as
/// for their own command line.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// Its address, as in `https://vault.example.org:8200`; `VAULT_ADDR` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The token to ask with; `VAULT_TOKEN`, else the file `.vault-token` in the home folder, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Source>,
    /// A role to log in as, instead of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approle: Option<AppRole>,
    /// The namespace; `VAULT_NAMESPACE` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A PEM file with the certificates that its own is to be signed by; `VAULT_CACERT` unless given, else those that
    /// browsers trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// A role to log in as.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRole {
    /// Its id.
    pub role_id: Source,
    /// Its secret.
    pub secret_id: Source,
    /// Where the method is enabled; `approle` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// `PATH#KEY`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The secret's path without slashes around it, as in `secret/data/twilio`.
    pub path: &'a str,
    /// Which of its values.
    pub key: &'a str,
}

impl<'a> Reference<'a> {
    /// From what is written.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &'a str) -> Result<Reference<'a>, String> {
        let (path, key) =
            text.split_once('#').ok_or_else(|| format!("`{text}` does not say which value of the secret"))?;
        let path = path.trim_matches('/');
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if path.is_empty() || !path.split('/').all(is_plain) {
            return Err(format!("`{text}` has no path of a secret before the `#`"));
        }
        if path.contains('?') || path.chars().any(char::is_control) || text.trim() != text {
            return Err(format!("`{text}` holds characters that no path has"));
        }
        if key.is_empty() || key.contains('#') {
            return Err(format!("`{text}` does not say which value of the secret"));
        }
        Ok(Reference { path, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_key_are_told_from_what_is_none() {
        let parsed = |text| Reference::parse(text).map(|found| (found.path, found.key));
        assert_eq!(parsed("secret/data/twilio#token"), Ok(("secret/data/twilio", "token")));
        assert_eq!(parsed("/kv/team a/x/#Auth Token"), Ok(("kv/team a/x", "Auth Token")));
        for wrong in
            ["secret/data/x", "#key", "secret/x#", "secret//x#k", "secret/../x#k", "a?b#k", "a#b#c", " a#b", ""]
        {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
