//! The pages of a sign-in by link: what it is for, the way to the service, and its end. A GET of the link changes
//! nothing, so nothing is used up by what looks at links before people do.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use maud::html;

use super::Page;
use crate::app::Error;
use crate::app::sign_in::link::{self, CALLBACK, Leaving};
use crate::app::sign_in::{SignedIn, Told};
use crate::app::up::Live;

const COOKIE: &str = "tidegate-sign-in";

/// Its routes.
pub fn routes() -> Router<Live> {
    Router::new().route(CALLBACK, get(callback)).route("/sign-in/{token}", get(show).post(leave))
}

/// How a sign-in ended.
pub fn ended(ended: &Result<SignedIn, Error>) -> Page {
    match ended {
        Ok(done) => {
            let who = done.account.as_ref().map_or(String::new(), |account| format!(" as {account}"));
            Page::new("Signed in")
                .line(&format!("The connection {} has signed in{who}. You can close this window.", done.connection))
        }
        Err(error) => {
            let page = Page::new("Not signed in").line(&error.message);
            match &error.help {
                Some(help) => page.note(help),
                None => page,
            }
        }
    }
}

async fn show(State(live): State<Live>, Path(token): Path<String>) -> Response {
    match link::find(&live, &token).await {
        Ok(Some(row)) => Page::new(format!("Sign in for {}", row.connection))
            .line("Tidegate will act at the service as the account that you sign in with there.")
            .with(html! { form method="post" { button type="submit" { "Continue" } } })
            .note("If you did not ask for this, close the window: nothing has happened.")
            .answer(StatusCode::OK),
        Ok(None) => Page::new("This link is over")
            .line("It was used, or is too old. Make another one.")
            .answer(StatusCode::GONE),
        Err(error) => failed(error),
    }
}

/// A page with a link rather than a redirect: forms of these pages may lead to themselves alone.
async fn leave(State(live): State<Live>, Path(token): Path<String>) -> Response {
    match link::begin(&live, &token).await {
        Ok(Leaving { url, cookie, connection }) => {
            let page = Page::new(format!("Sign in for {connection}"))
                .line("The service asks you there whether you agree.")
                .with(html! { p { a href=(url) rel="noreferrer" { "Go to the service" } } });
            let mut response = page.answer(StatusCode::OK);
            let age_s = link::LIFE_MS / 1_000;
            let secure = if link::is_https(&live) { "; Secure" } else { "" };
            let cookie = format!("{COOKIE}={cookie}; Path=/sign-in; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
            if let Ok(mut value) = HeaderValue::from_str(&cookie) {
                value.set_sensitive(true);
                response.headers_mut().insert(header::SET_COOKIE, value);
            }
            response
        }
        Err(error) => failed(error),
    }
}

async fn callback(
    State(live): State<Live>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let result = link::finish(&live, cookie(&headers), Told::Callback(query)).await;
    let status = if result.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    ended(&result).answer(status)
}

fn failed(error: Error) -> Response {
    ended(&Err(error)).answer(StatusCode::BAD_REQUEST)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}
