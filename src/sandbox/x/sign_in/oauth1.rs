//! OAuth 1.0a in three legs: request tokens live 15 minutes and are good once; `denied`, PINs, and a callback
//! that has to be confirmed.

use std::collections::HashMap;

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::json;

use super::{consent, json, page, redirect, with_query};
use crate::sandbox::auth::{self, Oauth1};
use crate::sandbox::exchange::{Answer, Call};
use crate::sandbox::{X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET, X_CONSUMER_KEY, X_CONSUMER_SECRET, X_USER_ID, X_USERNAME};

const LIFE_MS: i64 = 15 * 60_000;

/// The request tokens that are out.
#[derive(Default)]
pub struct Books {
    out: Mutex<HashMap<String, Requested>>,
}

struct Requested {
    secret: String,
    callback: String,
    verifier: Option<String>,
    end_ms: i64,
}

impl Books {
    pub fn request_token(&self, call: &Call<'_>) -> Answer {
        let verifier = Oauth1::new(X_CONSUMER_KEY, X_CONSUMER_SECRET, "", "");
        let Some(header) = auth::oauth1(call).filter(|header| verifier.verify(call, header)) else {
            return not_authenticated();
        };
        let Some(callback) = auth::parameter(header, "oauth_callback") else {
            return refused(
                StatusCode::BAD_REQUEST,
                417,
                "Desktop applications only support the oauth_callback value 'oob'",
            );
        };
        if callback != "oob" && url::Url::parse(&callback).is_err() {
            return refused(StatusCode::FORBIDDEN, 415, "Callback URL not approved for this client application.");
        }
        let mut out = self.out.lock();
        let number = out.len() + 1;
        let (token, secret) = (format!("sandboxRequestToken{number}"), format!("sandbox-request-secret-{number}"));
        let body = format!("oauth_token={token}&oauth_token_secret={secret}&oauth_callback_confirmed=true");
        out.insert(token, Requested { secret, callback, verifier: None, end_ms: call.now_ms + LIFE_MS });
        form(&body)
    }

    pub fn authorize(&self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(false);
        let token = parameters.get("oauth_token").unwrap_or_default();
        let mut out = self.out.lock();
        let Some(requested) = out.get_mut(token).filter(|requested| requested.end_ms > call.now_ms) else {
            return page(StatusCode::FORBIDDEN, "This page is no longer valid. The token was used, or has expired.");
        };
        match parameters.get("decision") {
            Some("allow") => {
                let is_pin = requested.callback == "oob";
                let verifier = if is_pin { "1234567".to_owned() } else { format!("verifier-of-{token}") };
                requested.verifier = Some(verifier.clone());
                match is_pin {
                    true => page(StatusCode::OK, &format!("<p>Enter this PIN: <code>{verifier}</code></p>")),
                    false => redirect(&with_query(
                        &requested.callback,
                        &[("oauth_token", token), ("oauth_verifier", &verifier)],
                    )),
                }
            }
            Some(_) => {
                let callback = requested.callback.clone();
                out.remove(token);
                match callback.as_str() {
                    "oob" => page(StatusCode::OK, "You have denied the app."),
                    _ => redirect(&with_query(&callback, &[("denied", token)])),
                }
            }
            None => consent(call),
        }
    }

    pub fn access_token(&self, call: &Call<'_>) -> Answer {
        let Some(header) = auth::oauth1(call) else {
            return not_authenticated();
        };
        let token = auth::parameter(header, "oauth_token").unwrap_or_default();
        let mut out = self.out.lock();
        let Some(requested) = out.get(&token).filter(|requested| requested.end_ms > call.now_ms) else {
            return refused(StatusCode::UNAUTHORIZED, 89, "Invalid or expired token.");
        };
        if !Oauth1::new(X_CONSUMER_KEY, X_CONSUMER_SECRET, &token, &requested.secret).verify(call, header) {
            return not_authenticated();
        }
        // X looks for the verifier in the header, the query and the form.
        let form_too = call.parameters(true);
        let given = auth::parameter(header, "oauth_verifier");
        let given = given.as_deref().or_else(|| form_too.get("oauth_verifier"));
        if requested.verifier.is_none() || requested.verifier.as_deref() != given {
            return page(
                StatusCode::UNAUTHORIZED,
                "Error processing your OAuth request: Invalid oauth_verifier parameter",
            );
        }
        out.remove(&token);
        form(&format!(
            "oauth_token={X_ACCESS_TOKEN}&oauth_token_secret={X_ACCESS_TOKEN_SECRET}&user_id={X_USER_ID}&screen_name={X_USERNAME}"
        ))
    }
}

/// A form that X calls `text/html`.
fn form(body: &str) -> Answer {
    Answer::new(StatusCode::OK, "text/html;charset=utf-8", body.to_owned())
}

fn not_authenticated() -> Answer {
    refused(StatusCode::UNAUTHORIZED, 32, "Could not authenticate you.")
}

fn refused(status: StatusCode, code: u32, message: &str) -> Answer {
    json(status, &json!({"errors": [{"code": code, "message": message}]}))
}
