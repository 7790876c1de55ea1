//! The auth schemes a connector can declare. Values are templates over `connection`, the one place
//! where secrets can be read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a request proves who sends it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Nothing is added.
    None {},
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// `Authorization: Bearer` (RFC 6750).
    Bearer {
        /// The token.
        token: String,
    },
    /// A key in the place that the service wants.
    ApiKey {
        /// Where it goes.
        r#in: KeyPlace,
        /// The header, parameter, cookie or `{name}` in the path.
        name: String,
        /// The key.
        value: String,
    },
    /// OAuth 1.0a with HMAC-SHA1 (RFC 5849).
    Oauth1 {
        /// The application's key.
        consumer_key: String,
        /// The application's secret.
        consumer_secret: String,
        /// The user's token.
        token: String,
        /// The user's token secret.
        token_secret: String,
    },
}

/// Where an API key goes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// A request header.
    Header,
    /// A query parameter.
    Query,
    /// A member of the JSON or form body.
    Body,
    /// A cookie.
    Cookie,
    /// In place of `{name}` in the path.
    Path,
}
