//! OAuth 2: codes live 30 seconds and are good once, refresh tokens rotate, and the app's own bearer token.

use std::collections::HashMap;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{consent, json, page, redirect, with_query};
use crate::sandbox::auth;
use crate::sandbox::exchange::{Answer, Call, Parameters};
use crate::sandbox::{X_BEARER_TOKEN, X_CLIENT_ID, X_CLIENT_SECRET, X_CONSUMER_KEY, X_CONSUMER_SECRET};

const CODE_MS: i64 = 30_000;

/// Codes and tokens that are out.
pub struct Books {
    books: Mutex<Open>,
}

struct Open {
    counter: u64,
    lifetime_ms: i64,
    codes: HashMap<String, Code>,
    /// Access tokens, and when they end.
    access: HashMap<String, i64>,
    /// Refresh tokens, and the access token that each came with.
    refresh: HashMap<String, Refresh>,
}

struct Code {
    redirect_uri: String,
    challenge: String,
    scope: String,
    end_ms: i64,
}

#[derive(Clone)]
struct Refresh {
    access: String,
    scope: String,
}

impl Books {
    pub fn new(lifetime_ms: i64) -> Self {
        let (codes, access, refresh) = (HashMap::new(), HashMap::new(), HashMap::new());
        Books { books: Mutex::new(Open { counter: 0, lifetime_ms, codes, access, refresh }) }
    }

    pub fn set_lifetime(&self, lifetime_ms: i64) {
        self.books.lock().lifetime_ms = lifetime_ms;
    }

    pub fn is_live(&self, token: &str, now_ms: i64) -> bool {
        self.books.lock().access.get(token).is_some_and(|end_ms| *end_ms > now_ms)
    }

    pub fn authorize(&self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(false);
        let get = |name: &str| parameters.get(name).unwrap_or_default();
        let (redirect_uri, state) = (get("redirect_uri"), get("state"));
        if get("client_id") != X_CLIENT_ID || url::Url::parse(redirect_uri).is_err() {
            return page(StatusCode::BAD_REQUEST, "Something went wrong. You weren’t able to give access to the App.");
        }
        let is_whole = get("response_type") == "code"
            && (1..=500).contains(&state.len())
            && get("code_challenge_method") == "S256"
            && get("code_challenge").len() == 43
            && !get("scope").is_empty();
        if !is_whole {
            return redirect(&with_query(redirect_uri, &[("error", "invalid_request"), ("state", state)]));
        }
        match parameters.get("decision") {
            Some("allow") => {
                let mut books = self.books.lock();
                let code = books.name("code");
                let entry = Code {
                    redirect_uri: redirect_uri.to_owned(),
                    challenge: get("code_challenge").to_owned(),
                    scope: get("scope").to_owned(),
                    end_ms: call.now_ms + CODE_MS,
                };
                books.codes.insert(code.clone(), entry);
                redirect(&with_query(redirect_uri, &[("state", state), ("code", &code)]))
            }
            Some(_) => redirect(&with_query(redirect_uri, &[("error", "access_denied"), ("state", state)])),
            None => consent(call),
        }
    }

    pub fn token(&self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(true);
        if let Err(refusal) = client(call, &parameters) {
            return refusal;
        }
        let get = |name: &str| parameters.get(name).unwrap_or_default();
        let mut books = self.books.lock();
        match get("grant_type") {
            "authorization_code" => {
                let found = books.codes.remove(get("code")).filter(|code| code.end_ms > call.now_ms);
                let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier").as_bytes()));
                match found {
                    Some(code) if code.redirect_uri == get("redirect_uri") && code.challenge == proof => {
                        books.grant(&code.scope, call.now_ms)
                    }
                    _ => invalid("Value passed for the authorization code was invalid."),
                }
            }
            // The old refresh token stops working, and the access token that came with it.
            "refresh_token" => match books.refresh.remove(get("refresh_token")) {
                Some(Refresh { access, scope }) => {
                    books.access.remove(&access);
                    books.grant(&scope, call.now_ms)
                }
                None => invalid("Value passed for the token was invalid."),
            },
            _ => invalid("Missing required parameter [grant_type]."),
        }
    }

    pub fn revoke(&self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(true);
        if let Err(refusal) = client(call, &parameters) {
            return refusal;
        }
        let token = parameters.get("token").unwrap_or_default();
        let mut books = self.books.lock();
        if let Some(refresh) = books.refresh.remove(token) {
            books.access.remove(&refresh.access);
        }
        books.access.remove(token);
        json(StatusCode::OK, &json!({"revoked": true}))
    }
}

impl Open {
    fn name(&mut self, kind: &str) -> String {
        self.counter += 1;
        format!("sandbox-{kind}-{}-not-a-secret", self.counter)
    }

    fn grant(&mut self, scope: &str, now_ms: i64) -> Answer {
        let access = self.name("access");
        self.access.insert(access.clone(), now_ms + self.lifetime_ms);
        let mut body = json!({
            "token_type": "bearer",
            "expires_in": self.lifetime_ms / 1_000,
            "access_token": access,
            "scope": scope,
        });
        if scope.split(' ').any(|scope| scope == "offline.access") {
            let refresh = self.name("refresh");
            self.refresh.insert(refresh.clone(), Refresh { access, scope: scope.to_owned() });
            body["refresh_token"] = json!(refresh);
        }
        json(StatusCode::OK, &body)
    }
}

/// `POST /oauth2/token`: always the same token.
pub fn app_token(call: &Call<'_>) -> Answer {
    let pair = (X_CONSUMER_KEY.to_owned(), X_CONSUMER_SECRET.to_owned());
    if auth::basic(call) != Some(pair) {
        let body = json!({"errors": [{"code": 99, "label": "authenticity_token_error", "message": "Unable to verify your credentials"}]});
        return json(StatusCode::FORBIDDEN, &body);
    }
    if call.parameters(true).get("grant_type") != Some("client_credentials") {
        let body = json!({"errors": [{"code": 170, "message": "Missing required parameter: grant_type", "label": "forbidden_missing_parameter"}]});
        return json(StatusCode::FORBIDDEN, &body);
    }
    json(StatusCode::OK, &json!({"token_type": "bearer", "access_token": X_BEARER_TOKEN}))
}

/// The sandbox's client is confidential: it proves itself by `Basic`.
fn client(call: &Call<'_>, parameters: &Parameters<'_>) -> Result<(), Answer> {
    match auth::basic(call) {
        Some((id, secret)) if id == X_CLIENT_ID && secret == X_CLIENT_SECRET => Ok(()),
        Some(_) => Err(refused(StatusCode::UNAUTHORIZED, "invalid_client", "Invalid client credentials")),
        None if parameters.get("client_id").is_some() => {
            Err(refused(StatusCode::UNAUTHORIZED, "unauthorized_client", "Missing valid authorization header"))
        }
        None => Err(invalid("Missing required parameter [client_id].")),
    }
}

fn invalid(description: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, "invalid_request", description)
}

fn refused(status: StatusCode, error: &str, description: &str) -> Answer {
    json(status, &json!({"error": error, "error_description": description}))
}
