//! The public listener: approval pages and the ends of sign-ins, and nothing else. Whoever opens a page here has
//! no account with us: a link's own token says what it is for. Pages are made here as a whole, without scripts,
//! and tell nobody where they were opened from. To add pages, write a file with its routes and merge them below.

mod approvals;
mod page;
mod sign_in;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::app::Error;
use crate::app::up::Live;

pub use page::{Page, policy};
pub(super) use sign_in::ended;

/// The most bytes of a form: a free-text answer of some length.
const MOST_FORM_BYTES: usize = 64 * 1024;

/// Everything that people outside can open.
pub fn router(live: Live) -> Router {
    Router::new()
        .merge(approvals::routes())
        .merge(sign_in::routes())
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(MOST_FORM_BYTES))
        .layer(from_fn(harden))
        .with_state(live)
}

/// The same hardening for the pages of another listener.
pub(super) fn hardened<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.fallback(nothing_here).layer(from_fn(harden))
}

async fn nothing_here() -> Response {
    Page::new("There is nothing here")
        .line("This address leads nowhere. If it came in a message, make sure that it was copied whole.")
        .answer(StatusCode::NOT_FOUND)
}

/// The path is right, and the method is not.
async fn not_so() -> Response {
    Page::new("This cannot be done here")
        .line("Open the link, and answer on its page.")
        .answer(StatusCode::METHOD_NOT_ALLOWED)
}

/// Something of ours does not work; what, is in the log and none of the reader's business.
fn broken(error: &Error) -> Response {
    tracing::error!(code = error.code, "a public page could not be shown: {}", error.message);
    Page::new("This does not work at the moment")
        .line("Nothing was changed. Please try again in a few minutes.")
        .answer(StatusCode::SERVICE_UNAVAILABLE)
}

/// What no answer lacks: nobody caches or indexes it, hands its address on, frames it, or runs anything in it.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_answer_is_hardened() {
        let response = nothing_here().await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let policy = policy();
        let policy = policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
    }
}
