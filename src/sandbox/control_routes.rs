//! The control API over HTTP, for a sandbox in another process: `POST /control/{tweets,messages,sms,sms/SID/failure,calls,
//! items,faults,users,follows,clock,tokens,clear}`, `DELETE /control/{faults,tweets/ID,sms/SID}`, `GET
//! /control/{uploads,received,counts,faults,clock}`. Bodies are the members of `NewTweet`, `NewMessage`, `NewSms`, `NewCall`, `NewItems`
//! and `Fault`.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::{Control, NewCall, NewItems, NewMessage, NewSms, NewTweet};
use super::faults::Fault;
use super::ledger::{Receipt, ReceiptFilter};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChange {
    username: String,
    hidden: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    follower: String,
    followed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    advance_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenChange {
    lifetime_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SmsFailure {
    error_code: u32,
}

pub(super) fn router(control: Control) -> Router {
    Router::new()
        .route("/tweets", post(add_tweets))
        .route("/tweets/{id}", delete(remove_tweet))
        .route("/messages", post(add_message))
        .route("/uploads", get(uploads))
        .route("/users", post(change_user))
        .route("/follows", post(follow))
        .route("/sms", post(add_sms))
        .route("/sms/{sid}", delete(remove_sms))
        .route("/sms/{sid}/failure", post(fail_sms))
        .route("/calls", post(add_calls))
        .route("/items", post(add_items))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/received", get(received))
        .route("/counts", get(counts))
        .route("/clock", get(read_clock).post(move_clock))
        .route("/tokens", post(change_tokens))
        .route("/clear", post(clear))
        .with_state(control)
}

async fn add_tweets(State(control): State<Control>, Json(new): Json<NewTweet>) -> Json<Value> {
    Json(json!({"ids": control.add_tweets(&new)}))
}

async fn add_message(State(control): State<Control>, Json(new): Json<NewMessage>) -> Json<Value> {
    Json(json!({"id": control.add_message(&new)}))
}

async fn uploads(State(control): State<Control>) -> Json<Value> {
    let uploads = control.uploads().into_iter();
    Json(uploads.map(|(bytes, sha256)| json!({"bytes": bytes, "sha256": sha256})).collect())
}

async fn remove_tweet(State(control): State<Control>, Path(id): Path<String>) -> StatusCode {
    found(control.remove_tweet(&id))
}

async fn change_user(State(control): State<Control>, Json(change): Json<UserChange>) -> StatusCode {
    found(control.hide_user(&change.username, change.hidden))
}

async fn follow(State(control): State<Control>, Json(new): Json<Follow>) -> StatusCode {
    control.follow(&new.follower, &new.followed);
    StatusCode::NO_CONTENT
}

async fn add_sms(State(control): State<Control>, Json(new): Json<NewSms>) -> Json<Value> {
    Json(json!({"sids": control.add_sms(&new)}))
}

async fn remove_sms(State(control): State<Control>, Path(sid): Path<String>) -> StatusCode {
    found(control.remove_sms(&sid))
}

async fn fail_sms(
    State(control): State<Control>,
    Path(sid): Path<String>,
    Json(failure): Json<SmsFailure>,
) -> StatusCode {
    found(control.fail_sms(&sid, failure.error_code))
}

async fn add_calls(State(control): State<Control>, Json(new): Json<NewCall>) -> Json<Value> {
    Json(json!({"sids": control.add_calls(&new)}))
}

async fn add_items(State(control): State<Control>, Json(new): Json<NewItems>) -> Json<Value> {
    let (first, last) = control.add_items(&new);
    Json(json!({"first": first, "last": last}))
}

async fn list_faults(State(control): State<Control>) -> Json<Vec<Fault>> {
    Json(control.faults())
}

async fn add_fault(
    State(control): State<Control>,
    Json(fault): Json<Fault>,
) -> Result<StatusCode, (StatusCode, String)> {
    match control.inject(fault) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err((StatusCode::BAD_REQUEST, error.to_string())),
    }
}

async fn clear_faults(State(control): State<Control>) -> StatusCode {
    control.clear_faults();
    StatusCode::NO_CONTENT
}

async fn received(State(control): State<Control>, Query(filter): Query<ReceiptFilter>) -> Json<Vec<Receipt>> {
    Json(control.received(&filter))
}

/// `{"x": {"post_tweet": {"requests": 1, "done": 1, "repeated": 0}}}`
async fn counts(State(control): State<Control>) -> Json<Value> {
    let mut services = Map::new();
    for ((service, operation), count) in control.counts() {
        let name = json!(service).as_str().unwrap_or_default().to_owned();
        services.entry(name).or_insert_with(|| json!({}))[operation] = json!(count);
    }
    Json(Value::Object(services))
}

async fn read_clock(State(control): State<Control>) -> Json<Value> {
    Json(json!({"now_ms": control.clock().now_ms()}))
}

/// Does nothing to a clock that is the system's.
async fn move_clock(State(control): State<Control>, Json(change): Json<ClockChange>) -> Json<Value> {
    control.clock().advance(change.advance_ms);
    Json(json!({"now_ms": control.clock().now_ms()}))
}

async fn change_tokens(State(control): State<Control>, Json(change): Json<TokenChange>) -> StatusCode {
    control.set_token_lifetime(change.lifetime_ms);
    StatusCode::NO_CONTENT
}

async fn clear(State(control): State<Control>) -> StatusCode {
    control.clear();
    StatusCode::NO_CONTENT
}

fn found(is_found: bool) -> StatusCode {
    if is_found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
