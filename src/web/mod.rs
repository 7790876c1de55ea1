//! The host's two listeners: its own (`/health` without login, and JSON twins of the lists below `/api`), which
//! gives `/api` to loopback alone as there is no login yet; and the public one (`public`), with nothing on it but
//! what people outside are sent links to. `cli::up` binds both before the work begins and lets them serve beside it.

mod guard;
mod listener;
pub mod public;
mod routes;
pub mod sign_in;

use std::net::SocketAddr;

use axum::Router;

use crate::app::up::Live;

pub use listener::{Listener, bind};

/// What the host's own listener answers at this address.
pub fn own(live: Live, address: SocketAddr) -> Router {
    let is_loopback = address.ip().is_loopback();
    if !is_loopback {
        tracing::warn!("{address} can be reached from other machines: /api is closed there, only /health answers");
    }
    routes::router(live, is_loopback)
}
