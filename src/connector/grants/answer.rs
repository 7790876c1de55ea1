//! What a token endpoint answered: a grant (RFC 6749, section 5.1), or why there is none (section 5.2).

use serde_json::Value;

use super::Grant;
use crate::connector::errors::retry_after;
use crate::connector::mask::Mask;
use crate::connector::message::HttpResponse;
use crate::engine::{Failure, Outcome, Verdict};

/// How much of an unreadable answer is shown, in characters.
const SNIPPET: usize = 120;
/// How long a 429 without `Retry-After` waits, in milliseconds.
const UNTOLD_LIMIT_MS: i64 = 60_000;

/// Reads a token answer. `before` is the grant that was renewed, whose refresh token stays where the answer
/// has no new one.
pub fn grant(
    response: &HttpResponse,
    before: Option<&Grant>,
    lifetime_ms: Option<i64>,
    now_ms: i64,
) -> Result<Grant, Failure> {
    let body: Value = serde_json::from_slice(&response.body).map_err(|_| not_json(response))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let access_token = text("access_token").ok_or_else(|| not_json(response))?;
    let kind = text("token_type").unwrap_or_else(|| "bearer".to_owned());
    if !kind.eq_ignore_ascii_case("bearer") {
        let host = response.url.host_str().unwrap_or_default();
        return Err(refused(
            "token_type_unknown",
            format!("{host} gave a token of the type `{kind}`, not `bearer`"),
            response,
        ));
    }
    let seconds = match body.get("expires_in") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let lasts_ms = seconds.map(|seconds| seconds.saturating_mul(1_000)).or(lifetime_ms);
    let scopes = text("scope").map(|scopes| scopes.split_whitespace().map(str::to_owned).collect());
    Ok(Grant {
        access_token,
        token_secret: None,
        refresh_token: text("refresh_token").or_else(|| before?.refresh_token.clone()),
        expires_at: lasts_ms.map(|lasts_ms| now_ms.saturating_add(lasts_ms.max(0))),
        obtained_at: now_ms,
        signed_in_at: before.and_then(|before| before.signed_in_at),
        scopes: scopes.or_else(|| before.map(|before| before.scopes.clone())).unwrap_or_default(),
        account: before.and_then(|before| before.account.clone()),
        hosts: before.map(|before| before.hosts.clone()).unwrap_or_default(),
    })
}

/// Whether a token endpoint gave what was asked for; the failure says whether to try again.
pub fn check(response: &HttpResponse, mask: &Mask, now_ms: i64) -> Result<(), Failure> {
    let status = response.status;
    if (200..300).contains(&status) {
        return Ok(());
    }
    let host = response.url.host_str().unwrap_or_default();
    let (code, words) = told(response);
    let words = mask.text(&words);
    let told = match (code.as_deref(), words.is_empty()) {
        (Some(code), true) => format!("{host} answered {status} ({code})"),
        (Some(code), false) => format!("{host} answered {status} ({code}): {words}"),
        (None, true) => format!("{host} answered {status}"),
        (None, false) => format!("{host} answered {status}: {words}"),
    };
    let wait = retry_after(&response.headers, response.date_ms, now_ms).map(|wait| wait.ms);
    let failure = |verdict, outcome, code: &str| Failure {
        verdict,
        outcome,
        status: Some(status),
        ..Failure::not_sent(code, told.clone())
    };
    Err(match status {
        429 => {
            let until_ms = now_ms.saturating_add(wait.unwrap_or(UNTOLD_LIMIT_MS));
            failure(Verdict::RateLimited { until_ms }, Outcome::NotSent, "token_rate_limited")
        }
        500.. => failure(Verdict::Retry { after_ms: wait }, Outcome::Unknown, "token_unavailable"),
        _ => {
            let failure = failure(Verdict::Reauth, Outcome::NotSent, "token_refused");
            Failure { service_code: code, ..failure }
        }
    })
}

/// The service's code and words: OAuth's, X's lists of errors, or the beginning of any other body.
fn told(response: &HttpResponse) -> (Option<String>, String) {
    let Ok(body) = serde_json::from_slice::<Value>(&response.body) else {
        return (None, snippet(response));
    };
    let text = |value: Option<&Value>| value.and_then(crate::connector::selector::scalar_text);
    let first = body.get("errors").and_then(|errors| errors.get(0));
    let code = text(body.get("error").filter(|error| error.is_string()))
        .or_else(|| text(first.and_then(|first| first.get("code"))));
    let words = text(body.get("error_description"))
        .or_else(|| text(first.and_then(|first| first.get("message"))))
        .or_else(|| text(body.get("detail")))
        .or_else(|| text(body.get("message")));
    (code, words.unwrap_or_default())
}

fn snippet(response: &HttpResponse) -> String {
    let text = String::from_utf8_lossy(&response.body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(SNIPPET).collect()
}

fn not_json(response: &HttpResponse) -> Failure {
    let host = response.url.host_str().unwrap_or_default();
    let message = format!("{host} answered {} to a token request, but not with a token", response.status);
    refused("token_unreadable", message, response)
}

fn refused(code: &str, message: String, response: &HttpResponse) -> Failure {
    Failure {
        status: Some(response.status),
        outcome: Outcome::Unknown,
        ..Failure::not_sent(code, message).with_help("check the token address in the connector's `auth`")
    }
}
