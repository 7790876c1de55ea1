//! The schemes whose token has to be had first: by a sign-in, a log-in, the client's own credentials or a
//! signed assertion.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::KeyPlace;
use crate::manifest::Duration;

/// A place of the service, below one of the connector's hosts.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Endpoint {
    /// `/oauth2/token`, on the default host
    Path(String),
    /// `{host: site, path: /authorize}`
    At(EndpointAt),
}

/// A path on a named host.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct EndpointAt {
    /// One of `hosts`.
    pub host: String,
    /// Below that host.
    pub path: String,
}

/// Where a user signs in by OAuth 1.0a (RFC 5849, section 2).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Oauth1SignIn {
    /// Gives temporary credentials.
    pub request_token: Endpoint,
    /// Where the user agrees, in a browser.
    pub authorize: Endpoint,
    /// Gives the token for the verifier.
    pub access_token: Endpoint,
}

/// OAuth 2 (RFC 6749).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Oauth2 {
    /// How the first token is had.
    pub grant: GrantType,
    /// Where the user agrees, in a browser; for `authorization_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize: Option<Endpoint>,
    /// Gives and renews tokens.
    pub token: Endpoint,
    /// Takes tokens back (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Endpoint>,
    /// The client's id.
    pub client_id: String,
    /// The client's secret; a public client has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// How the client proves itself; `basic` unless given. Without a secret the id goes into the body.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Further parameters of the address where the user agrees.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorize_parameters: BTreeMap<String, String>,
    /// Further parameters of every token request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_parameters: BTreeMap<String, String>,
    /// How long a token lasts where the service does not say; until it is refused unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Duration>,
}

/// How the first token is had.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// A user signs in and agrees; always with PKCE (RFC 7636, S256).
    AuthorizationCode,
    /// By the client's own credentials.
    ClientCredentials,
}

/// How a client proves itself at the token endpoint (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `Authorization: Basic`, id and secret form-encoded.
    #[default]
    Basic,
    /// `client_id` and `client_secret` in the body.
    Body,
}

/// A token that is had by a log-in request.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The request.
    pub login: Login,
    /// JMESPath on the answer, to the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The response header that holds the token, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_header: Option<String>,
    /// The cookie that holds the token, instead; it is sent back as that cookie unless `name` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_cookie: Option<String>,
    /// JMESPath on the answer, to the seconds that the token lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// How long a token lasts where the service does not say; until it is refused unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Duration>,
    /// Where the token goes; a header unless given.
    #[serde(default)]
    pub r#in: KeyPlace,
    /// The header, parameter or cookie; `Authorization` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What comes before the token; `Bearer ` in `Authorization`, nothing elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// A log-in request.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Where to.
    pub to: Endpoint,
    /// Its headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A JSON body; every text in it is a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<BTreeMap<String, String>>,
}

/// A signed assertion (RFC 7519).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// How it is signed.
    pub algorithm: Algorithm,
    /// The secret, or the private key in PEM (PKCS #8 or PKCS #1).
    pub key: String,
    /// The `kid` of its header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Its claims; `iat` and `exp` are added.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// How long an assertion lasts; 10 minutes unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Duration>,
    /// Where it is exchanged for a token (RFC 7523); without it the assertion is the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Endpoint>,
    /// Further parameters of the exchange.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_parameters: BTreeMap<String, String>,
}

/// How an assertion is signed (RFC 7518, section 3.1).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256,
}

/// What replaces a template: gets its JSON pointer below the scheme, and its text.
type Replace<'a, E> = &'a mut dyn FnMut(&str, &str) -> Result<String, E>;

impl Endpoint {
    /// The host's name, where one is written.
    pub fn host(&self) -> Option<&str> {
        match self {
            Endpoint::Path(_) => None,
            Endpoint::At(at) => Some(&at.host),
        }
    }

    /// Below the host.
    pub fn path(&self) -> &str {
        match self {
            Endpoint::Path(path) => path,
            Endpoint::At(at) => &at.path,
        }
    }
}

impl Oauth2 {
    pub(super) fn replaced<E>(&self, replace: Replace<'_, E>) -> Result<Oauth2, E> {
        Ok(Oauth2 {
            client_id: replace("/client_id", &self.client_id)?,
            client_secret: optional("/client_secret", self.client_secret.as_ref(), replace)?,
            authorize_parameters: each("/authorize_parameters", &self.authorize_parameters, replace)?,
            token_parameters: each("/token_parameters", &self.token_parameters, replace)?,
            ..self.clone()
        })
    }
}

impl Session {
    pub(super) fn replaced<E>(&self, replace: Replace<'_, E>) -> Result<Session, E> {
        let login = Login {
            to: self.login.to.clone(),
            headers: each("/login/headers", &self.login.headers, replace)?,
            json: self.login.json.as_ref().map(|json| leaves("/login/json", json, replace)).transpose()?,
            form: self.login.form.as_ref().map(|form| each("/login/form", form, replace)).transpose()?,
        };
        Ok(Session { login, ..self.clone() })
    }
}

impl Jwt {
    pub(super) fn replaced<E>(&self, replace: Replace<'_, E>) -> Result<Jwt, E> {
        let claims = self.claims.iter().map(|(name, value)| {
            let pointer = format!("/claims/{name}");
            Ok((name.clone(), leaves(&pointer, value, replace)?))
        });
        Ok(Jwt {
            claims: claims.collect::<Result<_, E>>()?,
            key: replace("/key", &self.key)?,
            key_id: optional("/key_id", self.key_id.as_ref(), replace)?,
            token_parameters: each("/token_parameters", &self.token_parameters, replace)?,
            ..self.clone()
        })
    }
}

fn optional<E>(pointer: &str, text: Option<&String>, replace: Replace<'_, E>) -> Result<Option<String>, E> {
    text.map(|text| replace(pointer, text)).transpose()
}

fn each<E>(
    pointer: &str,
    members: &BTreeMap<String, String>,
    replace: Replace<'_, E>,
) -> Result<BTreeMap<String, String>, E> {
    members.iter().map(|(name, text)| Ok((name.clone(), replace(&format!("{pointer}/{name}"), text)?))).collect()
}

/// Every text in a JSON value.
fn leaves<E>(pointer: &str, value: &Value, replace: Replace<'_, E>) -> Result<Value, E> {
    Ok(match value {
        Value::String(text) => Value::String(replace(pointer, text)?),
        Value::Array(elements) => {
            let elements = elements.iter().enumerate();
            let replaced: Result<Vec<Value>, E> = elements
                .map(|(position, element)| leaves(&format!("{pointer}/{position}"), element, replace))
                .collect();
            Value::Array(replaced?)
        }
        Value::Object(members) => {
            let members = members.iter();
            let replaced: Result<Map<String, Value>, E> = members
                .map(|(name, member)| Ok((name.clone(), leaves(&format!("{pointer}/{name}"), member, replace)?)))
                .collect();
            Value::Object(replaced?)
        }
        other => other.clone(),
    })
}
