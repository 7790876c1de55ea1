//! The end of a sign-in on this machine: a listener on loopback for the one callback, for commands. It answers
//! nothing else, and ends with the sign-in.

use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::{mpsc, oneshot};

use super::listener::Listener;
use super::public::{Page, hardened};
use crate::app::sign_in::Told;
use crate::app::sign_in::{SignedIn, Started};
use crate::app::{Error, Exit, Result};

/// Where the service sends the browser back to.
pub use crate::app::sign_in::link::CALLBACK;

/// How long the browser gets to take the last page.
const GOODBYE: Duration = Duration::from_secs(1);

/// What came, and where its answer goes.
type Visit = (Told, oneshot::Sender<Page>);

/// Waits for the callback of a sign-in, and ends it. A callback of another sign-in is answered and passed over.
///
/// # Errors
/// `sign_in_timeout`, and what [`Started::finish`] says.
pub async fn wait(listener: Listener, started: &Started, patience: Duration) -> Result<SignedIn> {
    let (tell, mut visits) = mpsc::channel::<Visit>(1);
    let router = hardened(Router::new().route(CALLBACK, get(callback))).with_state(tell);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(listener.serve(router, async {
        // An error means that the wait was given up.
        let _ = stopped.await;
    }));
    let ended = tokio::time::timeout(patience, end(&mut visits, started)).await;
    drop(stop);
    // The page is on its way; a browser that keeps its connection open is not waited for.
    let _ = tokio::time::timeout(GOODBYE, serving).await;
    ended.unwrap_or_else(|_| {
        Err(Error::new(Exit::Connection, "sign_in_timeout", "nobody signed in in time").with_help("begin again"))
    })
}

async fn end(visits: &mut mpsc::Receiver<Visit>, started: &Started) -> Result<SignedIn> {
    while let Some((told, answer)) = visits.recv().await {
        // Without the state it is nobody's: somebody else's page, or an old one.
        if !started.is_mine(&told) {
            let page = Page::new("This is another sign-in").line("Go on in the newest window, or begin again.");
            let _ = answer.send(page);
            continue;
        }
        let ended = started.finish(told).await;
        let _ = answer.send(super::public::ended(&ended));
        return ended;
    }
    Err(Error::new(Exit::Host, "sign_in_timeout", "the listener for the sign-in ended"))
}

async fn callback(State(tell): State<mpsc::Sender<Visit>>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let (answer, page) = oneshot::channel();
    let over = || Page::new("This sign-in is over").line("Begin again if it was not yours.");
    if tell.send((Told::Callback(query), answer)).await.is_err() {
        return over().answer(StatusCode::GONE);
    }
    match page.await {
        Ok(page) => page.answer(StatusCode::OK),
        Err(_) => over().answer(StatusCode::GONE),
    }
}
