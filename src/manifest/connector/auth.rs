//! The auth schemes a connector can declare. Values are templates over `connection`, the one place
//! where secrets can be read. Schemes whose token has to be had first are in `auth/token.rs`.

mod token;

pub use token::{Algorithm, ClientAuth, Endpoint, GrantType, Jwt, Login, Oauth1SignIn, Oauth2, Session};

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
        /// Where a user signs in, so that token and token secret need not be given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_in: Option<Oauth1SignIn>,
    },
    /// OAuth 2 (RFC 6749): a bearer token that is had by a sign-in or by the client's own credentials, and
    /// renewed.
    Oauth2(Box<Oauth2>),
    /// A token that is had by a log-in request, and had again when it is refused.
    Session(Box<Session>),
    /// A signed assertion (RFC 7519), sent as it is or exchanged for a token (RFC 7523).
    Jwt(Box<Jwt>),
}

/// Where an API key goes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// A request header.
    #[default]
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

impl Auth {
    /// The scheme with each of its templates replaced; `replace` gets the member's JSON pointer below the
    /// scheme and its text.
    ///
    /// # Errors
    /// The first that `replace` gives.
    pub fn replaced<E>(&self, replace: &mut dyn FnMut(&str, &str) -> Result<String, E>) -> Result<Auth, E> {
        Ok(match self {
            Auth::None {} => Auth::None {},
            Auth::Basic { username, password } => {
                Auth::Basic { username: replace("/username", username)?, password: replace("/password", password)? }
            }
            Auth::Bearer { token } => Auth::Bearer { token: replace("/token", token)? },
            Auth::ApiKey { r#in, name, value } => {
                Auth::ApiKey { r#in: *r#in, name: replace("/name", name)?, value: replace("/value", value)? }
            }
            Auth::Oauth1 { consumer_key, consumer_secret, token, token_secret, sign_in } => Auth::Oauth1 {
                consumer_key: replace("/consumer_key", consumer_key)?,
                consumer_secret: replace("/consumer_secret", consumer_secret)?,
                token: replace("/token", token)?,
                token_secret: replace("/token_secret", token_secret)?,
                sign_in: sign_in.clone(),
            },
            Auth::Oauth2(scheme) => Auth::Oauth2(Box::new(scheme.replaced(replace)?)),
            Auth::Session(scheme) => Auth::Session(Box::new(scheme.replaced(replace)?)),
            Auth::Jwt(scheme) => Auth::Jwt(Box::new(scheme.replaced(replace)?)),
        })
    }

    /// Its templates, each with its JSON pointer below the scheme.
    pub fn texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        let all: Result<Auth, std::convert::Infallible> = self.replaced(&mut |pointer, text| {
            texts.push((pointer.to_owned(), text.to_owned()));
            Ok(text.to_owned())
        });
        match all {
            Ok(_) => texts,
            Err(never) => match never {},
        }
    }

    /// The places that it asks beside the action's own, each with its JSON pointer below the scheme.
    pub fn endpoints(&self) -> Vec<(&'static str, &Endpoint)> {
        match self {
            Auth::Oauth1 { sign_in: Some(sign_in), .. } => vec![
                ("/sign_in/request_token", &sign_in.request_token),
                ("/sign_in/authorize", &sign_in.authorize),
                ("/sign_in/access_token", &sign_in.access_token),
            ],
            Auth::Oauth2(scheme) => {
                let optional = [("/authorize", &scheme.authorize), ("/revoke", &scheme.revoke)];
                let given = optional.into_iter().filter_map(|(name, endpoint)| Some((name, endpoint.as_ref()?)));
                std::iter::once(("/token", &scheme.token)).chain(given).collect()
            }
            Auth::Session(scheme) => vec![("/login/to", &scheme.login.to)],
            Auth::Jwt(scheme) => scheme.token.iter().map(|token| ("/token", token)).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a person has to sign in at the service for it, unless its tokens are given.
    pub fn has_sign_in(&self) -> bool {
        match self {
            Auth::Oauth1 { sign_in, .. } => sign_in.is_some(),
            Auth::Oauth2(scheme) => scheme.grant == GrantType::AuthorizationCode,
            _ => false,
        }
    }
}
