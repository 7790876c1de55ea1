//! A token that is had by a log-in request and lasts until it ends or is refused.

use serde_json::Value;
use url::Url;

use super::Grant;
use super::answer;
use super::places::Places;
use super::source::Asking;
use crate::connector::auth::Credentials;
use crate::connector::message::{Body, HttpRequest, HttpResponse, Method};
use crate::connector::selector::JmesPath;
use crate::engine::Failure;
use crate::manifest::connector::auth::{Auth, KeyPlace, Session};

/// A log-in whose values are resolved. Secret: has no `Debug`.
pub struct Login {
    url: Url,
    headers: Vec<(String, String)>,
    body: Body,
    from: From,
    expires_in: Option<JmesPath>,
    lifetime_ms: Option<i64>,
    place: KeyPlace,
    name: String,
    prefix: String,
}

/// Where the answer holds the token.
enum From {
    Body(JmesPath),
    /// Lower-case.
    Header(String),
    Cookie(String),
}

impl Login {
    /// From a scheme whose templates were replaced.
    pub fn new(scheme: &Session, places: &Places) -> Result<Login, Failure> {
        let path = |source: &String| {
            JmesPath::compile(source).map_err(|error| Failure::not_sent("jmespath_invalid", error.message))
        };
        let from = match (&scheme.token, &scheme.token_header, &scheme.token_cookie) {
            (Some(source), None, None) => From::Body(path(source)?),
            (None, Some(name), None) => From::Header(name.to_ascii_lowercase()),
            (None, None, Some(name)) => From::Cookie(name.clone()),
            _ => {
                let message = "a session's token comes from one of `token`, `token_header` and `token_cookie`";
                return Err(Failure::not_sent("session_invalid", message));
            }
        };
        let login = &scheme.login;
        let body = match (&login.json, &login.form) {
            (Some(json), _) => Body::Json(json.to_string().into()),
            (None, Some(form)) => Body::Form(form.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
            (None, None) => Body::Empty,
        };
        let own_cookie = scheme.token_cookie.as_ref().filter(|_| scheme.name.is_none());
        let (place, name) = match own_cookie {
            Some(cookie) => (KeyPlace::Cookie, cookie.clone()),
            None => (scheme.r#in, scheme.name.clone().unwrap_or_else(|| "Authorization".to_owned())),
        };
        let is_usual = place == KeyPlace::Header && name.eq_ignore_ascii_case("authorization");
        Ok(Login {
            url: places.url(&login.to)?,
            headers: login.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body,
            from,
            expires_in: scheme.expires_in.as_ref().map(path).transpose()?,
            lifetime_ms: scheme.lifetime.map(|lifetime| lifetime.ms),
            prefix: scheme
                .prefix
                .clone()
                .unwrap_or_else(|| if is_usual { "Bearer ".to_owned() } else { String::new() }),
            place,
            name,
        })
    }

    /// Logs in.
    pub async fn token(&self, asking: &Asking<'_>) -> Result<Grant, Failure> {
        let request = HttpRequest {
            method: Method::POST,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        };
        let response = asking.send(&request, &Credentials::None).await?;
        let now_ms = asking.now_ms();
        answer::check(&response, asking.mask, now_ms)?;
        let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let token = self.found(&response, &body).filter(|token| !token.is_empty()).ok_or_else(|| {
            let host = response.url.host_str().unwrap_or_default();
            let message = format!("{host} answered {} to the log-in, but without the token", response.status);
            Failure::not_sent("token_unreadable", message)
                .with_help("check `token`, `token_header` or `token_cookie` of the connector's `session` scheme")
        })?;
        let told_ms =
            self.expires_in.as_ref().and_then(|path| path.text(&body)).and_then(|text| text.parse::<f64>().ok());
        #[expect(clippy::cast_possible_truncation, reason = "casts from floats saturate")]
        let told_ms = told_ms.map(|seconds| (seconds * 1_000.0) as i64);
        Ok(Grant {
            access_token: token,
            expires_at: told_ms.or(self.lifetime_ms).map(|lasts_ms| now_ms.saturating_add(lasts_ms)),
            obtained_at: now_ms,
            ..Grant::default()
        })
    }

    /// What signs requests with this token.
    pub fn credentials(&self, token: &str) -> Result<Credentials, Failure> {
        let value = format!("{}{token}", self.prefix);
        Credentials::new(&Auth::ApiKey { r#in: self.place, name: self.name.clone(), value })
    }

    fn found(&self, response: &HttpResponse, body: &Value) -> Option<String> {
        match &self.from {
            From::Body(path) => path.text(body),
            From::Header(name) => response.header(name).map(str::to_owned),
            From::Cookie(name) => {
                response.headers.iter().filter(|(header, _)| header == "set-cookie").find_map(|(_, cookie)| {
                    let (given, rest) = cookie.split_once('=')?;
                    (given.trim() == name).then(|| rest.split(';').next().unwrap_or_default().trim().to_owned())
                })
            }
        }
    }
}
