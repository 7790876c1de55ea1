//! What is answered: each path is one use case of `app`, its answer as JSON.

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::guard::{self, Refusal};
use crate::app::up::Live;
use crate::app::{self, Error, Exit, approvals, connections, connectors, flows, health, runs, triggers};

/// Which runs are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RunsQuery {
    flow: Option<String>,
    state: Option<String>,
    before: Option<String>,
    limit: u32,
}

/// All paths; those below `/api` only where the listener is on loopback.
pub fn router(live: Live, is_loopback: bool) -> Router {
    let router = Router::new().route("/health", get(told_health));
    let router = if is_loopback {
        let judged = router.nest("/api", api()).fallback(nothing_here);
        judged.layer(from_fn(judge))
    } else {
        router.nest("/api", Router::new().fallback(closed)).fallback(nothing_here)
    };
    router.layer(from_fn(harden)).with_state(live)
}

fn api() -> Router<Live> {
    Router::new()
        .route("/flows", get(async |State(live): State<Live>| told(flows::list(&live.view()).await)))
        .route(
            "/flows/{name}",
            get(async |State(live): State<Live>, Path(name): Path<String>| {
                told(flows::show(&live.view(), &name).await)
            }),
        )
        .route("/triggers", get(async |State(live): State<Live>| told(triggers::list(&live.view()).await)))
        .route(
            "/triggers/{flow}",
            get(async |State(live): State<Live>, Path(flow): Path<String>| {
                told(triggers::known(&live.view(), &flow, false).await)
            }),
        )
        .route("/runs", get(listed_runs))
        .route(
            "/runs/{id}",
            get(async |State(live): State<Live>, Path(id): Path<String>| told(runs::show(&live.view(), &id).await)),
        )
        .route("/approvals", get(listed_approvals))
        .route(
            "/approvals/{id}",
            get(async |State(live): State<Live>, Path(id): Path<String>| {
                told(approvals::show(&live.view(), &id).await)
            }),
        )
        .route("/connections", get(async |State(live): State<Live>| told(connections::list(&live.view()).await)))
        .route("/connectors", get(async |State(live): State<Live>| Json(connectors::list(&live.project()))))
        .route(
            "/connectors/{name}",
            get(async |State(live): State<Live>, Path(name): Path<String>| {
                told(connectors::show(&live.project(), &name))
            }),
        )
        .method_not_allowed_fallback(only_read)
        .fallback(nothing_here)
}

/// 200 while the host works, also where something wants a person; 503 where its state can not be read or written.
async fn told_health(State(live): State<Live>) -> Response {
    match health::health(&live).await {
        Ok(health) if health.is_stalled() => (StatusCode::SERVICE_UNAVAILABLE, Json(health)).into_response(),
        Ok(health) => Json(health).into_response(),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

async fn listed_runs(
    State(live): State<Live>,
    query: Result<Query<RunsQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    match query {
        Ok(Query(RunsQuery { flow, state, before, limit })) => {
            let filter = runs::Filter { flow, state, before, limit: limit.min(MOST_RUNS), ..runs::Filter::default() };
            told(runs::list(&live.view(), filter).await)
        }
        Err(rejection) => {
            let error = Error::usage("query_invalid", rejection.body_text())
                .with_help("/api/runs takes flow, state, before and limit");
            refuse(StatusCode::BAD_REQUEST, &error)
        }
    }
}

/// Which approvals are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ApprovalsQuery {
    state: Option<String>,
    limit: u32,
}

async fn listed_approvals(
    State(live): State<Live>,
    query: Result<Query<ApprovalsQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    match query {
        Ok(Query(ApprovalsQuery { state, limit })) => {
            told(approvals::list(&live.view(), state.as_deref(), limit.min(MOST_RUNS)).await)
        }
        Err(rejection) => {
            let error =
                Error::usage("query_invalid", rejection.body_text()).with_help("/api/approvals takes state and limit");
            refuse(StatusCode::BAD_REQUEST, &error)
        }
    }
}

/// The most runs of one answer; `before` asks for the next.
const MOST_RUNS: u32 = 1_000;

async fn judge(request: Request, next: Next) -> Response {
    let what = match guard::judge(request.headers()) {
        Ok(()) => return next.run(request).await,
        Err(Refusal::ForeignHost) => "its Host is not this machine's loopback name",
        Err(Refusal::ForeignOrigin) => "it was sent by a page of another site",
    };
    let error = Error::usage("request_foreign", format!("this request is not answered: {what}"))
        .with_help("use http://127.0.0.1 or http://localhost with the host's port");
    refuse(StatusCode::FORBIDDEN, &error)
}

/// What no answer lacks: nobody caches it, guesses its type, frames it, or runs anything in it.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn closed() -> Response {
    let error = Error::usage("api_closed", "the API is answered on loopback alone, as there is no login")
        .with_help("listen on 127.0.0.1, and reach it from elsewhere through a tunnel: ssh -L 7400:127.0.0.1:7400");
    refuse(StatusCode::FORBIDDEN, &error)
}

async fn only_read() -> Response {
    let error = Error::usage("method_refused", "the API is for reading: it answers GET alone")
        .with_help("what changes something is a command: see `tidegate --help`");
    refuse(StatusCode::METHOD_NOT_ALLOWED, &error)
}

async fn nothing_here() -> Response {
    let error = Error::problem("path_unknown", "there is nothing here").with_help(
        "there are /health and /api/connections, and /api/flows, /api/triggers, /api/runs, /api/approvals and /api/connectors, these also with a name behind them",
    );
    refuse(StatusCode::NOT_FOUND, &error)
}

fn told<T: Serialize>(result: app::Result<T>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refuse(status(&error), &error),
    }
}

fn status(error: &Error) -> StatusCode {
    match error.exit {
        Exit::Usage => StatusCode::BAD_REQUEST,
        _ if error.code.ends_with("_unknown") => StatusCode::NOT_FOUND,
        Exit::Problem => StatusCode::BAD_REQUEST,
        Exit::Host => StatusCode::SERVICE_UNAVAILABLE,
        Exit::Unfinished => StatusCode::CONFLICT,
        Exit::Connection | Exit::Service => StatusCode::BAD_GATEWAY,
    }
}

fn refuse(status: StatusCode, error: &Error) -> Response {
    let body = json!({"error": {"code": error.code, "message": error.message, "help": error.help}});
    (status, Json(body)).into_response()
}
