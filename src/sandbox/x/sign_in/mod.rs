//! Signing in at X: OAuth 1.0a in three legs and OAuth 2 with PKCE, with what X documents of lifetimes, and its
//! refusals in its own words. Tokens are made from a counter: a sandbox keeps no secrets.

mod oauth1;
mod oauth2;

use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Method, StatusCode};

use super::JSON;
use crate::sandbox::Options;
use crate::sandbox::exchange::{Answer, Call};

/// An operation of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    RequestToken,
    Authorize,
    AccessToken,
    AuthorizeApp,
    Token,
    RevokeToken,
    AppToken,
}

/// What a user signs in with: both protocols' books.
pub(super) struct SignIns {
    oauth1: oauth1::Books,
    oauth2: oauth2::Books,
}

impl SignIns {
    pub fn new(options: &Options) -> Self {
        SignIns { oauth1: oauth1::Books::default(), oauth2: oauth2::Books::new(options.token_lifetime_ms) }
    }

    /// Answers an operation of a sign-in.
    pub fn answer(&self, leg: Leg, call: &Call<'_>) -> Answer {
        match leg {
            Leg::RequestToken => self.oauth1.request_token(call),
            Leg::Authorize => self.oauth1.authorize(call),
            Leg::AccessToken => self.oauth1.access_token(call),
            Leg::AuthorizeApp => self.oauth2.authorize(call),
            Leg::Token => self.oauth2.token(call),
            Leg::RevokeToken => self.oauth2.revoke(call),
            Leg::AppToken => oauth2::app_token(call),
        }
    }

    /// Whether an OAuth 2 access token is good.
    pub fn is_live(&self, token: &str, now_ms: i64) -> bool {
        self.oauth2.is_live(token, now_ms)
    }

    /// How long access tokens that are given from now on last.
    pub fn set_lifetime(&self, lifetime_ms: i64) {
        self.oauth2.set_lifetime(lifetime_ms);
    }
}

impl Leg {
    /// The sign-in paths of X.
    pub fn route(method: &Method, path: &str) -> Option<Leg> {
        Some(match (method, path) {
            (&Method::POST, "/oauth/request_token") => Leg::RequestToken,
            (&Method::GET, "/oauth/authorize" | "/oauth/authenticate") => Leg::Authorize,
            (&Method::POST, "/oauth/access_token") => Leg::AccessToken,
            (&Method::GET, "/i/oauth2/authorize") => Leg::AuthorizeApp,
            (&Method::POST, "/2/oauth2/token") => Leg::Token,
            (&Method::POST, "/2/oauth2/revoke") => Leg::RevokeToken,
            (&Method::POST, "/oauth2/token") => Leg::AppToken,
            _ => return None,
        })
    }

    /// As faults and counts spell it.
    pub fn name(self) -> &'static str {
        match self {
            Leg::RequestToken => "request_token",
            Leg::Authorize => "authorize",
            Leg::AccessToken => "access_token",
            Leg::AuthorizeApp => "authorize_app",
            Leg::Token => "token",
            Leg::RevokeToken => "revoke_token",
            Leg::AppToken => "app_token",
        }
    }
}

/// Sends the browser on.
fn redirect(address: &str) -> Answer {
    let Ok(location) = HeaderValue::from_str(address) else {
        return page(StatusCode::BAD_REQUEST, "The callback is no address.");
    };
    Answer::empty(StatusCode::FOUND).with(LOCATION, location)
}

fn page(status: StatusCode, body: &str) -> Answer {
    let html = format!("<!DOCTYPE html>\n<html><head><title>X sandbox</title></head><body>{body}</body></html>\n");
    Answer::new(status, "text/html; charset=utf-8", html)
}

/// The page on which a user agrees or not: two links, that a test follows as a person would.
fn consent(call: &Call<'_>) -> Answer {
    let here = format!("{}?{}", call.path, call.query).replace('&', "&amp;").replace('"', "&quot;");
    let body = format!(
        "<h1>Authorize the app to use your account @{}?</h1><p><a href=\"{here}&amp;decision=allow\">Authorize app</a> \
         <a href=\"{here}&amp;decision=deny\">Cancel</a></p>",
        crate::sandbox::X_USERNAME
    );
    page(StatusCode::OK, &body)
}

fn with_query(address: &str, pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = url::Url::parse(address) else { return address.to_owned() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.into()
}

fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    Answer::new(status, JSON, body.to_string())
}
